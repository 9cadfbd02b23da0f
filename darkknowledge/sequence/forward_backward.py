"""Sums over all paths of lattices, in the log semiring, and expectations under them."""

from dataclasses import dataclass

import numpy as np

from darkknowledge.sequence.lattices import LatticeBatch


@dataclass(frozen=True)
class PathSums:
    """What the paths of each utterance of a batch sum up to.

    Attributes
    ----------
    total : float64 array (U,)
        Logarithm of the sum of the paths' weights.
    posterior : float64 array (A,)
        Share of the paths that take an arc.
    expected : float64 array (U,)
        Mean of the paths' sums of gains.
    excess : float64 array (A,)
        By how much the paths through an arc gain more than all, on the mean.
    """

    total: np.ndarray
    posterior: np.ndarray
    expected: np.ndarray
    excess: np.ndarray


def sum_paths(batch: LatticeBatch, weight: np.ndarray, gain: np.ndarray) -> PathSums:
    """Sum over the paths of each lattice of a batch (Kaldi's LatticeForwardBackwardMpeVariants).

    Parameters
    ----------
    batch : LatticeBatch
    weight : float array (A,)
        Logarithm of each arc's weight; a path's weight is the product of its arcs'.
    gain : float array (A,)
        What each arc adds to the gain of a path.

    Returns
    -------
    PathSums
    """
    logsum, mean = _pass(batch, weight, gain)
    ahead, behind = np.split(logsum, 2)
    gained, coming = np.split(mean, 2)
    total, expected = ahead[batch.last], gained[batch.last]
    source, target, utterance = batch.source, batch.target, batch.utterance
    posterior = np.exp(ahead[source] + weight + behind[target] - total[utterance])
    excess = gained[source] + gain + coming[target] - expected[utterance]
    return PathSums(total, posterior, expected, excess)


def _pass(
    batch: LatticeBatch, weight: np.ndarray, gain: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum weights, and average gains, from either end to every state, level by level."""
    order, near = batch.both.order, batch.near
    weight, gain = np.tile(weight, 2)[order], np.tile(gain, 2)[order]
    logsum = np.full(2 * batch.num_states, -np.inf)
    mean = np.zeros(2 * batch.num_states)
    logsum[batch.first] = 0.0
    logsum[batch.last + batch.num_states] = 0.0
    for part, heads, owner, states in batch.both.levels:
        before = near[part]
        value = logsum[before] + weight[part]
        highest = np.maximum.reduceat(value, heads)
        share = np.exp(value - highest[owner])
        mass = np.add.reduceat(share, heads)
        logsum[states] = highest + np.log(mass)
        mean[states] = np.add.reduceat(share * (mean[before] + gain[part]), heads) / mass
    return logsum, mean
