"""Kaldi's ``lexicon.txt``, all of its mistakes found at once."""

from pathlib import Path

from darkknowledge.errors import DataError, first_of
from darkknowledge.files import read_lines, read_text, write_text

SILENCE = "SIL"
SPOKEN_NOISE = "SPN"
POSITIONS = ("B", "I", "E", "S")
_SENTENCE = ("<s>", "</s>")


def read_lexicon(path: str | Path) -> dict[str, list[tuple[str, ...]]]:
    """Read the pronunciations of words: lines ``word phone phone ...``.

    Parameters
    ----------
    path : path
        UTF-8. A word may stand in several lines; it need not hold ``<UNK>``, which is ``SPN``
        where it is absent.

    Returns
    -------
    dict
        Pronunciations of each word, words and pronunciations in the order of the file.

    Raises
    ------
    DataError
        If the file is absent, empty, not UTF-8, or has a column of probabilities; or with the
        first 20 lines that lack phones, repeat another, or use a symbol of the graph.
    """
    path = Path(path)
    lines = read_lines(path, "expected lines 'word phone phone ...'")
    if not any(line.split() for line in lines):
        raise DataError(f"{path}: no pronunciations; expected lines 'word phone phone ...'")
    if all(_is_probability(line.split()[1:2]) for line in lines if line.split()):
        raise DataError(
            f"{path}: the second column holds probabilities, as in Kaldi's lexiconp.txt; give "
            f"lexicon.txt without them, such as `awk '{{$2 = \"\"; print}}' {path.name}`"
        )
    entries: dict[str, dict[tuple[str, ...], int]] = {}
    problems: list[str] = []
    for number, line in enumerate(lines, 1):
        word, *phones = line.split() or [""]
        problem = _problem(word, phones)
        variants = entries.setdefault(word, {})
        if not problem and tuple(phones) in variants:
            problem = f"{line.strip()} repeats line {variants[tuple(phones)]}; remove one"
        if problem:
            problems.append(f"{path}:{number}: {problem}")
        variants.setdefault(tuple(phones), number)
    if problems:
        raise DataError(first_of(problems, "more lines"))
    return {word: list(variants) for word, variants in entries.items()}


def copy_lexicon(path: str | Path, folder: str | Path) -> None:
    """Write a lexicon as it is, under the name ``lexicon.txt``."""
    write_text(Path(folder) / "lexicon.txt", read_text(path))


def _is_probability(field: list[str]) -> bool:
    try:
        return bool(field) and 0 < float(field[0]) <= 1
    except ValueError:
        return False


def _problem(word: str, phones: list[str]) -> str | None:
    if not word:
        return "empty line; expected 'word phone phone ...'; remove it"
    if not phones:
        return f"{word} has no pronunciation; add its phones"
    if word in _SENTENCE:
        return f"{word} is the language model's mark of a sentence's end; remove the line"
    for symbol in (word, *phones):
        if symbol == "<eps>" or symbol.startswith("#"):
            return f"{symbol} is reserved for the graph; rename it"
    for phone in phones:
        stem, _, position = phone.rpartition("_")
        if stem and position in POSITIONS:
            return (
                f"phone {phone} ends like a position mark (_B _I _E _S), which is added later; "
                f"write {stem} or rename the phone"
            )
    if len(phones) > 1 and SILENCE in phones:
        return (
            f"{SILENCE} inside the pronunciation of {word}; silence between words is optional "
            "everywhere and is not written: remove it"
        )
    if len(phones) > 1 and SPOKEN_NOISE in phones:
        return (
            f"{SPOKEN_NOISE} inside the pronunciation of {word}; it stands for whole words, "
            "without word position: write another phone"
        )
    return None
