"""The lattice of a search, state by state, as arrays; its best paths and the times of words."""

from dataclasses import dataclass

import numpy as np

from darkknowledge.graph.hmm_fst import WORD_START

# rounding of sums that are compared with the beam
SLACK = 1e-6


@dataclass(frozen=True)
class StateLattice:
    """An acyclic transducer over (graph, acoustic) costs, in scaled units.

    States are numbered so that every source is below its target; arcs are sorted by source.

    Attributes
    ----------
    start : int
    final : float64 array (S, 2)
        Graph and acoustic final cost, infinite where a state is not final.
    level : int array (S,)
        Most arcs on a path from the start; states are numbered by level.
    source, target, word, mark : int arrays (A,)
        `word` is 0 and `mark` is 0 where none begins.
    pdf : int array (A,)
        Of the frame that the arc consumes, -1 where it consumes none.
    cost : float64 array (A, 2)
        Graph and acoustic cost.
    """

    start: int
    final: np.ndarray
    level: np.ndarray
    source: np.ndarray
    target: np.ndarray
    word: np.ndarray
    mark: np.ndarray
    pdf: np.ndarray
    cost: np.ndarray

    @property
    def emits(self) -> np.ndarray:
        """Whether each arc consumes a frame."""
        return self.pdf >= 0

    @property
    def num_states(self) -> int:
        """Number of states."""
        return len(self.final)

    @property
    def edges(self) -> np.ndarray:
        """Where the arcs of each state begin, and the number of arcs."""
        return np.searchsorted(self.source, np.arange(self.num_states + 1))


def make_state_lattice(
    start: int,
    final: np.ndarray,
    source: np.ndarray,
    target: np.ndarray,
    word: np.ndarray,
    mark: np.ndarray,
    pdf: np.ndarray,
    cost: np.ndarray,
) -> StateLattice:
    """Number the states of an acyclic transducer by level; see `StateLattice`."""
    level = topological_levels(len(final), source, target)
    order = np.argsort(level, kind="stable")
    number = np.empty(len(order), np.int64)
    number[order] = np.arange(len(order))
    source, target = number[source], number[target]
    by_source = np.lexsort((word, target, source))
    return StateLattice(
        start=int(number[start]),
        final=final[order],
        level=level[order],
        source=source[by_source],
        target=target[by_source],
        word=word[by_source],
        mark=mark[by_source],
        pdf=pdf[by_source],
        cost=cost[by_source],
    )


