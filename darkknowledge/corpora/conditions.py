"""The fourteen acoustic conditions of Aurora4: clean and six noises, two microphones."""

import numpy as np

CONDITIONS = tuple(f"{number:02d}" for number in range(1, 15))
NOISES = 6


def microphone(condition: str) -> int:
    """Return 1 for conditions 01-07, 2 for 08-14."""
    return 1 if int(condition) <= 7 else 2


def noise_index(condition: str) -> int | None:
    """Return which of the six noises (0 to 5) a condition has, None if it is clean."""
    place = (int(condition) - 1) % 7
    return place - 1 if place else None


def group(condition: str) -> str:
    """Return A (clean), B (noisy), C (second microphone) or D (noisy, second microphone)."""
    noisy = noise_index(condition) is not None
    return {(1, False): "A", (1, True): "B", (2, False): "C", (2, True): "D"}[
        microphone(condition), noisy
    ]


def deal(count: int, clean_share: float, rng: np.random.Generator) -> list[str]:
    """Deal conditions over utterances: half to each microphone, the noises evenly.

    Parameters
    ----------
    count : int
        Number of utterances.
    clean_share : float
        Share of the utterances of each microphone that are clean.
    rng : numpy Generator
        Shuffles the conditions.

    Returns
    -------
    list of str
        One condition per utterance. The counts differ from the shares by less than one.
    """
    shares = np.array(
        [
            (clean_share if noise_index(c) is None else (1 - clean_share) / NOISES) / 2
            for c in CONDITIONS
        ]
    )
    counts = np.floor(shares * count + 1e-9).astype(int)
    rest = np.argsort(-(shares * count - counts), kind="stable")[: count - counts.sum()]
    counts[rest] += 1
    dealt = np.repeat(np.arange(len(CONDITIONS)), counts)
    rng.shuffle(dealt)
    return [CONDITIONS[i] for i in dealt]
