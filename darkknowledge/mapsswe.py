"""NIST's matched-pairs sentence-segment word error test, MAPSSWE.

Are the word errors of two recognisers on the same speech different by more than luck? Errors
come in bursts, so neighbouring words are no independent trials. The test cuts the utterances into
segments that hold the errors of either system and are bounded by two words that both have right:
long enough for a language model of order three to forget. The differences of the errors in the
segments are then independent, and their mean is tested against zero by the normal distribution,
two-tailed.

Alignment and segments are those of NIST's ``sclite`` and ``sc_stats -t mapsswe``.

References
----------
Gillick and Cox, "Some statistical issues in the comparison of speech recognition algorithms",
ICASSP 1989. Pallett, Fisher and Fiscus, "Tools for the analysis of benchmark speech recognition
tests", ICASSP 1990.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

SUBSTITUTION, GAP = 4, 3
BOUNDARY_WORDS = 2


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> str:
    """Align words as sclite does: a substitution costs 4, a deletion or an insertion 3.

    Of equal costs a pair of words is preferred to a gap, and an insertion to a deletion, seen
    from the end.

    Returns
    -------
    str
        One letter for each step: C correct, S substitution, D deletion, I insertion.
    """
    costs = [[GAP * column for column in range(len(hypothesis) + 1)]]
    for word in reference:
        above = costs[-1]
        row = [above[0] + GAP]
        for column, other in enumerate(hypothesis):
            pair = above[column] + (0 if word == other else SUBSTITUTION)
            row.append(min(pair, above[column + 1] + GAP, row[column] + GAP))
        costs.append(row)
    steps = []
    line, column = len(reference), len(hypothesis)
    while line or column:
        same = line and column and reference[line - 1] == hypothesis[column - 1]
        pair = 0 if same else SUBSTITUTION
        if line and column and costs[line][column] == costs[line - 1][column - 1] + pair:
            steps.append("C" if same else "S")
            line, column = line - 1, column - 1
        elif column and costs[line][column] == costs[line][column - 1] + GAP:
            steps.append("I")
            column -= 1
        else:
            steps.append("D")
            line -= 1
    return "".join(reversed(steps))


def segments(first: str, second: str) -> list[tuple[int, int]]:
    """Count the errors of two systems in each segment of one utterance.

    Parameters
    ----------
    first, second : str
        From `align`, with the same reference.

    Returns
    -------
    list of (int, int)
        Errors of either system, those segments alone that hold any. Every error stands in one.
    """
    found = []
    errors, right = [0, 0], 0
    for one, other in zip(_words(first), _words(second), strict=True):
        inserted = one.count("I"), other.count("I")
        wrong = one[-1:] in ("S", "D"), other[-1:] in ("S", "D")
        errors = [e + i + w for e, i, w in zip(errors, inserted, wrong, strict=True)]
        right = 0 if any(wrong) else 1 if any(inserted) else right + 1
        if any(errors) and right == BOUNDARY_WORDS:
            found.append(tuple(errors))
            errors = [0, 0]
    return [*found, tuple(errors)] if any(errors) else found


def _words(alignment: str) -> list[str]:
    """Cut an alignment after each reference word; the last part is what is inserted at the end."""
    for letter in "CSD":
        alignment = alignment.replace(letter, f"{letter} ")
    return alignment.split(" ")


@dataclass(frozen=True)
class Mapsswe:
    """The test's result.

    Attributes
    ----------
    segments : int
    mean, deviation : float
        Of the differences, errors of the first minus errors of the second system.
    z : float
        Standard normal if the systems are equally good; 0 where all differences are the same,
        as NIST has it.
    p : float
        Two-tailed.
    """

    segments: int
    mean: float
    deviation: float
    z: float
    p: float

    def record(self) -> dict:
        """Return the result in plain types for JSON."""
        return asdict(self)


def mapsswe(pairs: Iterable[tuple[int, int]]) -> Mapsswe:
    """Test whether two systems make equally many errors.

    Parameters
    ----------
    pairs : iterable of (int, int)
        Segments of all utterances.

    Returns
    -------
    Mapsswe
    """
    differences = [one - other for one, other in pairs]
    count = len(differences)
    mean = sum(differences) / count if count else 0.0
    squares = sum((difference - mean) ** 2 for difference in differences)
    deviation = math.sqrt(squares / (count - 1)) if count > 1 else 0.0
    z = mean / (deviation / math.sqrt(count)) if deviation else 0.0
    return Mapsswe(count, mean, deviation, z, math.erfc(abs(z) / math.sqrt(2)))