def topological_levels(num_states: int, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Count for each state of an acyclic graph the most arcs on a path to it.

    Parameters
    ----------
    num_states : int
    source, target : int arrays (A,)

    Returns
    -------
    int array (num_states,)
    """
    order = np.argsort(source, kind="stable")
    onward = target[order]
    edges = np.searchsorted(source[order], np.arange(num_states + 1))
    missing = np.bincount(target, minlength=num_states)
    level = np.full(num_states, -1)
    wave, depth = np.flatnonzero(missing == 0), 0
    while len(wave):
        level[wave] = depth
        reached, times = np.unique(onward[ranges(edges, wave)[0]], return_counts=True)
        missing[reached] -= times
        wave, depth = reached[missing[reached] == 0], depth + 1
    if (level < 0).any():
        raise ValueError("the graph has a cycle")
    return level


def ranges(edges: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List the places ``edges[i]`` to ``edges[i + 1]`` of some items, and whose they are.

    Parameters
    ----------
    edges : int array (N + 1,)
    items : int array (M,)

    Returns
    -------
    places : int array
    owner : int array
        Index into `items` of each place.
    """
    first = edges[items]
    counts = edges[items + 1] - first
    owner = np.repeat(np.arange(len(items)), counts)
    places = np.arange(len(owner)) - (np.cumsum(counts) - counts - first)[owner]
    return places, owner


def distinct(numbers: np.ndarray) -> np.ndarray:
    """Sort numbers (N,) and drop those that repeat; `np.unique` takes ten times as long."""
    ordered = np.sort(numbers)
    first = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


@dataclass(frozen=True)
class Viterbi:
    """Best paths from the start to each state and from each state to the end.

    Attributes
    ----------
    forward, backward : float64 arrays (S,)
        Costs.
    before, after : int arrays (S,)
        The arc by which the best path comes and goes on, -1 where it starts or ends.
    """

    forward: np.ndarray
    backward: np.ndarray
    before: np.ndarray
    after: np.ndarray


def viterbi(lattice: StateLattice) -> Viterbi:
    """Find the best path to and from every state of a lattice."""
    cost = lattice.cost.sum(axis=1)
    final = lattice.final.sum(axis=1)
    forward = np.full(lattice.num_states, np.inf)
    forward[lattice.start] = 0.0
    _relax(forward, lattice.source, lattice.target, cost, lattice.level)
    backward = final.copy()
    _relax(backward, lattice.target, lattice.source, cost, -lattice.level)
    before = _tight(forward, lattice.source, lattice.target, cost)
    before[lattice.start] = -1
    after = _tight(backward, lattice.target, lattice.source, cost)
    after[backward == final] = -1
    return Viterbi(forward, backward, before, after)


def _relax(
    best: np.ndarray, near: np.ndarray, far: np.ndarray, cost: np.ndarray, level: np.ndarray
) -> None:
    """Lower the costs of far ends from those of near ends, level by level."""
    if not len(far):
        return
    arcs = sweep(far, level)
    near, cost = near[arcs.order], cost[arcs.order]
    for part, heads, _, states in arcs.levels:
        lowest = np.minimum.reduceat(best[near[part]] + cost[part], heads)
        best[states] = np.minimum(best[states], lowest)


@dataclass(frozen=True)
class Sweep:
    """The arcs of lattices, sorted so that each state's stand together, level by level.

    Attributes
    ----------
    order : int array (A,)
    levels : list of (slice, int array, int array, int array)
        Of each level: its arcs in the order, where those of each state begin within them, which
        of the states each arc belongs to, and the states.
    """

    order: np.ndarray
    levels: list[tuple[slice, np.ndarray, np.ndarray, np.ndarray]]


def sweep(state: np.ndarray, level: np.ndarray) -> Sweep:
    """Sort arcs by the level (S,) of their state (A,), then by state, and keep their order else."""
    place = np.empty(len(level), np.int64)
    place[np.argsort(level, kind="stable")] = np.arange(len(level))
    # numbers that no two arcs share: half the time of np.lexsort
    keys = place[state] * len(state) + np.arange(len(state))
    keys.sort()
    order = keys % len(state)
    state = state[order]
    heads = np.flatnonzero(np.r_[True, state[1:] != state[:-1]])
    owner = np.repeat(np.arange(len(heads)), np.diff(np.r_[heads, len(state)]))
    states = state[heads]
    turns = np.flatnonzero(np.r_[True, np.diff(level[states]) != 0, True])
    ends = np.r_[heads, len(state)]
    levels = []
    for one, other in zip(turns[:-1], turns[1:], strict=True):
        part = slice(ends[one], ends[other])
        levels.append((part, heads[one:other] - ends[one], owner[part] - one, states[one:other]))
    return Sweep(order, levels)


def _tight(best: np.ndarray, near: np.ndarray, far: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Find for each far end the first arc that gives it its cost, -1 where none does."""
    arcs = np.flatnonzero((best[near] + cost == best[far]) & np.isfinite(best[far]))
    states, first = np.unique(far[arcs], return_index=True)
    found = np.full(len(best), -1)
    found[states] = arcs[first]
    return found


def word_times(lattice: StateLattice, best: Viterbi, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the first frame and the frame after the last of the word on every word arc.

    A word's label may come before its first frame or after it; on a path, the n-th label
    belongs to the n-th mark WORD_START. The path is the best one through the arc. A word ends
    with the next mark. Without marks, a word starts with its label and ends with the next one.

    Parameters
    ----------
    lattice : StateLattice
    best : Viterbi
        Of the same lattice.
    frames : int
        Length of the utterance.

    Returns
    -------
    starts, ends : int arrays (A,)
        0 where the arc has no word.
    """
    mark = lattice.mark
    if not mark.any():
        mark = np.where(lattice.word != 0, WORD_START, 0)
    begins = mark == WORD_START
    frame = np.zeros(lattice.num_states, np.int64)
    # labels less starts, the same on all paths to a state of a complete graph
    ahead = np.zeros(lattice.num_states, np.int64)
    states = np.flatnonzero(best.before >= 0)
    step = lattice.emits.astype(np.int64)
    lead = (lattice.word != 0).astype(np.int64) - begins
    turns = np.searchsorted(lattice.level[states], np.arange(lattice.level.max(initial=0) + 2))
    for one, other in zip(turns[:-1], turns[1:], strict=True):
        here = states[one:other]
        arcs = best.before[here]
        frame[here] = frame[lattice.source[arcs]] + step[arcs]
        ahead[here] = ahead[lattice.source[arcs]] + lead[arcs]

    spoken = np.flatnonzero(lattice.word)
    pending = -ahead[lattice.source[spoken]]
    start = np.full(len(spoken), frames)
    end = np.full(len(spoken), -1)

    walking = np.flatnonzero(pending > 0)
    state = lattice.source[spoken]
    while len(walking):
        arcs = best.before[state[walking]]
        walking, arcs = walking[arcs >= 0], arcs[arcs >= 0]
        at = frame[lattice.source[arcs]]
        pending[walking] -= begins[arcs]
        found = pending[walking] == 0
        start[walking[found]] = at[found]
        passed = ~found & (mark[arcs] != 0)
        end[walking[passed]] = at[passed]
        state[walking] = lattice.source[arcs]
        walking = walking[~found]

    wanted = np.where(start < frames, 0, 1 - pending)
    walking, arcs = np.arange(len(spoken)), spoken.copy()
    walking, arcs = walking[end < 0], arcs[end < 0]
    while len(walking):
        at = frame[lattice.source[arcs]]
        closes = (wanted[walking] == 0) & (mark[arcs] != 0)
        end[walking[closes]] = at[closes]
        wanted[walking] -= begins[arcs] & (wanted[walking] > 0)
        opens = begins[arcs] & ~closes & (wanted[walking] == 0) & (start[walking] == frames)
        start[walking[opens]] = at[opens]
        arcs = best.after[lattice.target[arcs]]
        on = ~closes & (arcs >= 0)
        walking, arcs = walking[on], arcs[on]
    end[end < 0] = frames

    starts = np.zeros(len(lattice.word), np.int64)
    ends = np.zeros(len(lattice.word), np.int64)
    starts[spoken], ends[spoken] = start, end
    return starts, ends
