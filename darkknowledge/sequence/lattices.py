"""The competing state sequences of an utterance, as sequence training reads them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darkknowledge.lattices.states import StateLattice, sweep


@dataclass(frozen=True)
class TrainingLattice:
    """Paths of an utterance, with those of their costs that training does not change.

    Every path leads from state 0 to the last state and takes one frame with every arc that has a
    pdf.

    Attributes
    ----------
    source, target : int32 arrays (A,)
        Every source is below its target.
    pdf : int32 array (A,)
        -1 where the arc takes no frame.
    cost : float32 array (A,)
        Of language and transitions, word penalty included.
    frame : int32 array (S,)
        Frames taken before each state.
    level : int32 array (S,)
        Most arcs on a path to each state; it grows along every arc.
    frames : int
        Length of the utterance.
    """

    source: np.ndarray
    target: np.ndarray
    pdf: np.ndarray
    cost: np.ndarray
    frame: np.ndarray
    level: np.ndarray
    frames: int

    @property
    def num_states(self) -> int:
        """Number of states."""
        return len(self.frame)

    def contains(self, pdfs: np.ndarray) -> bool:
        """Tell whether some path has the given pdfs (N,) from frame to frame."""
        before = np.minimum(self.frame[self.source], self.frames - 1)
        fits = (self.pdf < 0) | (self.pdf == pdfs[before])
        reached = np.zeros(self.num_states, bool)
        reached[0] = True
        for arcs in by_level(self.level[self.target]):
            taken = arcs[fits[arcs] & reached[self.source[arcs]]]
            reached[self.target[taken]] = True
        return bool(reached[-1])


def training_lattice(lattice: StateLattice, frames: int) -> TrainingLattice:
    """Take from a search's lattice what training needs.

    Parameters
    ----------
    lattice : StateLattice
        Of a search with an acoustic scale; its acoustic costs are left out.
    frames : int
        Length of the utterance.
    """
    ends = np.flatnonzero(np.isfinite(lattice.final[:, 0]))
    last = lattice.num_states
    source = np.r_[lattice.source, ends]
    target = np.r_[lattice.target, np.full(len(ends), last)]
    pdf = np.r_[lattice.pdf, np.full(len(ends), -1)]
    cost = np.r_[lattice.cost[:, 0], lattice.final[ends, 0]]
    frame = np.zeros(last + 1, np.int32)
    level = np.r_[lattice.level, lattice.level.max() + 1].astype(np.int32)
    for arcs in by_level(level[target]):
        frame[target[arcs]] = frame[source[arcs]] + (pdf[arcs] >= 0)
    return TrainingLattice(
        *(column.astype(np.int32) for column in (source, target, pdf)),
        cost.astype(np.float32),
        frame,
        level,
        frames,
    )


def by_level(level: np.ndarray) -> list[np.ndarray]:
    """Group places by their level, lowest first."""
    order = np.argsort(level, kind="stable")
    turns = np.flatnonzero(np.diff(level[order])) + 1
    return np.split(order, turns)


class LatticeBatch:
    """Lattices of some utterances, laid side by side so that their levels are passed at once.

    Parameters
    ----------
    lattices : sequence of TrainingLattice

    Attributes
    ----------
    source, target, pdf : int arrays (A,)
        States are numbered through.
    cost : float64 array (A,)
    row : int array (A,)
        Frame that an arc takes, of all utterances one after the other; 0 where it takes none.
    first, last : int arrays (U,)
        First and last state of each utterance.
    utterance : int array (A,)
        Whose arc it is.
    both : Sweep
        Over the arcs and, after them, the same ones backwards, between states of their own that
        follow the others: both directions are passed at once too.
    near : int array (2 A,)
        Where those begin, in the order of `both`.
    """

    def __init__(self, lattices: Sequence[TrainingLattice]):
        states = np.cumsum([0, *(lattice.num_states for lattice in lattices)])
        rows = np.cumsum([0, *(lattice.frames for lattice in lattices)])
        arcs = [len(lattice.source) for lattice in lattices]
        self.utterance = np.repeat(np.arange(len(lattices)), arcs)
        shift = states[self.utterance]
        self.source = np.concatenate([lattice.source for lattice in lattices]) + shift
        self.target = np.concatenate([lattice.target for lattice in lattices]) + shift
        self.pdf = np.concatenate([lattice.pdf for lattice in lattices])
        self.cost = np.concatenate([lattice.cost for lattice in lattices]).astype(np.float64)
        frame = np.concatenate([lattice.frame for lattice in lattices])
        self.emits = self.pdf >= 0
        self.row = np.where(self.emits, frame[self.source] + rows[self.utterance], 0)
        self.rows = int(rows[-1])
        self.num_states = int(states[-1])
        self.first, self.last = states[:-1], states[1:] - 1
        level = np.concatenate([lattice.level for lattice in lattices])
        left = np.concatenate([lattice.level[-1] - lattice.level for lattice in lattices])
        far = np.r_[self.target, self.source + self.num_states]
        self.both = sweep(far, np.r_[level, left])
        self.near = np.r_[self.source, self.target + self.num_states][self.both.order]
