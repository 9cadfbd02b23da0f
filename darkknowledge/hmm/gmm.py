"""Diagonal Gaussian mixtures: statistics, estimation and splitting."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from darkknowledge.errors import TrainingError
from darkknowledge.hmm.model import NEGLIGIBLE, Mixtures
from darkknowledge.hmm.options import EstimationOptions

# A group of pdfs has at most so many frames and pdfs, unless it is one pdf, which bounds memory;
# of its slots at least this share is full.
_GROUP_FRAMES = 4096
_GROUP_PDFS = 512
_FULL = 0.8


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


class Segment(NamedTuple):
    """Pdfs with similar numbers of frames, and the posteriors of their Gaussians.

    Attributes
    ----------
    pdfs : int64 array (P,)
    rows : int64 (P, g)
        Gaussians of each pdf; where it has fewer, the number of all Gaussians.
    slots : slice
        Their P × n places in the layout of :class:`SortedFrames`.
    posteriors : float32 (P, g, n)
        Nought in padding.
    log_likelihoods : float32 (P, 1, n)
        Nought in padding.
    """

    pdfs: np.ndarray
    rows: torch.Tensor
    slots: slice
    posteriors: torch.Tensor
    log_likelihoods: torch.Tensor


class SortedFrames:
    """The frames of many utterances, sorted by pdf, ready for E-steps.

    Pdfs with similar numbers of frames stand together, padded to the longest, so that products
    of matrices are taken of many at once. The layout depends on the pdfs alone.

    Parameters
    ----------
    features : float32 (N, D)
    pdfs : int (N,)
    device : torch.device or str
        Where the frames lie and are worked on.

    Attributes
    ----------
    place : int64 (N,)
        Slot of each frame.
    extended : float32 (slots, 1 + 2 D)
        ``[1, x, x²]``, nought in padding.
    """

    def __init__(
        self, features: torch.Tensor, pdfs: np.ndarray, device: torch.device | str = "cpu"
    ):
        order = np.argsort(pdfs, kind="stable")
        ordered = pdfs[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        sizes = np.diff(np.append(starts, len(ordered)))
        by_size = np.argsort(-sizes, kind="stable")
        present, starts, sizes = ordered[starts][by_size], starts[by_size], sizes[by_size]
        self.groups: list[tuple[np.ndarray, slice]] = []
        source = []  # frame in each slot, N in padding
        first = slots = 0
        while first < len(sizes):
            longest = int(sizes[first])
            last = first + min(max(1, _GROUP_FRAMES // longest), _GROUP_PDFS)
            last = first + int((sizes[first:last] >= _FULL * longest).sum())
            column = np.arange(longest)
            here = column < sizes[first:last, None]
            places = np.minimum(starts[first:last, None] + column, len(order) - 1)
            source.append(np.where(here, order[places], len(order)).ravel())
            self.groups.append((present[first:last], slice(slots, slots + here.size)))
            slots += here.size
            first = last
        frames = np.concatenate(source)
        present_slots = np.flatnonzero(frames < len(order))
        place = np.empty(len(order), dtype=np.int64)
        place[frames[present_slots]] = present_slots
        self._source = torch.from_numpy(frames).to(device)
        self.place = torch.from_numpy(place).to(device)
        self.extended = self._layout(features)

    def _layout(self, features: torch.Tensor) -> torch.Tensor:
        device = self._source.device
        padded = torch.cat(
            [features.to(device), features.new_zeros(1, features.shape[1]).to(device)]
        )
        chosen = padded[self._source]
        here = (self._source < len(features)).to(chosen.dtype).unsqueeze(1)
        return torch.cat([here, chosen, chosen * chosen], dim=1)

    def segments(self, mixtures: Mixtures) -> Iterator[Segment]:
        """Yield the posteriors of the Gaussians of all pdfs present, group by group."""
        device = self.extended.device
        constants, linear = mixtures.natural()
        table = torch.cat([constants.unsqueeze(1), linear], dim=1)
        absent = torch.zeros(1, table.shape[1])  # what pads pdfs that have fewer Gaussians
        absent[0, 0] = -1e30
        table = torch.cat([table, absent]).to(device)
        for pdfs, slots in self.groups:
            first, last = mixtures.offsets[pdfs, None], mixtures.offsets[pdfs + 1, None]
            rows = first + np.arange((last - first).max())
            rows = torch.from_numpy(np.where(rows < last, rows, mixtures.num_gaussians)).to(device)
            frames = self.extended[slots].view(len(pdfs), -1, table.shape[1])
            here = frames[:, :, 0].unsqueeze(1)
            scores = torch.bmm(table[rows], frames.transpose(1, 2))
            highest = scores.amax(1, keepdim=True)
            scores.sub_(highest).clamp_(min=NEGLIGIBLE).exp_()
            total = scores.sum(1, keepdim=True)
            scores *= here / total
            yield Segment(pdfs, rows, slots, scores, total.log_().add_(highest).mul_(here))

    def accumulate(
        self, mixtures: Mixtures, others: torch.Tensor | None = None
    ) -> tuple[np.ndarray, float]:
        """E-step.

        Parameters
        ----------
        mixtures : Mixtures
        others : float32 (N, D), optional
            Other features of the same frames, in the order before sorting, of which the sums
            are taken (Kaldi's gmm-acc-stats-twofeats).

        Returns
        -------
        sums : float32 (G, 1 + 2 D)
        log_likelihood : float
        """
        summed = self.extended if others is None else self._layout(others)
        width = summed.shape[1]
        sums = summed.new_zeros(mixtures.num_gaussians + 1, width)
        total = torch.zeros((), dtype=torch.float64, device=summed.device)
        for segment in self.segments(mixtures):
            frames = summed[segment.slots].view(len(segment.pdfs), -1, width)
            sums[segment.rows] = torch.bmm(segment.posteriors, frames)
            total += segment.log_likelihoods.sum(dtype=torch.float64)
        return sums[:-1].cpu().numpy(), float(total)


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
