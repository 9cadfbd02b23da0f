"""Local removal of epsilon arcs that leaves a graph no larger than it was."""

from dataclasses import replace

import numpy as np

from darkknowledge.graph.fst import Fst, connected

WORTH = 0.999  # a round that leaves more of the arcs than this is the last


def remove_symbols(fst: Fst, first_symbol: int) -> Fst:
    """Turn input labels from `first_symbol` upwards into epsilon, as Kaldi's fstrmsymbols."""
    return replace(fst, ilabel=np.where(fst.ilabel >= first_symbol, 0, fst.ilabel))


def remove_epsilons_locally(fst: Fst) -> Fst:
    """Join arcs around states that only one arc leaves or enters, where one of two is epsilon.

    Does what Kaldi's ``fstrmepslocal`` does, in rounds over the whole graph. Back-off arcs stay,
    for removing them would multiply arcs.

    Parameters
    ----------
    fst : Fst

    Returns
    -------
    Fst
        Equivalent, connected, not larger.
    """
    while True:
        before = fst.num_arcs
        fst = connected(_skip_single_exits(fst))
        fst = connected(_lift_single_entries(fst))
        if fst.num_arcs > WORTH * before:
            return fst


def _skip_single_exits(fst: Fst) -> Fst:
    """Lead arcs past states whose only way on is one arc that can join them."""
    exits = np.bincount(fst.source, minlength=fst.num_states)
    single = (exits == 1) & ~np.isfinite(fst.final)
    only = np.zeros(fst.num_states, np.int64)
    only[fst.source] = np.arange(fst.num_arcs)
    after = only[fst.target]
    # one of a chain of such states at a time: an arc is not joined with one that is joined too
    joined = (
        single[fst.target]
        & (fst.target[after] != fst.target)
        & ((fst.ilabel == 0) | (fst.ilabel[after] == 0))
        & ((fst.olabel == 0) | (fst.olabel[after] == 0))
    )
    joined &= ~joined[after]
    return replace(
        fst,
        ilabel=np.where(joined, fst.ilabel + fst.ilabel[after], fst.ilabel),
        olabel=np.where(joined, fst.olabel + fst.olabel[after], fst.olabel),
        weight=np.where(joined, fst.weight + fst.weight[after], fst.weight),
        target=np.where(joined, fst.target[after], fst.target),
    )


def _lift_single_entries(fst: Fst) -> Fst:
    """Give the arcs of a state that one epsilon arc alone leads to to the state before it."""
    entries = np.bincount(fst.target, minlength=fst.num_states)
    entries[fst.start] += 1
    lifted = (
        (fst.ilabel == 0)
        & (fst.olabel == 0)
        & (entries[fst.target] == 1)
        & ~(np.isfinite(fst.final[fst.target]) & np.isfinite(fst.final[fst.source]))
    )
    lifted &= fst.source != fst.target
    # not two in a row, and not two final states into one
    moved = np.zeros(fst.num_states, bool)
    moved[fst.target[lifted]] = True
    lifted &= ~moved[fst.source]
    gives = lifted & np.isfinite(fst.final[fst.target])
    _, first = np.unique(fst.source[gives], return_index=True)
    lifted[np.delete(np.flatnonzero(gives), first)] = False

    home = np.arange(fst.num_states)
    home[fst.target[lifted]] = fst.source[lifted]
    cost = np.zeros(fst.num_states, np.float32)
    cost[fst.target[lifted]] = fst.weight[lifted]
    final = fst.final.copy()
    ends = lifted & np.isfinite(fst.final[fst.target])
    final[fst.source[ends]] = fst.weight[ends] + fst.final[fst.target[ends]]
    final[fst.target[lifted]] = np.inf
    result = replace(
        fst,
        final=final,
        source=home[fst.source].astype(np.int32),
        weight=fst.weight + cost[fst.source],
    ).take(~lifted)
    return result.take(np.argsort(result.source, kind="stable"))
