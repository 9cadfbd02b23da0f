"""The loss over the points of a line or plane, kept so that a finer grid refines what is there."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from darkknowledge.checkpoints import state_key
from darkknowledge.errors import DataError
from darkknowledge.hmm.crew import Crew
from darkknowledge.landscapes.losses import BatchLosses
from darkknowledge.landscapes.weights import Weights
from darkknowledge.progress import Stopwatch, logger
from darkknowledge.zipped import read_arrays, write_arrays

VERSION = 1  # of what a stored loss means
SAVE_SECONDS = 60
DIGITS = 12
POINTS_OF_A_TURN = 16


class Points:
    """Losses at points, by coordinates, on disk while more are computed.

    Parameters
    ----------
    folder : path
        Of the file, whose name is a hash of ``identity``.
    identity : mapping
        All that decides the loss at given coordinates, in plain types.
    """

    def __init__(self, folder: str | Path, identity: Mapping[str, Any]):
        self.path = Path(folder) / f"{state_key({**identity, 'version': VERSION})}.npz"
        self._losses: dict[tuple[float, ...], np.ndarray] = {}
        if not self.path.is_file():
            return
        try:
            found = read_arrays(self.path, "points of a landscape")
        except DataError as error:
            logger.info("%s; its points are computed again", error)
            return
        for place, losses in zip(found["places"], found["losses"], strict=True):
            self._losses[_key(place)] = losses

    def __contains__(self, place: Sequence[float]) -> bool:
        return _key(place) in self._losses

    def __getitem__(self, place: Sequence[float]) -> np.ndarray:
        return self._losses[_key(place)]

    def __setitem__(self, place: Sequence[float], losses: np.ndarray) -> None:
        self._losses[_key(place)] = losses

    def save(self) -> None:
        """Write all points."""
        places, losses = list(self._losses), list(self._losses.values())
        write_arrays(self.path, {"places": np.array(places), "losses": np.array(losses)})


def _key(place: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(float(value), DIGITS) + 0.0 for value in place)


def grid_axis(low: float, high: float, points: int) -> np.ndarray:
    """Return evenly spaced coordinates (points,); those of p are among those of 2p - 1."""
    steps = np.arange(points)
    return ((points - 1 - steps) * low + steps * high) / (points - 1)


class _Share:
    """The points of a group that one process evaluates."""

    def __init__(self, number: int, shares: int, losses: BatchLosses, origin, directions):
        self._own = slice(number, None, shares)
        self._losses, self._origin, self._directions = losses, origin, directions

    def evaluate(self, group: np.ndarray) -> np.ndarray:
        """Return the losses (m, K) of this share of the points (M, D)."""
        points = torch.from_numpy(group[self._own]).float()
        if not len(points):
            return np.empty((0, len(self._losses.objectives)))
        return self._losses.at_points(self._origin, self._directions, points).numpy()


def evaluate_grid(
    losses: BatchLosses,
    origin: Weights,
    directions: Sequence[Weights],
    axes: Sequence[np.ndarray],
    points: Points,
    name: str,
    threads: int = 1,
) -> np.ndarray:
    """Compute the loss at all points of a grid that are not known yet.

    Parameters
    ----------
    losses : BatchLosses
    origin : mapping
        Weights where all coordinates are 0.
    directions : sequence of mapping
        One for each axis.
    axes : sequence of (P,) arrays
        Coordinates.
    points : Points
        What is known; it grows, and is written every minute and in the end.
    name : str
        In progress lines.
    threads : int
        Processes that share the points on a CPU; their number changes no byte.

    Returns
    -------
    ndarray
        (K, P) or (K, P, P) float64, nats per frame: objectives, then the axes.
    """
    places = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))
    missing = [place for place in places if place not in points]
    logger.info("%s: %d points, %d of them known", name, len(places), len(places) - len(missing))
    saved = time.perf_counter()
    watch = Stopwatch(len(missing))
    on_gpu = losses.device.type == "cuda"
    shares = 1 if on_gpu else threads
    size = losses.at_once if on_gpu else shares * POINTS_OF_A_TURN

    def share(number: int) -> _Share:
        return _Share(number, shares, losses, origin, directions)

    with Crew(share, list(range(shares)), shares) as crew:
        for first in range(0, len(missing), size):
            group = np.array(missing[first : first + size])
            for number, found in enumerate(crew.map("evaluate", group)):
                for place, row in zip(group[number::shares], found, strict=True):
                    points[place] = row
            left = watch.advance(len(group))
            if time.perf_counter() - saved > SAVE_SECONDS:
                points.save()
                saved = time.perf_counter()
                done = first + len(group)
                logger.info("%s: %d of %d points, %s", name, done, len(missing), left)
    if missing:
        points.save()
    shape = [len(axis) for axis in axes]
    return np.array([points[place] for place in places]).T.reshape(-1, *shape)
