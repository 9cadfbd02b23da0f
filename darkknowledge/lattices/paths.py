"""Word lattices: best paths under any scales, n-best lists, oracle errors.

A lattice is acyclic and deterministic: no state has two arcs of one word, so that each path is
another sequence of words. It is what Kaldi calls a compact lattice, with times in place of
transition-ids.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darkknowledge.word_errors import Counts, count_errors

ARC = np.dtype(
    [
        ("source", "<i4"),
        ("target", "<i4"),
        ("word", "<i4"),
        ("start", "<i4"),
        ("end", "<i4"),
        ("graph", "<f4"),
        ("acoustic", "<f4"),
    ]
)


@dataclass(frozen=True)
class Lattice:
    """The likely word sequences of one utterance.

    Attributes
    ----------
    arcs : array (A,) of ARC
        Sorted by source; every source is below its target, paths lead from state 0 to the last
        state. `word` is a place in `words`; 0 stands on the arcs into the last state, which
        carry the final costs. `start` and `end` are the first frame of the word and the frame
        after its last on the best path through the arc. `graph` is the cost of language and
        transitions without word penalty, `acoustic` the cost of the frames before scaling
        (as in Kaldi's lattices).
    words : tuple of str
        Vocabulary of this lattice; the first is ``<eps>``.
    frames : int
        Length of the utterance.
    reached_final : bool
        Whether the paths end in final states; if not, they are incomplete.
    acoustic_scale, word_penalty : float
        Those of the search.
    lattice_beam : float
        Largest difference from the best path, in scaled units.
    """

    arcs: np.ndarray
    words: tuple[str, ...]
    frames: int
    reached_final: bool
    acoustic_scale: float
    word_penalty: float
    lattice_beam: float

    @property
    def num_states(self) -> int:
        """Number of states; 0 where nothing was recognised."""
        return int(self.arcs["target"].max(initial=-1)) + 1

    @property
    def num_word_arcs(self) -> int:
        """Number of arcs that carry a word."""
        return int(np.count_nonzero(self.arcs["word"]))

    @property
    def depth(self) -> float:
        """Word arcs that cross a frame, on average, as Kaldi's lattice-depth."""
        spoken = self.arcs[self.arcs["word"] != 0]
        return float((spoken["end"] - spoken["start"]).sum() / self.frames)


@dataclass(frozen=True)
class LatticePath:
    """One path of a lattice.

    Attributes
    ----------
    words : tuple of str
    starts, ends : tuple of int
        First frame of each word and the frame after its last.
    total : float
        graph + acoustic scale * acoustic + word penalty * number of words.
    graph, acoustic : float
        Costs as in `Lattice`.
    """

    words: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    total: float
    graph: float
    acoustic: float


def _path(
    lattice: Lattice, chosen: Sequence[int], acoustic_scale: float, word_penalty: float
) -> LatticePath:
    arcs = lattice.arcs[list(chosen)]
    spoken = arcs[arcs["word"] != 0]
    graph = float(arcs["graph"].sum(dtype=np.float64))
    acoustic = float(arcs["acoustic"].sum(dtype=np.float64))
    return LatticePath(
        tuple(lattice.words[word] for word in spoken["word"]),
        tuple(spoken["start"].tolist()),
        tuple(spoken["end"].tolist()),
        graph + acoustic_scale * acoustic + word_penalty * len(spoken),
        graph,
        acoustic,
    )


def _edges(lattice: Lattice) -> list[int]:
    """Return where the arcs of each state begin in the list of arcs."""
    return np.searchsorted(lattice.arcs["source"], np.arange(lattice.num_states + 1)).tolist()


def _costs(arcs: np.ndarray, acoustic_scale, word_penalty) -> np.ndarray:
    return (
        arcs["graph"].astype(np.float64)
        + acoustic_scale * arcs["acoustic"].astype(np.float64)
        + word_penalty * (arcs["word"] != 0)
    )


def rescore(lattice: Lattice, settings: Sequence[tuple[float, float]]) -> list[LatticePath]:
    """Find the best path under other scales, without a second search.

    The same as Kaldi's ``lattice-scale --inv-acoustic-scale``, ``lattice-add-penalty`` and
    ``lattice-best-path`` one after the other: the LM scale of its score.sh is one over the
    acoustic scale. The lattice keeps of each word sequence the alignment that was best in the
    search; costs under another acoustic scale are therefore upper bounds of those of a search
    there, and exact under another word penalty.

    Parameters
    ----------
    lattice : Lattice
    settings : sequence of (acoustic scale, word penalty)

    Returns
    -------
    list of LatticePath
        One per setting; without words and of infinite cost where nothing was recognised.
    """
    if not len(lattice.arcs):
        return [LatticePath((), (), (), math.inf, math.inf, math.inf) for _ in settings]
    scale, penalty = np.array(settings, np.float64).reshape(-1, 2).T
    costs = _costs(lattice.arcs[:, None], scale, penalty)
    targets, edges, states = lattice.arcs["target"], _edges(lattice), lattice.num_states
    onward = np.zeros((states, len(settings)))
    choice = np.zeros((states, len(settings)), np.int64)
    for state in range(states - 2, -1, -1):
        first, after = edges[state], edges[state + 1]
        through = costs[first:after] + onward[targets[first:after]]
        choice[state] = first + through.argmin(axis=0)
        onward[state] = through.min(axis=0)
    paths = []
    for column, setting in enumerate(settings):
        chosen, state = [], 0
        while state != states - 1:
            chosen.append(int(choice[state, column]))
            state = int(targets[chosen[-1]])
        paths.append(_path(lattice, chosen, *setting))
    return paths


def best_path(
    lattice: Lattice, acoustic_scale: float | None = None, word_penalty: float | None = None
) -> LatticePath:
    """Find the best path; see :func:`rescore`. The scales are those of the search when absent."""
    return rescore(lattice, [_scales(lattice, acoustic_scale, word_penalty)])[0]


def _scales(lattice: Lattice, acoustic_scale: float | None, word_penalty: float | None):
    return (
        lattice.acoustic_scale if acoustic_scale is None else acoustic_scale,
        lattice.word_penalty if word_penalty is None else word_penalty,
    )


def nbest(
    lattice: Lattice,
    count: int,
    acoustic_scale: float | None = None,
    word_penalty: float | None = None,
) -> list[LatticePath]:
    """List the best word sequences, as Kaldi's lattice-to-nbest does.

    Parameters
    ----------
    lattice : Lattice
    count : int
        Most paths.
    acoustic_scale, word_penalty : float, optional
        Those of the search when absent.

    Returns
    -------
    list of LatticePath
        Distinct word sequences, best first; fewer than `count` where the lattice has no more.
    """
    if not len(lattice.arcs):
        return []
    scales = _scales(lattice, acoustic_scale, word_penalty)
    costs = _costs(lattice.arcs, *scales)
    targets, edges, states = lattice.arcs["target"], _edges(lattice), lattice.num_states
    onward = np.zeros(states)
    for state in range(states - 2, -1, -1):
        part = slice(edges[state], edges[state + 1])
        onward[state] = (costs[part] + onward[targets[part]]).min()
    found: list[LatticePath] = []
    # A*: the cost to the end is known, so that complete paths leave the queue in order
    queue: list[tuple] = [(float(onward[0]), 0, 0.0, 0, None)]
    pushed = 0
    while queue and len(found) < count:
        _, _, spent, state, trace = heapq.heappop(queue)
        if state == states - 1:
            chosen = []
            while trace is not None:
                chosen.append(trace[0])
                trace = trace[1]
            found.append(_path(lattice, chosen[::-1], *scales))
            continue
        for arc in range(edges[state], edges[state + 1]):
            pushed += 1
            cost, target = spent + float(costs[arc]), int(targets[arc])
            heapq.heappush(
                queue, (cost + float(onward[target]), pushed, cost, target, (arc, trace))
            )
    return found


def oracle(
    lattice: Lattice, reference: Sequence[str], utterance: str = "utterance"
) -> tuple[Counts, tuple[str, ...]]:
    """Find the path with the fewest word errors, as Kaldi's lattice-oracle does.

    Parameters
    ----------
    lattice : Lattice
    reference : sequence of str
        What was said.
    utterance : str
        Its name in messages.

    Returns
    -------
    counts : Counts
        Errors of that path.
    words : tuple of str

    Raises
    ------
    DataError
        If the reference has no words.
    """
    if not len(lattice.arcs):
        return count_errors(reference, (), utterance), ()
    label = {word: place for place, word in enumerate(lattice.words)}
    said = np.array([label.get(word, -1) for word in reference], np.int64)
    places = np.arange(len(said) + 1)
    arcs, edges, states = lattice.arcs, _edges(lattice), lattice.num_states
    # distance[state, j]: fewest errors of a path from the state to the end against said[j:]
    distance = np.zeros((states, len(said) + 1), np.int64)
    distance[-1] = places[::-1]
    for state in range(states - 2, -1, -1):
        errors = _arc_errors(arcs[edges[state] : edges[state + 1]], distance, said).min(axis=0)
        skipping = np.minimum.accumulate((errors + places)[::-1])[::-1]
        distance[state] = skipping - places
    words, state, place = [], 0, 0
    while state != states - 1:
        leaving = arcs[edges[state] : edges[state + 1]]
        errors = _arc_errors(leaving, distance, said)
        while errors[:, place].min() != distance[state, place]:
            place += 1
        arc = leaving[errors[:, place].argmin()]
        if arc["word"]:
            words.append(lattice.words[arc["word"]])
            inserted = distance[arc["target"], place] + 1 == errors[:, place].min()
            place += not inserted
        state = int(arc["target"])
    return count_errors(reference, words, utterance), tuple(words)


def _arc_errors(arcs: np.ndarray, distance: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Errors from each arc on, against the reference from each place on: (arcs, places)."""
    spoken = arcs["word"] != 0
    after = distance[arcs["target"]]
    errors = after + spoken[:, None]
    paired = after[:, 1:] + (arcs["word"][:, None] != said)
    errors[:, :-1] = np.where(spoken[:, None], np.minimum(errors[:, :-1], paired), errors[:, :-1])
    return errors
