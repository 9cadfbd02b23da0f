"""The files of landscapes: a grid of losses with all that is needed to compute it again."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from darkknowledge.zipped import read_arrays, refusing, write_arrays

WHAT = "a grid of losses"


@dataclass(frozen=True)
class LossGrid:
    """The loss under several objectives over a line or a plane of weights.

    Attributes
    ----------
    objectives : list of str
        K of them.
    axes : list of ndarray
        One or two, (P,) coordinates.
    loss : ndarray
        (K, P) or (K, P, P) nats per frame and unit of target mass, the first axis first.
    floor : ndarray
        (K,) what the loss cannot fall below: the entropy of the targets.
    paths : dict
        By run (E, 2), the coordinates of its weights epoch by epoch; empty but for a path.
    meta : dict
        In plain types: runs, seed, seed of the directions, set, utterances of the batch, digests
        of models and batch.
    """

    objectives: list[str]
    axes: list[np.ndarray]
    loss: np.ndarray
    floor: np.ndarray
    paths: dict[str, np.ndarray] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


def write_grid(path: str | Path, grid: LossGrid) -> None:
    """Write a grid of losses to ``X.npz``; the bytes depend on the grid alone."""
    arrays = {f"axis{number}": axis for number, axis in enumerate(grid.axes)}
    arrays |= {f"path.{run}": coordinates for run, coordinates in grid.paths.items()}
    arrays |= {"objectives": np.array(grid.objectives), "loss": grid.loss, "floor": grid.floor}
    write_arrays(path, arrays | {"meta": np.array(json.dumps(grid.meta, sort_keys=True))})


def read_grid(path: str | Path) -> LossGrid:
    """Read what `write_grid` wrote.

    Raises
    ------
    DataError
        If the file is absent or damaged.
    """
    arrays = read_arrays(path, WHAT)
    with refusing(path, WHAT):
        paths = {name: array for name, array in arrays.items() if name.startswith("path.")}
        return LossGrid(
            [str(name) for name in arrays["objectives"]],
            [arrays[name] for name in ("axis0", "axis1") if name in arrays],
            arrays["loss"],
            arrays["floor"],
            {name.removeprefix("path."): array for name, array in paths.items()},
            json.loads(str(arrays["meta"])),
        )
