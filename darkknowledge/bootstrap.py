"""The paired bootstrap: an interval for the difference of two word error rates.

How much would the difference change with other sentences and other seeds? Both are drawn again,
many times, and the difference is formed each time. Both systems are scored on the same draw, so
that what makes a sentence hard for both falls out of the difference.

What is drawn must be independent. The same sentence in fourteen noises is one sentence, not
fourteen: a recogniser that lacks one of its words fails in all of them. So sentences are drawn,
each with all its conditions. With several seeds, seeds are drawn too, the same for both systems:
a student of seed 2 learns from the teacher of seed 2. All seeds recognise the same sentences, so
that one draw of sentences serves all drawn seeds (crossed, not nested: Owen's pigeonhole
bootstrap). Of n things n - 1 are drawn, with replacement, which makes the variance of the mean
right: n draws of three seeds would understate that of the seeds by a third (Rao and Wu).

What the interval holds: with one seed, other sentences, not networks trained anew. With a few seeds
it is too wide where the luck is that of one network on one sentence, for it is counted up to three
times; and too narrow where networks differ as a whole, for the quantiles of three values are not
Student's. In simulations with 60 sentences 93 to 94 % of the intervals hold the truth where the
luck lies in sentences alone, or in sentences and seeds alike, with one, three or five seeds; 97 %
where the luck of one network on one sentence adds as much; but 76 % with three seeds and 86 % with
five where seeds alone differ. Speakers and noises are taken as given.

References
----------
Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation",
ICASSP 2004. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007. Rao and Wu,
"Resampling inference with complex survey data", JASA 83(401), 1988.
"""

from dataclasses import dataclass

import numpy as np

REPLICATES = 10_000
LEVEL = 0.05
_BLOCK = 500


@dataclass(frozen=True)
class Difference:
    """The second word error rate minus the first, in points, and in per cent of the first.

    Attributes
    ----------
    absolute : float
    interval : (float, float)
        Of 95 %.
    relative : float or None
        None where the first makes no errors.
    relative_interval : (float, float) or None
        None where the first makes no errors in some draw.
    p : float
        Two-tailed: below 0.05 where the interval leaves out zero; but never below the chance that
        all sentences favour the same system, 2 ** (1 - K): a few sentences prove nothing.
    """

    absolute: float
    interval: tuple[float, float]
    relative: float | None
    relative_interval: tuple[float, float] | None
    p: float


def bootstrap_difference(
    first: np.ndarray,
    second: np.ndarray,
    words: np.ndarray,
    replicates: int = REPLICATES,
    generator_seed: int = 0,
) -> Difference:
    """Compare two systems over seeds and sentences.

    Parameters
    ----------
    first, second : (S, K) arrays
        Word errors of each seed in each sentence, over all its conditions.
    words : (K,) array
        Words of the reference.
    replicates : int
    generator_seed : int
        The same draws each time.

    Returns
    -------
    Difference
    """
    seeds, sentences = first.shape
    rng = np.random.default_rng(generator_seed)
    rates = []
    for start in range(0, replicates, _BLOCK):
        size = min(_BLOCK, replicates - start)
        by_seed = _draw(rng, size, seeds)  # (R, S)
        by_sentence = _draw(rng, size, sentences)  # (R, K)
        said = by_sentence @ words * by_seed.sum(axis=1)
        rates.append(
            [((by_sentence @ system.T) * by_seed).sum(axis=1) / said for system in (first, second)]
        )
    one, other = 100 * np.concatenate(rates, axis=1)  # (R,) each
    change = other - one
    tail = min(np.count_nonzero(change <= 0), np.count_nonzero(change >= 0))
    rate, other_rate = (100 * system.sum() / (seeds * words.sum()) for system in (first, second))
    return Difference(
        absolute=float(other_rate - rate),
        interval=_interval(change),
        relative=float(100 * (other_rate / rate - 1)) if rate else None,
        relative_interval=_interval(100 * change / one) if one.all() else None,
        p=max(2.0 ** (1 - sentences), min(1.0, float(2 * (tail + 1) / (replicates + 1)))),
    )


def _draw(rng: np.random.Generator, size: int, things: int) -> np.ndarray:
    """Count how often each of n things is drawn in n − 1 draws, or in one of one: (R, n)."""
    drawn = rng.integers(things, size=(size, max(1, things - 1)))
    drawn += things * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * things).reshape(size, things)


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)
