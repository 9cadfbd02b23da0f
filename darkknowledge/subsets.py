"""Nested parts of a training set, by speaker: what a network learns from when data is short."""

import hashlib
import math
from collections.abc import Mapping


def part_of_speakers(speaker: Mapping[str, str], share: float) -> dict[str, str]:
    """Keep the utterances of a share of the speakers.

    Speakers are taken in the order of a hash of their names, so that a smaller share is part of
    a larger one, and the same in every run.

    Parameters
    ----------
    speaker : mapping
        Speaker of each utterance.
    share : float
        Of the speakers, above 0; rounded up to whole ones.

    Returns
    -------
    dict
        As ``speaker``, in its order.
    """
    order = sorted(set(speaker.values()), key=lambda s: hashlib.sha256(s.encode()).digest())
    kept = set(order[: math.ceil(share * len(order) - 1e-9)])
    return {utterance: name for utterance, name in speaker.items() if name in kept}
