"""From the states of a search to words: epsilon removal and determinisation with a beam.

Agrees with Kaldi's ``DeterminizeLatticePruned`` on the words and costs of the paths; the times
of words are found as in :func:`darkknowledge.lattices.states.word_times`.
"""

import heapq
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from darkknowledge.lattices.paths import ARC
from darkknowledge.lattices.states import (
    SLACK,
    StateLattice,
    Viterbi,
    ranges,
    topological_levels,
    viterbi,
)

# two sets of states whose costs differ by less are one
DELTA = 1e-4


@dataclass(frozen=True)
class _WordGraph:
    """Arcs from where a word's label has been passed to where the next one's has.

    Nodes are the start and the targets of word arcs. `cost` and `final` hold graph and acoustic
    costs, `raw` the word arc in the state lattice, `onward` the cost from a node to the end.
    """

    source: np.ndarray
    target: np.ndarray
    word: np.ndarray
    raw: np.ndarray
    cost: np.ndarray
    final: np.ndarray
    onward: np.ndarray
    start: int


def _word_graph(lattice: StateLattice, best: Viterbi, beam: float) -> _WordGraph:
    """Remove the arcs without words: all nodes at once, level by level."""
    nodes = np.unique(np.r_[lattice.start, lattice.target[lattice.word != 0]])
    node_of = np.full(lattice.num_states, -1)
    node_of[nodes] = np.arange(len(nodes))
    limit = best.backward[lattice.start] + beam + SLACK
    edges = lattice.edges
    # (node, state, graph, acoustic) that wait for their level
    waiting: list[list[tuple]] = [[] for _ in range(int(lattice.level.max()) + 1)]
    levels = lattice.level[nodes]
    for level in np.unique(levels):
        here = np.flatnonzero(levels == level)
        waiting[level].append((here, nodes[here], np.zeros((len(here), 2))))
    final = np.full((len(nodes), 2), np.inf)
    found = []
    for level, parts in enumerate(waiting):
        if not parts:
            continue
        node, state, cost = (np.concatenate(column) for column in zip(*parts, strict=True))
        waiting[level] = []
        node, state, cost = _cheapest(node, state, cost, lattice.num_states)
        ends = np.isfinite(lattice.final[state, 0])
        _lower(final, node[ends], cost[ends] + lattice.final[state[ends]])

        arcs, owner = ranges(edges, state)
        node, cost = node[owner], cost[owner] + lattice.cost[arcs]
        target = lattice.target[arcs]
        near = best.forward[nodes[node]] + cost.sum(axis=1) + best.backward[target] <= limit
        spoken = near & (lattice.word[arcs] != 0)
        found.append((node[spoken], arcs[spoken], cost[spoken]))
        silent = np.flatnonzero(near & (lattice.word[arcs] == 0))
        targets = lattice.level[target[silent]]
        for after in np.unique(targets):
            on = silent[targets == after]
            waiting[after].append((node[on], target[on], cost[on]))
    source, raw, cost = (np.concatenate(column) for column in zip(*found, strict=True))
    target, word = node_of[lattice.target[raw]], lattice.word[raw]
    order = np.lexsort((cost[:, 0], cost.sum(axis=1), target, word, source))
    source, target, word, raw, cost = (
        column[order] for column in (source, target, word, raw, cost)
    )
    kept = _firsts(source, word, target)
    return _WordGraph(
        source[kept],
        target[kept],
        word[kept],
        raw[kept],
        cost[kept],
        final,
        best.backward[nodes],
        int(node_of[lattice.start]),
    )


def _cheapest(node: np.ndarray, state: np.ndarray, cost: np.ndarray, num_states: int):
    """Keep the least cost of every pair of node and state."""
    pair = node * num_states + state
    order = np.lexsort((cost[:, 0], cost.sum(axis=1), pair))
    kept = order[_firsts(pair[order])]
    return node[kept], state[kept], cost[kept]


def _firsts(*columns: np.ndarray) -> np.ndarray:
    """Mark the first of each run of equal rows."""
    changes = np.zeros(max(len(columns[0]) - 1, 0), bool)
    for column in columns:
        changes |= column[1:] != column[:-1]
    return np.r_[np.ones(min(len(columns[0]), 1), bool), changes]


def _lower(final: np.ndarray, node: np.ndarray, cost: np.ndarray) -> None:
    order = np.lexsort((cost[:, 0], cost.sum(axis=1), node))
    kept = order[_firsts(node[order])]
    node, cost = node[kept], cost[kept]
    less = cost.sum(axis=1) < final[node].sum(axis=1)
    final[node[less]] = cost[less]


@dataclass
class _Determinised:
    """Arcs (source, target, word, raw, graph, acoustic) and final costs by state."""

    arcs: list[tuple]
    final: dict[int, tuple[float, float]]
    num_states: int
    complete: bool


