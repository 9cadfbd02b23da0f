"""Files that belong together, with their checksums in ``SHA256SUMS`` beside them."""

import hashlib
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from darkknowledge.errors import DataError, shown
from darkknowledge.files import MADE, read_lines, reading, write_lines

CHECKSUMS = "SHA256SUMS"


def file_digest(path: str | Path, mend: str = MADE) -> str:
    """Return the SHA-256 of a file in hexadecimal: its identity.

    Raises
    ------
    DataError
        If there is none, with what mends that, or it cannot be read.
    """
    with reading(path, mend), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_checksums(folder: str | Path, names: Iterable[str]) -> None:
    """Write ``SHA256SUMS`` of files of a folder, as ``sha256sum`` does and checks it."""
    folder = Path(folder)
    write_lines(folder / CHECKSUMS, (f"{file_digest(folder / name)}  {name}" for name in names))


def check_checksums(
    folder: str | Path, names: Iterable[str], mend: str, optional: Collection[str] = ()
) -> None:
    """Compare files of a folder with its ``SHA256SUMS``.

    Parameters
    ----------
    folder : path
    names : iterable of str
        Files that it must list; others that it lists are not looked at.
    mend : str
    optional : collection of str
        Those of the files that may be absent, if they are absent from the list too.

    Raises
    ------
    DataError
        If a file is absent or is not the one that was written, or the list lacks it.
    """
    folder = Path(folder)
    listed = {}
    for number, line in enumerate(read_lines(folder / CHECKSUMS, mend), 1):
        digest, _, name = line.partition("  ")
        if not re.fullmatch("[0-9a-f]{64}", digest) or not name or name in listed:
            raise DataError(
                f"{folder / CHECKSUMS}:{number}: {shown(line)}; expected a checksum and the name "
                f"of a file; {mend}"
            )
        listed[name] = digest
    for name in names:
        if name in optional and name not in listed and not (folder / name).exists():
            continue
        if name not in listed:
            raise DataError(f"{folder / CHECKSUMS}: lacks {name}; {mend}")
        if file_digest(folder / name, mend) != listed[name]:
            raise DataError(
                f"{folder / name}: does not match its checksum in {CHECKSUMS}: it is damaged, or "
                f"belongs to other files than those beside it; {mend}"
            )
