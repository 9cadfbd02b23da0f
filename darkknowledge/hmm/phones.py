"""Position-dependent phones and the pronunciations of words."""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from darkknowledge.errors import DataError
from darkknowledge.files import read_symbols, write_lines
from darkknowledge.lexicon import POSITIONS, SILENCE, SPOKEN_NOISE
from darkknowledge.lexicon import read_lexicon as read_entries

UNKNOWN_WORD = "<UNK>"
_NO_POSITION = (SILENCE, SPOKEN_NOISE)


class Lexicon(Mapping):
    """Pronunciations of words: word -> list of tuples of base phones.

    Parameters
    ----------
    entries : mapping
        Word -> list of pronunciations; ``<UNK>`` is added as ``SPN`` where it is absent.
    """

    def __init__(self, entries: Mapping[str, Iterable[Iterable[str]]]):
        self._entries = {
            word: [tuple(pronunciation) for pronunciation in pronunciations]
            for word, pronunciations in entries.items()
        }
        self._entries.setdefault(UNKNOWN_WORD, [(SPOKEN_NOISE,)])

    def __getitem__(self, word: str) -> list[tuple[str, ...]]:
        return self._entries[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def pronunciations(self, word: str) -> list[tuple[str, ...]]:
        """The pronunciations of a word, those of ``<UNK>`` where it has no entry."""
        return self._entries.get(word, self._entries[UNKNOWN_WORD])

    @property
    def base_phones(self) -> list[str]:
        """Sorted speech phones without position, ``SIL`` and ``SPN`` left out."""
        found = {p for variants in self._entries.values() for v in variants for p in v}
        return sorted(found - set(_NO_POSITION))


def read_lexicon(path: str | Path) -> Lexicon:
    """Read a lexicon, see :func:`darkknowledge.lexicon.read_lexicon`."""
    return Lexicon(read_entries(path))


class PhoneTable:
    """Integer identities of phones, from 1; 0 is ``<eps>``, also "outside the utterance".

    The order is ``SIL``, ``SPN``, then each speech phone with its four word positions, as
    Kaldi's prepare_lang.sh makes them: ``AH_B`` begins a word, ``AH_I`` is inside, ``AH_E``
    ends it, ``AH_S`` is the whole word.

    Parameters
    ----------
    base_phones : iterable of str
        Speech phones without position.
    """

    def __init__(self, base_phones: Iterable[str]):
        self._bases = sorted(set(base_phones) - set(_NO_POSITION))
        self.names = ["<eps>", *_NO_POSITION]
        self.names += [f"{base}_{position}" for base in self._bases for position in POSITIONS]
        self._ids = {name: number for number, name in enumerate(self.names)}
        if len(self._ids) != len(self.names):
            raise DataError("two phones share one name; rename the phones of the lexicon")

    @classmethod
    def from_lexicon(cls, lexicon: Lexicon | str | Path) -> "PhoneTable":
        """Make the table of a lexicon, given as object or file."""
        if not isinstance(lexicon, Lexicon):
            lexicon = read_lexicon(lexicon)
        return cls(lexicon.base_phones)

    def __len__(self) -> int:
        """Number of phones, ``<eps>`` not counted."""
        return len(self.names) - 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PhoneTable) and self.names == other.names

    __hash__ = None

    def id(self, name: str) -> int:
        """Integer of a phone name such as ``AH_B``."""
        try:
            return self._ids[name]
        except KeyError:
            raise DataError(f"phone {name} is not in the phone table; add it to the lexicon") from (
                None
            )

    def name(self, phone: int) -> str:
        """Name of an integer."""
        return self.names[phone]

    def base(self, phone: int) -> str:
        """Name without the word position: ``AH_B`` -> ``AH``."""
        name = self.names[phone]
        return name if name in ("<eps>", *_NO_POSITION) else name.rpartition("_")[0]

    def position(self, phone: int) -> str:
        """Word position ``B``, ``I``, ``E`` or ``S``; empty for ``SIL``, ``SPN``, ``<eps>``."""
        name = self.names[phone]
        return "" if name in ("<eps>", *_NO_POSITION) else name.rpartition("_")[2]

    @property
    def silence_phone(self) -> int:
        """The phone that is optional between words."""
        return self._ids[SILENCE]

    @property
    def silence(self) -> list[int]:
        """Phones with the silence topology, independent of context: ``SIL`` and ``SPN``."""
        return [self._ids[name] for name in _NO_POSITION]

    @property
    def nonsilence(self) -> list[int]:
        """Speech phones in every position."""
        return list(range(len(_NO_POSITION) + 1, len(self.names)))

    @property
    def sets(self) -> list[list[int]]:
        """Phones that share a tree root: the positions of one base phone."""
        first = len(_NO_POSITION) + 1
        speech = [
            list(range(start, start + len(POSITIONS)))
            for start in range(first, len(self.names), len(POSITIONS))
        ]
        return [[phone] for phone in self.silence] + speech

    def positioned(self, pronunciation: Iterable[str]) -> tuple[int, ...]:
        """Integers of a pronunciation with word positions.

        Parameters
        ----------
        pronunciation : iterable of str
            Base phones of one word.

        Returns
        -------
        tuple of int
            ``("K", "AE", "T")`` -> ids of ``K_B AE_I T_E``; ``("AH",)`` -> id of ``AH_S``.
        """
        phones = tuple(pronunciation)
        last = len(phones) - 1
        marks = ["S"] if last == 0 else ["B", *["I"] * (last - 1), "E"]
        return tuple(
            self.id(phone if phone in _NO_POSITION else f"{phone}_{mark}")
            for phone, mark in zip(phones, marks, strict=True)
        )

    def write(self, path: str | Path) -> None:
        """Write ``phones.txt``: name and integer per line, ``<eps> 0`` first."""
        write_lines(path, (f"{name} {number}" for number, name in enumerate(self.names)))

    @classmethod
    def read(cls, path: str | Path) -> "PhoneTable":
        """Read ``phones.txt`` as written by :meth:`write`.

        Raises
        ------
        DataError
            If the file is absent or its order is not that of this class.
        """
        names = read_symbols(path)
        table = cls.from_names(names)
        for number, (name, expected) in enumerate(itertools.zip_longest(names, table.names)):
            if name != expected:
                raise DataError(
                    f"{path}:{number + 1}: {name or 'nothing'}; expected {expected or 'nothing'}; "
                    "delete the file and run snakemake"
                )
        return table

    @classmethod
    def from_names(cls, names: Iterable[str]) -> "PhoneTable":
        """Make the table from phone names with positions."""
        plain = ("<eps>", *_NO_POSITION)
        return cls(name.rpartition("_")[0] for name in names if name not in plain)
