"""Arrays in a zip archive, with checksums and fixed dates: the same arrays give the same bytes."""

import io
import struct
import zipfile
import zlib

import numpy as np

# what reading a damaged archive may raise
DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, KeyError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip


def member(name: str) -> zipfile.ZipInfo:
    """Describe a compressed member with a date that is always the same."""
    described = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    described.compress_type = zipfile.ZIP_DEFLATED
    return described


def add_array(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    """Write an array as a member that ``numpy.load`` opens."""
    with archive.open(member(name), "w", force_zip64=True) as file:
        np.lib.format.write_array(file, array, allow_pickle=False)


def load_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Read an array; its checksum is compared, as the member is read as a whole."""
    return np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
