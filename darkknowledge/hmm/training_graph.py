"""Training graphs: all ways in which the phones of a transcript can follow each other."""

import itertools
import math
import os
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

import kaldifst
import numpy as np

from darkknowledge.hmm.model import HmmModel
from darkknowledge.hmm.phones import Lexicon, PhoneTable


@dataclass
class PhoneGraph:
    """Phones in context and how they follow each other in one utterance.

    Attributes
    ----------
    windows : int64 (M, width)
        Window of each node; silence phones carry no context.
    edges : int64 (E, 2)
        Pairs of nodes, from and to.
    edge_costs : float (E,)
    first, last : int64
        Nodes that may begin and end the utterance.
    first_costs, last_costs : float
    """

    windows: np.ndarray
    edges: np.ndarray
    edge_costs: np.ndarray
    first: np.ndarray
    first_costs: np.ndarray
    last: np.ndarray
    last_costs: np.ndarray


def phone_graph(
    pronunciations: list[list[tuple[int, ...]]],
    phones: PhoneTable,
    width: int,
    silence_probability: float,
) -> PhoneGraph:
    """All pronunciations of a word sequence with optional silence around every word.

    Parameters
    ----------
    pronunciations : list over words of list of tuples of phones
    phones : PhoneTable
    width : {1, 3}
        Phones in a window.
    silence_probability : float
        Of silence at the start and after each word, as in Kaldi's lexicon transducer.

    Returns
    -------
    PhoneGraph
    """
    silence = phones.silence_phone
    free = set(phones.silence) if width == 3 else None
    with_silence = -math.log(silence_probability)
    without = -math.log(1 - silence_probability)
    labels: list[int] = []
    follow: list[list[tuple[int, float]]] = []
    before: list[list[int]] = []

    def add(label: int) -> int:
        labels.append(label)
        follow.append([])
        before.append([])
        return len(labels) - 1

    def link(source: int, target: int, cost: float) -> None:
        follow[source].append((target, cost))
        before[target].append(source)

    first: list[tuple[int, float]] = []
    ends: list[tuple[int, float]] = []
    for number, variants in enumerate([None, *pronunciations]):
        closing = []
        if number:
            starts = []
            for variant in variants:
                chain = [add(phone) for phone in variant]
                for one, other in itertools.pairwise(chain):
                    link(one, other, 0.0)
                starts.append(chain[0])
                closing.append(chain[-1])
            for start in starts:
                for end, cost in ends:
                    link(end, start, cost)
                if number == 1:
                    first.append((start, without))
        pause = add(silence)
        if number == 0:
            first.append((pause, with_silence))
            ends = [(pause, 0.0)]
        else:
            for end in closing:
                link(end, pause, with_silence)
            ends = [(end, without) for end in closing] + [(pause, 0.0)]
    last = ends

    beginning = {node for node, _ in first}
    ending = {node for node, _ in last}
    copies: list[dict[tuple[int, int], int]] = []
    windows: list[tuple[int, ...]] = []
    for node, label in enumerate(labels):
        own: dict[tuple[int, int], int] = {}
        if free is None or label in free:
            own[0, 0] = len(windows)
            windows.append((label,) if free is None else (0, label, 0))
        else:
            lefts = {labels[other] for other in before[node]}
            rights = {labels[other] for other, _ in follow[node]}
            lefts |= {0} if node in beginning else set()
            rights |= {0} if node in ending else set()
            for left, right in itertools.product(sorted(lefts), sorted(rights)):
                own[left, right] = len(windows)
                windows.append((left, label, right))
        copies.append(own)

    def matching(node: int, left: int | None = None, right: int | None = None) -> list[int]:
        own = copies[node]
        if free is None or labels[node] in free:
            return list(own.values())
        return [
            copy
            for (one, other), copy in own.items()
            if (left is None or one == left) and (right is None or other == right)
        ]

    edges, costs = [], []
    for node, following in enumerate(follow):
        for other, cost in following:
            for source in matching(node, right=labels[other]):
                for target in matching(other, left=labels[node]):
                    edges.append((source, target))
                    costs.append(cost)
    starts = [(copy, cost) for node, cost in first for copy in matching(node, left=0)]
    finals = [(copy, cost) for node, cost in last for copy in matching(node, right=0)]
    return PhoneGraph(
        np.array(windows, dtype=np.int64),
        np.array(edges, dtype=np.int64).reshape(-1, 2),
        np.array(costs, dtype=np.float32),
        np.array([node for node, _ in starts], dtype=np.int64),
        np.array([cost for _, cost in starts], dtype=np.float32),
        np.array([node for node, _ in finals], dtype=np.int64),
        np.array([cost for _, cost in finals], dtype=np.float32),
    )


@dataclass
class TrainingGraph:
    """An utterance's graph for the decoder.

    Attributes
    ----------
    fst : kaldifst.StdVectorFst
        Input label ``j + 1`` stands for ``transitions[j]``.
    transitions : int64 (C,)
        Distinct transitions (from 0), sorted.
    pdfs : int64 (P,)
        Distinct pdfs, sorted.
    pdf_column : int64 (C,)
        Place in ``pdfs`` of each transition's pdf.
    """

    fst: kaldifst.StdVectorFst
    transitions: np.ndarray
    pdfs: np.ndarray
    pdf_column: np.ndarray


