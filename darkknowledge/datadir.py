"""Kaldi data directories: wav.scp, text, utt2spk, utt2cond, utt2dur and utt2snr of one set."""

import math
from collections.abc import Container
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path

from darkknowledge.errors import DataError
from darkknowledge.files import read_lines, write_lines


@dataclass(frozen=True)
class DataDirectory:
    """One set of utterances.

    Attributes
    ----------
    wav : dict
        Audio file of each utterance, in sorted order of utterance.
    text : dict
        Words of each utterance, as a list.
    speaker : dict
        Speaker of each utterance.
    condition : dict
        Acoustic condition of each utterance, such as ``01`` to ``14``.
    duration : dict
        Seconds of each utterance.
    snr : dict
        Signal-to-noise ratio in dB of utterances to which noise was added, where it is known.
    """

    wav: dict[str, str]
    text: dict[str, list[str]]
    speaker: dict[str, str]
    condition: dict[str, str]
    duration: dict[str, float]
    snr: dict[str, float] = field(default_factory=dict)

    @cached_property
    def speakers(self) -> dict[str, list[str]]:
        """Utterances of each speaker, both sorted."""
        groups: dict[str, list[str]] = {}
        for utterance in self.wav:
            groups.setdefault(self.speaker[utterance], []).append(utterance)
        return dict(sorted(groups.items()))

    def subset(self, utterances: Container[str]) -> "DataDirectory":
        """Return the part of the set that holds some of its utterances."""
        tables = (getattr(self, table.name) for table in fields(self))
        kept = ({u: value for u, value in table.items() if u in utterances} for table in tables)
        return DataDirectory(*kept)

    def write(self, folder: str | Path) -> None:
        """Write the files in sorted order, ``utt2snr`` if a ratio is known, ``wav.scp`` last."""
        folder = Path(folder)
        order = sorted(self.wav)
        write_lines(folder / "text", (f"{u} {' '.join(self.text[u])}" for u in order))
        write_lines(folder / "utt2spk", (f"{u} {self.speaker[u]}" for u in order))
        write_lines(folder / "utt2cond", (f"{u} {self.condition[u]}" for u in order))
        write_lines(folder / "utt2dur", (f"{u} {self.duration[u]:.3f}" for u in order))
        if self.snr:
            write_lines(folder / "utt2snr", (f"{u} {self.snr[u]:.1f}" for u in sorted(self.snr)))
        else:
            (folder / "utt2snr").unlink(missing_ok=True)
        write_lines(folder / "wav.scp", (f"{u} {self.wav[u]}" for u in order))


def read_table(path: str | Path) -> dict[str, str]:
    """Read a Kaldi text table: a key and the rest of the line.

    Raises
    ------
    DataError
        If the file is absent, empty or not UTF-8, or a key repeats.
    """
    lines = read_lines(path, "a Kaldi data directory must hold it")
    table: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        fields = line.split(maxsplit=1)
        if not fields:
            raise DataError(f"{path}:{number}: empty line; expected 'key value'")
        key = fields[0]
        if key in table:
            raise DataError(f"{path}:{number}: {key} appears twice; remove one of the lines")
        table[key] = fields[1].strip() if len(fields) == 2 else ""
    if not table:
        raise DataError(f"{path}: no utterances")
    return table


def _seconds(folder: Path, utterance: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise DataError(
            f"{folder / 'utt2dur'}: {utterance} has {value!r}; expected seconds above 0"
        )
    return seconds


def _decibels(folder: Path, utterance: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise DataError(
            f"{folder / 'utt2snr'}: {utterance} has {value!r}; expected dB, or no such file"
        ) from None


def read_data_directory(folder: str | Path) -> DataDirectory:
    """Read the data directory of a set and check that its files agree.

    Raises
    ------
    DataError
        If a file is absent, an utterance stands in one file and not in another, its line in one
        of them ends after the key, or its duration is not a positive number.
    """
    folder = Path(folder)
    tables = {
        name: read_table(folder / name)
        for name in ("wav.scp", "text", "utt2spk", "utt2cond", "utt2dur")
    }
    wav = tables["wav.scp"]
    for name, table in tables.items():
        lacking = sorted(wav.keys() ^ table.keys())
        if lacking:
            raise DataError(
                f"{folder}: {len(lacking)} utterances stand in only one of wav.scp and {name}, "
                f"the first is {lacking[0]}; give each utterance a line in both"
            )
        empty = sorted(key for key, value in table.items() if not value)
        if empty:
            raise DataError(
                f"{folder / name}: {len(empty)} lines end after the key, the first is {empty[0]}; "
                "give each a value, or remove the utterance from all files"
            )
    duration = {u: _seconds(folder, u, value) for u, value in sorted(tables["utt2dur"].items())}
    ratios = read_table(folder / "utt2snr") if (folder / "utt2snr").is_file() else {}
    return DataDirectory(
        wav=dict(sorted(wav.items())),
        text={u: words.split() for u, words in sorted(tables["text"].items())},
        speaker=dict(sorted(tables["utt2spk"].items())),
        condition=dict(sorted(tables["utt2cond"].items())),
        duration=duration,
        snr={u: _decibels(folder, u, value) for u, value in sorted(ratios.items())},
    )
