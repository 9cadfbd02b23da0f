"""Word errors of hypotheses against what was said."""

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass

import jiwer

from darkknowledge.errors import DataError

_WORDS = jiwer.Compose([jiwer.ReduceToListOfListOfWords()])


@dataclass(frozen=True)
class Counts:
    """Word errors of some utterances; instances add up."""

    correct: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    utterances: int = 0
    wrong_utterances: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def words(self) -> int:
        """Words of the reference."""
        return self.correct + self.substitutions + self.deletions

    @property
    def wer(self) -> float:
        """Word error rate in per cent; infinite where the reference is empty and errors are."""
        if self.words == 0:
            return 0.0 if self.errors == 0 else float("inf")
        return 100 * self.errors / self.words

    def record(self) -> dict:
        """Return the counts with `errors`, `words` and `wer` for JSON."""
        rate = {"errors": self.errors, "words": self.words, "wer": round(self.wer, 4)}
        return {**asdict(self), **rate}


def count_errors(
    reference: Sequence[str], hypothesis: Sequence[str], utterance: str = "utterance"
) -> Counts:
    """Count the word errors of one utterance by jiwer's alignment.

    A hypothesis may be empty. Words are compared as they are: ``<UNK>`` is a word that no
    transcript holds, so that a recognised ``<UNK>`` is an error, as for Kaldi's compute-wer.

    Parameters
    ----------
    reference, hypothesis : sequences of str
    utterance : str
        Its name in messages.

    Returns
    -------
    Counts

    Raises
    ------
    DataError
        If the reference has no words.
    """
    if not reference:
        raise DataError(f"{utterance}: the reference has no words; remove the utterance")
    found = _process(reference, hypothesis)
    errors = found.substitutions + found.deletions + found.insertions
    return Counts(
        correct=found.hits,
        substitutions=found.substitutions,
        deletions=found.deletions,
        insertions=found.insertions,
        utterances=1,
        wrong_utterances=int(errors > 0),
    )


def align_words(
    reference: Sequence[str], hypothesis: Sequence[str]
) -> list[tuple[str | None, str | None]]:
    """Pair the words of a hypothesis with those of the reference, as they are counted.

    Parameters
    ----------
    reference, hypothesis : sequences of str
        The reference has a word at least.

    Returns
    -------
    list of (str or None, str or None)
        Word of the reference and of the hypothesis; None where one has no word: (word, None) is a
        deletion, (None, word) an insertion.
    """
    pairs: list[tuple[str | None, str | None]] = []
    for part in _process(reference, hypothesis).alignments[0]:
        said = reference[part.ref_start_idx : part.ref_end_idx]
        heard = hypothesis[part.hyp_start_idx : part.hyp_end_idx]
        if part.type == "insert":
            pairs += [(None, word) for word in heard]
        elif part.type == "delete":
            pairs += [(word, None) for word in said]
        else:
            pairs += zip(said, heard, strict=True)
    return pairs


def _process(reference: Sequence[str], hypothesis: Sequence[str]) -> jiwer.WordOutput:
    return jiwer.process_words(
        " ".join(reference),
        " ".join(hypothesis),
        reference_transform=_WORDS,
        hypothesis_transform=_WORDS,
    )
