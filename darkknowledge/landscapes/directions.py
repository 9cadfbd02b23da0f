"""Directions in the space of the weights: random ones, one to another network, principal ones."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from darkknowledge.landscapes.weights import Weights, difference, flatten, shaped

TINY = 1e-10


def filter_normalised(weights: Weights, seed: Sequence[int]) -> dict[str, Tensor]:
    """Draw a Gaussian direction and give each of its filters the norm of the network's.

    A filter is a row of a matrix: what feeds one unit or, in a recurrent layer, one gate of one
    unit. Biases stay where they are (Li et al., 1712.09913, section 4, and their
    ``net_plotter.py`` with ``ignore='biasbn'``).

    Parameters
    ----------
    weights : mapping
        Trained weights by name.
    seed : sequence of int
        The Gaussian numbers depend on it and on the shapes alone, so that networks of one kind
        are moved in common directions, each on its own scale.

    Returns
    -------
    dict
        Shaped like the weights, on their device.
    """
    random = np.random.default_rng(list(seed))
    result = {}
    for name, weight in weights.items():
        drawn = torch.from_numpy(random.standard_normal(tuple(weight.shape), dtype=np.float32))
        drawn = drawn.to(weight.device)
        if weight.dim() < 2:
            result[name] = torch.zeros_like(weight)
            continue
        norms = weight.flatten(1).norm(dim=1) / (drawn.flatten(1).norm(dim=1) + TINY)
        result[name] = drawn * norms.view(-1, *[1] * (weight.dim() - 1))
    return result


def principal_directions(
    origin: Weights, paths: Sequence[Sequence[Weights]]
) -> tuple[list[dict[str, Tensor]], list[np.ndarray], np.ndarray]:
    """Find the plane through some weights that training paths come nearest to.

    Parameters
    ----------
    origin : mapping
        Weights by name.
    paths : sequence of sequence of mapping
        The weights of each path, epoch by epoch; two that differ at least.

    Returns
    -------
    directions : list of dict
        Two orthonormal directions (1712.09913, section 7): the first principal components of
        the differences of all weights to the origin. Their signs let the first path start on the
        positive side of both.
    coordinates : list of ndarray
        Of each path (E, 2), projected.
    shares : ndarray
        (2,) parts of the squared distances that lie in either direction.
    """
    rows = [
        flatten(difference(origin, weights).values()).cpu() for path in paths for weights in path
    ]
    matrix = torch.stack(rows).double()  # (E, weights)
    values, vectors = torch.linalg.eigh(matrix @ matrix.T)
    # The left singular vectors give the right ones, which are as long as there are weights.
    top = vectors[:, [-1, -2]]
    right = matrix.T @ (top / values[[-1, -2]].clamp_min(TINY).sqrt())  # (weights, 2)
    projected = matrix @ right
    signs = torch.where(projected[0] < 0, -1.0, 1.0).double()
    right, projected = right * signs, projected * signs
    shares = (values[[-1, -2]] / values.sum()).numpy()
    coordinates = np.split(projected.numpy(), np.cumsum([len(path) for path in paths])[:-1])
    device = next(iter(origin.values())).device
    return [shaped(column.float().to(device), origin) for column in right.T], coordinates, shares
