"""Is the difference between two rows of a table more than luck?

Of every pair that a table names, the second run is compared with the first: the difference of
their word error rates with an interval and a p-value from the bootstrap over sentences and seeds
(`darkknowledge.bootstrap`), and NIST's test (`darkknowledge.mapsswe`). The bootstrap is what is
marked. NIST's number is that of the hypotheses of all seeds together, each seed of one run beside
the same seed of the other: it takes the conditions of a sentence and the seeds for independent,
which they are not, and so promises too much; it stands there because others print it.

The more pairs, the more often luck alone makes one of them small: Holm's correction holds the
chance of any false mark in a table at 5 %.

References
----------
Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
Statistics 6(2), 1979.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from darkknowledge.bootstrap import LEVEL, bootstrap_difference
from darkknowledge.datadir import read_table
from darkknowledge.errors import DataError
from darkknowledge.files import read_json
from darkknowledge.mapsswe import align, mapsswe, segments
from darkknowledge.scoring import read_trn
from darkknowledge.word_errors import count_errors


@dataclass(frozen=True)
class Reference:
    """What was said in a test set.

    Attributes
    ----------
    words : dict
        Of each utterance.
    speakers : dict
        Of each utterance.
    """

    words: Mapping[str, Sequence[str]]
    speakers: Mapping[str, str]

    @cached_property
    def sentences(self) -> dict[str, int]:
        """Number of the sentence of each utterance: the same words of the same speaker.

        These are the conditions of one recording, whatever the utterances are called.
        """
        numbers: dict[tuple, int] = {}
        return {
            utterance: numbers.setdefault((self.speakers[utterance], *words), len(numbers))
            for utterance, words in sorted(self.words.items())
        }

    def by_sentence(self, counts: Mapping[str, int]) -> np.ndarray:
        """Add up a number of each utterance over the utterances of each sentence: (K,)."""
        numbers = self.sentences
        return np.bincount(list(numbers.values()), [counts[utterance] for utterance in numbers])


class Recognised:
    """What a system recognised in a test set, compared with what was said.

    Raises
    ------
    DataError
        If the utterances are not those of the reference.
    """

    def __init__(self, reference: Reference, hypotheses: Mapping[str, Sequence[str]]):
        odd = sorted(reference.words.keys() ^ hypotheses.keys())
        if odd:
            raise DataError(
                f"{len(odd)} utterances stand in only one of hypotheses and reference, the first "
                f"is {odd[0]}; decode the set that is scored"
            )
        self.reference, self.hypotheses = reference, hypotheses

    @cached_property
    def errors(self) -> np.ndarray:
        """Word errors of each sentence, as the table counts them: (K,)."""
        words = self.reference.words
        return self.reference.by_sentence(
            {u: count_errors(words[u], self.hypotheses[u], u).errors for u in words}
        )

    @cached_property
    def alignments(self) -> dict[str, str]:
        """sclite's alignment of each utterance."""
        words = self.reference.words
        return {u: align(words[u], self.hypotheses[u]) for u in words}


def compare(
    reference: Reference, first: Sequence[Recognised], second: Sequence[Recognised]
) -> dict[str, Any]:
    """Compare two systems of equally many seeds, seed by seed.

    Returns
    -------
    dict
        ``utterances``, ``sentences``, ``wer`` (of the first and the second), ``difference``,
        ``interval``, ``relative``, ``relative_interval``, ``p``; ``mapsswe`` with its parts.
    """
    words = reference.by_sentence({u: len(said) for u, said in reference.words.items()})
    errors = [np.stack([seed.errors for seed in system]) for system in (first, second)]
    found = bootstrap_difference(*errors, words)
    cut = (
        segment
        for one, other in zip(first, second, strict=True)
        for utterance in reference.words
        for segment in segments(one.alignments[utterance], other.alignments[utterance])
    )
    return _rounded(
        {
            "utterances": len(reference.words),
            "sentences": len(words),
            "wer": [100 * system.mean(axis=0).sum() / words.sum() for system in errors],
            "difference": found.absolute,
            "interval": found.interval,
            "relative": found.relative,
            "relative_interval": found.relative_interval,
            "p": found.p,
            "mapsswe": mapsswe(cut).record(),
        }
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, by Holm's step-down procedure.

    The smallest is multiplied by their number, the next by one less, and so on; none may be
    smaller than the one before, or above 1.
    """
    corrected = [1.0] * len(p_values)
    least = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = least
    return corrected


def compare_pairs(
    pairs: Sequence[tuple[str, str]],
    systems: Mapping[str, Mapping[int | None, Recognised | str]],
    reference: Reference,
) -> list[dict[str, Any]]:
    """Compare every pair of a table.

    Parameters
    ----------
    pairs : sequence of (str, str)
        Names of runs or GMM stages.
    systems : mapping
        By name, then by seed, or by None for a GMM stage: what was recognised, or, where there is
        nothing, why.
    reference : Reference

    Returns
    -------
    list of dict
        As from `compare`, with ``first``, ``second``, ``seeds`` (those that both have; none
        between GMM stages), ``problem`` (why seeds, or all, are left out; mostly empty), ``p_holm``
        and ``significant``. Where all are left out there is nothing else but the problem.
    """
    records = []
    for first, second in pairs:
        seeds = sorted({*systems[first], *systems[second]} - {None}) or [None]
        found, problems = {}, {}
        for seed in seeds:
            pair = [systems[name].get(seed, systems[name].get(None)) for name in (first, second)]
            reasons = {
                name: one
                for name, one in zip((first, second), pair, strict=True)
                if isinstance(one, str)
            }
            if reasons:
                problems |= {_place(name, seed): reason for name, reason in reasons.items()}
            else:
                found[seed] = pair
        record = {
            "first": first,
            "second": second,
            "seeds": [seed for seed in found if seed is not None],
            "problem": "; ".join(f"{place}: {reason}" for place, reason in problems.items()),
        }
        if found:
            record |= compare(reference, *zip(*found.values(), strict=True))
        records.append(record)
    tested = [record for record in records if "p" in record]
    for record, p in zip(tested, holm([record["p"] for record in tested]), strict=True):
        record |= {"p_holm": _rounded(p), "significant": p < LEVEL}
    return records


def _place(name: str, seed: int | None) -> str:
    return name if seed is None else f"{name} seed {seed}"


def read_systems(
    systems: Sequence[tuple[str, int | None]],
    hypotheses: Sequence[str | Path],
    scores: Sequence[str | Path],
    reference: Reference,
) -> dict[str, dict[int | None, Recognised | str]]:
    """Read what each system recognised; of one whose score says ``problem``, that."""
    found: dict[str, dict[int | None, Recognised | str]] = {}
    for (run, seed), trn, score in zip(systems, hypotheses, scores, strict=True):
        problem = read_json(score).get("problem")
        found.setdefault(run, {})[seed] = problem or Recognised(reference, read_trn(trn))
    return found


def read_reference(text: str | Path, utt2spk: str | Path) -> Reference:
    """Read what was said from the files of a data directory."""
    words = {utterance: said.split() for utterance, said in read_table(text).items()}
    return Reference(words, read_table(utt2spk))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return value
