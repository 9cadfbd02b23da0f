"""Tiny models for the tests of the hmm room."""

import numpy as np

from darkknowledge.hmm.model import HmmModel, Mixtures, Transform
from darkknowledge.hmm.phones import Lexicon, PhoneTable
from darkknowledge.hmm.tree import TreeBuilder, monophone_tree

LEXICON = Lexicon({"A": [("X",), ("Y", "Z")], "B": [("Z", "X", "Y")]})
SIZE = 3


def tiny_model(seed=0, width=1):
    generator = np.random.default_rng(seed)
    phones = PhoneTable.from_lexicon(LEXICON)
    states = {p: 5 if p in phones.silence else 3 for p in range(1, len(phones) + 1)}
    tree = monophone_tree(phones, states)
    if width == 3:
        tree = _context_tree(phones, states)
    pdfs = tree.num_pdfs
    mixtures = Mixtures(
        np.arange(pdfs + 1),
        np.ones(pdfs, np.float32),
        generator.normal(scale=4, size=(pdfs, SIZE)).astype(np.float32),
        np.ones((pdfs, SIZE), np.float32),
    )
    return HmmModel(phones, tree, mixtures, Transform())


def _context_tree(phones, states):
    """As the monophone tree, but the first speech state asks whether silence is on the left."""
    builder = TreeBuilder(len(phones) + 1)
    roots = np.full(len(phones) + 1, -1)
    pdf = 0

    def leaf(node):
        nonlocal pdf
        builder.nodes[node][4] = pdf
        pdf += 1

    for members in phones.sets:
        node = builder.add()
        roots[members] = node
        for state in range(states[members[0]] - 1):
            tip, node = builder.split(node, -1, np.arange(state + 1))
            if state == 0 and members[0] not in phones.silence:
                for end in builder.split(tip, 0, np.array(phones.silence)):
                    leaf(end)
            else:
                leaf(tip)
        leaf(node)
    return builder.finish(3, 1, roots)
