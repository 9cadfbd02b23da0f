"""A lexicon from the synthesiser's own phonemes."""

import re
from collections import Counter

from darkknowledge.errors import DataError

_MARKS = "',%=|;:!"

# espeak-ng's phoneme names, those of all English accents, as phones of the lexicon. Names that
# an accent uses for an allophone are merged with their phoneme.
PHONES: dict[str, tuple[str, ...]] = {
    "p": ("P",),
    "b": ("B",),
    "t": ("T",),
    "t2": ("T",),
    "?": ("T",),
    "t[": ("T",),
    "t#": ("DX",),
    "d": ("D",),
    "k": ("K",),
    "g": ("G",),
    "tS": ("CH",),
    "dZ": ("JH",),
    "f": ("F",),
    "v": ("V",),
    "T": ("TH",),
    "D": ("DH",),
    "s": ("S",),
    "z": ("Z",),
    "S": ("SH",),
    "Z": ("ZH",),
    "h": ("HH",),
    "m": ("M",),
    "n": ("N",),
    "n-": ("AX", "N"),
    "N": ("NG",),
    "l": ("L",),
    "r": ("R",),
    "r-": ("R",),
    "w": ("W",),
    "w#": ("W",),
    "j": ("Y",),
    "I": ("IH",),
    "I2": ("IH",),
    "I#": ("IH",),
    "IR": ("IH", "R"),
    "i": ("IY",),
    "i:": ("IY",),
    "E": ("EH",),
    "a": ("AE",),
    "aa": ("AE",),
    "A:": ("AA",),
    "A@": ("AA",),
    "0": ("OH",),
    "O2": ("OH",),
    "O": ("AO",),
    "O:": ("AO",),
    "O@": ("OR",),
    "o@": ("OR",),
    "V": ("AH",),
    "VR": ("ER",),
    "U": ("UH",),
    "u:": ("UW",),
    "U@": ("UH", "AX"),
    "@": ("AX",),
    "@2": ("AX",),
    "@-": ("AX",),
    "a#": ("AX",),
    "@L": ("AX", "L"),
    "3": ("AXR",),
    "3:": ("ER",),
    "eI": ("EY",),
    "aI": ("AY",),
    "aI2": ("AY",),
    "aI@": ("AY", "AX"),
    "aI3": ("AY", "AXR"),
    "OI": ("OY",),
    "oU": ("OW",),
    "aU": ("AW",),
    "e@": ("EA",),
    "i@": ("IY", "AX"),
    "i@3": ("IA",),
}

# Where an accent's phoneme is another phone than its name says: the vowel of "castle", and the r
# of "farmer" and "during", which the other accents drop or name as a phoneme of its own.
ACCENTS: dict[str, dict[str, tuple[str, ...]]] = {
    "en-gb-x-rp": {"aa": ("AA",)},
    "en-us": {"A@": ("AA", "R"), "U@": ("UH", "R")},
}


def phones(word: str, accent: str = "") -> tuple[str, ...]:
    """Return the phones of one word in espeak-ng's names, such as ``k_'a_t``.

    Raises
    ------
    DataError
        If a phoneme is unknown.
    """
    own = ACCENTS.get(accent, {})
    found: list[str] = []
    for piece in re.split("[_ ]+", word):
        name = whole = piece.lstrip(_MARKS)
        while name not in PHONES and name and name[-1] in _MARKS:
            name = name[:-1]
        if not name:
            continue
        if name not in PHONES:
            raise DataError(
                f"espeak-ng phoneme {whole!r} in {word!r} is unknown; add it to "
                "darkknowledge.corpora.pronunciations.PHONES"
            )
        found.extend(own.get(name, PHONES[name]))
    return tuple(found)


def count_pronunciations(
    sentences: list[str], spoken: list[str], accent: str = ""
) -> dict[str, Counter[tuple[str, ...]]]:
    """Count how each word is said in sentences.

    Parameters
    ----------
    sentences : list of str
        Words separated by spaces.
    spoken : list of str
        espeak-ng's phonemes of each. A sentence in which it joins words is left out.
    accent : str
        Whose phonemes they are.

    Returns
    -------
    dict
        Counts of the pronunciations of each word.
    """
    counts: dict[str, Counter[tuple[str, ...]]] = {}
    for sentence, spoken_sentence in zip(sentences, spoken, strict=True):
        words, said = sentence.split(), spoken_sentence.split()
        if len(words) != len(said):
            continue
        for word, token in zip(words, said, strict=True):
            pronunciation = phones(token, accent)
            if pronunciation:
                counts.setdefault(word, Counter())[pronunciation] += 1
    return counts


def choose(counts: Counter[tuple[str, ...]], most: int, share: float) -> list[tuple[str, ...]]:
    """Return the commonest pronunciations, at most so many, each with at least a share."""
    total = sum(counts.values())
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [p for p, n in ranked[:most] if n >= share * total] or [ranked[0][0]]
