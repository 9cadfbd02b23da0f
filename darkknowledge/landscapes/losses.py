"""The training objectives of a network on one batch, as a function of its weights."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from darkknowledge.batches import FrameSet
from darkknowledge.landscapes.weights import Weights, move
from darkknowledge.networks.base import AcousticNetwork
from darkknowledge.networks.recurrence import step_by_step
from darkknowledge.targets import Objective

SIMILAR = 0.4  # least length of an utterance, over the longest that it stands beside
AT_ONCE = 64  # points that a GPU evaluates together, if its memory allows
BYTES_PER_LOGIT = 40


class BatchLosses(nn.Module):
    """The loss of a network on a batch, under several objectives.

    All of them share the forward pass. The loss of an objective is divided by the mass of its
    targets, so that a mixture is on the scale of its parts. It is that of `Objective.loss` in
    evaluation mode, and of whole utterances.

    Parameters
    ----------
    network : AcousticNetwork
        In evaluation mode.
    batch : FrameSet
        On the network's device.
    objectives : sequence of Objective
    soft : sequence of (Tensor or None)
        Of each objective the soft targets (N, pdfs) of the batch's frames. Objectives that share
        them name the same tensor.

    Attributes
    ----------
    weights : dict
        The network's trained weights by name, detached.
    """

    def __init__(
        self,
        network: AcousticNetwork,
        batch: FrameSet,
        objectives: Sequence[Objective],
        soft: Sequence[Tensor | None],
    ):
        super().__init__()
        self.network = network
        self.objectives = list(objectives)
        self.frames = len(batch)
        self.weights = {name: value.detach() for name, value in network.named_parameters()}
        order = np.argsort(-batch.lengths, kind="stable")
        groups: list[list[int]] = []
        for utterance in order.tolist():
            longest = batch.lengths[groups[-1][0]] if groups else 0
            if batch.lengths[utterance] < SIMILAR * longest or not groups:
                groups.append([])
            groups[-1].append(utterance)
        distinct = {id(targets): targets for targets in soft if targets is not None}
        self._soft_keys = [None if targets is None else id(targets) for targets in soft]
        self._groups = [
            [
                (
                    batch.features[place],
                    batch.labels[place],
                    {key: targets[place] for key, targets in distinct.items()},
                )
                for place in (
                    slice(batch.starts[u], batch.starts[u] + batch.lengths[u]) for u in group
                )
            ]
            for group in groups
        ]

    def forward(self) -> Tensor:
        """Compute the loss per frame (K,) of the objectives at the network's own weights."""
        total = sum(
            self._sums(logits, labels, soft)
            for group in self._groups
            for logits, (_, labels, soft) in zip(self._logits(group), group, strict=True)
        )
        return total / self.frames

    def at(self, weights: Weights) -> Tensor:
        """Compute the loss per frame (K,), float64 in nats, at some weights."""
        named = {f"network.{name}": value for name, value in weights.items()}
        return functional_call(self, named, ())

    def objective(self, number: int):
        """Return the loss of one objective as a function of weights, twice differentiable."""

        def loss(weights: Weights) -> Tensor:
            with step_by_step():
                return self.at(weights)[number]

        return loss

    @torch.no_grad()
    def at_points(self, origin: Weights, directions: Sequence[Weights], points: Tensor) -> Tensor:
        """Evaluate points of a plane or line.

        Parameters
        ----------
        origin : mapping
            Weights by name.
        directions : sequence of mapping
            D of them, shaped like the weights.
        points : Tensor
            (M, D) coordinates; on a GPU all M are evaluated at once.

        Returns
        -------
        Tensor
            (M, K) float64.
        """
        if self.device.type == "cpu":
            return torch.stack([self.at(move(origin, directions, point)) for point in points])
        with step_by_step():
            moved = vmap(lambda point: self.at(move(origin, directions, point)))
            return moved(points.to(self.device)).cpu()

    @property
    def device(self) -> torch.device:
        """Where the weights and the batch are."""
        return next(iter(self.weights.values())).device

    @property
    def at_once(self) -> int:
        """Number of points that fit into the GPU's memory together."""
        free, _ = torch.cuda.mem_get_info()
        pdfs = self.network.num_pdfs
        return int(max(1, min(AT_ONCE, free // (BYTES_PER_LOGIT * self.frames * pdfs))))

    def residuals(self) -> list[Tensor]:
        """Compute the gradient at the logits (N, pdfs) of each frame, one for each objective."""
        parts: list[list[Tensor]] = [[] for _ in self.objectives]
        for group in self._groups:
            with torch.no_grad():
                found = self._logits(group)
            for logits, (_, labels, soft) in zip(found, group, strict=True):
                logits.requires_grad_()
                sums = self._sums(logits, labels, soft)
                for part, total in zip(parts, sums, strict=True):
                    part += torch.autograd.grad(total, logits, retain_graph=True)
        return [torch.cat(part) for part in parts]

    def floors(self) -> Tensor:
        """Return what the loss per frame of each objective (K,) cannot fall below.

        It is the entropy of the targets where the student has no temperature of its own.
        """
        result = torch.zeros(len(self.objectives), dtype=torch.float64)
        for number, (objective, key) in enumerate(
            zip(self.objectives, self._soft_keys, strict=True)
        ):
            if key is None:
                continue
            entropy = 0.0
            for _, labels, soft in (one for group in self._groups for one in group):
                mixed = objective.soft * soft[key]
                if objective.student_temperature == 1 and objective.hard:
                    share = torch.full_like(labels, 1, dtype=mixed.dtype) * objective.hard
                    mixed = mixed.scatter_add(1, labels[:, None], share[:, None])
                entropy += torch.special.entr(mixed / mixed.sum(1, keepdim=True)).sum().item()
            share = 1.0 if objective.student_temperature == 1 else objective.soft / objective.mass
            result[number] = share * entropy / self.frames
        return result

    def _logits(self, group: list[tuple]) -> list[Tensor]:
        return self.network.utterance_logits([features for features, _, _ in group])

    def _sums(self, logits: Tensor, labels: Tensor, soft: Mapping[int, Tensor]) -> Tensor:
        """Sum the losses of frames over logits (B, pdfs); return (K,) float64."""
        posteriors = {1.0: torch.log_softmax(logits, 1)}
        parts: dict[tuple[float, int] | None, Tensor] = {
            None: -posteriors[1.0].gather(1, labels[:, None]).double().sum()
        }
        result = []
        for objective, key in zip(self.objectives, self._soft_keys, strict=True):
            loss = objective.hard * parts[None]
            if key is not None:
                softness = objective.student_temperature
                if softness not in posteriors:
                    posteriors[softness] = torch.log_softmax(logits / softness, 1)
                if (softness, key) not in parts:
                    product = torch.dot(soft[key].flatten(), posteriors[softness].flatten())
                    parts[softness, key] = -product.double()
                loss = loss + objective.soft * parts[softness, key]
            result.append(loss / objective.mass)
        return torch.stack(result)
