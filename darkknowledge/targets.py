"""The objectives: what the gradient at the logits is, phase by phase."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from darkknowledge.networks.options import TargetOptions


class Teacher(Protocol):
    """What an objective asks of the teacher's targets of a set."""

    entropy: float
    power: float


@dataclass(frozen=True)
class Objective:
    """A weighted sum of cross-entropies with the alignment and with soft targets.

    With logits z, y = softmax(z), y' = softmax(z / S), alignment t and soft targets p, the
    loss of a frame and its gradient are::

        loss    = -hard Σ_j t_j ln y_j - soft Σ_j p_j ln y'_j
        d/dz_j  = hard (y_j - t_j) + (soft / S) (y'_j - p_j)

    Attributes
    ----------
    name : str
        Of the phase, in logs and metrics.
    hard, soft : float
        Weights.
    student_temperature : float
        S.
    fresh_output : bool
        Whether the output layer starts afresh at the beginning of the phase.
    """

    name: str
    hard: float
    soft: float
    student_temperature: float = 1.0
    fresh_output: bool = False

    reads_lattices = False

    def loss(self, logits: Tensor, labels: Tensor, soft: Tensor | None = None) -> Tensor:
        """Compute the loss summed over frames.

        Parameters
        ----------
        logits : Tensor
            (B, pdfs).
        labels : Tensor
            (B,) pdf of each frame.
        soft : Tensor or None
            (B, pdfs) soft targets, rows summing to 1; None if ``self.soft`` is 0.

        Returns
        -------
        Tensor
            Scalar, in nats.
        """
        if self.soft == 0:
            return self.hard * torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
        if self.student_temperature == 1:
            return _SoftCrossEntropy.apply(logits, self._mixed(labels, soft), self.mass)
        scaled = logits / self.student_temperature
        total = self.soft * _SoftCrossEntropy.apply(scaled, soft, 1.0)
        if self.hard:
            total = total + self.hard * torch.nn.functional.cross_entropy(
                logits, labels, reduction="sum"
            )
        return total

    def measured(self) -> dict[str, float]:
        """Return what was measured besides the loss: nothing."""
        return {}

    @property
    def has_teacher(self) -> bool:
        """Whether the loss needs soft targets."""
        return self.soft > 0

    def floor(self, teacher: Teacher | None) -> float:
        """Return what the loss per frame cannot fall below."""
        return self.soft * teacher.entropy if self.soft else 0.0

    def ignorance(self, teacher: Teacher | None, num_pdfs: int) -> float:
        """Return the loss per frame of a network that finds all pdfs equally probable."""
        return self.mass * math.log(num_pdfs)

    @property
    def mass(self) -> float:
        """Sum of a frame's targets at student temperature 1."""
        return self.hard + self.soft

    def _mixed(self, labels: Tensor, soft: Tensor) -> Tensor:
        targets = soft if self.soft == 1 else soft * self.soft
        if self.hard:
            if targets is soft:
                targets = soft.clone()
            share = torch.full((len(labels), 1), self.hard, device=soft.device, dtype=soft.dtype)
            targets.scatter_add_(1, labels[:, None], share)
        return targets


@dataclass(frozen=True)
class LogitMatching:
    """Regression on the teacher's logits (Ba and Caruana, 1312.6184).

    A softmax does not see a constant added to its logits, so the student's z and the teacher's
    v both have their mean over pdfs taken off. The loss of a frame and its gradient are::

        loss    = ½ Σ_j (z_j - v_j)²
        d/dz_j  = z_j - v_j

    It is what soft targets tend to at high temperature in teacher and student: with C pdfs,
    C T² times the gradient of the soft cross-entropy tends to z_j - v_j (1503.02531, section
    2.1).
    """

    name: str = "logits"
    fresh_output: bool = False
    has_teacher: bool = True

    reads_lattices = False

    def loss(self, logits: Tensor, labels: Tensor, soft: Tensor | None = None) -> Tensor:
        """Compute the loss summed over frames from teacher's logits ``soft`` of zero mean."""
        centred = logits - logits.mean(1, keepdim=True)
        return 0.5 * (centred - soft).square().sum()

    def measured(self) -> dict[str, float]:
        """Return what was measured besides the loss: nothing."""
        return {}

    def floor(self, teacher: Teacher | None) -> float:
        """Return what the loss per frame cannot fall below."""
        return 0.0

    def ignorance(self, teacher: Teacher | None, num_pdfs: int) -> float:
        """Return the loss per frame of a network that finds all pdfs equally probable."""
        return 0.5 * teacher.power


Phase = Objective | LogitMatching


class _SoftCrossEntropy(torch.autograd.Function):
    """-Σ q ln softmax(z) of rows q that sum to ``mass``; its gradient is mass·y - q."""

    @staticmethod
    def forward(ctx, logits, targets, mass):
        logits = logits.float()
        posteriors = torch.log_softmax(logits, 1)
        loss = -torch.dot(targets.flatten(), posteriors.flatten())
        ctx.save_for_backward(posteriors.exp_().mul_(mass).sub_(targets))
        return loss

    @staticmethod
    def backward(ctx, d_loss):
        (gradient,) = ctx.saved_tensors
        return gradient * d_loss, None, None


def objectives(options: TargetOptions) -> list[Phase]:
    """List the phases of a training, each with its objective.

    Parameters
    ----------
    options : TargetOptions

    Returns
    -------
    list of Objective or LogitMatching
        One, or two for `pretrain`: soft, then hard (1505.04630, section 3).
    """
    soft_side = {"student_temperature": options.student_temperature}
    hard = Objective("hard", hard=1.0, soft=0.0)
    soft = Objective("soft", hard=0.0, soft=1.0, **soft_side)
    if options.targets == "hard":
        return [hard]
    if options.targets == "soft":
        return [soft]
    if options.targets == "logits":
        return [LogitMatching()]
    if options.targets == "reg":
        scale = options.temperature**2 if options.scale == "t_squared" else 1.0
        return [Objective("reg", hard=options.alpha, soft=scale, **soft_side)]
    last = Objective("hard", hard=1.0, soft=0.0, fresh_output=options.fresh_output)
    return [soft, last]
