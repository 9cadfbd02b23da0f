"""Zip archives, such as ``.npz`` and torch's ``.pt``, that are sealed.

The seal is the archive's comment: the SHA-256 of all bytes before it. ``numpy.load``,
``torch.load`` and ``unzip`` open the file as any other; a reader of this project refuses it if one
bit differs. The same arrays give the same bytes, as members have a fixed date.
"""

import hashlib
import io
import math
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from darkknowledge.errors import DataError
from darkknowledge.files import atomic_write, reading

_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, KeyError, RuntimeError,
    TypeError, ValueError, AttributeError, IndexError, NotImplementedError,
)  # fmt: skip
MEND = "delete it and run snakemake"
SEAL = b"sha256:"
_DIGITS = 64
_LENGTH = struct.pack("<H", len(SEAL) + _DIGITS)
_END_OF_DIRECTORY = 22
# what packs better than this, and is larger than this, is no data but a trap
_LARGEST_RATIO = 100
_LARGE = 1 << 24
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


def member(name: str) -> zipfile.ZipInfo:
    """Describe a compressed member with a date that is always the same."""
    described = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    described.compress_type = zipfile.ZIP_DEFLATED
    return described


@contextmanager
def write_sealed(path: str | Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive to write; it is sealed and takes its name when the block ends."""
    with atomic_write(path, "wb") as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.comment = SEAL + b"0" * _DIGITS
            yield archive
        file.flush()
        with open(file.name, "rb") as written:
            digest = _digest(written, file.tell() - _DIGITS)
        file.seek(-_DIGITS, os.SEEK_END)
        file.write(digest)


def sealed(content: bytes) -> bytes:
    """Return a zip archive without comment, such as ``torch.save`` writes, with a seal."""
    if content[-_END_OF_DIRECTORY:][:4] != b"PK\5\6" or content[-2:] != b"\0\0":
        raise ValueError("not a zip archive without comment")
    content = content[:-2] + _LENGTH + SEAL
    return content + hashlib.sha256(content).hexdigest().encode()


def _digest(file: IO[bytes], size: int) -> bytes:
    digest = hashlib.sha256()
    while size and (chunk := file.read(min(size, 1 << 20))):
        digest.update(chunk)
        size -= len(chunk)
    return digest.hexdigest().encode()


def open_sealed(path: str | Path, what: str) -> zipfile.ZipFile:
    """Open an archive whose every byte is as it was written.

    Parameters
    ----------
    path : path
    what : str
        What it must be, for messages.

    Raises
    ------
    DataError
        If it is absent, cut short, changed anywhere, was never sealed, or claims to hold far more
        than so many bytes can.
    """
    end = len(SEAL) + _DIGITS
    with reading(path), open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - end, 0))
        comment = file.read()
        file.seek(0)
        if comment[: len(SEAL)] != SEAL or len(comment) != end:
            raise DataError(
                f"{path}: not {what}: it does not end in a checksum: it is truncated, or of an "
                f"earlier version; {MEND}"
            )
        if _digest(file, size - _DIGITS) != comment[len(SEAL) :]:
            raise DataError(
                f"{path}: not {what}: it does not match its checksum: it is damaged; {MEND}"
            )
    with refusing(path, what):
        archive = zipfile.ZipFile(path)
        members = archive.infolist()
        claimed = sum(described.file_size for described in members)
        packed = sum(described.compress_size for described in members)
        if claimed > max(_LARGE, _LARGEST_RATIO * size) or packed > size:
            archive.close()
            raise ValueError(f"{size} bytes claim to hold {claimed}, packed into {packed}")
        if not {described.compress_type for described in members} <= _METHODS:
            archive.close()
            raise ValueError("packed by another method")
        return archive


@contextmanager
def refusing(path: str | Path, what: str, part: str = "") -> Iterator[None]:
    """Name the file and its part, such as an utterance, if what a block reads of it is damaged.

    Raises
    ------
    DataError
    """
    try:
        yield
    except _DAMAGE as error:
        place = f"{part}: " if part else ""
        raise DataError(
            f"{path}: not {what} ({place}{type(error).__name__}: {error}); {MEND}"
        ) from error


def add_array(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    """Write an array as a member that ``numpy.load`` opens."""
    with archive.open(member(name), "w", force_zip64=True) as file:
        np.lib.format.write_array(file, array, allow_pickle=False)


def load_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Read an array; its checksum is compared, as the member is read as a whole."""
    return parse_array(archive.read(name))


def parse_array(content: bytes) -> np.ndarray:
    """Read an array in numpy's ``.npy`` format, without code and without trust in its header.

    Raises
    ------
    ValueError
        If it is none, or the header claims another size than the content has.
    """
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"npy version {version}; expected (1, 0)")
    try:
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    except Exception as error:  # of Python's parser, many kinds
        raise ValueError(f"no header of an array ({type(error).__name__})") from error
    rest = len(content) - file.tell()
    if dtype.hasobject or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != rest:
        raise ValueError(f"an array of {dtype} {shape} in {rest} bytes")
    flat = np.frombuffer(content, dtype, math.prod(shape), file.tell())
    if dtype.kind == "U" and flat.size and flat.view("<u4").max() > sys.maxunicode:
        raise ValueError("text with a number that is no character")
    return flat.reshape(shape, order="F" if fortran else "C").copy()


def write_arrays(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to a sealed ``.npz``."""
    with write_sealed(path) as archive:
        for name, array in arrays.items():
            add_array(archive, f"{name}.npy", np.asarray(array))


def read_arrays(path: str | Path, what: str) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote; `what` says in messages what it must be.

    Raises
    ------
    DataError
        As from `open_sealed`.
    """
    with open_sealed(path, what) as archive, refusing(path, what):
        return {name.removesuffix(".npy"): load_array(archive, name) for name in archive.namelist()}
