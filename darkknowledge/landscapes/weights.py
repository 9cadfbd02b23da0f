"""Weights of a network by name, as points and vectors."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]


def flatten(tensors: Iterable[Tensor]) -> Tensor:
    """Put tensors one after the other into a vector (n,)."""
    return torch.cat([tensor.flatten() for tensor in tensors])


def shaped(vector: Tensor, like: Weights) -> dict[str, Tensor]:
    """Cut a vector (n,) into tensors shaped like weights."""
    parts = vector.split([weight.numel() for weight in like.values()])
    return {
        name: part.view_as(weight) for (name, weight), part in zip(like.items(), parts, strict=True)
    }


def difference(start: Weights, end: Weights) -> dict[str, Tensor]:
    """Return the direction that leads from one network's weights to another's at 1."""
    return {name: end[name] - value for name, value in start.items()}


def move(origin: Weights, directions: Sequence[Weights], point: Tensor) -> dict[str, Tensor]:
    """Return the weights origin + Σ point_i · direction_i."""
    return {
        name: value + sum(point[i] * direction[name] for i, direction in enumerate(directions))
        for name, value in origin.items()
    }
