"""Files that are written whole or not at all."""

import glob
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from darkknowledge.errors import DataError


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
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    if durable:  # what a killed process left of the same file
        for stale in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
            stale.unlink(missing_ok=True)
    text = {"encoding": "utf-8", "newline": "\n"} if "b" not in mode else {}
    try:
        with open(temporary, mode, **text) as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
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


def read_lines(path: str | Path, mend: str = "run snakemake to make it") -> list[str]:
    """Read the lines of a text file.

    Parameters
    ----------
    path : path
        UTF-8.
    mend : str
        What the message says where there is no such file.

    Raises
    ------
    DataError
        If the file is absent or not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; {mend}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error}); save it as UTF-8") from None


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
                f"{path}:{number + 1}: {line!r}; expected 'symbol {number}'; delete the file and "
                "run snakemake"
            )
        symbols.append(fields[0])
    return symbols


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    DataError
        If the file is absent or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; run snakemake to make it") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not JSON ({error}); delete the file and run snakemake") from None


def write_jsonl(path: str | Path, rows: Iterable[dict]) -> None:
    """Write one JSON object per line."""
    write_lines(path, (json.dumps(row, sort_keys=True) for row in rows))


def read_jsonl(path: str | Path) -> list[dict]:
    """Read one JSON object per line.

    Raises
    ------
    DataError
        If the file is absent or a line is not JSON; the message names the line.
    """
    rows = []
    for number, line in enumerate(read_lines(path), 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{number}: not JSON ({error})") from None
    return rows
