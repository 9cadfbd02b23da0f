"""Phone boundaries of an alignment against the true ones."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darkknowledge.errors import DataError
from darkknowledge.hmm.phones import SILENCE
from darkknowledge.scoring import read_ctm

WINDOW_OFFSET = (0.025 - 0.010) / 2
Phones = Sequence[tuple[str, float]]


@dataclass(frozen=True)
class BoundaryErrors:
    """Distances between boundaries found and true ones.

    Attributes
    ----------
    errors : float64 (B,)
        Absolute, in seconds, of each phone that both have.
    paired : float
        Share of the true boundaries that are among them; where a word was aligned in another
        pronunciation than was spoken, phones have no counterpart.
    """

    errors: np.ndarray
    paired: float

    @property
    def median(self) -> float:
        """Median error in seconds."""
        return float(np.median(self.errors))

    def within(self, seconds: float) -> float:
        """Share of the errors that are no larger."""
        return float((self.errors <= seconds).mean())


def compare_boundaries(
    found: Mapping[str, Phones], truth: Iterable[tuple[str, Phones]]
) -> BoundaryErrors:
    """Compare where phones begin; silences are left out.

    Parameters
    ----------
    found : mapping of utterance to list of (phone, seconds)
        As :func:`read_phones` gives it.
    truth : iterable of (utterance, list of (phone, seconds))
        A NaN is a phone whose beginning is not known.

    Raises
    ------
    DataError
        If no utterance is in both, or no phone.
    """
    errors: list[float] = []
    known = 0
    for utterance, phones in truth:
        if utterance not in found:
            continue
        ours = [item for item in found[utterance] if item[0] != SILENCE]
        theirs = [item for item in phones if item[0] != SILENCE]
        known += sum(not math.isnan(start) for _, start in theirs)
        matcher = difflib.SequenceMatcher(
            None, [name for name, _ in ours], [name for name, _ in theirs], autojunk=False
        )
        for one, other, size in matcher.get_matching_blocks():
            for (_, here), (_, there) in zip(
                ours[one : one + size], theirs[other : other + size], strict=True
            ):
                if not math.isnan(there):
                    errors.append(abs(here - there))
    if not errors:
        raise DataError("no phone is both in the alignments and in the truth; are they one corpus?")
    return BoundaryErrors(np.array(errors), len(errors) / known)


def read_phones(path: str | Path) -> dict[str, list[tuple[str, float]]]:
    """Read ``phones.ctm``: phones without word positions, utterances without their condition.

    A ctm, as Kaldi's, says that frame i begins at i times the shift. The frame is centred on its
    window of 25 ms, so the 10 ms that it stands for begin 7.5 ms later, which is added here.
    """
    return {
        utterance.rpartition("-c")[0]: [
            (
                timed.word if timed.word == SILENCE else timed.word.rpartition("_")[0],
                timed.start + WINDOW_OFFSET,
            )
            for timed in phones
        ]
        for utterance, phones in read_ctm(path).items()
    }
