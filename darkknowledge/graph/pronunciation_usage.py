"""Which pronunciations are used, and where silence stands, in aligned transcripts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from darkknowledge.datadir import read_table
from darkknowledge.errors import DataError
from darkknowledge.files import read_lines
from darkknowledge.graph.arpa import BOS, EOS
from darkknowledge.graph.lexicon_probabilities import LexiconProbabilities, Use
from darkknowledge.hmm.phones import SILENCE, UNKNOWN_WORD, Lexicon, PhoneTable, read_lexicon
from darkknowledge.progress import logger

# The constants of dict_dir_add_pronprobs.sh: what is added to the count of each pronunciation, of
# silence after it (lambda 2 of Chen et al., Interspeech 2015) and before it (lambda 3).
EXTRA_USES = 1.0
EXTRA_AFTER = 2.0
EXTRA_BEFORE = 2.0
SMALLEST = 0.01

Spoken = tuple[str, tuple[str, ...]]
START: Spoken = (BOS, ())
END: Spoken = (EOS, ())


@dataclass
class PronunciationCounts:
    """What Kaldi's ``steps/get_prons.sh`` counts.

    A pronunciation is a word with base phones; the start and the end of an utterance count as
    words without phones.

    Attributes
    ----------
    silence_before, word_before : Counter
        Uses of each pronunciation after silence, and straight after a word.
    silence_after, word_after : Counter
        Uses of each pronunciation before silence, and straight before a word.
    pairs : Counter
        Uses of pairs of pronunciations, with or without silence between them.
    utterances : int
    """

    silence_before: Counter[Spoken] = field(default_factory=Counter)
    word_before: Counter[Spoken] = field(default_factory=Counter)
    silence_after: Counter[Spoken] = field(default_factory=Counter)
    word_after: Counter[Spoken] = field(default_factory=Counter)
    pairs: Counter[tuple[Spoken, Spoken]] = field(default_factory=Counter)
    utterances: int = 0

    def add(self, spoken: Sequence[Spoken], silences: Sequence[bool]) -> None:
        """Count one utterance.

        Parameters
        ----------
        spoken : sequence of (word, base phones)
        silences : sequence of bool
            One more: whether silence stands before each pronunciation, and at the end.
        """
        self.utterances += 1
        for (one, other), silence in zip(pairwise((START, *spoken, END)), silences, strict=True):
            self.pairs[one, other] += 1
            (self.silence_after if silence else self.word_after)[one] += 1
            (self.silence_before if silence else self.word_before)[other] += 1

    def uses(self, spoken: Spoken) -> int:
        """Return how often a pronunciation is used."""
        return self.silence_before[spoken] + self.word_before[spoken]


def count_pronunciations(
    phones_ctm: str | Path, text: Mapping[str, Sequence[str]], lexicon: Lexicon
) -> PronunciationCounts:
    """Count pronunciations and silences of aligned utterances.

    Parameters
    ----------
    phones_ctm : path
        Lines ``utterance channel start duration phone``, phones with word position, in order.
    text : mapping
        Words of each utterance; those that the lexicon lacks count as ``<UNK>``. Utterances
        that are not in the alignment are left out.
    lexicon : Lexicon

    Returns
    -------
    PronunciationCounts

    Raises
    ------
    DataError
        If the file is absent, empty or has another form, or the phones of an utterance are not
        those of its words; the message names line, or utterance and word.
    """
    table = PhoneTable.from_lexicon(lexicon)
    variants = {
        word: [
            (tuple(table.names[phone] for phone in table.positioned(variant)), variant)
            for variant in lexicon[word]
            if variant
        ]
        for word in lexicon
    }
    counts = PronunciationCounts()
    for utterance, phones in _read_phones(phones_ctm).items():
        if utterance not in text:
            raise DataError(f"{phones_ctm}: {utterance} has no transcript; align the set again")
        words = [word if word in variants else UNKNOWN_WORD for word in text[utterance]]
        try:
            counts.add(*_divide(words, phones, variants))
        except DataError as error:
            raise DataError(
                f"{phones_ctm}: {utterance}: {error}; it was aligned with another lexicon or "
                "transcript: align the set again"
            ) from None
    return counts


def _read_phones(path: str | Path) -> dict[str, list[str]]:
    """Read the phones of each utterance from ``phones.ctm``."""
    lines = read_lines(path)
    found: dict[str, list[str]] = {}
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if len(fields) != 5:
            raise DataError(
                f"{path}:{number}: {line!r}; expected 'utterance channel start duration phone'"
            )
        found.setdefault(fields[0], []).append(fields[4])
    if not found:
        raise DataError(f"{path}: no phones; expected at least one utterance")
    return found


def _divide(
    words: list[str],
    phones: list[str],
    variants: Mapping[str, list[tuple[tuple[str, ...], tuple[str, ...]]]],
) -> tuple[list[Spoken], list[bool]]:
    """Find the pronunciation of each word and the silences between them."""
    spoken: list[Spoken] = []
    silences = []
    place = 0
    for word in words:
        silences.append(phones[place : place + 1] == [SILENCE])
        place += silences[-1]
        for names, variant in variants[word]:
            if tuple(phones[place : place + len(names)]) == names:
                spoken.append((word, variant))
                place += len(names)
                break
        else:
            rest = " ".join(phones[place : place + 8]) or "nothing"
            raise DataError(f"word {len(spoken) + 1}, {word}, is not pronounced as {rest}")
    silences.append(phones[place : place + 1] == [SILENCE])
    if place + silences[-1] != len(phones):
        raise DataError(f"{' '.join(phones[place:])} follows the last word")
    return spoken, silences


def estimate_probabilities(counts: PronunciationCounts, lexicon: Lexicon) -> LexiconProbabilities:
    """Estimate probabilities of pronunciations and silences.

    Kaldi's ``utils/dict_dir_add_pronprobs.sh --max-normalize true``, rounding included, which
    implements Chen et al., *Pronunciation and silence probability modeling for ASR*
    (Interspeech 2015). Like it, expects silence before the first word of an utterance from the
    words alone, as if the start of an utterance were never followed by silence. Other than it,
    gives `overall` at least 0.01, without which ``make_lexicon_fst_silprob.py`` refuses the file.

    Parameters
    ----------
    counts : PronunciationCounts
    lexicon : Lexicon
        All its pronunciations get an entry.

    Returns
    -------
    LexiconProbabilities
    """
    silent = sum(counts.silence_before.values())
    overall = _round(silent / max(1, silent + sum(counts.word_before.values())))

    def after(spoken: Spoken) -> float:
        silence = counts.silence_after[spoken] + overall * EXTRA_AFTER
        word = counts.word_after[spoken] + (1 - overall) * EXTRA_AFTER
        return min(max(_round(silence / (silence + word)), SMALLEST), 1 - SMALLEST)

    keys = [(word, variant) for word in lexicon for variant in lexicon[word]]
    silence_after = {key: after(key) for key in keys}
    expected_silence: Counter[Spoken] = Counter()
    expected_word: Counter[Spoken] = Counter()
    for (one, other), number in sorted(counts.pairs.items()):
        expected_silence[other] += number * silence_after.get(one, 0.0)
        expected_word[other] += number * (1 - silence_after.get(one, 0.0))

    def before(seen: Counter, expected: Counter, spoken: Spoken) -> float:
        return (seen[spoken] + EXTRA_BEFORE) / (expected[spoken] + EXTRA_BEFORE)

    uses = {}
    for word in lexicon:
        totals = [counts.uses((word, variant)) + EXTRA_USES for variant in lexicon[word]]
        shares = [_figures(total / sum(totals)) for total in totals]
        for variant, share in zip(lexicon[word], shares, strict=True):
            key = word, variant
            uses[key] = Use(
                _figures(share / max(shares)),
                silence_after[key],
                max(_round(before(counts.silence_before, expected_silence, key)), SMALLEST),
                max(_round(before(counts.word_before, expected_word, key)), SMALLEST),
            )
    return LexiconProbabilities(
        uses,
        after(START),
        before(counts.silence_before, expected_silence, END),
        before(counts.word_before, expected_word, END),
        max(overall, SMALLEST),
    )


def _round(value: float) -> float:
    return float(f"{value:.2f}")


def _figures(value: float) -> float:
    """Round as awk prints numbers."""
    return float(f"{value:.6g}")


def estimate_pronunciations(
    phones_ctm: str | Path, text: str | Path, lexicon: Lexicon | str | Path, folder: str | Path
) -> LexiconProbabilities:
    """Count in the alignments of a set, estimate and write.

    Parameters
    ----------
    phones_ctm : path
        The aligned phones of the set.
    text : path
        Its transcripts, a Kaldi ``text`` file.
    lexicon : Lexicon or path
    folder : path
        Gets ``lexiconp.txt``, ``lexiconp_silprob.txt`` and ``silprob.txt``, see
        :meth:`LexiconProbabilities.write`.

    Returns
    -------
    LexiconProbabilities

    Raises
    ------
    DataError
        As :func:`count_pronunciations`.
    """
    lexicon = lexicon if isinstance(lexicon, Lexicon) else read_lexicon(lexicon)
    words = {utterance: line.split() for utterance, line in read_table(text).items()}
    counts = count_pronunciations(phones_ctm, words, lexicon)
    found = estimate_probabilities(counts, lexicon)
    found.write(folder)
    several = [
        (word, variant) for word in lexicon for variant in lexicon[word] if len(lexicon[word]) > 1
    ]
    logger.info(
        "pronunciations: %d of %d utterances aligned, %d words spoken; %d of the %d pronunciations "
        "of words with several are used; silence before %.0f %% of the words",
        counts.utterances,
        len(words),
        sum(counts.pairs.values()) - counts.utterances,
        sum(counts.uses(key) > 0 for key in several),
        len(several),
        100 * found.overall,
    )
    return found
