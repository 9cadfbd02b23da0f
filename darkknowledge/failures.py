"""What stands for the results of a training that diverged, so that the other runs go on.

The job ends well and its outputs are marked: in place of a model, a cache of soft targets, a
score or lattices stands the JSON object ``{"problem": "..."}``; texts and archives are empty. Every
job that is given a marked file marks its own outputs in turn, up to the gap in the table. No
other error is passed on like this.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from darkknowledge.errors import DataError
from darkknowledge.files import read_json, reading, write_json, write_text
from darkknowledge.progress import logger

MARKED = (".json", ".npz", ".pt", ".soft")
START = b'{\n  "problem": '


def mark(outputs: Iterable[str | Path], problem: str) -> None:
    """Write the outputs of a job that has no result, and say why in its log.

    Parameters
    ----------
    outputs : iterable of path
    problem : str
        Run, epoch, learning rate, and what mends it.
    """
    logger.error("%s", problem)
    for path in map(Path, outputs):
        if path.suffix in MARKED:
            write_json(path, {"problem": problem})
        else:
            write_text(path, "")


def problem_of(path: str | Path) -> str | None:
    """Return why a file is marked; None if it is absent or like any other."""
    path = Path(path)
    if not path.is_file():
        return None
    with reading(path), open(path, "rb") as file:
        if file.read(len(START)) != START:
            return None
    found = read_json(path)
    if not isinstance(found.get("problem"), str):
        raise DataError(f"{path}: says of no problem what it is; delete it and run snakemake")
    return found["problem"]


def pass_on(inputs: Iterable[str | Path], outputs: Iterable[str | Path]) -> None:
    """Mark a job's outputs and end it well, if one of its inputs is marked."""
    for path in inputs:
        if Path(path).suffix in MARKED and (problem := problem_of(path)):
            mark(outputs, problem)
            sys.exit()
