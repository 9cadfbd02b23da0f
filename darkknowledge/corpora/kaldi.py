"""Kaldi data directories made elsewhere: checked at the door, their audio used where it lies."""

import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from darkknowledge.corpora import checks
from darkknowledge.corpora.checks import Door, Fault
from darkknowledge.corpora.mixing import RATE
from darkknowledge.corpora.options import KaldiOptions
from darkknowledge.corpora.recordings import ONLY_CONDITION, Recording, write_recordings
from darkknowledge.errors import DataError, first_of
from darkknowledge.files import atomic_write, is_file, read_lines, write_lines
from darkknowledge.lexicon import copy_lexicon, read_lexicon
from darkknowledge.progress import logger

UNKNOWN = "<UNK>"
OVERSHOOT = 0.5  # seconds by which a segment may end late, as Kaldi's extract-segments has it
_NEED_LINES = {
    "no_audio": "add its line there, or remove it here",
    "no_transcript": "add its line and words there, or remove it here",
    "duplicate": "remove one of the lines",
    "length": "mend the line in segments, or change min_seconds or max_seconds",
}


@dataclass(frozen=True)
class Piece:
    """Where the audio of an utterance is: a recording, whole or from a second to another."""

    recording: str
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class Source:
    """What a data directory says, before its audio is read.

    Attributes
    ----------
    paths : dict
        Audio file of each recording; the rest of its line where the audio is not read.
    pieces : dict
        Place of each utterance that has text and speaker, in sorted order.
    cut : bool
        Whether the utterances are pieces of the recordings, and not the recordings themselves.
    words, speaker, condition : dict
        By utterance.
    """

    paths: dict[str, Path | str]
    pieces: dict[str, Piece]
    cut: bool
    words: dict[str, list[str]]
    speaker: dict[str, str]
    condition: dict[str, str]


class _Mistakes:
    """Lines that cannot be read: all are found before any is reported, and none is skipped."""

    def __init__(self):
        self.found: list[str] = []

    def add(self, text: str) -> None:
        self.found.append(text)

    def close(self) -> None:
        if self.found:
            raise DataError(first_of(self.found))


def read_numbered(path: Path, door: Door) -> dict[str, tuple[int, str]]:
    """Read a table of Kaldi's: the line's number and the rest of the line by key.

    Keys that come again go to the door, and the first line counts.

    Raises
    ------
    DataError
        If the file is absent, not UTF-8, has an empty line, or has none.
    """
    lines = read_lines(path, "a Kaldi data directory must hold it")
    table: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines, 1):
        key, _, rest = line.strip().replace("\t", " ").partition(" ")
        if not key:
            raise DataError(f"{path}:{number}: empty line; expected 'key value'; remove it")
        if key in table:
            text = f"in lines {table[key][0]} and {number} of {path}"
            door.add(Fault("duplicate", key, text, _NEED_LINES["duplicate"]))
        else:
            table[key] = (number, rest.strip())
    if not table:
        raise DataError(f"{path}: no lines; expected 'key value'")
    return table


def read_source(
    folder: Path, data_root: Path, door: Door, audio: bool = True, suffixes: str = ""
) -> Source:
    """Read a data directory of Kaldi's.

    Parameters
    ----------
    folder : Path
        With ``wav.scp``, ``text`` and ``utt2spk``, perhaps ``segments`` and ``utt2cond``.
    data_root : Path
        Relative paths of ``wav.scp`` start here, or from the folder where there is no such file.
    door : Door
        Gets keys that come twice, text without audio and audio without text.
    audio : bool
        Whether the audio will be read, so that ``wav.scp`` must name files.
    suffixes : str
        Last characters of utterances of conditions 01, 02, ..., where there is no ``utt2cond``.

    Returns
    -------
    Source

    Raises
    ------
    DataError
        With every line that cannot be used: a command or a place in an archive instead of a
        file, an utterance without speaker or condition, a segment that is none.
    """
    mistakes = _Mistakes()
    paths = {}
    for name, (number, value) in read_numbered(folder / "wav.scp", door).items():
        problem = _no_file(value) if audio or not value else None
        if problem:
            mistakes.add(f"{folder / 'wav.scp'}:{number}: {name}: {problem}")
        paths[name] = _resolve(value, data_root, folder) if audio else value
    cut = (folder / "segments").exists()
    if cut:
        pieces = _segments(folder / "segments", paths, door, mistakes)
    else:
        pieces = {name: Piece(name) for name in paths}
    text = {u: line.split() for u, (_, line) in read_numbered(folder / "text", door).items()}
    where = folder / ("segments" if cut else "wav.scp")
    for name in sorted(text.keys() - pieces.keys()):
        found = f"in {folder / 'text'}, not in {where}"
        door.add(Fault("no_audio", name, found, _NEED_LINES["no_audio"]))
    for name in sorted(name for name in pieces if not text.get(name)):
        state = "has no words" if name in text else "has no line"
        found = f"in {where}, {state} in {folder / 'text'}"
        door.add(Fault("no_transcript", name, found, _NEED_LINES["no_transcript"]))
    used = {name: pieces[name] for name in sorted(pieces) if text.get(name)}
    speaker = _values(folder / "utt2spk", used, "speaker", door, mistakes)
    condition = dict.fromkeys(used, ONLY_CONDITION)
    if (folder / "utt2cond").exists():
        condition = _values(folder / "utt2cond", used, "condition", door, mistakes)
    elif suffixes:
        strange = [name for name in used if name[-1] not in suffixes]
        if strange:
            mistakes.add(
                f"{folder}: {len(strange)} utterances end in none of {suffixes!r}, the first is "
                f"{strange[0]}; mend `conditions` of the corpus, or write utt2cond"
            )
        condition = {name: f"{suffixes.find(name[-1]) + 1:02d}" for name in used}
    mistakes.close()
    return Source(paths, used, cut, text, speaker, condition)


