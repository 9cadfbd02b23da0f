"""Matrices and vectors as Kaldi's programs write them, read without trust in their headers.

Kaldi's ``matrix/kaldi-matrix.cc``, ``matrix/compressed-matrix.cc`` and ``util/stl-utils``: after
the mark ``\\0B`` a token tells the type, and each size is an int32 behind a byte 4. Nothing is
allocated before the file is known to hold it, and no other kind of object (sound, numpy, pickle) is
read.
"""

import math
import struct
import zlib
from typing import BinaryIO

import numpy as np

_TOKENS = (b"FM ", b"FV ", b"DM ", b"DV ", b"CM ", b"CM2 ", b"CM3 ")
_FLOATS = {"F": np.dtype("<f4"), "D": np.dtype("<f8")}
_ELEMENT = np.dtype([("size", "u1"), ("value", "<i4")])
_LONGEST_TEXT = 1 << 24


class ArrayReader:
    """Read arrays from an open file.

    Parameters
    ----------
    file : binary file
    size : int
        Bytes that it has.

    Attributes
    ----------
    crc : int
        CRC-32 of all that was read since `seek`.
    """

    def __init__(self, file: BinaryIO, size: int):
        self._file = file
        self._size = size
        self._place = 0
        self.crc = 0

    def seek(self, place: int) -> None:
        """Go to a byte of the file, where `crc` starts anew."""
        if not 0 <= place < self._size:
            raise ValueError(f"byte {place} of a file of {self._size}")
        self._file.seek(place)
        self._place = place
        self.crc = 0

    def take(self, count: int) -> bytes:
        """Return the next bytes.

        Raises
        ------
        ValueError
            If the file has not as many.
        """
        left = self._size - self._place
        if not 0 <= count <= left:
            raise ValueError(f"{count} bytes claimed, {left} left")
        content = self._file.read(count)
        if len(content) != count:
            raise ValueError("the file ends")
        self._place += count
        self.crc = zlib.crc32(content, self.crc)
        return content

    def array(self) -> np.ndarray:
        """Return the matrix float (N, D), or vector float or int32 (N,), that stands here.

        Raises
        ------
        ValueError
            If there is none, or it claims more than the file holds.
        """
        mark = self.take(2)
        if mark != b"\0B":
            return self._text(mark)
        first = self.take(1)
        if first == b"\4":
            return self._integers()
        token = first + self.take(2)
        if token in (b"CM2", b"CM3"):
            token += self.take(1)
        if token not in _TOKENS:
            raise ValueError(f"type {token!r}; expected a matrix or vector")
        name = token.decode().strip()
        if name.startswith("CM"):
            return self._compressed(name)
        shape = tuple(self._integer() for _ in name[1:].replace("M", "MM"))
        kind = _FLOATS[name[0]]
        return self._numbers(kind, shape)

    def _integer(self) -> int:
        size, value = struct.unpack("<bi", self.take(5))
        if size != 4 or value < 0:
            raise ValueError(f"size {value} in {size} bytes")
        return value

    def _numbers(self, kind: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        content = self.take(math.prod(shape) * kind.itemsize)
        return np.frombuffer(content, kind).reshape(shape)

    def _integers(self) -> np.ndarray:
        (count,) = struct.unpack("<i", self.take(4))
        elements = self._numbers(_ELEMENT, (count,))
        if (elements["size"] != 4).any():
            raise ValueError("integers of another size than 4 bytes")
        return elements["value"].astype(np.int32)

    def _compressed(self, name: str) -> np.ndarray:
        low, extent, rows, columns = struct.unpack("<ffii", self.take(16))
        if min(rows, columns) < 0:
            raise ValueError(f"a matrix of {rows} rows and {columns} columns")
        if name != "CM":
            kind = np.dtype("<u2" if name == "CM2" else "u1")
            codes = self._numbers(kind, (rows, columns)).astype(np.float32)
            return low + codes * extent / np.iinfo(kind).max
        points = self._numbers(np.dtype("<u2"), (columns, 4)).astype(np.float32)
        points = (low + points * extent / 65535).reshape(columns, 4, 1)
        codes = self._numbers(np.dtype("u1"), (columns, rows)).astype(np.float32)
        p0, p25, p75, p100 = (points[:, i] for i in range(4))
        values = np.where(
            codes <= 64,
            p0 + (p25 - p0) * codes / 64,
            np.where(
                codes <= 192,
                p25 + (p75 - p25) * (codes - 64) / 128,
                p75 + (p100 - p75) * (codes - 192) / 63,
            ),
        )
        return np.ascontiguousarray(values.T)

    def _text(self, start: bytes) -> np.ndarray:
        content = bytearray(start)
        if start.strip()[:1] not in (b"[", b""):
            raise ValueError(f"{start!r}; expected a matrix or vector")
        found = False
        while not found and len(content) <= _LONGEST_TEXT:
            part = self.take(min(1 << 16, self._size - self._place) or 1)
            content += part
            found = b"]" in part
        if not found:
            raise ValueError("text without end; write binary archives")
        inside = content[: content.index(b"]")].strip()
        if inside[:1] != b"[":
            raise ValueError(f"{bytes(content[:8])!r}; expected a matrix or vector")
        rows = [line.split() for line in inside[1:].split(b"\n") if line.strip()]
        if len({len(row) for row in rows}) != 1:
            raise ValueError("rows that differ in length")
        values = np.array([[float(field) for field in row] for row in rows], np.float32)
        return values if b"\n" in inside else values[0]