def compile_training_graph(graph: PhoneGraph, model: HmmModel) -> TrainingGraph:
    """Replace each phone in context by its HMM states.

    An arc consumes one frame in its source state, as in Kaldi; transition probabilities are not
    in the graph but are added to the likelihoods, so that it serves a whole stage.
    """
    phone = graph.windows[:, model.central_position]
    sizes = model.states_of_phone[phone]
    base = 1 + np.concatenate([[0], np.cumsum(sizes)])  # state 0 is the start
    final = int(base[-1])
    node = np.repeat(np.arange(len(phone)), sizes)
    state = np.arange(len(node)) - (base[:-1] - 1)[node]
    pdf = model.pdfs(graph.windows[node], state)
    owner = model.tuple_index(phone[node], state, pdf)

    first = model.transition_offsets[owner]
    ways = model.transition_offsets[owner + 1] - first
    source = np.repeat(np.arange(len(node)), ways)
    label = np.arange(len(source)) - (np.cumsum(ways) - ways)[source] + first[source]
    target = model.transition_target[label]
    leaving = target == sizes[node[source]]

    inner = ~leaving
    arcs = [(source[inner], label[inner], base[node[source[inner]]] + target[inner], None)]
    out = np.flatnonzero(leaving)
    # each node has exactly one way out: from its last state
    exit_of = np.empty(len(phone), dtype=np.int64)
    exit_of[node[source[out]]] = out
    through = exit_of[graph.edges[:, 0]]
    arcs.append((source[through], label[through], base[graph.edges[:, 1]], graph.edge_costs))
    through = exit_of[graph.last]
    arcs.append(
        (source[through], label[through], np.full(len(graph.last), final), graph.last_costs)
    )
    sources = np.concatenate([1 + part[0] for part in arcs])
    labels = np.concatenate([part[1] for part in arcs])
    targets = np.concatenate([part[2] for part in arcs])
    costs = np.concatenate(
        [np.zeros(len(s), np.float32) if c is None else c for s, _, _, c in arcs]
    )
    transitions, column = np.unique(labels, return_inverse=True)
    pdfs, pdf_column = np.unique(model.transition_pdf[transitions], return_inverse=True)
    fst = make_fst(
        np.concatenate([np.zeros(len(graph.first), np.int64), sources]),
        np.concatenate([np.zeros(len(graph.first), np.int64), column + 1]),
        np.concatenate([base[graph.first], targets]),
        np.concatenate([graph.first_costs, costs]),
        final,
    )
    return TrainingGraph(fst, transitions, pdfs.astype(np.int64), pdf_column)


_HEADER = struct.pack("<ii6si8sii", 2125659606, 6, b"vector", 8, b"standard", 2, 0)
_EXPANDED_MUTABLE = 3


def make_fst(
    source: np.ndarray, label: np.ndarray, target: np.ndarray, cost: np.ndarray, final: int
) -> kaldifst.StdVectorFst:
    """Make an acceptor of whole arrays, by way of OpenFst's binary format.

    Parameters
    ----------
    source, label, target : int (A,)
        Arcs; the start is state 0.
    cost : float32 (A,)
    final : int
        The last and only final state.

    Returns
    -------
    kaldifst.StdVectorFst
    """
    order = np.argsort(source, kind="stable")
    source = source[order]
    counts = np.bincount(source, minlength=final + 1)
    words = 3 + 4 * counts
    begin = np.cumsum(words) - words
    body = np.zeros(int(words.sum()), dtype="<i4")
    body[begin] = np.array([np.inf], dtype="<f4").view("<i4")
    body[begin[final]] = 0
    body[begin + 1] = counts
    rank = np.arange(len(source)) - (np.cumsum(counts) - counts)[source]
    place = begin[source] + 3 + 4 * rank
    body[place] = label[order]
    body[place + 1] = label[order]
    body[place + 2] = cost[order].astype("<f4").view("<i4")
    body[place + 3] = target[order]
    header = _HEADER + struct.pack("<Qqqq", _EXPANDED_MUTABLE, 0, final + 1, len(source))
    with tempfile.NamedTemporaryFile(dir=_memory_folder(), suffix=".fst") as file:
        file.write(header + body.tobytes())
        file.flush()
        return kaldifst.StdVectorFst.read(file.name)


def _memory_folder() -> str | None:
    shared = Path("/dev/shm")
    return str(shared) if os.access(shared, os.W_OK) else None


def utterance_pronunciations(
    words: list[str], lexicon: Lexicon, phones: PhoneTable
) -> list[list[tuple[int, ...]]]:
    """Pronunciations of each word as phones with positions; unknown words become ``<UNK>``."""
    return [
        [phones.positioned(variant) for variant in lexicon.pronunciations(word)] for word in words
    ]
