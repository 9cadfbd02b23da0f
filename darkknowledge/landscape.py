"""The toy of arXiv 1505.04630v1: the loss of logistic regression under hard and soft targets.

Two classes in the plane, each a mixture of two Gaussians; logistic regression
``y = σ(w1 x1 + w2 x2)`` without a bias, so that its loss is a surface over the plane of weights.
The facts at hand do not carry the paper's parameters: the mixtures, 100 points per class and the
range of the weights are chosen here. Class 1 is class 0 turned about the origin, which makes the
best bias zero, and the classes overlap, which makes the hard loss's minimum finite.

What can be said before anything is drawn: the cross-entropy −t ln y − (1 − t) ln(1 − y) is linear
in the target t. Two kinds of targets on the same points therefore differ by a plane over the
weights, and at any one weight their Hessians are the same. Soft targets move the minimum and
shrink the scatter of the gradient between points (section 1 of the latest text of the paper).
Over 200 draws (`over_draws`) the largest curvature at the minimum is 0.19 in the median for hard
labels and for true posteriors alike, 0.36 at T = 2; the variance of the gradient there falls from
0.22 to 0.02.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from darkknowledge.errors import DataError
from darkknowledge.files import write_text
from darkknowledge.zipped import read_arrays, refusing, write_arrays

CENTRES = np.array([[[-1.6, -0.4], [-0.2, -1.9]], [[1.6, 0.4], [0.2, 1.9]]])  # (class, K, 2)
COVARIANCES = np.array([[[1.5, 0.5], [0.5, 1.0]], [[1.2, -0.5], [-0.5, 2.6]]])  # (K, 2, 2)
SHARES = np.array([0.6, 0.4])  # (K,)
WHAT = "the toy's surfaces"


@dataclass(frozen=True)
class ToyData:
    """Points of two classes.

    Attributes
    ----------
    x : (N, 2) float64
    label : (N,) int64
        0 or 1.
    posterior : (N,) float64
        True probability of class 1.
    """

    x: np.ndarray
    label: np.ndarray
    posterior: np.ndarray


@dataclass(frozen=True)
class Surface:
    """A loss over the weight plane and numbers at its minimum.

    Attributes
    ----------
    targets : str
        Name of the targets.
    w1, w2 : (P,) float64
        Weights of the grid.
    loss : (P, P) float64
        Mean cross-entropy in nats; row i stands for ``w2[i]``, column j for ``w1[j]``.
    minimum : (2,) float64
        The weights where the gradient is zero.
    minimum_loss : float
        Nats.
    curvatures : (2,) float64
        Eigenvalues of the Hessian at the minimum, the larger first.
    gradient_variance : float
        Trace of the covariance between points of the gradient of one point, at the minimum.
    gradient_variance_at_zero : float
        The same at w = 0, where training starts.
    """

    targets: str
    w1: np.ndarray
    w2: np.ndarray
    loss: np.ndarray
    minimum: np.ndarray
    minimum_loss: float
    curvatures: np.ndarray
    gradient_variance: float
    gradient_variance_at_zero: float

    @property
    def condition(self) -> float:
        """Ratio of the larger curvature to the smaller one."""
        return float(self.curvatures[0] / self.curvatures[1])


def log_density(x: np.ndarray, label: int) -> np.ndarray:
    """Log density of a class's mixture.

    Parameters
    ----------
    x : (N, 2)
    label : {0, 1}

    Returns
    -------
    (N,) float64, nats
    """
    offset = x[:, None, :] - CENTRES[label]  # (N, K, 2)
    precision = np.linalg.inv(COVARIANCES)
    distance = np.einsum("nki,kij,nkj->nk", offset, precision, offset)
    norm = np.log(SHARES) - np.log(2 * np.pi) - 0.5 * np.log(np.linalg.det(COVARIANCES))
    return np.logaddexp.reduce(norm - 0.5 * distance, axis=1)


def toy_data(seed: int, points: int = 100) -> ToyData:
    """Draw points of both classes.

    Parameters
    ----------
    seed : int
    points : int
        Points of each class.

    Returns
    -------
    ToyData
        The points of class 0 first.
    """
    random = np.random.default_rng(seed)
    label = np.repeat([0, 1], points)
    component = random.choice(len(SHARES), size=2 * points, p=SHARES)
    roots = np.linalg.cholesky(COVARIANCES)
    noise = random.standard_normal((2 * points, 2))
    x = CENTRES[label, component] + np.einsum("nij,nj->ni", roots[component], noise)
    posterior = _sigmoid(log_density(x, 1) - log_density(x, 0))
    return ToyData(x, label, posterior)


def soften(probability: np.ndarray, temperature: float) -> np.ndarray:
    """Raise the temperature of two-class probabilities.

    Parameters
    ----------
    probability : (N,)
        Of class 1, strictly between 0 and 1.
    temperature : float
        Positive; 1 changes nothing.

    Returns
    -------
    (N,) float64

    Notes
    -----
    The softmax of the logits divided by T (1505.04630, section 1), for two classes.
    """
    return _sigmoid((np.log(probability) - np.log1p(-probability)) / temperature)


def loss(weights: np.ndarray, x: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mean cross-entropy of logistic regression.

    Parameters
    ----------
    weights : (..., 2)
    x : (N, 2)
    targets : (N,)
        Probability of class 1.

    Returns
    -------
    (...) float64, nats
    """
    logits = np.asarray(weights) @ x.T  # (..., N)
    return (np.logaddexp(0, logits) - targets * logits).mean(axis=-1)


