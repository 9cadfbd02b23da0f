"""H: phones in context replaced by the states of their HMMs."""

import math
from dataclasses import dataclass

import numpy as np

from darkknowledge.errors import DataError
from darkknowledge.graph.fst import Fst

WORD_START = 1
SILENCE_START = 2


@dataclass(frozen=True)
class Labels:
    """What the labels of expanded transitions stand for; index 0 is epsilon.

    A label is a transition out of an HMM state other than its self-loop, as a transition-id of
    Kaldi is.

    Attributes
    ----------
    pdf : int32 array
        Tied state, -1 for epsilon.
    stay : float64 array
        Probability of the self-loop of the HMM state.
    loop_class : int32 array
        Number from 1 of the HMM state (phone, state, pdf), 0 for epsilon.
    boundary : uint8 array
        WORD_START where the first state of a word is entered, SILENCE_START of a silence.
    """

    pdf: np.ndarray
    stay: np.ndarray
    loop_class: np.ndarray
    boundary: np.ndarray


def expand_context(
    fst: Fst, windows: list[list[int]], model, transition_scale: float
) -> tuple[Fst, Labels, int]:
    """Compose H with CLG: an arc per transition between HMM states, self-loops left out.

    Equal to Kaldi's ``make-h-transducer`` and ``fsttablecompose``, the transitions of one window
    to one state shared.

    Parameters
    ----------
    fst : Fst
        CLG; its input labels are places in `windows`.
    windows : list of list of int
        Empty for epsilon, one number not above zero for a disambiguation symbol, else phones.
    model : HmmModel
    transition_scale : float

    Returns
    -------
    fst : Fst
        Input labels as in `labels`, then one label per disambiguation symbol.
    labels : Labels
    first_symbol : int
        The first label of a disambiguation symbol.
    """
    chains: dict[tuple, int] = {}
    chain_of = np.full(len(windows), -1, np.int64)
    plain: dict[int, int] = {}
    symbols: list[int] = []
    used = np.unique(fst.ilabel)
    phone_states: dict[tuple[int, int, int], list[tuple[int, float]]] = {}
    for label in used.tolist():
        window = windows[label]
        if not window:
            plain[label] = 0
        elif len(window) == 1 and window[0] <= 0:
            symbols.append(label)
        else:
            phone = window[model.central_position]
            pdfs = tuple(
                int(model.pdf(tuple(window), state)) for state in range(model.num_states(phone))
            )
            chain_of[label] = chains.setdefault((phone, pdfs), len(chains))

    states: dict[tuple[int, int, int], int] = {}
    pdf, stay, loop_class, boundary = [-1], [0.0], [0], [0]
    transition: dict[tuple[int, int, int, int], int] = {}
    shapes: dict[tuple, list[int]] = {}
    chain_labels: list[list[int]] = []
    chain_costs: list[list[float]] = []
    for chain, ((phone, pdfs), _) in enumerate(chains.items()):
        arcs, labels, costs = [], [], []
        for state, own in enumerate(pdfs):
            key = (phone, state, own)
            if key not in phone_states:
                phone_states[key] = _checked(model, *key)
                states[key] = len(states) + 1
            loop = sum(p for following, p in phone_states[key] if following == state)
            for following, probability in phone_states[key]:
                if following == state or probability <= 0:
                    continue
                label = transition.get((*key, following))
                if label is None:
                    label = transition[(*key, following)] = len(pdf)
                    pdf.append(own)
                    stay.append(loop)
                    loop_class.append(states[key])
                    boundary.append(_boundary(model, phone) if state == 0 else 0)
                arcs.append((state, following))
                labels.append(label)
                costs.append(-transition_scale * math.log(probability / (1 - loop)))
        chain_labels.append(labels)
        chain_costs.append(costs)
        shapes.setdefault((len(pdfs), tuple(arcs)), []).append(chain)

    first_symbol = len(pdf)
    for place, label in enumerate(symbols):
        plain[label] = first_symbol + place

    columns: list[tuple[np.ndarray, ...]] = []
    next_state = fst.num_states
    map_plain = np.full(len(windows), -1, np.int64)
    map_plain[list(plain)] = list(plain.values())
    arcs = np.flatnonzero(map_plain[fst.ilabel] >= 0)
    columns.append(
        (
            fst.source[arcs],
            fst.target[arcs],
            map_plain[fst.ilabel[arcs]],
            fst.olabel[arcs],
            fst.weight[arcs],
        )
    )
    chain_of_arc = chain_of[fst.ilabel]
    for (size, shape), members in shapes.items():
        if any(following == 0 for _, following in shape):
            raise DataError(
                "a topology returns to its first state from another one; "
                "give the phone a first state that only its self-loop leads back to"
            )
        row = np.full(len(chains), -1, np.int64)
        row[members] = np.arange(len(members))
        labels = np.array([chain_labels[c] for c in members])
        costs = np.array([chain_costs[c] for c in members])
        arcs = np.flatnonzero((chain_of_arc >= 0) & (row[chain_of_arc] >= 0))
        chain, target = row[chain_of_arc[arcs]], fst.target[arcs]
        pairs, inverse = np.unique(chain * fst.num_states + target, return_inverse=True)
        pair_chain, pair_target = pairs // fst.num_states, pairs % fst.num_states
        base = next_state + np.arange(len(pairs)) * (size - 1)
        next_state += len(pairs) * (size - 1)
        for place, (state, following) in enumerate(shape):
            if state == 0:
                goal = target if following == size else base[inverse] + following - 1
                columns.append(
                    (
                        fst.source[arcs],
                        goal,
                        labels[chain, place],
                        fst.olabel[arcs],
                        fst.weight[arcs] + costs[chain, place],
                    )
                )
            else:
                goal = pair_target if following == size else base + following - 1
                columns.append(
                    (
                        base + state - 1,
                        goal,
                        labels[pair_chain, place],
                        np.zeros(len(pairs)),
                        costs[pair_chain, place],
                    )
                )
    source, target, ilabel, olabel, weight = (
        np.concatenate(parts) for parts in zip(*columns, strict=True)
    )
    order = np.lexsort((olabel, ilabel, source))
    final = np.full(next_state, np.inf, np.float32)
    final[: fst.num_states] = fst.final
    expanded = Fst(
        fst.start,
        final,
        source[order].astype(np.int32),
        ilabel[order].astype(np.int32),
        olabel[order].astype(np.int32),
        weight[order].astype(np.float32),
        target[order].astype(np.int32),
    )
    table = Labels(
        np.array(pdf, np.int32),
        np.array(stay),
        np.array(loop_class, np.int32),
        np.array(boundary, np.uint8),
    )
    return expanded, table, first_symbol


