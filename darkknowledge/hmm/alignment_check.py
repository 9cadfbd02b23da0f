"""Whether the files of an alignment fit each other, the features and the transcripts."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from darkknowledge.archives import Archive
from darkknowledge.errors import DataError
from darkknowledge.files import read_lines
from darkknowledge.hmm.phones import SILENCE

MEND = "delete the folder and run snakemake"

Row = tuple[float, float, str]


def check_alignments(
    folder: str | Path,
    features: str | Path,
    text: Mapping[str, Sequence[str]],
    frame_shift: float = 0.01,
) -> int:
    """Compare the alignments of a set with its features and transcripts, frame by frame.

    Every utterance is aligned or stands in ``failed.txt``; an aligned one has as many pdfs and
    transitions as features; its phones follow each other from the first frame to the last; its
    words are those of the transcript, begin and end where phones do, and leave out silence alone.

    Parameters
    ----------
    folder : path
        With ``pdf.scp``, ``transition.scp``, ``phones.ctm``, ``words.ctm`` and ``failed.txt``.
    features : path
        Index of the features that were aligned.
    text : mapping
        Words of each utterance of the set.
    frame_shift : float
        In seconds.

    Returns
    -------
    int
        Frames.

    Raises
    ------
    DataError
        Where they do not agree; the message names the utterance and both values.
    """
    folder = Path(folder)
    pdfs, transitions = Archive(folder / "pdf.scp"), Archive(folder / "transition.scp")
    failed = read_lines(folder / "failed.txt")
    _same_utterances(folder, set(pdfs), set(transitions), set(failed), set(text))
    matrices = Archive(features)
    phones = _read_ctm(folder / "phones.ctm")
    words = _read_ctm(folder / "words.ctm")
    frames = 0
    for utterance in pdfs:
        place = f"{folder}: {utterance}"
        if utterance not in matrices:
            raise DataError(f"{place} is aligned and has no features in {features}; {MEND}")
        count = len(matrices[utterance])
        for name, archive in (("pdfs", pdfs), ("transitions", transitions)):
            if len(archive[utterance]) != count:
                raise DataError(
                    f"{place} has {len(archive[utterance])} {name} and {count} feature frames in "
                    f"{features}; expected as many: {MEND}"
                )
        own = phones.get(utterance, [])
        _check_phones(place, own, count, frame_shift)
        _check_words(place, words.get(utterance, []), own, text[utterance], frame_shift)
        frames += count
    return frames


def _same_utterances(
    folder: Path, pdfs: set[str], transitions: set[str], failed: set[str], expected: set[str]
) -> None:
    for wrong, said in (
        (pdfs ^ transitions, "only one of pdf.scp and transition.scp holds"),
        (pdfs & failed, "failed.txt and pdf.scp both hold"),
        ((pdfs | failed) - expected, "the set has no"),
        (expected - pdfs - failed, "neither pdf.scp nor failed.txt holds"),
    ):
        if wrong:
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            raise DataError(f"{folder}: {said} {min(wrong)}{more}; {MEND}")


def _check_phones(place: str, phones: list[Row], count: int, shift: float) -> None:
    starts = np.array([start for start, _, _ in phones])
    ends = np.array([start + duration for start, duration, _ in phones])
    edges = np.concatenate([[0.0], ends])
    broken = np.flatnonzero(abs(edges[:-1] - starts) > shift / 2)
    if len(broken):
        at = broken[0]
        raise DataError(
            f"{place}: phone {at + 1}, {phones[at][2]}, starts at {starts[at]:g} s; expected "
            f"{edges[at]:g} s, where the one before it ends; {MEND}"
        )
    if abs(edges[-1] - count * shift) > shift / 2:
        raise DataError(
            f"{place}: phones.ctm ends at {edges[-1]:g} s and the features at "
            f"{count * shift:g} s; {MEND}"
        )


def _check_words(
    place: str, words: list[Row], phones: list[Row], text: Sequence[str], shift: float
) -> None:
    found = [word for _, _, word in words]
    if found != list(text):
        raise DataError(
            f"{place}: words.ctm has {' '.join(found) or 'no words'!r} and the transcript "
            f"{' '.join(text)!r}; {MEND}"
        )
    spoken = [(start, start + duration) for start, duration, name in phones if name != SILENCE]
    starts = np.array([start for start, _ in spoken])
    ends = np.array([end for _, end in spoken])
    edges = [(start, start + duration) for start, duration, _ in words]
    for (start, end), word in zip(edges, found, strict=True):
        inside = (starts > start - shift / 2) & (ends < end + shift / 2)
        total = float((ends - starts)[inside].sum())
        if not inside.any() or abs(total - (end - start)) > shift / 2:
            raise DataError(
                f"{place}: {word} from {start:g} to {end:g} s does not begin and end with phones, "
                f"or holds silence; {MEND}"
            )
    for (_, end), (start, _) in pairwise(edges):
        if start < end - shift / 2:
            raise DataError(f"{place}: a word starts at {start:g} s, before {end:g} s; {MEND}")
    total = sum(end - start for start, end in edges)
    if abs(total - float((ends - starts).sum())) > shift / 2:
        raise DataError(f"{place}: some phones belong to no word; {MEND}")


def _read_ctm(path: Path) -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split()
        try:
            utterance, _, start, duration, label = fields
            row = float(start), float(duration), label
        except ValueError:
            row = None
        if row is None or not (0 <= row[0] < math.inf and 0 <= row[1] < math.inf):
            raise DataError(
                f"{path}:{number}: {line!r}; expected 'utterance channel start duration label'"
            )
        rows.setdefault(utterance, []).append(row)
    return rows
