"""Audio files of any kind, read whole or refused, whatever their headers claim."""

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from darkknowledge.errors import DataError
from darkknowledge.files import is_file

RATES = (1000, 768000)
_BLOCK = 1 << 20
# more samples than this per byte, and more than this in all, are no recording but a trap
_MOST_PER_BYTE = 1000
_MANY = 1 << 24
_DAMAGE = (soundfile.SoundFileError, RuntimeError, ValueError, TypeError, OSError)


class SoundError(DataError):
    """An audio file that cannot be used.

    Attributes
    ----------
    kind : {"missing", "empty", "truncated", "unreadable"}
    text : str
        What was found, without the file's name.
    """

    def __init__(self, path: Path, kind: str, text: str):
        super().__init__(f"{path}: {text}")
        self.kind = kind
        self.text = text


def read_samples(path: str | Path, dtype: str = "float32") -> tuple[np.ndarray, int]:
    """Read an audio file to its end, block by block.

    Parameters
    ----------
    path : path
        A wav, flac or ogg file, or another that libsndfile knows.
    dtype : {"float32", "float64"}

    Returns
    -------
    samples : (N, channels) array
        Full scale 1; at least one.
    rate : int
        Samples per second.

    Raises
    ------
    SoundError
        If the file is absent or no sound, ends before the end that its header promises, or holds
        far more samples than a recording of its size.
    """
    path = Path(path)
    if not is_file(path):
        raise SoundError(path, "missing", "no such file")
    size = path.stat().st_size
    if size == 0:
        raise SoundError(path, "empty", "0 bytes")
    try:
        with path.open("rb") as file:
            whole = _is_whole(file, size)
        if not whole:
            raise SoundError(path, "truncated", f"ends after {size} bytes")
        return _read(path, size, dtype)
    except _DAMAGE as error:
        kind = "truncated" if _opens(path) else "unreadable"
        raise SoundError(path, kind, f"cannot be decoded ({error})") from error


def read_rate(path: str | Path) -> int:
    """Read the samples per second of an audio file; see `read_samples`."""
    path = Path(path)
    if not is_file(path):
        raise SoundError(path, "missing", "no such file")
    try:
        return _checked(path, soundfile.info(str(path)).samplerate)
    except _DAMAGE as error:
        raise SoundError(path, "unreadable", f"cannot be decoded ({error})") from error


def _read(path: Path, size: int, dtype: str) -> tuple[np.ndarray, int]:
    most = max(_MANY, _MOST_PER_BYTE * size)
    with soundfile.SoundFile(path) as file:
        if file.format == "MP3" and path.suffix.lower() != ".mp3":
            # libsndfile finds frames of MP3 in almost any bytes
            raise SoundError(path, "unreadable", "no sound file that its name stands for")
        rate, channels, promised = _checked(path, file.samplerate), file.channels, file.frames
        block = max(1, _BLOCK // channels)
        blocks, found = [], 0
        while not blocks or len(blocks[-1]) == block:
            blocks.append(file.read(block, dtype=dtype, always_2d=True))
            found += len(blocks[-1])
            if found * channels > most:
                raise SoundError(path, "unreadable", f"{size} bytes hold more than {most} samples")
    if promised < 2**62 and found < promised:
        raise SoundError(
            path, "truncated", f"{found} of the {promised} samples that the header promises"
        )
    if not found:
        raise SoundError(path, "empty", "no samples")
    return (np.concatenate(blocks) if len(blocks) > 1 else blocks[0]), rate


def _checked(path: Path, rate: int) -> int:
    if not RATES[0] <= rate <= RATES[1]:
        raise SoundError(path, "unreadable", f"a sampling rate of {rate} Hz")
    return rate


def _opens(path: Path) -> bool:
    try:
        soundfile.info(str(path))
    except _DAMAGE:
        return False
    return True


def _is_whole(file: BinaryIO, size: int) -> bool:
    """Return whether a wav or ogg file reaches the end that its header or last page tells."""
    kind = file.read(4)
    if kind == b"RIFF":
        return _wav_is_whole(file, size)
    if kind == b"OggS":
        file.seek(max(0, size - (1 << 17)))  # a page has 65,307 bytes at most
        tail = file.read()
        last = tail.rfind(b"OggS")
        return last >= 0 and len(tail) > last + 5 and bool(tail[last + 5] & 4)
    return True


def _wav_is_whole(file: BinaryIO, size: int) -> bool:
    place = 12
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            return place + 8 + length <= size or length >= 0xFFFFFF00
        place += 8 + length + length % 2
    return False
