"""Input transforms that are estimated on the training set and then fixed: scaling and LDA."""

from collections.abc import Iterator

import torch
from torch import Tensor

from darkknowledge.errors import TrainingError
from darkknowledge.hmm.transforms import estimate_lda as discriminant_analysis


def window_index(frames: Tensor, first: Tensor, last: Tensor, context: int) -> Tensor:
    """Return the rows of a flat frame matrix that make the windows around some frames.

    Parameters
    ----------
    frames : Tensor
        (B,) row numbers of the central frames.
    first, last : Tensor
        (B,) row numbers of the first and the last frame of their utterances.
    context : int
        Frames on each side; beyond the ends the edge frame is repeated (Kaldi's splice-feats).

    Returns
    -------
    Tensor
        (B, 2 context + 1) row numbers.
    """
    offsets = torch.arange(-context, context + 1, device=frames.device)
    index = frames[:, None] + offsets
    return torch.minimum(torch.maximum(index, first[:, None]), last[:, None])


def blocks(count: int, size: int) -> Iterator[slice]:
    """Cut ``range(count)`` into slices of a size."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def mean_and_deviation(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (D,) of frames (N, D), the latter at least 1e-3."""
    total = torch.zeros(features.shape[1], dtype=torch.float64)
    square = torch.zeros_like(total)
    for part in blocks(len(features), 65536):
        block = features[part].double()
        total += block.sum(0)
        square += block.square().sum(0)
    mean = total / len(features)
    variance = square / len(features) - mean.square()
    return mean.float(), variance.clamp_min(1e-6).sqrt().float()


def estimate_lda(
    features: Tensor, first: Tensor, last: Tensor, labels: Tensor, context: int, dim: int
) -> tuple[Tensor, Tensor]:
    """Estimate a linear discriminant analysis of windows, as Kaldi's acc-lda and est-lda.

    The output is then shifted and scaled to mean 0 and variance 1, as nnet1's global
    normalisation after the transform does.

    Parameters
    ----------
    features : Tensor
        (N, D) flat frames.
    first, last : Tensor
        (N,) first and last row of each frame's utterance.
    labels : Tensor
        (N,) pdf of each frame.
    context : int
        Frames on each side.
    dim : int
        Dimensions kept.

    Returns
    -------
    matrix : Tensor
        (dim, (2 context + 1) D).
    offset : Tensor
        (dim,), to be added.

    Raises
    ------
    TrainingError
        If ``dim`` exceeds the dimensions of the window.
    """
    width = (2 * context + 1) * features.shape[1]
    if dim > width:
        raise TrainingError(
            f"lda: {dim} dimensions of a window of {width}; expected at most {width}: "
            "lower `lda` or widen `splice`"
        )
    classes, index = labels.unique(return_inverse=True)
    first_order = torch.zeros(len(classes), 1 + width, dtype=torch.float64)
    second_order = torch.zeros(width, width, dtype=torch.float64)
    rows = torch.arange(len(features))
    for part in blocks(len(features), 16384):
        windows = features[window_index(rows[part], first[part], last[part], context)]
        windows = windows.reshape(-1, width)  # (B, W)
        second_order += (windows.T @ windows).double()
        first_order[:, 1:].index_add_(0, index[part], windows.double())
    first_order[:, 0] = torch.bincount(index, minlength=len(classes))
    matrix = torch.from_numpy(
        discriminant_analysis(first_order.numpy(), second_order.numpy(), dim)
    ).double()
    mean = first_order[:, 1:].sum(0) / len(features)
    total = second_order / len(features) - torch.outer(mean, mean)
    matrix /= torch.einsum("ij,jk,ik->i", matrix, total, matrix).sqrt()[:, None]
    return matrix.float(), -(matrix @ mean).float()
