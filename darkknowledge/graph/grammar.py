"""G: a back-off language model as an acceptor of words."""

import math

import numpy as np

from darkknowledge.errors import DataError
from darkknowledge.graph.arpa import BOS, EOS, NgramModel
from darkknowledge.graph.fst import Fst


def grammar_fst(model: NgramModel, word_ids: dict[str, int], backoff_label: int) -> Fst:
    """Make G as Kaldi's ``arpa2fst --disambig-symbol=#0`` does.

    A state stands for each history that is followed by some word; ``<s>`` leads nowhere but to
    the start state, ``</s>`` becomes final costs, and the step to a shorter history reads
    `backoff_label` and writes nothing.

    Parameters
    ----------
    model : NgramModel
    word_ids : dict
        Label of each word of the model, ``<s>`` and ``</s>`` excepted.
    backoff_label : int
        Label of ``#0``.

    Returns
    -------
    Fst

    Raises
    ------
    DataError
        If the model has a word without a label; Kaldi's arpa2fst would leave out its n-grams.
    """
    lacking = sorted({*model.vocabulary} - {*word_ids, BOS, EOS})
    if lacking:
        some = ", ".join(lacking[:10]) + (", ..." if len(lacking) > 10 else "")
        raise DataError(
            f"{len(lacking)} words of the language model have no label: {some}; "
            "estimate the model with the lexicon's vocabulary"
        )
    bos, eos = model.index[BOS], model.index[EOS]
    nodes = np.arange(1, len(model.prefix))
    nodes = nodes[~((model.word[nodes] == bos) & (model.prefix[nodes] == 0))]
    is_state = np.zeros(len(model.prefix), bool)
    is_state[0] = True
    is_state[model.prefix[nodes]] = True

    # the longest end of each node that is a state, and the back-off cost on the way there
    state_of = np.where(is_state, np.arange(len(model.prefix)), -1)
    skipped = np.zeros(len(model.prefix))
    for node in np.flatnonzero(~is_state):
        shorter = model.suffix[node]
        state_of[node] = state_of[shorter]
        skipped[node] = model.backoff[node] + skipped[shorter]
    number = np.cumsum(is_state) - 1

    words = nodes[model.word[nodes] != eos]
    labels = np.array([word_ids.get(word, 0) for word in model.vocabulary])[model.word[words]]
    histories = np.flatnonzero(is_state)
    start = int(number[state_of[1 + bos]])
    histories = histories[1:]
    shorter = model.suffix[histories]
    scale = -math.log(10)
    final = np.full(int(is_state.sum()), np.inf, np.float32)
    ends = nodes[model.word[nodes] == eos]
    final[number[model.prefix[ends]]] = scale * model.log_probability[ends]
    zeros = np.zeros(len(histories))
    columns = [
        np.concatenate(pair)
        for pair in (
            (number[model.prefix[words]], number[histories]),
            (labels, zeros + backoff_label),
            (labels, zeros),
            (
                scale * (model.log_probability[words] + _lost(words, is_state, skipped)),
                scale * (model.backoff[histories] + _lost(shorter, is_state, skipped)),
            ),
            (number[state_of[words]], number[state_of[shorter]]),
        )
    ]
    order = np.lexsort((columns[1], columns[0]))
    source, ilabel, olabel, weight, target = (column[order] for column in columns)
    return Fst(
        start,
        final,
        source.astype(np.int32),
        ilabel.astype(np.int32),
        olabel.astype(np.int32),
        weight.astype(np.float32),
        target.astype(np.int32),
    )


def _lost(nodes: np.ndarray, is_state: np.ndarray, skipped: np.ndarray) -> np.ndarray:
    """Back-off weight between a node and the state that serves for it."""
    return np.where(is_state[nodes], 0.0, skipped[nodes])
