import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from darkknowledge.errors import DataError
from darkknowledge.landscape import (
    CENTRES,
    COVARIANCES,
    SHARES,
    gradient_variance,
    gradients,
    hessian,
    log_density,
    loss,
    minimum,
    over_draws,
    read_toy,
    soften,
    toy_data,
    toy_numbers,
    toy_surfaces,
    write_toy,
)


@pytest.fixture(scope="module")
def data():
    return toy_data(seed=1)


@pytest.fixture(scope="module")
def surfaces(data):
    return toy_surfaces(data, points=31)


def test_density_agrees_with_scipy():
    x = np.random.default_rng(0).normal(size=(20, 2))
    for label in (0, 1):
        expected = sum(
            share * multivariate_normal(centre, covariance).pdf(x)
            for share, centre, covariance in zip(SHARES, CENTRES[label], COVARIANCES, strict=True)
        )
        np.testing.assert_allclose(np.exp(log_density(x, label)), expected)


def test_density_integrates_to_one():
    total, _ = dblquad(
        lambda b, a: np.exp(log_density(np.array([[a, b]]), 1))[0], -9, 9, -9, 9, epsabs=1e-4
    )
    assert total == pytest.approx(1, abs=1e-3)


def test_data_are_seeded_and_match_their_posteriors(data):
    np.testing.assert_array_equal(data.x, toy_data(seed=1).x)
    assert not np.array_equal(data.x, toy_data(seed=2).x)
    many = toy_data(seed=3, points=20000)
    for low in (0.1, 0.4, 0.8):
        inside = (many.posterior > low) & (many.posterior < low + 0.1)
        assert many.label[inside].mean() == pytest.approx(many.posterior[inside].mean(), abs=0.03)
    for label in (0, 1):
        np.testing.assert_allclose(
            many.x[many.label == label].mean(axis=0), SHARES @ CENTRES[label], atol=0.05
        )


def test_soften():
    p = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(soften(p, 1), p)
    odds = np.sqrt(p / (1 - p))
    np.testing.assert_allclose(soften(p, 2), odds / (1 + odds))


def test_loss_by_hand():
    x = np.array([[1.0, 0.0], [0.0, 2.0]])
    assert loss(np.zeros(2), x, np.array([1.0, 0.3])) == pytest.approx(np.log(2))
    w = np.array([1.0, -1.0])
    y = 1 / (1 + np.exp(-x @ w))
    t = np.array([1.0, 0.3])
    expected = -(t * np.log(y) + (1 - t) * np.log(1 - y)).mean()
    assert loss(w, x, t) == pytest.approx(expected)
    assert loss(np.array([[w, w], [w, w]]), x, t).shape == (2, 2)


def test_gradient_and_hessian_against_finite_differences(data):
    w, step = np.array([0.7, -0.4]), 1e-5
    for targets in (data.label, data.posterior):
        mean = lambda v, t=targets: gradients(v, data.x, t).mean(axis=0)  # noqa: E731
        for i, unit in enumerate(np.eye(2)):
            up, down = w + step * unit, w - step * unit
            slope = (loss(up, data.x, targets) - loss(down, data.x, targets)) / (2 * step)
            assert mean(w)[i] == pytest.approx(slope, abs=1e-8)
            column = (mean(up) - mean(down)) / (2 * step)
            np.testing.assert_allclose(hessian(w, data.x)[:, i], column, atol=1e-8)


def test_minimum_has_no_gradient_and_agrees_with_scipy(data, surfaces):
    for surface, targets in zip(
        surfaces.values(),
        (data.label, data.posterior, soften(data.posterior, 2)),
        strict=True,
    ):
        at = surface.minimum
        np.testing.assert_allclose(gradients(at, data.x, targets).mean(axis=0), 0, atol=1e-12)
        found = minimize(lambda v, t=targets: loss(v, data.x, t), np.zeros(2), tol=1e-10)
        np.testing.assert_allclose(at, found.x, atol=1e-4)
        assert surface.minimum_loss <= surface.loss.min()
        assert surface.w1[0] < at[0] < surface.w1[-1]
        assert surface.w2[0] < at[1] < surface.w2[-1]
        np.testing.assert_allclose(
            surface.curvatures, np.linalg.eigvalsh(hessian(at, data.x))[::-1]
        )


def test_targets_tilt_the_surface_and_bend_it_nowhere(surfaces):
    hard, soft, softer = surfaces.values()
    for other in (soft, softer):
        difference = other.loss - hard.loss
        assert np.abs(difference).max() > 0.01
        np.testing.assert_allclose(np.diff(difference, 2, axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(np.diff(difference, 2, axis=1), 0, atol=1e-12)


def test_soft_targets_scatter_the_gradient_less(data, surfaces):
    hard, soft, _ = surfaces.values()
    assert soft.gradient_variance < hard.gradient_variance
    assert soft.gradient_variance_at_zero < hard.gradient_variance_at_zero
    each = gradients(hard.minimum, data.x, data.label)
    expected = np.trace(np.cov(each.T, bias=True))
    assert gradient_variance(hard.minimum, data.x, data.label) == pytest.approx(expected)


def test_separable_points_have_no_minimum():
    x = np.array([[1.0, 0.2], [2.0, -0.3], [-1.0, 0.1], [-1.5, 0.7]])
    with pytest.raises(DataError, match="no finite minimum over 4 points"):
        minimum(x, np.array([1.0, 1.0, 0.0, 0.0]))


def test_files(tmp_path, data, surfaces):
    for name in ("a", "b"):
        write_toy(tmp_path / f"{name}.npz", data, surfaces)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    read, again = read_toy(tmp_path / "a.npz")
    np.testing.assert_array_equal(read.x, data.x)
    assert list(again) == ["hard", "soft, T = 1", "soft, T = 2"]
    np.testing.assert_array_equal(again["hard"].loss, surfaces["hard"].loss)
    assert toy_numbers(again).equals(toy_numbers(surfaces))
    assert (tmp_path / "a.csv").read_text().startswith("targets,w1,w2,loss,curvature,condition")
    (tmp_path / "a.npz").write_bytes(b"no")
    with pytest.raises(DataError, match="delete it"):
        read_toy(tmp_path / "a.npz")


@pytest.mark.parametrize("seed", range(40))
def test_every_seed_has_its_minimum(seed):
    data = toy_data(seed, points=60)
    for targets in (data.label, data.posterior):
        at = minimum(data.x, targets)
        np.testing.assert_allclose(gradients(at, data.x, targets).mean(axis=0), 0, atol=1e-12)


def test_what_holds_over_draws():
    # the numbers that the report's caption states
    medians = over_draws(draws=200).set_index("targets")
    assert list(medians["curvature"].round(2)) == [0.19, 0.19, 0.36]
    assert list(medians["gradient_variance"].round(2)) == [0.22, 0.02, 0.02]
    assert medians["condition"]["soft, T = 2"] < 1.5 < 2.5 < medians["condition"]["hard"]
