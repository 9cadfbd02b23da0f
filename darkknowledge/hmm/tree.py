"""The state-tying tree: from a window of phones and an HMM state to a pdf."""

from dataclasses import dataclass

import numpy as np

from darkknowledge.hmm.phones import PhoneTable

STATE_KEY = -1
LEAF = -2


@dataclass
class Tree:
    """A forest of binary questions, one root per phone set.

    Attributes
    ----------
    width, central : int
        Phones in the window and the place of the modelled one: 1, 0 or 3, 1.
    roots : int32 (P + 1,)
        Root node of each central phone; row 0 (``<eps>``) is -1.
    key : int32 (nodes,)
        What is asked: a place in the window, ``STATE_KEY`` for the HMM state, ``LEAF``.
    question : bool (nodes, V)
        Values (phones or states) for which the answer is yes.
    yes, no : int32 (nodes,)
        The next node.
    pdf : int32 (nodes,)
        The pdf of a leaf, else -1.
    """

    width: int
    central: int
    roots: np.ndarray
    key: np.ndarray
    question: np.ndarray
    yes: np.ndarray
    no: np.ndarray
    pdf: np.ndarray

    @property
    def num_pdfs(self) -> int:
        """Number of tied states."""
        return int(self.pdf.max()) + 1

    def check(self, phones: int, states: int) -> None:
        """Raise ValueError where arrays are no forest for so many phones and HMM states."""
        if (self.width, self.central) not in ((1, 0), (3, 1)):
            raise ValueError(f"a tree of windows of {self.width}")
        arrays = self.key, self.yes, self.no, self.pdf
        size = len(self.key)
        if {a.shape for a in arrays} != {(size,)} or self.roots.shape != (phones + 1,):
            raise ValueError("a tree whose arrays differ in length")
        if {a.dtype for a in (*arrays, self.roots)} != {np.dtype(np.int32)}:
            raise ValueError("a tree of other numbers than int32")
        if len(self.question) != size or self.question.shape[1] < max(phones + 1, states):
            raise ValueError(f"a tree with questions of shape {self.question.shape}")
        inner = np.flatnonzero(self.key != LEAF)
        below = np.concatenate([self.yes[inner], self.no[inner]])
        if not (
            (self.key[inner] >= STATE_KEY).all()
            and (self.key[inner] < self.width).all()
            and (below > np.tile(inner, 2)).all()
            and (below < size).all()
            and len(np.unique(below)) == len(below)
            and (self.roots[1:] >= 0).all()
            and (self.roots[1:] < size).all()
            and (self.pdf[self.key == LEAF] >= 0).all()
        ):
            raise ValueError("a tree whose questions lead nowhere")

    def pdfs(self, windows: np.ndarray, states: np.ndarray) -> np.ndarray:
        """Look up many windows at once.

        Parameters
        ----------
        windows : int (M, width)
            Phones, 0 outside the utterance.
        states : int (M,)
            HMM states.

        Returns
        -------
        int32 (M,)
        """
        windows = np.asarray(windows, dtype=np.int64).reshape(-1, self.width)
        columns = np.concatenate([windows, np.asarray(states, np.int64).reshape(-1, 1)], axis=1)
        node = self.roots[windows[:, self.central]].astype(np.int64)
        while True:
            asked = self.key[node]
            active = np.flatnonzero(asked != LEAF)
            if active.size == 0:
                return self.pdf[node]
            here = node[active]
            values = columns[active, asked[active]]  # STATE_KEY = -1 is the last column
            answer = self.question[here, values]
            node[active] = np.where(answer, self.yes[here], self.no[here])

    def reachable(self, phones: PhoneTable, num_states: dict[int, int]) -> list[tuple]:
        """All (phone, state, pdf) that some context can reach, sorted.

        These are Kaldi's transition-model tuples; their order numbers the transitions.
        """
        found = set()
        everything = np.ones(len(phones) + 1, dtype=bool)
        for phone in range(1, len(phones) + 1):
            for state in range(num_states[phone]):
                allowed = [everything.copy() for _ in range(self.width)]
                allowed[self.central][:] = False
                allowed[self.central][phone] = True
                stack = [(int(self.roots[phone]), allowed)]
                while stack:
                    node, sets = stack.pop()
                    key = int(self.key[node])
                    if key == LEAF:
                        found.add((phone, state, int(self.pdf[node])))
                        continue
                    if key == STATE_KEY:
                        branch = self.yes if self.question[node, state] else self.no
                        stack.append((int(branch[node]), sets))
                        continue
                    mask = self.question[node, : len(phones) + 1]
                    for child, part in ((self.yes, mask), (self.no, ~mask)):
                        narrowed = sets[key] & part
                        if narrowed.any():
                            following = list(sets)
                            following[key] = narrowed
                            stack.append((int(child[node]), following))
        return sorted(found)


class TreeBuilder:
    """Nodes of a tree under construction."""

    def __init__(self, num_values: int):
        self.num_values = num_values
        self.nodes: list[list] = []

    def add(self) -> int:
        """Add a leaf without pdf and return its number."""
        self.nodes.append([LEAF, np.zeros(self.num_values, dtype=bool), -1, -1, -1])
        return len(self.nodes) - 1

    def split(self, node: int, key: int, values: np.ndarray) -> tuple[int, int]:
        """Ask a question at a leaf; return the leaves of yes and no."""
        yes, no = self.add(), self.add()
        mask = np.zeros(self.num_values, dtype=bool)
        mask[np.asarray(values, dtype=np.int64)] = True
        self.nodes[node][:4] = [key, mask, yes, no]
        return yes, no

    def finish(self, width: int, central: int, roots: np.ndarray) -> Tree:
        """Make the tree; pdfs stand in the nodes' last field."""
        keys, questions, yes, no, pdf = zip(*self.nodes, strict=True)
        return Tree(
            width,
            central,
            np.asarray(roots, dtype=np.int32),
            np.asarray(keys, dtype=np.int32),
            np.stack(questions),
            np.asarray(yes, dtype=np.int32),
            np.asarray(no, dtype=np.int32),
            np.asarray(pdf, dtype=np.int32),
        )


def monophone_tree(phones: PhoneTable, num_states: dict[int, int]) -> Tree:
    """The tree without context: one pdf per base phone (or silence phone) and state."""
    builder = TreeBuilder(max(len(phones) + 1, max(num_states.values())))
    roots = np.full(len(phones) + 1, -1)
    pdf = 0
    for members in phones.sets:
        node = builder.add()
        roots[members] = node
        for state in range(num_states[members[0]]):
            if state < num_states[members[0]] - 1:
                leaf, node = builder.split(node, STATE_KEY, np.arange(state + 1))
            else:
                leaf = node
            builder.nodes[leaf][4] = pdf
            pdf += 1
    return builder.finish(1, 0, roots)
