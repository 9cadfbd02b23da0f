"""Files of the lattices of a training."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from darkknowledge.errors import DataError, shown
from darkknowledge.sequence.lattices import TrainingLattice
from darkknowledge.zipped import (
    MEND,
    add_array,
    load_array,
    member,
    open_sealed,
    refusing,
    write_sealed,
)

VERSION = 1
INDEX = "training_lattices.json"
WHAT = "a complete archive of lattices of a training"
ARC = np.dtype([("source", "<i4"), ("target", "<i4"), ("pdf", "<i4"), ("cost", "<f4")])
STATE = np.dtype([("frame", "<i4"), ("level", "<i4")])


def write_training_lattices(
    path: str | Path, lattices: Iterable[tuple[str, TrainingLattice]], search: Mapping[str, Any]
) -> int:
    """Write the lattices of a training one after the other, whole or not at all.

    The file is a sealed zip archive. ``numpy.load`` opens it: ``<utterance>/arcs`` and
    ``<utterance>/states``.

    Parameters
    ----------
    path : path
    lattices : iterable of (utterance, TrainingLattice)
    search : mapping
        What the training must know of the search: ``acoustic_scale``, ``prior_scale``,
        ``num_pdfs``, the numbers of the pdfs of ``silence`` and the digest of their ``tree``.

    Returns
    -------
    int
        The number of lattices written.

    Raises
    ------
    DataError
        If there are none, or an utterance comes twice.
    """
    lengths: dict[str, int] = {}
    with write_sealed(path) as archive:
        for utterance, lattice in lattices:
            if utterance in lengths:
                raise DataError(f"{path}: {utterance} is written twice; utterances are unique")
            lengths[utterance] = lattice.frames
            arcs = np.empty(len(lattice.source), ARC)
            for name in ARC.names:
                arcs[name] = getattr(lattice, name)
            states = np.empty(lattice.num_states, STATE)
            for name in STATE.names:
                states[name] = getattr(lattice, name)
            add_array(archive, f"{utterance}/arcs.npy", arcs)
            add_array(archive, f"{utterance}/states.npy", states)
        if not lengths:
            raise DataError(f"{path}: no lattices to write; expected at least one")
        content = {"version": VERSION, "search": dict(search), "lengths": lengths}
        archive.writestr(member(INDEX), json.dumps(content, sort_keys=True))
    return len(lengths)


class TrainingLattices:
    """The lattices of a training, each read when it is asked for.

    Parameters
    ----------
    path : path

    Attributes
    ----------
    search : dict
        As they were written with.
    lengths : dict
        Frames by utterance.

    Raises
    ------
    DataError
        If the file is absent, cut short or altered, or of another version.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._archive = open_sealed(path, WHAT)
        with refusing(path, WHAT):
            content = json.loads(self._archive.read(INDEX))
            version = content["version"]
            self.search, self.lengths = dict(content["search"]), dict(content["lengths"])
            self._num_pdfs = int(self.search["num_pdfs"])
        if version != VERSION:
            raise DataError(f"{path}: version {shown(version)}, expected {VERSION}; {MEND}")

    def __contains__(self, utterance: str) -> bool:
        return utterance in self.lengths

    def take(self, utterances: Sequence[str]) -> list[TrainingLattice]:
        """Read the lattices of some utterances.

        Raises
        ------
        DataError
            If one is absent or damaged.
        """
        return [self._read(utterance) for utterance in utterances]

    def _read(self, utterance: str) -> TrainingLattice:
        if utterance not in self.lengths:
            raise DataError(f"{self.path}: no lattice of {utterance}; {MEND}")
        with refusing(self.path, WHAT, utterance):
            arcs = load_array(self._archive, f"{utterance}/arcs.npy")
            states = load_array(self._archive, f"{utterance}/states.npy")
            if not _sound(arcs, states, self.lengths[utterance], self._num_pdfs):
                raise ValueError("its arcs make no lattice")
        return TrainingLattice(
            **{name: np.ascontiguousarray(arcs[name]) for name in ARC.names},
            **{name: np.ascontiguousarray(states[name]) for name in STATE.names},
            frames=self.lengths[utterance],
        )


def _sound(arcs: np.ndarray, states: np.ndarray, frames: int, num_pdfs: int) -> bool:
    """Tell whether arrays make a lattice in which every path has one frame after the other."""
    if (arcs.dtype, states.dtype) != (ARC, STATE) or not len(arcs) or frames < 1:
        return False
    source, target, last = arcs["source"], arcs["target"], len(states) - 1
    if source.min() < 0 or target.max() > last or not (source < target).all():
        return False
    frame, level, pdf = states["frame"], states["level"], arcs["pdf"]
    return (
        bool(np.bincount(source, minlength=last)[:last].all())  # left, every state but the last
        and bool(np.bincount(target, minlength=last + 1)[1:].all())  # entered, but the first
        and int(frame[0]) == 0
        and int(frame[-1]) == frames
        and bool((frame[target] == frame[source] + (pdf >= 0)).all())
        and bool((level[source] < level[target]).all())
        and bool(((pdf >= -1) & (pdf < num_pdfs)).all())
        and bool(np.isfinite(arcs["cost"]).all())
    )
