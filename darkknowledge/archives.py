"""Kaldi archives: a table of arrays in an ``ark`` file with its index in an ``scp`` file.

Those of the workflow have their checksums beside them, in a ``crc`` file: first its own, then the
index's and the size of the archive, and of pdfs or transitions the digest of their tree; then one
CRC-32 for each record, its key included. What was changed since it was written is refused, the
index and the sizes when the archive is opened, a record when it is read.
"""

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import kaldiio
import numpy as np

from darkknowledge.errors import DataError, shown
from darkknowledge.files import atomic_write, is_file, read_lines, reading
from darkknowledge.kaldi_arrays import ArrayReader

VERSION = "archive 1"
MEND = "delete it and run snakemake"
OVERHANG = 3  # rows by which a range may end late, as in Kaldi
_RANGE = r"\[(?P<rows>\d+:\d+|:)?(?:,(?P<columns>\d+:\d+|:))?\]"
_PLACE = re.compile(rf"(?P<path>[^|]*[^|\s]):(?P<offset>\d{{1,18}})(?:{_RANGE})?")


def write_archive(
    scp: str | Path, items: Iterable[tuple[str, np.ndarray]], tree: str | None = None
) -> int:
    """Write arrays to ``X.ark``, their index to ``X.scp`` and their checksums to ``X.crc``.

    Parameters
    ----------
    scp : path
        Name of the index, ending in ``.scp``; the others stand beside it.
    items : iterable of (key, array)
        float32 matrices (N, D) or vectors, or int32 vectors, keys without spaces and unique.
    tree : str, optional
        Digest of the tree that pdfs or transitions are of, one word.

    Returns
    -------
    int
        The number of arrays written.

    Raises
    ------
    DataError
        If there is no item, a key repeats or has a space, an array is empty or holds a NaN or an
        infinity, or the files cannot be written.
    """
    scp = Path(scp)
    ark, crc = scp.with_suffix(".ark"), scp.with_suffix(".crc")
    index: dict[str, tuple[int, int]] = {}
    with (
        atomic_write(scp, "wb") as scp_file,
        atomic_write(crc, "wb") as crc_file,
        atomic_write(ark, "wb") as ark_file,
    ):
        for key, array in items:
            array = np.asarray(array)
            if key in index:
                raise DataError(f"{ark}: key {key} is written twice; keys must be unique")
            if key.split() != [key]:
                raise DataError(f"{ark}: key {shown(key)}; expected one word")
            if array.size == 0:
                raise DataError(f"{ark}: {key} is empty; expected at least one frame")
            if array.dtype.kind == "f":
                array = array.astype(np.float32, copy=False)
                if not np.isfinite(array).all():
                    raise DataError(f"{ark}: {key} holds a NaN or an infinity")
            else:
                array = array.astype(np.int32, copy=False)
            watched = _Watched(ark_file)
            start = ark_file.tell() + len(key.encode()) + 1
            kaldiio.save_ark(watched, {key: array})
            index[key] = start, watched.crc
        if not index:
            raise DataError(f"{ark}: nothing to write; expected at least one utterance")
        order = sorted(index)
        lines = "".join(f"{key} {ark}:{index[key][0]}\n" for key in order).encode()
        scp_file.write(lines)
        head = f"{zlib.crc32(lines):08x} {ark_file.tell()}"
        sums = [f"{head} {tree}\n" if tree else f"{head}\n"]
        sums += [f"{index[key][1]:08x} {key}\n" for key in order]
        content = "".join(sums).encode()
        crc_file.write(f"{zlib.crc32(content):08x} {VERSION}\n".encode() + content)
    return len(index)


class _Watched:
    """A file that is written, with the CRC-32 of what goes into it."""

    def __init__(self, file):
        self._file = file
        self.crc = 0

    def write(self, content: bytes) -> int:
        self.crc = zlib.crc32(content, self.crc)
        return self._file.write(content)


