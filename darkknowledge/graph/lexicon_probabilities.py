"""Probabilities of pronunciations and of silence around them, in the files that Kaldi reads."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from darkknowledge.errors import DataError
from darkknowledge.files import read_lines, write_lines

LEXICONP = "lexiconp.txt"
LEXICONP_SILPROB = "lexiconp_silprob.txt"
SILPROB = "silprob.txt"


@dataclass(frozen=True)
class Use:
    """How one pronunciation of a word is used: a line of ``lexiconp_silprob.txt``.

    Attributes
    ----------
    probability : float
        Relative to the word's most frequent pronunciation, so above 0 and at most 1.
    silence_after : float
        Probability that silence follows, between 0 and 1 exclusive.
    after_silence, after_word : float
        Factors, above 0, by which silence, and no silence, before the pronunciation is more
        frequent than the words before it let expect.
    """

    probability: float
    silence_after: float
    after_silence: float
    after_word: float


@dataclass(frozen=True)
class LexiconProbabilities:
    """What ``lexiconp_silprob.txt`` and ``silprob.txt`` hold.

    Attributes
    ----------
    uses : dict
        (word, base phones) -> Use.
    silence_first : float
        Probability of silence at the start of an utterance, between 0 and 1 exclusive.
    end_after_silence, end_after_word : float
        Factors as those of a :class:`Use`, of the end of an utterance.
    overall : float
        Share of the places before words and ends that hold silence.
    """

    uses: dict[tuple[str, tuple[str, ...]], Use]
    silence_first: float
    end_after_silence: float
    end_after_word: float
    overall: float

    def write(self, folder: str | Path) -> None:
        """Write ``lexiconp.txt``, ``lexiconp_silprob.txt`` and ``silprob.txt``.

        They are those of Kaldi's ``utils/dict_dir_add_pronprobs.sh``: phones without word
        position, which ``utils/prepare_lang.sh`` adds.
        """
        folder = Path(folder)
        uses = sorted(self.uses.items())
        write_lines(
            folder / LEXICONP,
            (f"{word} {u.probability:.6g} {' '.join(phones)}" for (word, phones), u in uses),
        )
        write_lines(
            folder / LEXICONP_SILPROB,
            (
                f"{word} {u.probability:.6g} {u.silence_after:.2f} {u.after_silence:.2f} "
                f"{u.after_word:.2f} {' '.join(phones)}"
                for (word, phones), u in uses
            ),
        )
        write_lines(
            folder / SILPROB,
            (
                f"<s> {self.silence_first:.2f}",
                f"</s>_s {self.end_after_silence:.15g}",
                f"</s>_n {self.end_after_word:.15g}",
                f"overall {self.overall:.2f}",
            ),
        )


def read_lexicon_probabilities(folder: str | Path) -> LexiconProbabilities:
    """Read ``lexiconp_silprob.txt`` and ``silprob.txt`` of a folder.

    Raises
    ------
    DataError
        If a file is absent, a line has too few fields or a value out of range, or a
        pronunciation stands twice; the message names the line.
    """
    folder = Path(folder)
    uses: dict[tuple[str, tuple[str, ...]], Use] = {}
    path = folder / LEXICONP_SILPROB
    for number, fields in _lines(path):
        place = f"{path}:{number}"
        if len(fields) < 6:
            raise DataError(
                f"{place}: {' '.join(fields)!r}; expected 'word probability silence-after "
                "after-silence after-word phone ...'"
            )
        key = fields[0], tuple(fields[5:])
        if key in uses:
            raise DataError(f"{place}: {fields[0]} {' '.join(fields[5:])} appears twice")
        uses[key] = Use(
            _value(place, fields[1], 1.0, inclusive=True),
            _value(place, fields[2], 1.0),
            _value(place, fields[3]),
            _value(place, fields[4]),
        )
    path = folder / SILPROB
    values: dict[str, float] = {}
    limits = {"<s>": 1.0, "</s>_s": math.inf, "</s>_n": math.inf, "overall": 1.0}
    for number, fields in _lines(path):
        place = f"{path}:{number}"
        if len(fields) != 2 or fields[0] not in limits or fields[0] in values:
            raise DataError(
                f"{place}: {' '.join(fields)!r}; expected one line each of {', '.join(limits)}"
            )
        name, text = fields
        values[name] = _value(place, text, limits[name], inclusive=name == "overall")
    if len(values) != len(limits):
        lacking = ", ".join(name for name in limits if name not in values)
        raise DataError(f"{path}: no line {lacking}; delete the file and run snakemake")
    return LexiconProbabilities(uses, *(values[name] for name in limits))


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(read_lines(path), 1):
        yield number, line.split()


def _value(place: str, text: str, limit: float = math.inf, inclusive: bool = False) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 < value < limit or (inclusive and value == limit)):
        above = "" if limit == math.inf else f" and {'at most' if inclusive else 'below'} {limit:g}"
        raise DataError(f"{place}: {text!r}; expected a number above 0{above}")
    return value