def _determinise(graph: _WordGraph, beam: float, max_arcs: int) -> _Determinised:
    """Make states of sets of nodes with the costs by which they lag, the best ones first."""
    edges = np.searchsorted(graph.source, np.arange(len(graph.final) + 1))
    limit = graph.onward[graph.start] + beam + SLACK
    first = np.array([graph.start]), np.zeros((1, 2))
    subsets = [first]
    forward, onward = [0.0], [float(graph.onward[graph.start])]
    known = {_key(*first): 0}
    queue = [(onward[0], 0)]
    expanded: set[int] = set()
    result = _Determinised([], {}, 1, True)
    while queue:
        _, state = heapq.heappop(queue)
        if state in expanded:
            continue
        if len(result.arcs) >= max_arcs:
            result.complete = False
            break
        expanded.add(state)
        nodes, lag = subsets[state]
        ending = lag + graph.final[nodes]
        closing = ending[ending.sum(axis=1).argmin()]
        if forward[state] + closing.sum() <= limit:
            result.final[state] = (float(closing[0]), float(closing[1]))

        rows, owner = ranges(edges, nodes)
        cost = lag[owner] + graph.cost[rows]
        # members too far behind are on no path within the beam: no prefix is better than this one
        near = forward[state] + cost.sum(axis=1) + graph.onward[graph.target[rows]] <= limit
        rows, cost = rows[near], cost[near]
        total = cost.sum(axis=1)
        word, target = graph.word[rows], graph.target[rows]
        order = np.lexsort((cost[:, 0], total, target, word))
        order = order[_firsts(word[order], target[order])]
        word, target, cost, total = (column[order] for column in (word, target, cost, total))
        raw, through = graph.raw[rows[order]], total + graph.onward[target]
        heads = np.flatnonzero(np.r_[_firsts(word), True])
        for head, tail in pairwise(heads):
            likely = head + through[head:tail].argmin()
            lead = head + total[head:tail].argmin()
            subset = target[head:tail], cost[head:tail] - cost[lead]
            key = _key(*subset)
            after = forward[state] + float(total[lead])
            to = known.setdefault(key, len(subsets))
            if to == len(subsets):
                subsets.append(subset)
                forward.append(np.inf)
                onward.append(float(through[likely] - total[lead]))
            if after < forward[to]:
                forward[to] = after
                heapq.heappush(queue, (after + onward[to], to))
            result.arcs.append((state, to, word[head], raw[likely], cost[lead, 0], cost[lead, 1]))
    result.num_states = len(subsets)
    return result


def _key(nodes: np.ndarray, lag: np.ndarray) -> tuple[bytes, bytes]:
    return nodes.tobytes(), np.rint(lag / DELTA).astype(np.int64).tobytes()


def word_arcs(
    lattice: StateLattice,
    best: Viterbi,
    times: tuple[np.ndarray, np.ndarray],
    frames: int,
    beam: float,
    max_arcs: int,
) -> tuple[np.ndarray, bool]:
    """Make a word lattice of a state lattice.

    Parameters
    ----------
    lattice : StateLattice
    best : Viterbi
        Of the same lattice.
    times : tuple of int arrays (A,)
        First frame and the frame after the last of the word on each arc.
    frames : int
        Length of the utterance.
    beam : float
        Paths that are worse than the best one by more are left out.
    max_arcs : int
        Number of arcs at which no more are made; the best paths are there already.

    Returns
    -------
    arcs : array of ARC
        As `Lattice` has them, except that `word` is the label of the graph and both costs are
        in scaled units.
    complete : bool
        Whether every path within the beam is there.
    """
    made = _determinise(_word_graph(lattice, best, beam), beam, max_arcs)
    end = made.num_states
    rows = [*made.arcs, *((state, end, 0, -1, *cost) for state, cost in made.final.items())]
    source, target, word, raw = (
        np.array(column, np.int64) for column in list(zip(*rows, strict=True))[:4]
    )
    cost = np.array([row[4:] for row in rows], np.float64)
    plain = StateLattice(
        start=0,
        final=np.where(np.arange(end + 1)[:, None] == end, [0.0, 0.0], [np.inf, np.inf]),
        level=topological_levels(end + 1, source, target),
        source=source,
        target=target,
        word=word,
        mark=np.zeros_like(word),
        pdf=np.full(len(word), -1),
        cost=cost,
    )
    along = viterbi(plain)
    through = along.forward[source] + cost.sum(axis=1) + along.backward[target]
    kept = through <= through.min() + beam + SLACK
    used = np.unique(np.r_[source[kept], target[kept]])
    used = used[np.lexsort((used, plain.level[used]))]
    number = np.full(end + 1, -1)
    number[used] = np.arange(len(used))
    arcs = np.zeros(int(kept.sum()), ARC)
    arcs["source"], arcs["target"] = number[source[kept]], number[target[kept]]
    arcs["word"] = word[kept]
    spoken = raw[kept] >= 0
    for name, column in zip(("start", "end"), times, strict=True):
        arcs[name] = np.where(spoken, column[raw[kept]], frames)
    arcs["graph"], arcs["acoustic"] = cost[kept].T
    return arcs[np.lexsort((arcs["word"], arcs["source"]))], made.complete
