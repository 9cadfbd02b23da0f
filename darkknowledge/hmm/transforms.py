"""Linear discriminant analysis and the maximum likelihood linear transform."""

import math

import numpy as np
import torch

from darkknowledge.errors import TrainingError


def estimate_lda(first: np.ndarray, second: np.ndarray, dimension: int) -> np.ndarray:
    """LDA as Kaldi's est-lda: within-class covariance made the identity.

    Parameters
    ----------
    first : float64 (classes, 1 + C)
        Frames and sum of each class.
    second : float64 (C, C)
        Sum of x xᵀ.
    dimension : int
        Rows kept, of largest between-class variance.

    Returns
    -------
    float32 (dimension, C)

    Raises
    ------
    TrainingError
        If there are fewer features than rows, or the within-class covariance is singular.
    """
    count = first[:, 0]
    total = count.sum()
    size = first.shape[1] - 1
    if dimension > size:
        raise TrainingError(
            f"LDA to {dimension} dimensions from {size}; lower hmm.tri2b.dimension or raise context"
        )
    if total <= size:
        raise TrainingError(f"LDA of {size} dimensions from {total:.0f} frames of speech: too few")
    mean = first[:, 1:].sum(0) / total
    class_mean = first[:, 1:] / np.maximum(count, 1e-10)[:, None]
    covariance = second / total - np.outer(mean, mean)
    between = (class_mean * (count / total)[:, None]).T @ class_mean - np.outer(mean, mean)
    within = torch.from_numpy(covariance - between)
    factor, failed = torch.linalg.cholesky_ex(within)
    if int(failed):
        raise TrainingError(
            f"LDA: the within-class covariance is singular at dimension {int(failed)}; "
            "is a feature constant?"
        )
    inverse = torch.linalg.inv(factor)
    _, vectors = torch.linalg.eigh(inverse @ torch.from_numpy(between) @ inverse.T)
    rows = vectors.flip(1)[:, :dimension].T
    # the sign of an eigenvector is arbitrary: make its largest entry positive
    largest = rows.abs().argmax(1, keepdim=True)
    rows = rows * rows.gather(1, largest).sign()
    return (rows @ inverse).float().numpy()


def mllt_objective(matrix: np.ndarray, second: np.ndarray, frames: float) -> float:
    """Log-likelihood per frame, up to a constant, of features transformed by a matrix."""
    rows = np.einsum("ij,ijk,ik->", matrix, second, matrix)
    return float(np.linalg.slogdet(matrix)[1] - 0.5 * rows / frames)


def estimate_mllt(
    second: np.ndarray, frames: float, iterations: int = 200
) -> tuple[np.ndarray, float]:
    """MLLT row by row (Gales 1999, semi-tied covariances; Kaldi's MlltAccs::Update).

    Parameters
    ----------
    second : float64 (D, D, D)
        As from :meth:`darkknowledge.hmm.shard.ShardWorker.mllt_statistics`.
    frames : float
    iterations : int
        Sweeps over the rows at most; fewer once the objective stands still.

    Returns
    -------
    matrix : float32 (D, D)
    improvement : float
        Of the log-likelihood per frame against the identity.

    Raises
    ------
    TrainingError
        If there are too few frames or the objective falls.
    """
    size = len(second)
    if frames < size * size:
        raise TrainingError(
            f"MLLT of {size} dimensions from {frames:.0f} frames of speech: too few"
        )
    inverses = torch.linalg.inv(torch.from_numpy(second))
    matrix = torch.eye(size, dtype=torch.float64)
    start = best = mllt_objective(matrix.numpy(), second, frames)
    for _ in range(iterations):
        inverse = torch.linalg.inv(matrix)
        for row in range(size):
            direction = inverses[row] @ inverse[:, row]
            fresh = direction * math.sqrt(frames / float(inverse[:, row] @ direction))
            # Sherman-Morrison for the inverse of the matrix with one new row
            change = (fresh - matrix[row]) @ inverse
            inverse = inverse - torch.outer(inverse[:, row], change) / (1 + change[row])
            matrix[row] = fresh
        value = mllt_objective(matrix.numpy(), second, frames)
        if value < best - 1e-6 * abs(best):
            raise TrainingError(f"MLLT: the objective fell from {best:.6f} to {value:.6f}")
        if value - best < 1e-9:
            break
        best = value
    return matrix.float().numpy(), value - start
