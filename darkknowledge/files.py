"""Files that are written whole or not at all."""

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
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; run snakemake to make it") from None
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{number}: not JSON ({error})") from None
    return rows
