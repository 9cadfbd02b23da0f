"""The phones and words of alignments in time, in NIST's CTM format."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from darkknowledge.hmm.align import phone_segments
from darkknowledge.hmm.model import HmmModel


def ctm_lines(
    model: HmmModel,
    text: Mapping[str, Sequence[str]],
    alignments: Mapping[str, np.ndarray],
    frame_shift: float = 0.01,
) -> tuple[list[str], list[str]]:
    """Write alignments as lines ``utterance 1 start duration phone``, and the same of words.

    Parameters
    ----------
    model : HmmModel
        Whose transitions they are.
    text : mapping
        Words of each utterance.
    alignments : mapping
        Transitions from 0 of each utterance, int (N,).
    frame_shift : float
        In seconds. Times have as many decimals, at least two, as it needs.

    Returns
    -------
    phones, words : list of str
        Words as spelt in the transcript; silence is a phone and no word.
    """
    digits = time_digits(frame_shift)

    def line(utterance: str, start: int, end: int, label: str) -> str:
        times = (f"{frames * frame_shift:.{digits}f}" for frames in (start, end - start))
        return f"{utterance} 1 {' '.join(times)} {label}"

    phone_lines, word_lines = [], []
    names, silence = model.phones.names, model.phones.silence_phone
    begins = {p for p in range(len(names)) if model.phones.position(p) in ("B", "S")}
    ends = {p for p in range(len(names)) if model.phones.position(p) in ("E", "S")}
    noise = set(model.phones.silence) - {silence}
    for utterance, transitions in alignments.items():
        segments = phone_segments(model, transitions, np.array([len(transitions)]))
        words = iter(text[utterance])
        opened = None
        for phone, start, end in zip(
            segments.phone.tolist(), segments.start.tolist(), segments.end.tolist(), strict=True
        ):
            phone_lines.append(line(utterance, start, end, names[phone]))
            if phone in begins or (phone in noise and opened is None):
                opened = start
            if opened is not None and (phone in ends or (phone in noise and opened == start)):
                word_lines.append(line(utterance, opened, end, next(words)))
                opened = None
    return phone_lines, word_lines


def time_digits(frame_shift: float) -> int:
    """Return the decimals, two to six, with which multiples of a frame shift are exact."""
    return next(
        (n for n in range(2, 6) if math.isclose(frame_shift, round(frame_shift, n), rel_tol=1e-9)),
        6,
    )
