"""The files of landscapes: a grid of losses with all that is needed to compute it again."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from darkknowledge.errors import DataError
from darkknowledge.files import atomic_write


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
    with atomic_write(path, "wb") as file:
        np.savez_compressed(
            file,
            objectives=np.array(grid.objectives),
            loss=grid.loss,
            floor=grid.floor,
            meta=np.array(json.dumps(grid.meta, sort_keys=True)),
            **arrays,
        )


def read_grid(path: str | Path) -> LossGrid:
    """Read what `write_grid` wrote.

    Raises
    ------
    DataError
        If the file is absent or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return LossGrid(
            [str(name) for name in arrays["objectives"]],
            [arrays[name] for name in ("axis0", "axis1") if name in arrays],
            arrays["loss"],
            arrays["floor"],
            {
                name.removeprefix("path."): value
                for name, value in arrays.items()
                if name.startswith("path.")
            },
            json.loads(str(arrays["meta"])),
        )
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; run snakemake to make it") from None
    except Exception as error:
        raise DataError(
            f"{path}: not a grid of losses ({error}); delete the file and run snakemake"
        ) from error
