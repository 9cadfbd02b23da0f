"""Plain English text as the words that are said, in LibriSpeech's style."""

import re
import unicodedata
from collections.abc import Iterator

_UNITS = """ZERO ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE TEN ELEVEN TWELVE THIRTEEN FOURTEEN
    FIFTEEN SIXTEEN SEVENTEEN EIGHTEEN NINETEEN""".split()
_TENS = "_ _ TWENTY THIRTY FORTY FIFTY SIXTY SEVENTY EIGHTY NINETY".split()
_ORDINALS = {
    "ONE": "FIRST",
    "TWO": "SECOND",
    "THREE": "THIRD",
    "FIVE": "FIFTH",
    "EIGHT": "EIGHTH",
    "NINE": "NINTH",
    "TWELVE": "TWELFTH",
}
_ABBREVIATIONS = {
    "MR": "MISTER",
    "MRS": "MISSUS",
    "MESSRS": "MESSRS",
    "DR": "DOCTOR",
    "ST": "SAINT",
    "ESQ": "ESQUIRE",
    "COL": "COLONEL",
    "CAPT": "CAPTAIN",
    "REV": "REVEREND",
    "LIEUT": "LIEUTENANT",
}
_START = re.compile(
    r"\*END\*?\s*THE SMALL PRINT[^\n]*\n|\*\*\* ?START OF (?:THIS|THE) PROJECT[^\n]*\n", re.I
)
_END = re.compile(r"\n\W*END OF (?:THIS |THE )?PROJECT GUTENBERG", re.I)


def number_words(number: int) -> list[str]:
    """Return a number from 0 to 999,999,999 in words."""
    if number < 20:
        return [_UNITS[number]]
    if number < 100:
        return [_TENS[number // 10]] + (number_words(number % 10) if number % 10 else [])
    for size, name in ((1_000_000, "MILLION"), (1000, "THOUSAND"), (100, "HUNDRED")):
        if number >= size:
            rest = number % size
            tail = (["AND"] if rest < 100 else []) + number_words(rest) if rest else []
            return number_words(number // size) + [name] + tail
    raise AssertionError(number)


def ordinal_words(number: int) -> list[str]:
    """Return first, second, ... in words."""
    words = number_words(number)
    last = words[-1]
    if last.endswith("Y"):
        words[-1] = last[:-1] + "IETH"
    else:
        words[-1] = _ORDINALS.get(last, last + "TH")
    return words


def _spell(match: re.Match) -> str:
    digits, suffix = match[1].replace(",", ""), (match[2] or "").upper()
    number = int(digits)
    if number >= 10**9:
        words = [_UNITS[int(digit)] for digit in digits]
    elif suffix:
        words = ordinal_words(number)
    elif 1100 <= number < 2000 and "," not in match[1]:
        tail = number % 100
        words = number_words(number // 100)
        words += ["HUNDRED"] if not tail else (["O"] if tail < 10 else []) + number_words(tail)
    else:
        words = number_words(number)
    return f" {' '.join(words)} "


def normalise(text: str) -> list[str]:
    """Return the words of a text: upper case, letters and inner apostrophes only.

    Titles are written out (MISTER), numbers become words, accents are dropped, dashes and hyphens
    part words.
    """
    text = text.replace("\u2019", "'").replace("\u2018", "'")
    decomposed = unicodedata.normalize("NFKD", text)
    text = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    text = re.sub(r"(\d[\d,]*)(st|nd|rd|th)?\b", _spell, text, flags=re.I)
    text = re.sub(r"&c\b\.?", " et cetera ", text)
    text = text.replace("&", " and ").upper()
    text = re.sub(
        r"\b(MR|MRS|MESSRS|DR|ST|ESQ|COL|CAPT|REV|LIEUT)\.", lambda m: _ABBREVIATIONS[m[1]], text
    )
    words = re.sub(r"[^A-Z']+", " ", text).split()
    return [word for word in (word.strip("'") for word in words) if word]


def body(text: str) -> str:
    """Return a Project Gutenberg book without its head and tail; any other text whole."""
    end = _END.search(text)
    text = text[: end.start()] if end else text
    start = _START.search(text)
    return text[start.end() :] if start else text


def sentences(text: str) -> Iterator[list[str]]:
    """Yield the normalised sentences of a text.

    A blank line ends a sentence, and so does ``.``, ``!`` or ``?`` (with closing quotes) before
    a capital, unless it belongs to a title. Headings (CHAPTER IV) and lines of capitals are left
    out.
    """
    for paragraph in re.split(r"\n\s*\n", body(text).replace("\r", "")):
        flat = re.sub(r"[_*\[\]]", "", " ".join(paragraph.split()))
        if not re.search("[a-z]", flat) or re.match(r"(chapter|volume|book) \w+\.?$", flat, re.I):
            continue
        flat = re.sub(
            r"\b(Mr|Mrs|Messrs|Dr|St|Esq|Col|Capt|Rev|Lieut|[A-Z])\.(?= )", "\\1.\u2060", flat
        )
        for part in re.split(r"(?<=[.!?])[\"')\u201d\u2019]*\s+(?=[\"'(\u201c\u2018]*[A-Z])", flat):
            words = normalise(part.replace("\u2060", ""))
            if words:
                yield words