class Archive(Mapping):
    """The arrays of an ``scp`` file by key, each read when it is asked for.

    Of the workflow's own archives, which have no `roots`, every byte is compared with its
    checksum, and the arrays stand in the file beside the index. An archive from elsewhere may
    name any file, as Kaldi's indices do, but no command.

    Parameters
    ----------
    scp : path
    roots : sequence of path
        Of an archive from elsewhere: folders that relative paths may start from, the first that
        has the file; the working directory is the last.
    mend : str
        What mends an archive that cannot be read.

    Attributes
    ----------
    tree : str or None
        Digest of the tree that pdfs or transitions are of, as it was written.

    Raises
    ------
    DataError
        If the index, or its checksum, is absent, damaged or empty, or a line of it names no place
        in an archive.
    """

    def __init__(self, scp: str | Path, roots: Sequence[str | Path] = (), mend: str = MEND):
        self.path = Path(scp)
        self._roots = [Path(root) for root in roots]
        self._mend = mend
        self._places: dict[str, re.Match] = {}
        for number, line in enumerate(read_lines(self.path), 1):
            key, _, rest = line.replace("\t", " ").partition(" ")
            place = _PLACE.fullmatch(rest.strip())
            if not key or place is None:
                raise DataError(f"{scp}:{number}: {shown(line)}; expected 'key path:offset'")
            if key in self._places:
                raise DataError(f"{scp}:{number}: key {key} appears twice")
            self._places[key] = place
        if not self._places:
            raise DataError(f"{scp}: no entries; expected at least one")
        self.tree: str | None = None
        self._sums = {} if roots else self._read_sums()

    def _read_sums(self) -> dict[str, int]:
        """Return the checksum of each record, once the index and the size are as written."""
        path, ark = self.path.with_suffix(".crc"), self.path.with_suffix(".ark")
        with reading(path, "delete the archive beside it and run snakemake"):
            first, _, content = path.read_bytes().partition(b"\n")
        if first != f"{zlib.crc32(content):08x} {VERSION}".encode():
            raise DataError(f"{path}: damaged, or of another version; {self._mend}")
        try:
            head, *lines = content.decode().split("\n")[:-1]
            first, second, *tree = head.split()
            index, size, self.tree = int(first, 16), int(second), tree[0] if tree else None
            sums = {key: int(crc, 16) for crc, key in (line.split(" ") for line in lines)}
        except ValueError as error:
            raise DataError(f"{path}: no checksums ({error}); {self._mend}") from None
        if sums.keys() != self._places.keys():
            raise DataError(f"{path}: has other keys than {self.path.name}; {self._mend}")
        with reading(self.path):
            if zlib.crc32(self.path.read_bytes()) != index:
                raise DataError(
                    f"{self.path}: does not match its checksum in {path.name}: it is damaged, or "
                    f"of another archive; {self._mend}"
                )
        with reading(ark):
            found = ark.stat().st_size
        if found != size:
            raise DataError(
                f"{ark}: has {found} bytes; expected {size}: it is truncated, or of another "
                f"archive; {self._mend}"
            )
        return sums

    def __getitem__(self, key: str) -> np.ndarray:
        place = self._places[key]
        path = self._resolved(place["path"])
        try:
            if not is_file(path):
                raise FileNotFoundError("no such file")
            with open(path, "rb") as file:
                return self._read(ArrayReader(file, path.stat().st_size), key, place)
        except (ValueError, OSError) as error:
            raise DataError(
                f"{self.path}: {key} cannot be read from {shown(str(path), 200)}, byte "
                f"{place['offset']} ({error}); the archive is damaged or absent: {self._mend}"
            ) from error

    def _read(self, reader: ArrayReader, key: str, place: re.Match) -> np.ndarray:
        offset = int(place["offset"])
        if self._sums:
            name = f"{key} ".encode()
            reader.seek(offset - len(name))
            if reader.take(len(name)) != name:
                raise ValueError("another key stands there")
            array = reader.array()
            if reader.crc != self._sums[key]:
                raise ValueError("it does not match its checksum")
            return array
        reader.seek(offset)
        array = reader.array()
        for axis, name in enumerate(("rows", "columns")):
            if place[name] not in (None, ":"):
                first, last = map(int, place[name].split(":"))
                size = array.shape[axis] if axis < array.ndim else 0
                if not first <= last < size + OVERHANG or first >= size:
                    raise ValueError(f"{name} {first} to {last} of {size}")
                array = array.take(range(first, min(last + 1, size)), axis)
        return array

    def _resolved(self, path: str) -> Path:
        if not self._roots:
            return self.path.with_suffix(".ark")
        found = (root / path for root in self._roots if is_file(root / path))
        return next(found, Path(path))

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
