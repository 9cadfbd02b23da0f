"""How curved a loss is: eigenvalues and trace of the Hessian, scatter of gradients, sharpness.

The Hessian is never formed. Its products with vectors are exact: the gradient is differentiated
again (Pearlmutter 1994).
"""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from darkknowledge.landscapes.weights import Weights, flatten, shaped

Product = Callable[[Tensor], Tensor]
Loss = Callable[[Weights], Tensor]


def gradient(loss: Loss, weights: Weights) -> tuple[float, Tensor]:
    """Compute a loss and its gradient (n,) at weights."""
    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    value = loss(leaves)
    return value.item(), flatten(torch.autograd.grad(value, list(leaves.values())))


def hessian_product(loss: Loss, weights: Weights) -> Product:
    """Return the product of a loss's Hessian at weights with a vector.

    Parameters
    ----------
    loss : function of weights
        Twice differentiable.
    weights : mapping
        With n numbers in all.

    Returns
    -------
    function
        From (n,) to (n,). The graph of the gradient is built once, for all products.
    """
    leaves = {name: weight.detach().requires_grad_() for name, weight in weights.items()}
    first = torch.autograd.grad(loss(leaves), list(leaves.values()), create_graph=True)

    def product(vector: Tensor) -> Tensor:
        parts = list(shaped(vector, leaves).values())
        second = torch.autograd.grad(
            first, list(leaves.values()), parts, retain_graph=True, materialize_grads=True
        )
        return flatten(second).detach()

    return product


def lanczos(
    product: Product, start: Tensor, count: int, steps: int, tolerance: float = 1e-2
) -> tuple[Tensor, Tensor, float]:
    """Find the largest eigenvalues of a symmetric matrix from its products with vectors.

    Lanczos's iteration with full reorthogonalisation (Golub and Van Loan, section 10.3).

    Parameters
    ----------
    product : function
        From (n,) to (n,).
    start : Tensor
        (n,) random vector.
    count : int
        Eigenvalues that are asked for.
    steps : int
        Most products.
    tolerance : float
        The iteration ends when ‖A v - λ v‖ of all that are asked for is below this share of
        the largest; the error of an eigenvalue is of its square.

    Returns
    -------
    values : Tensor
        (count,) float64, the largest first; fewer where the matrix is smaller than that.
    vector : Tensor
        (n,) unit eigenvector of the largest.
    residual : float
        ‖A v - λ v‖ / |λ| of the largest.
    """
    steps = min(steps, len(start))
    basis = start.new_empty(steps, len(start))
    diagonal: list[float] = []
    beside: list[float] = []
    vector = start / start.norm()
    for step in range(steps):
        basis[step] = vector
        image = product(vector)
        diagonal.append(torch.dot(image, vector).item())
        for _ in range(2):
            image = image - basis[: step + 1].T @ (basis[: step + 1] @ image)
        length = image.norm().item()
        tridiagonal = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
        if beside:
            off = torch.tensor(beside, dtype=torch.float64)
            tridiagonal += torch.diag(off, 1) + torch.diag(off, -1)
        values, vectors = torch.linalg.eigh(tridiagonal)
        largest = abs(values[-1].item())
        residuals = length * vectors[-1].abs().flip(0)[:count] / max(largest, 1e-30)
        if length <= 1e-6 * max(largest, 1e-30):
            break
        if step + 1 >= count and residuals.max() < tolerance:
            break
        beside.append(length)
        vector = image / length
    top = basis[: len(diagonal)].T @ vectors[:, -1].to(basis.dtype)
    return values.flip(0)[:count], top / top.norm(), residuals[0].item()


def hutchinson(product: Product, like: Tensor, probes: int, generator: torch.Generator) -> Tensor:
    """Estimate the trace of a matrix: vᵀ A v of random signs v (Hutchinson 1990).

    Parameters
    ----------
    product : function
        From (n,) to (n,).
    like : Tensor
        (n,), of the type and on the device of the vectors.
    probes : int
    generator : torch.Generator
        Of the CPU.

    Returns
    -------
    Tensor
        (probes,) float64, unbiased estimates.
    """
    found = []
    for _ in range(probes):
        signs = 2 * torch.randint(0, 2, like.shape, generator=generator).to(like) - 1
        found.append(torch.dot(product(signs).double(), signs.double()).item())
    return torch.tensor(found, dtype=torch.float64)


def scatter(gradients: Iterable[Tensor]) -> float:
    """Trace of the covariance of gradients (n,) between samples, without bias; two at least."""
    total, squares, count = None, 0.0, 0
    for value in gradients:
        value = value.double()
        total = value.clone() if total is None else total.add_(value)
        squares += value.square().sum().item()
        count += 1
    if count < 2:
        return math.nan
    return (squares - total.square().sum().item() / count) / (count - 1)


def sharpness(loss: Loss, weights: Weights, start: Tensor, radius: float, steps: int) -> float:
    """Find the largest rise of a loss in a ball around weights, by projected ascent.

    Each step goes to where the tangent at the last point is highest in the ball, so that a convex
    loss rises with every step. It begins on either side, and the best counts.

    Parameters
    ----------
    loss : function of weights
    weights : mapping
        The centre.
    start : Tensor
        (n,) first direction, such as the top eigenvector of the Hessian.
    radius : float
        Of the ball, Euclidean.
    steps : int
        Of each ascent.

    Returns
    -------
    float
        Largest loss found, less that of the centre; 0 at least.
    """
    flat = flatten(weights.values()).detach()
    with torch.no_grad():
        centre = loss(weights).item()
    best = centre
    for side in (1, -1):
        direction = side * start / start.norm()
        for _ in range(steps):
            value, slope = gradient(loss, shaped(flat + radius * direction, weights))
            best = max(best, value)
            if not slope.norm() > 0:
                break
            direction = slope / slope.norm()
    return best - centre
