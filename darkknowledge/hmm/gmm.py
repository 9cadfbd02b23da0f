"""Diagonal Gaussian mixtures: statistics, estimation and splitting."""

import heapq
from dataclasses import dataclass

import numpy as np
import torch

from darkknowledge.errors import TrainingError
from darkknowledge.hmm.model import NEGLIGIBLE, Mixtures
from darkknowledge.hmm.options import EstimationOptions


@dataclass
class Statistics:
    """Sums of one E-step.

    Attributes
    ----------
    sums : float64 (G, 1 + 2 D)
        Per Gaussian: occupancy, sum of x, sum of x², weighted by its posterior.
    transitions : int64 (transitions,)
        Frames of each transition.
    log_likelihood : float
        Of all frames given their pdfs.
    frames : int
    """

    sums: np.ndarray
    transitions: np.ndarray
    log_likelihood: float
    frames: int

    def __iadd__(self, other: "Statistics") -> "Statistics":
        self.sums += other.sums
        self.transitions += other.transitions
        self.log_likelihood += other.log_likelihood
        self.frames += other.frames
        return self


class SortedFrames:
    """The frames of many utterances, sorted by pdf, ready for E-steps.

    Parameters
    ----------
    features : float32 (N, D)
    pdfs : int (N,)
    """

    def __init__(self, features: torch.Tensor, pdfs: np.ndarray):
        self.order = order = np.argsort(pdfs, kind="stable")
        ordered = pdfs[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        self.pdfs = ordered[starts].tolist()
        self.bounds = [*starts.tolist(), len(ordered)]
        chosen = features[torch.from_numpy(order)]
        self.extended = torch.cat([chosen, chosen * chosen], dim=1)  # (N, 2 D)

    def segments(self, mixtures: Mixtures, natural=None):
        """Posteriors of the Gaussians of each pdf present.

        Yields
        ------
        first, last : int
            Rows of the pdf's Gaussians.
        frames : float32 (n, 2 D)
            ``[x, x²]``.
        posteriors : float32 (n, g)
        log_likelihoods : float32 (n,)
        """
        constants, linear = natural if natural is not None else mixtures.natural()
        offsets = mixtures.offsets.tolist()
        for place, pdf in enumerate(self.pdfs):
            frames = self.extended[self.bounds[place] : self.bounds[place + 1]]
            first, last = offsets[pdf], offsets[pdf + 1]
            scores = torch.addmm(constants[first:last], frames, linear[first:last].T)
            highest = scores.amax(1, keepdim=True)
            scores.sub_(highest).clamp_(min=NEGLIGIBLE).exp_()
            total = scores.sum(1, keepdim=True)
            scores /= total
            yield first, last, frames, scores, total.log_().add_(highest).squeeze(1)

    def accumulate(
        self, mixtures: Mixtures, natural=None, others: torch.Tensor | None = None
    ) -> tuple[np.ndarray, float]:
        """E-step.

        Parameters
        ----------
        mixtures : Mixtures
        natural : tuple, optional
            The result of :meth:`Mixtures.natural`.
        others : float32 (N, D), optional
            Other features of the same frames, in the order before sorting, of which the sums
            are taken (Kaldi's gmm-acc-stats-twofeats).

        Returns
        -------
        sums : float32 (G, 1 + 2 D)
        log_likelihood : float
        """
        sums = torch.zeros(mixtures.num_gaussians, 1 + 2 * mixtures.dimension)
        total = 0.0
        if others is not None:
            chosen = others[torch.from_numpy(self.order)]
            others = torch.cat([chosen, chosen * chosen], dim=1)
        place = 0
        for first, last, frames, posteriors, scores in self.segments(mixtures, natural):
            sums[first:last, 0] = posteriors.sum(0)
            if others is not None:
                frames = others[place : place + len(frames)]
                place += len(frames)
            torch.mm(posteriors.T, frames, out=sums[first:last, 1:])
            total += float(scores.sum(dtype=torch.float64))
        return sums.numpy(), total


def estimate(
    mixtures: Mixtures,
    sums: np.ndarray,
    options: EstimationOptions,
    minimum_occupancy=None,
    removal: bool = True,
) -> tuple[Mixtures, dict[str, int]]:
    """M-step, as Kaldi's MleDiagGmmUpdate with removal of rare Gaussians.

    Parameters
    ----------
    mixtures : Mixtures
        The present values, kept where a pdf has no frames.
    sums : float64 (G, 1 + 2 D)
        As in :class:`Statistics`.
    options : EstimationOptions
    minimum_occupancy : float, optional
        In place of that of the options.
    removal : bool
        Whether rare Gaussians are removed or only keep their values.

    Returns
    -------
    Mixtures
    dict
        Numbers of ``floored`` variances, ``removed`` Gaussians and ``unseen`` pdfs.
    """
    if minimum_occupancy is None:
        minimum_occupancy = options.minimum_occupancy
    occupancy = sums[:, 0]
    starts = mixtures.offsets[:-1]
    counts = mixtures.counts
    owner = np.repeat(np.arange(mixtures.num_pdfs), counts)
    total = np.add.reduceat(occupancy, starts)
    seen = total > 0
    share = np.where(seen[owner], occupancy / np.where(seen, total, 1)[owner], 1 / counts[owner])
    update = (occupancy > minimum_occupancy) & (share > options.minimum_weight)
    keep = update.copy() if removal else np.ones_like(update)
    # the best Gaussian of a pdf stays, with its values, where none is well seen
    alone = np.flatnonzero(np.add.reduceat(update, starts) == 0)
    for pdf in alone:
        first = starts[pdf]
        keep[first + np.argmax(share[first : first + counts[pdf]])] = True
    safe = np.where(update, occupancy, 1)[:, None]
    dimension = mixtures.dimension
    mean = np.where(update[:, None], sums[:, 1 : 1 + dimension] / safe, mixtures.means)
    variance = sums[:, 1 + dimension :] / safe - mean**2
    low = (variance < options.variance_floor) & update[:, None]
    variance = np.where(
        update[:, None], np.maximum(variance, options.variance_floor), mixtures.variances
    )
    weight = np.maximum(share, options.minimum_weight)[keep]
    offsets = np.concatenate([[0], np.cumsum(np.add.reduceat(keep.astype(np.int64), starts))])
    weight /= np.add.reduceat(weight, offsets[:-1])[owner[keep]]
    result = Mixtures(
        offsets,
        weight.astype(np.float32),
        mean[keep].astype(np.float32),
        variance[keep].astype(np.float32),
    )
    if not (np.isfinite(result.means).all() and np.isfinite(result.variances).all()):
        raise TrainingError("a mean or variance is no longer a number; look at the features")
    report = {
        "floored": int(low.sum()),
        "removed": int((~keep).sum()),
        "unseen": int((~seen).sum()),
    }
    return result, report


def split_targets(
    occupancy: np.ndarray, gaussians: int, power: float, minimum: float
) -> np.ndarray:
    """Gaussians of each pdf for a total, by occupancy to a power (Kaldi's GetSplitTargets).

    Parameters
    ----------
    occupancy : float (pdfs,)
        Frames of each pdf.
    gaussians : int
        The total aimed at.
    power : float
    minimum : float
        A pdf gets another Gaussian only if each would have more frames than this.

    Returns
    -------
    int64 (pdfs,)
    """
    frames = np.asarray(occupancy, dtype=np.float64).tolist()
    shares = [value**power for value in frames]
    targets = [1] * len(frames)
    queue = [(-share, pdf) for pdf, share in enumerate(shares) if share > 0]
    heapq.heapify(queue)
    left = gaussians - len(targets)
    while left > 0 and queue:
        _, pdf = heapq.heappop(queue)
        if (targets[pdf] + 1) * minimum >= frames[pdf]:
            continue
        targets[pdf] += 1
        left -= 1
        heapq.heappush(queue, (-shares[pdf] / targets[pdf], pdf))
    return np.array(targets, dtype=np.int64)


def split(
    mixtures: Mixtures,
    occupancy: np.ndarray,
    gaussians: int,
    options: EstimationOptions,
    generator: np.random.Generator,
) -> Mixtures:
    """Mix up towards a total: again and again the heaviest Gaussian of a pdf is halved.

    Parameters
    ----------
    mixtures : Mixtures
    occupancy : float (pdfs,)
    gaussians : int
        The total aimed at; pdfs that have more than their share keep what they have.
    options : EstimationOptions
    generator : numpy.random.Generator

    Returns
    -------
    Mixtures
    """
    targets = split_targets(occupancy, gaussians, options.power, options.minimum_split)
    counts = mixtures.counts
    targets = np.maximum(targets, counts)
    if (targets == counts).all():
        return mixtures
    offsets = np.concatenate([[0], np.cumsum(targets)])
    weights = np.full(offsets[-1], -1.0)
    means = np.zeros((offsets[-1], mixtures.dimension))
    variances = np.ones((offsets[-1], mixtures.dimension))
    old = np.arange(mixtures.num_gaussians)
    new = old + np.repeat(offsets[:-1] - mixtures.offsets[:-1], counts)
    weights[new] = mixtures.weights
    means[new] = mixtures.means
    variances[new] = mixtures.variances
    width = int(targets.max())
    columns = np.minimum(np.arange(width), targets[:, None] - 1)
    places = offsets[:-1, None] + columns  # (pdfs, width)
    current = counts.copy()
    while True:
        active = np.flatnonzero(current < targets)
        if active.size == 0:
            break
        heaviest = places[active, np.argmax(weights[places[active]], axis=1)]
        fresh = offsets[active] + current[active]
        weights[heaviest] /= 2
        weights[fresh] = weights[heaviest]
        noise = generator.standard_normal((active.size, mixtures.dimension))
        noise *= options.perturbation * np.sqrt(variances[heaviest])
        variances[fresh] = variances[heaviest]
        means[fresh] = means[heaviest] + noise
        means[heaviest] -= noise
        current[active] += 1
    return Mixtures(
        offsets, weights.astype(np.float32), means.astype(np.float32), variances.astype(np.float32)
    )


def estimate_transitions(
    probabilities: np.ndarray, counts: np.ndarray, offsets: np.ndarray, options: EstimationOptions
) -> np.ndarray:
    """Relative frequencies of transitions, floored (Kaldi's TransitionModel::MleUpdate).

    Parameters
    ----------
    probabilities : float64 (transitions,)
        Kept for states with fewer than ``transition_minimum`` frames.
    counts : (transitions,)
    offsets : int64 (tuples + 1,)
        Transitions of each (phone, state, pdf).
    options : EstimationOptions

    Returns
    -------
    float64 (transitions,)
        Summing to one over each state.
    """
    sizes = np.diff(offsets)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    total = np.add.reduceat(counts.astype(np.float64), offsets[:-1])
    enough = (total >= options.transition_minimum) & (total > 0)
    fresh = counts / np.where(enough, total, 1)[owner]
    for _ in range(3):  # Kaldi: three rounds of floor and renormalise
        fresh = np.maximum(fresh, options.transition_floor)
        fresh /= np.add.reduceat(fresh, offsets[:-1])[owner]
    return np.where(enough[owner], fresh, probabilities)