def _checked(model, phone: int, state: int, pdf: int) -> list[tuple[int, float]]:
    found = [(int(n), float(p)) for n, p in model.transitions(phone, state, pdf)]
    total = sum(p for _, p in found)
    stay = sum(p for following, p in found if following == state)
    if abs(total - 1) > 1e-3 or stay >= 1:
        raise DataError(
            f"transitions of phone {model.phones.name(phone)} state {state} pdf {pdf} are {found}; "
            "expected probabilities that sum to one with a way out; train the model again"
        )
    return found


def _boundary(model, phone: int) -> int:
    phones = model.phones
    if phone == phones.silence_phone:
        return SILENCE_START
    return WORD_START if phones.position(phone) in ("B", "S", "") else 0


def add_self_loops(fst: Fst, labels: Labels, scale: float) -> tuple[Fst, np.ndarray]:
    """Add the self-loops of HMM states after the transitions out of them.

    Kaldi's ``add-self-loops --reorder=true``: a state of the graph that transitions out of
    several HMM states lead to is divided, the parts joined to it by epsilons; then it gets the
    self-loop of the HMM state just left, with cost -scale log p(stay), and what leaves it costs
    -scale log(1 - p(stay)) more.

    Parameters
    ----------
    fst : Fst
        Input labels as in `labels`.
    labels : Labels
    scale : float

    Returns
    -------
    fst : Fst
        Input labels pdf + 1; arcs sorted by source.
    boundary : uint8 array (A,)
        WORD_START, SILENCE_START or 0 of each arc.
    """
    kinds = int(labels.loop_class.max()) + 1
    kind = labels.loop_class[fst.ilabel]
    entered = fst.target.astype(np.int64) * kinds + kind
    pairs = np.unique(np.concatenate([[fst.start * kinds], entered]))
    pair_state, pair_kind = np.divmod(pairs, kinds)
    several = np.bincount(pair_state, minlength=fst.num_states) > 1

    # a state that one kind of arc enters carries the loop itself; the others are divided
    carried = np.zeros(fst.num_states, np.int64)
    alone = ~several[pair_state]
    carried[pair_state[alone]] = pair_kind[alone]
    split = ~alone & (pair_kind > 0)
    part = np.full(len(pairs), -1, np.int64)
    part[split] = parts = fst.num_states + np.arange(split.sum())
    carried = np.concatenate([carried, pair_kind[split]])
    target = fst.target.astype(np.int64)
    moved = several[fst.target] & (kind > 0)
    target[moved] = part[np.searchsorted(pairs, entered[moved])]

    of_class = np.zeros(kinds, np.int64)
    of_class[labels.loop_class[::-1]] = np.arange(len(labels.loop_class))[::-1]
    stay = np.where(carried > 0, labels.stay[of_class[carried]], 0.0)
    leave = -scale * np.log1p(-stay)
    final = np.concatenate([fst.final, np.full(len(parts), np.inf)]) + leave

    looping = np.flatnonzero(stay > 0)
    loop_offset = len(labels.pdf)
    none = np.zeros(len(parts), np.int64)
    no_words = np.zeros(len(looping), np.int64)
    loop_labels = loop_offset + of_class[carried[looping]]
    loop_costs = -scale * np.log(stay[looping])
    source, target, ilabel, olabel, weight = (
        np.concatenate(column)
        for column in (
            (fst.source, parts, looping),
            (target, pair_state[split], looping),
            (fst.ilabel, none, loop_labels),
            (fst.olabel, none, no_words),
            (fst.weight + leave[fst.source], leave[parts], loop_costs),
        )
    )
    order = np.lexsort((target, olabel, ilabel, source))
    loops, label = np.divmod(ilabel[order], loop_offset)
    graph = Fst(
        fst.start,
        final.astype(np.float32),
        source[order].astype(np.int32),
        labels.pdf[label] + 1,
        olabel[order].astype(np.int32),
        weight[order].astype(np.float32),
        target[order].astype(np.int32),
    )
    return graph, np.where(loops, 0, labels.boundary[label]).astype(np.uint8)