def gradients(weights: np.ndarray, x: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Gradient of the cross-entropy of each point at one weight.

    Parameters
    ----------
    weights : (2,)
    x : (N, 2)
    targets : (N,)

    Returns
    -------
    (N, 2) float64
    """
    return (_sigmoid(x @ weights) - targets)[:, None] * x


def hessian(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Second derivatives of the mean cross-entropy, whatever the targets.

    Parameters
    ----------
    weights : (2,)
    x : (N, 2)

    Returns
    -------
    (2, 2) float64
    """
    y = _sigmoid(x @ weights)
    return np.einsum("n,ni,nj->ij", y * (1 - y), x, x) / len(x)


def minimum(x: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Find the weights of least cross-entropy by Newton's method with halved steps.

    Parameters
    ----------
    x : (N, 2)
    targets : (N,)

    Returns
    -------
    (2,) float64

    Raises
    ------
    DataError
        If there is no finite minimum: hard labels that a line through the origin separates.
    """
    weights = np.zeros(x.shape[1])
    for _ in range(100):
        gradient = gradients(weights, x, targets).mean(axis=0)
        curvature = hessian(weights, x)
        if np.linalg.eigvalsh(curvature)[0] < 1e-9:
            break
        if np.abs(gradient).max() < 1e-12:
            return weights
        step = np.linalg.solve(curvature, gradient)
        here, size = loss(weights, x, targets), 1.0
        while loss(weights - size * step, x, targets) > here + 1e-12 and size > 1e-6:
            size /= 2
        weights = weights - size * step
    raise DataError(
        f"the toy's loss has no finite minimum over {len(x)} points: a line separates the "
        "classes; draw more points or take another seed"
    )


def gradient_variance(weights: np.ndarray, x: np.ndarray, targets: np.ndarray) -> float:
    """Scatter of the gradient between points: the trace of its covariance.

    Parameters
    ----------
    weights : (2,)
    x : (N, 2)
    targets : (N,)

    Notes
    -----
    The paper's own argument for soft targets (1505.04630, latest text), with the gradient of
    the weights in the place of that of the logits.
    """
    return float(gradients(weights, x, targets).var(axis=0).sum())


def loss_surface(
    targets: str,
    x: np.ndarray,
    values: np.ndarray,
    w1: np.ndarray,
    w2: np.ndarray,
) -> Surface:
    """Compute a loss surface and the numbers at its minimum.

    Parameters
    ----------
    targets : str
        Name of the targets.
    x : (N, 2)
    values : (N,)
        The targets: probability of class 1.
    w1, w2 : (P,)
        Weights of the grid.

    Returns
    -------
    Surface
    """
    grid = np.stack(np.meshgrid(w1, w2), axis=-1)  # (P, P, 2)
    lowest = minimum(x, values)
    return Surface(
        targets=targets,
        w1=np.asarray(w1),
        w2=np.asarray(w2),
        loss=loss(grid, x, values),
        minimum=lowest,
        minimum_loss=float(loss(lowest, x, values)),
        curvatures=np.linalg.eigvalsh(hessian(lowest, x))[::-1],
        gradient_variance=gradient_variance(lowest, x, values),
        gradient_variance_at_zero=gradient_variance(np.zeros(2), x, values),
    )


def toy_surfaces(data: ToyData, reach: float = 4.0, points: int = 101) -> dict[str, Surface]:
    """Compute the surfaces of the toy on one grid: hard labels, and posteriors at T = 1 and 2.

    Parameters
    ----------
    data : ToyData
    reach : float
        Both weights run from ``-reach/2`` to ``reach``, in which the minima lie.
    points : int
        Points of the grid along each weight.

    Returns
    -------
    dict
        Surface of ``hard``, ``soft, T = 1`` and ``soft, T = 2``.
    """
    axis = np.linspace(-reach / 2, reach, points)
    values = {"hard": data.label.astype(float)}
    for temperature in (1, 2):
        values[f"soft, T = {temperature}"] = soften(data.posterior, temperature)
    return {name: loss_surface(name, data.x, target, axis, axis) for name, target in values.items()}


def over_draws(draws: int = 200, points: int = 100) -> pd.DataFrame:
    """Repeat the toy with other points, to tell what holds from what chance brought.

    Parameters
    ----------
    draws : int
        Seeds, from 0.
    points : int
        Points of each class.

    Returns
    -------
    DataFrame
        The median over draws of the columns of `toy_numbers`, one row for each kind of targets.
    """
    tables = [toy_numbers(toy_surfaces(toy_data(seed, points), points=2)) for seed in range(draws)]
    return pd.concat(tables).groupby("targets", sort=False).median().reset_index()


def write_toy(path: str | Path, data: ToyData, surfaces: dict[str, Surface]) -> None:
    """Write the toy's points and surfaces to ``X.npz`` and the numbers to ``X.csv``."""
    path = Path(path)
    arrays = {"x": data.x, "label": data.label, "posterior": data.posterior}
    arrays["targets"] = np.array(list(surfaces))
    for number, surface in enumerate(surfaces.values()):
        for name, value in vars(surface).items():
            if name != "targets":
                arrays[f"{number}.{name}"] = np.asarray(value)
    write_arrays(path, arrays)
    write_text(path.with_suffix(".csv"), toy_numbers(surfaces).to_csv(index=False))


def read_toy(path: str | Path) -> tuple[ToyData, dict[str, Surface]]:
    """Read what `write_toy` wrote.

    Raises
    ------
    DataError
        If the file is absent or damaged.
    """
    arrays = read_arrays(path, WHAT)
    with refusing(path, WHAT):
        data = ToyData(arrays["x"], arrays["label"], arrays["posterior"])
        surfaces = {}
        for number, targets in enumerate(map(str, arrays["targets"])):
            fields = {
                name: arrays[f"{number}.{name}"]
                for name in Surface.__dataclass_fields__
                if name != "targets"
            }
            scalars = {name: float(value) for name, value in fields.items() if value.ndim == 0}
            surfaces[targets] = Surface(targets=targets, **fields | scalars)
        return data, surfaces


def toy_numbers(surfaces: dict[str, Surface]) -> pd.DataFrame:
    """Tabulate the minima, curvatures and gradient variances of surfaces, one row each."""
    return pd.DataFrame(
        [
            {
                "targets": surface.targets,
                "w1": round(surface.minimum[0], 6),
                "w2": round(surface.minimum[1], 6),
                "loss": round(surface.minimum_loss, 6),
                "curvature": round(surface.curvatures[0], 6),
                "condition": round(surface.condition, 6),
                "gradient_variance": round(surface.gradient_variance, 6),
                "gradient_variance_at_zero": round(surface.gradient_variance_at_zero, 6),
            }
            for surface in surfaces.values()
        ]
    )


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -z))
