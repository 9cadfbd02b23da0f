"""Hypothesis files, word error rates by condition and by group."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from darkknowledge.corpora.conditions import CONDITIONS, group
from darkknowledge.errors import DataError
from darkknowledge.files import read_lines, write_lines
from darkknowledge.word_errors import Counts, count_errors

FRAME_SHIFT = 0.01
GROUPS = ("A", "B", "C", "D")


@dataclass(frozen=True)
class Score:
    """Word errors of a test set.

    Attributes
    ----------
    conditions : dict
        Counts of each condition.
    groups : dict
        Counts of A (clean), B (noisy), C (second microphone) and D (noisy, second microphone),
        those that occur.
    total : Counts
        All utterances; with the 14 conditions of Aurora4 over the same sentences this weighs
        the groups 1, 6, 1 and 6.
    """

    conditions: dict[str, Counts]
    groups: dict[str, Counts]
    total: Counts

    def record(self) -> dict:
        """Return the score in plain types for JSON."""
        return {
            "conditions": {name: counts.record() for name, counts in self.conditions.items()},
            "groups": {name: counts.record() for name, counts in self.groups.items()},
            "total": self.total.record(),
        }


def score(
    references: Mapping[str, Sequence[str]],
    hypotheses: Mapping[str, Sequence[str]],
    conditions: Mapping[str, str] | None = None,
) -> Score:
    """Count word errors by condition, by group and in all.

    Parameters
    ----------
    references : mapping
        Words of each utterance.
    hypotheses : mapping
        Words of each utterance, or empty.
    conditions : mapping, optional
        Condition of each utterance; those of 01 to 14 form the groups.

    Returns
    -------
    Score

    Raises
    ------
    DataError
        If an utterance has a reference and no hypothesis, or the reverse.
    """
    for have, lack, what in (
        (hypotheses, references, "reference"),
        (references, hypotheses, "hypothesis"),
    ):
        missing = sorted(set(have) - set(lack))
        if missing:
            raise DataError(
                f"{len(missing)} utterances have no {what}, the first is {missing[0]}; "
                "decode the set that is scored"
            )
    by_condition: dict[str, Counts] = {}
    by_group: dict[str, Counts] = {}
    total = Counts()
    for utterance in sorted(references):
        counts = count_errors(references[utterance], hypotheses[utterance], utterance)
        total += counts
        if conditions is None:
            continue
        if utterance not in conditions:
            raise DataError(f"{utterance} has no condition; add it to utt2cond")
        condition = conditions[utterance]
        by_condition[condition] = by_condition.get(condition, Counts()) + counts
        if condition in CONDITIONS:
            letter = group(condition)
            by_group[letter] = by_group.get(letter, Counts()) + counts
    return Score(dict(sorted(by_condition.items())), dict(sorted(by_group.items())), total)


def write_trn(path: str | Path, hypotheses: Mapping[str, Sequence[str]]) -> None:
    """Write NIST trn: the words and the utterance in parentheses, in sorted order."""
    write_lines(path, (" ".join([*words, f"({u})"]) for u, words in sorted(hypotheses.items())))


def read_trn(path: str | Path) -> dict[str, list[str]]:
    """Read NIST trn.

    Raises
    ------
    DataError
        If the file is absent, a line has no utterance in parentheses, or one appears twice.
    """
    hypotheses: dict[str, list[str]] = {}
    for number, line in enumerate(read_lines(path), 1):
        *words, last = line.split() or [""]
        utterance = last[1:-1]
        if not (last.startswith("(") and last.endswith(")") and utterance):
            raise DataError(f"{path}:{number}: {line!r}; expected 'words (utterance)'")
        if utterance in hypotheses:
            raise DataError(f"{path}:{number}: {utterance} appears twice; remove one line")
        hypotheses[utterance] = words
    return hypotheses


@dataclass(frozen=True)
class TimedWord:
    """A word with its start and duration in seconds."""

    word: str
    start: float
    duration: float


def write_ctm(
    path: str | Path,
    hypotheses: Mapping[str, Iterable[tuple[str, int, int]]],
    frame_shift: float = FRAME_SHIFT,
) -> None:
    """Write NIST ctm: utterance, channel 1, start, duration in seconds and word.

    Parameters
    ----------
    path : path
    hypotheses : mapping
        (word, first frame, frame after the last) of each utterance.
    frame_shift : float
        Seconds.
    """
    write_lines(
        path,
        (
            f"{utterance} 1 {start * frame_shift:.2f} {(end - start) * frame_shift:.2f} {word}"
            for utterance, words in sorted(hypotheses.items())
            for word, start, end in words
        ),
    )


def read_ctm(path: str | Path) -> dict[str, list[TimedWord]]:
    """Read NIST ctm; a sixth field, the confidence, is left out.

    Raises
    ------
    DataError
        If the file is absent or a line is not what it must be.
    """
    words: dict[str, list[TimedWord]] = {}
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split()
        if not fields or fields[0].startswith(";;"):
            continue
        try:
            utterance, _, start, duration, word = fields[:5]
            timed = TimedWord(word, float(start), float(duration))
        except ValueError:
            timed = None
        if timed is None or not (0 <= timed.start < 1e9 and 0 <= timed.duration < 1e9):
            raise DataError(
                f"{path}:{number}: {line!r}; expected 'utterance channel start duration word'"
            )
        words.setdefault(utterance, []).append(timed)
    return words