def _no_file(value: str) -> str | None:
    if not value:
        return "no audio file; add its path"
    if value.endswith("|"):
        return (
            f"{value!r} is a command, which is not run here; write what it gives to a file and "
            "name that: docs/howto.md has the loop"
        )
    if re.search(r"\.ark:\d+$", value):
        return (
            f"{value!r} is a place in an archive; write the recordings to files, such as "
            "`wav-copy scp:wav.scp ...`, and name those"
        )
    return None


def _resolve(value: str, data_root: Path, folder: Path) -> Path:
    beside = folder / value
    return beside if is_file(beside) and not is_file(data_root / value) else data_root / value


def _segments(
    path: Path, recordings: dict[str, Path], door: Door, mistakes: _Mistakes
) -> dict[str, Piece]:
    pieces = {}
    for name, (number, value) in read_numbered(path, door).items():
        fields = value.split()
        try:
            recording, start, end = fields[0], float(fields[1]), float(fields[2])
        except (IndexError, ValueError):
            recording, start, end = "", math.nan, math.nan
        if not (
            len(fields) == 3 and 0 <= start < math.inf and (start < end < math.inf or end == -1)
        ):
            mistakes.add(
                f"{path}:{number}: {name} {value!r}; expected 'utterance recording start end' in "
                "seconds, the end after the start"
            )
        elif "/" in name:
            mistakes.add(f"{path}:{number}: {name} names a file and holds '/'; rename it")
        elif recording not in recordings:
            found = f"its recording {recording} has no line in {path.parent / 'wav.scp'}"
            door.add(Fault("no_audio", name, found, _NEED_LINES["no_audio"]))
        else:
            pieces[name] = Piece(recording, start, None if end == -1 else end)
    return pieces


def _values(
    path: Path, utterances: dict[str, Piece], what: str, door: Door, mistakes: _Mistakes
) -> dict[str, str]:
    table = read_numbered(path, door)
    for name, (number, value) in table.items():
        if len(value.split()) != 1:
            mistakes.add(f"{path}:{number}: {name} {value!r}; expected one {what}")
    lacking = [name for name in utterances if name not in table]
    if lacking:
        mistakes.add(
            f"{path}: {len(lacking)} utterances have no {what}, the first is {lacking[0]}; add "
            f"lines 'utterance {what}'"
        )
    return {name: table[name][1] for name in utterances if name in table}


def _read(
    name: str,
    path: Path,
    door: Door,
    limits: tuple[float, float] | None,
    clipping: bool = True,
) -> np.ndarray | None:
    samples, faults = checks.read_audio(path, RATE, 1, limits, clipping)
    door.add(*(replace(fault, subject=f"{name} in {fault.subject}") for fault in faults))
    return samples


