"""Files that are written whole or not at all, and read whole or refused by name."""

import errno
import glob
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from darkknowledge.errors import DataError, shown

MADE = "run snakemake to make it"
_MENDS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some of your quota",
    errno.EFBIG: "raise the limit on the size of files (`ulimit -f`)",
    errno.EROFS: "make the file system writable",
    errno.EACCES: "make the folder writable",
    errno.EPERM: "make the folder and the file writable",
}
_WHILE_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
# what no line of a table may hold: control characters, a byte order mark, and spaces that Kaldi
# takes for letters and Python for spaces
_STRANGE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"
)


def _unwritable(path: str | Path, error: OSError) -> DataError:
    mend = _MENDS.get(error.errno, "look at the disk")
    return DataError(
        f"{path}: cannot be written ({error.strerror or error}); {mend} and say the same command "
        "again; nothing that was there is changed"
    )


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Name the file that a block writes, if the disk is full or can no longer be written.

    Raises
    ------
    DataError
    """
    try:
        yield
    except OSError as error:
        if error.errno in _WHILE_WRITING:
            raise _unwritable(path, error) from error
        raise


@contextmanager
def creating(path: str | Path) -> Iterator[None]:
    """Make the folder of a file, and name the file if the block cannot create it there.

    Raises
    ------
    DataError
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def reading(path: str | Path, mend: str = MADE) -> Iterator[None]:
    """Name the file that a block opens and reads, if the system cannot.

    Parameters
    ----------
    path : path
    mend : str
        What the message says where there is no such file.

    Raises
    ------
    DataError
    """
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; {mend}") from None
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}); look at the disk and at who may "
            "read the file"
        ) from error


@contextmanager
def atomic_write(path: str | Path, mode: str = "w", durable: bool = True) -> Iterator[IO]:
    """Open a file that takes its name only when the block ends without an error.

    Parameters
    ----------
    path : str or Path
        The final name; its folder is made if absent.
    mode : {"w", "wb"}
        Text (UTF-8, ``\\n``) or binary.
    durable : bool
        Wait until the bytes are on the disk, so that the name never stands for less even after
        a power cut. False for a file among many whose index is written afterwards.

    Yields
    ------
    file
        A temporary file in the same folder, synchronised and renamed at the end.

    Raises
    ------
    DataError
        If the folder or the file cannot be written, or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = {"encoding": "utf-8", "newline": "\n"} if "b" not in mode else {}
    with creating(path):
        if durable:  # what a killed process left of the same file
            for stale in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
                stale.unlink(missing_ok=True)
        opened = open(temporary, mode, **text)
    try:
        with writing(path), opened as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        with creating(path):
            os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole."""
    with atomic_write(path) as file:
        file.write(text)


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Write one line per item, whole or not at all."""
    with atomic_write(path) as file:
        file.writelines(f"{line}\n" for line in lines)


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as indented JSON with sorted keys."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def is_file(path: str | Path) -> bool:
    """Tell whether there is such a file; a name that cannot be one is none."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def read_text(path: str | Path, mend: str = MADE) -> str:
    """Read a text file.

    Parameters
    ----------
    path : path
        UTF-8.
    mend : str
        What the message says where there is no such file.

    Raises
    ------
    DataError
        If the file is absent, cannot be read or is not UTF-8; the message names the byte.
    """
    with reading(path, mend):
        content = Path(path).read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error}); save it as UTF-8") from None


def read_lines(path: str | Path, mend: str = MADE) -> list[str]:
    """Read the lines of a text file, which end in ``\\n`` or ``\\r\\n``.

    Parameters
    ----------
    path, mend
        As for `read_text`.

    Raises
    ------
    DataError
        As from `read_text`, or if a line has a control character, a byte order mark or a space
        that is not the plain one, which one program takes for a space and the next for a letter.
    """
    return split_lines(read_text(path, mend), path)


def split_lines(text: str, path: str | Path) -> list[str]:
    """Split a text into lines as `read_lines` does; the path stands in messages."""
    text = text.replace("\r\n", "\n")
    if strange := _STRANGE.search(text):
        check_characters(strange[0], f"{path}:{text.count(chr(10), 0, strange.start()) + 1}")
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def check_characters(line: str, place: str) -> None:
    """Refuse control characters and uncommon spaces; `place` stands in messages.

    Raises
    ------
    DataError
    """
    if strange := _STRANGE.search(line):
        raise DataError(
            f"{place}: character U+{ord(strange[0]):04X}, a control character or an uncommon "
            "space; expected UTF-8 text with plain spaces: replace or remove it"
        )


def read_symbols(path: str | Path) -> list[str]:
    """Read a symbol table of Kaldi's, ``words.txt`` or ``phones.txt``: the symbols by number.

    Raises
    ------
    DataError
        If the file is absent or a line is not a symbol and its number, counted from 0.
    """
    symbols = []
    for number, line in enumerate(read_lines(path)):
        fields = line.split()
        if len(fields) != 2 or fields[1] != str(number):
            raise DataError(
                f"{path}:{number + 1}: {shown(line)}; expected 'symbol {number}'; delete the file "
                "and run snakemake"
            )
        symbols.append(fields[0])
    return symbols


def parse_json(text: str | bytes, place: str) -> Any:
    """Parse JSON, however deep or long; `place` stands in messages.

    Raises
    ------
    DataError
        If it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON ({error}); delete the file and run snakemake") from None


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    DataError
        If the file is absent or is not JSON.
    """
    return parse_json(read_text(path), str(path))


def write_jsonl(path: str | Path, rows: Iterable[dict]) -> None:
    """Write one JSON object per line."""
    write_lines(path, (json.dumps(row, sort_keys=True) for row in rows))


def read_jsonl(path: str | Path) -> list[dict]:
    """Read one JSON object per line.

    Raises
    ------
    DataError
        If the file is absent or a line is not a JSON object; the message names the line.
    """
    rows = []
    for number, line in enumerate(read_lines(path), 1):
        row = parse_json(line, f"{path}:{number}")
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: {shown(row)}; expected a JSON object")
        rows.append(row)
    return rows
