"""Sequence objectives: state-level minimum Bayes risk, and maximum mutual information."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from darkknowledge.networks.options import TargetOptions
from darkknowledge.sequence.forward_backward import sum_paths
from darkknowledge.sequence.lattices import LatticeBatch, TrainingLattice
from darkknowledge.targets import Objective, Teacher


@dataclass
class Tally:
    """What was seen since it was last asked for.

    Attributes
    ----------
    expected : float
        Sum of the expected accuracies of utterances, in frames.
    frames : int
    lacking : int
        Frames whose label no arc of the lattice has.
    """

    expected: float = 0.0
    frames: int = 0
    lacking: int = 0


@dataclass(frozen=True)
class SequenceObjective:
    """An objective over the paths of lattices, plus a share of cross-entropy.

    With the weight of a path W of an utterance X, p(X | W)^k P(W), and A(W) the frames in which
    it has the state of the alignment, all silence being one state (Kaldi's
    ``nnet-train-mpe-sequential --do-smbr --one-silence-class``)::

        smbr   N - Σ_W p(W | X) A(W)                            (1608.00892, equation 8)
        mmi    ln Σ_W exp(ln p(X, W) - b A(W)) - k Σ_t ln p(x_t | alignment)
        loss   of the utterance / k + smoothing × cross-entropy with alignment or soft targets

    Divided by k because Kaldi's programs, behind the papers' numbers, leave k out of the gradient:
    the smoothing and the learning rates of the papers are beside that.
    Where no path has the state of the alignment in a frame, `mmi` learns nothing from it
    (Kaldi's ``--drop-frames``).

    Attributes
    ----------
    kind : {"smbr", "mmi"}
    acoustic_scale : float
        k.
    offset : Tensor
        (pdfs,) scaled log priors, which are taken off the log posteriors.
    silence : bool array (pdfs,)
        The states of silence.
    smoothing : Objective
        Weights and temperature of the cross-entropy.
    boost : float
        b, of `mmi` alone.
    tally : Tally
        Measurements since it was last cleared.
    """

    kind: Literal["smbr", "mmi"]
    acoustic_scale: float
    offset: Tensor
    silence: np.ndarray
    smoothing: Objective
    boost: float = 0.0
    tally: Tally = field(default_factory=Tally)

    fresh_output = False
    reads_lattices = True

    @property
    def name(self) -> str:
        """Name of the phase."""
        return self.kind

    def measured(self) -> dict[str, float]:
        """Return the expected accuracy in per cent and the share of dropped frames; start anew."""
        seen = Tally(**vars(self.tally))
        self.tally.expected, self.tally.frames, self.tally.lacking = 0.0, 0, 0
        frames = max(seen.frames, 1)
        return {
            "expected": 100 * seen.expected / frames,
            "lacking": 100 * seen.lacking / frames,
        }

    @property
    def has_teacher(self) -> bool:
        """Whether the cross-entropy is that of soft targets."""
        return self.smoothing.has_teacher

    def floor(self, teacher: Teacher | None) -> float:
        """Return what the loss per frame cannot fall below; unknown of the paths, and so 0."""
        return self.smoothing.floor(teacher)

    def ignorance(self, teacher: Teacher | None, num_pdfs: int) -> float:
        """Return a loss per frame above which a training has diverged; `mmi` knows none."""
        if self.kind == "mmi":
            return math.inf
        return 1.0 / self.acoustic_scale + self.smoothing.ignorance(teacher, num_pdfs)

    def loss(
        self,
        logits: Tensor,
        labels: Tensor,
        soft: Tensor | None,
        lattices: Sequence[TrainingLattice],
    ) -> Tensor:
        """Compute the loss summed over whole utterances.

        Parameters
        ----------
        logits : Tensor
            (B, pdfs) of the frames of the utterances, one after the other.
        labels : Tensor
            (B,) pdf of each frame.
        soft : Tensor or None
            (B, pdfs) soft targets; None if the smoothing has none.
        lattices : sequence of TrainingLattice
            Of the utterances.

        Returns
        -------
        Tensor
            Scalar.
        """
        loss = _PathLoss.apply(logits, labels, LatticeBatch(lattices), self)
        if self.smoothing.mass:
            loss = loss + self.smoothing.loss(logits, labels, soft)
        return loss

    def gradient(
        self, log_likelihoods: np.ndarray, labels: np.ndarray, batch: LatticeBatch
    ) -> tuple[float, np.ndarray]:
        """Compute loss and gradient over the paths.

        Parameters
        ----------
        log_likelihoods : float array (B, pdfs)
            Log posteriors less scaled log priors.
        labels : int array (B,)
        batch : LatticeBatch

        Returns
        -------
        loss : float
            Summed over utterances.
        gradient : float64 array (B, pdfs)
            At the log-likelihoods, and at the logits as well: that of a frame sums to nought.
        """
        pdf, row, emits = batch.pdf, batch.row, batch.emits
        spoken = np.where(emits, pdf, 0)
        label = labels[row]
        correct = emits & ((pdf == label) | (self.silence[spoken] & self.silence[label]))
        weight = -batch.cost
        weight += np.where(emits, self.acoustic_scale * log_likelihoods[row, spoken], 0.0)
        if self.kind == "mmi":
            weight -= self.boost * correct
        sums = sum_paths(batch, weight, correct.astype(np.float64))
        there = np.zeros(batch.rows, bool)
        there[row[emits & (pdf == label)]] = True
        self.tally.expected += float(sums.expected.sum())
        self.tally.frames += batch.rows
        self.tally.lacking += int((~there).sum())
        share = sums.posterior
        if self.kind == "smbr":
            share = -share * sums.excess
        width = log_likelihoods.shape[1]
        gradient = np.bincount(
            (row * width + spoken)[emits], share[emits], batch.rows * width
        ).reshape(batch.rows, width)
        if self.kind == "smbr":
            missed = batch.rows - float(sums.expected.sum())
            return missed / self.acoustic_scale, gradient
        frames = np.arange(batch.rows)
        gradient[frames, labels] -= 1.0
        gradient[~there] = 0.0
        aligned = float(log_likelihoods[frames, labels].sum())
        return float(sums.total.sum()) / self.acoustic_scale - aligned, gradient


def sequence_objective(
    options: TargetOptions, search: Mapping[str, Any], log_priors: Tensor, taught: bool
) -> SequenceObjective:
    """Make the objective of a run from its options and those of its lattices.

    Parameters
    ----------
    options : TargetOptions
    search : mapping
        As :class:`darkknowledge.sequence.files.TrainingLattices` has it.
    log_priors : Tensor
        (pdfs,).
    taught : bool
        Whether there are soft targets.
    """
    silence = np.zeros(len(log_priors), bool)
    silence[search["silence"]] = True
    weight = options.smoothing
    smoothing = Objective(
        "smoothing",
        hard=0.0 if taught else weight,
        soft=weight if taught else 0.0,
        student_temperature=options.student_temperature,
    )
    return SequenceObjective(
        options.targets,
        search["acoustic_scale"],
        search["prior_scale"] * log_priors,
        silence,
        smoothing,
        options.boost,
    )


class _PathLoss(torch.autograd.Function):
    """The loss over the paths of a batch of lattices, computed on the CPU."""

    @staticmethod
    def forward(ctx, logits, labels, batch, objective):
        log_likelihoods = torch.log_softmax(logits.detach(), 1) - objective.offset.to(logits.device)
        loss, gradient = objective.gradient(
            log_likelihoods.cpu().numpy(), labels.cpu().numpy(), batch
        )
        ctx.save_for_backward(torch.from_numpy(gradient).to(logits))
        return logits.new_tensor(loss)

    @staticmethod
    def backward(ctx, d_loss):
        (gradient,) = ctx.saved_tensors
        return gradient * d_loss, None, None, None