def _cuts(
    source: Source, limits: tuple[float, float], door: Door | None = None
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the samples of each utterance, those of one recording together; faults to the door."""
    door = door or Door("recordings")
    by_recording: dict[str, list[str]] = {}
    for name, piece in source.pieces.items():
        by_recording.setdefault(piece.recording, []).append(name)
    for recording, names in by_recording.items():
        samples = _read(recording, source.paths[recording], door, None, clipping=False)
        if samples is None:
            continue
        for name in names:
            piece = source.pieces[name]
            end = len(samples) / RATE if piece.end is None else piece.end
            label = f"{name} in {source.paths[recording]}"
            if piece.start >= len(samples) / RATE or end > len(samples) / RATE + OVERSHOOT:
                text = f"{piece.start:g} to {end:g} s of {len(samples) / RATE:.2f} s"
                door.add(Fault("length", label, text, _NEED_LINES["length"]))
                continue
            own = samples[round(piece.start * RATE) : round(end * RATE)]
            found = checks.examine(label, own[:, None], RATE, limits)
            door.add(*found)
            if not found:
                yield name, own


def _write_cut(path: Path, samples: np.ndarray) -> None:
    integers = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, integers, RATE, "PCM_16", format="WAV")
    with atomic_write(path, "wb", durable=False) as file:
        file.write(buffer.getvalue())


def _heard(
    source: Source, limits: tuple[float, float], door: Door
) -> tuple[dict[str, float], dict[str, Path | str]]:
    """Read all audio; return the seconds of what is good, and its files where they lie."""
    if source.cut:
        return {name: len(samples) / RATE for name, samples in _cuts(source, limits, door)}, {}
    seconds = {}
    for name in source.pieces:
        samples = _read(name, source.paths[name], door, limits)
        if samples is not None:
            seconds[name] = len(samples) / RATE
    return seconds, source.paths


def _told(
    given: Path, source: Source, door: Door
) -> tuple[dict[str, float], dict[str, Path | str]]:
    """Return the seconds that the directory tells of its utterances, and what names their audio."""
    paths = {name: source.paths[piece.recording] for name, piece in source.pieces.items()}
    if not (given / "utt2dur").exists():
        ends = {name: piece.end for name, piece in source.pieces.items()}
        if not source.cut or None in ends.values():
            raise DataError(
                f"{given}: no utt2dur, and the audio is not read where mfcc and fbank are given; "
                "make it, such as `utils/data/get_utt2dur.sh`"
            )
        return {name: ends[name] - piece.start for name, piece in source.pieces.items()}, paths
    mistakes = _Mistakes()
    values = _values(given / "utt2dur", source.pieces, "duration", door, mistakes)
    seconds = {}
    for name, value in values.items():
        try:
            seconds[name] = float(value)
        except ValueError:
            seconds[name] = math.nan
        if not 0 < seconds[name] < math.inf:
            mistakes.add(f"{given / 'utt2dur'}: {name} has {value!r}; expected seconds above 0")
    mistakes.close()
    return seconds, paths


def make_set(options: KaldiOptions, set_name: str, folder: str | Path, threads: int = 1) -> None:
    """Make the data directory of a set; see `darkknowledge.corpora.make_set`.

    Recordings are named in ``wav.scp`` where they lie; pieces of recordings are cut out into
    ``audio``. Where all features were made elsewhere, the audio is not read.
    """
    options.require()
    folder = Path(folder)
    given = options.path(getattr(options, set_name))
    door = Door(f"{given}, {set_name} set", options.skip)
    suffixes = options.conditions.get(set_name, "")
    source = read_source(given, Path(options.data_root), door, options.needs_audio, suffixes)
    limits = (options.min_seconds, options.max_seconds)
    if options.needs_audio:
        seconds, paths = _heard(source, limits, door)
    else:
        seconds, paths = _told(given, source, door)
    lexicon = read_lexicon(options.path(options.lexicon))
    door.add(*checks.unpronounced({name: source.words[name] for name in seconds}, lexicon))
    door.close(folder / "skipped.txt")
    if options.needs_audio and source.cut:
        paths = {name: folder / "audio" / f"{name}.wav" for name in seconds}
        for name, samples in _cuts(source, limits):
            _write_cut(paths[name], samples)
    write_recordings(
        folder,
        (
            Recording(
                name=name,
                speaker=source.speaker[name],
                words=source.words[name],
                path=paths[name],
                seconds=seconds[name],
                condition=source.condition[name],
            )
            for name in sorted(seconds)
        ),
    )


def read_sentences(options: KaldiOptions) -> Iterator[list[str]]:
    """Yield the words of each line of the language model's text.

    Raises
    ------
    DataError
        If a file or folder is absent or empty, not UTF-8, or holds a mark of a sentence's end.
    """
    for file in options.text_files():
        empty = True
        for number, line in enumerate(read_lines(file), 1):
            words = line.split()
            if "<s>" in words or "</s>" in words:
                raise DataError(f"{file}:{number}: <s> or </s> in the text; remove it")
            if words:
                empty = False
                yield words
        if empty:
            raise DataError(f"{file}: no sentence; remove it from lm_text, or mend it")


def make_language(options: KaldiOptions, folder: str | Path) -> None:
    """Write lexicon and text; see `darkknowledge.corpora.make_language`.

    The lexicon is written as it is. The text is `lm_text` and the training transcripts, with
    ``<UNK>`` for words outside the lexicon; there is none where a language model is given.
    """
    options.require()
    folder = Path(folder)
    path = options.path(options.lexicon)
    lexicon = read_lexicon(path)
    copy_lexicon(path, folder)
    logger.info("lexicon: %d words", len(lexicon))
    if options.arpa is not None:
        return
    train = options.path(options.train) / "text"
    door = Door(str(train), options.skip)
    transcripts = {u: line.split() for u, (_, line) in read_numbered(train, door).items()}
    door.add(*checks.unpronounced(transcripts, lexicon))
    door.close(folder / "skipped.txt")
    sentences = [*read_sentences(options), *filter(None, transcripts.values())]
    write_lines(
        folder / "lm_text.txt",
        (" ".join(word if word in lexicon else UNKNOWN for word in line) for line in sentences),
    )
    logger.info("text: %d sentences, %d words", len(sentences), sum(map(len, sentences)))
