"""Mixtures: likelihoods, statistics, estimation, splitting, LDA and MLLT."""

import numpy as np
import pytest
import scipy.linalg
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from torch._subclasses.fake_tensor import FakeTensorMode

from darkknowledge.errors import TrainingError
from darkknowledge.hmm.fmllr import speaker_statistics
from darkknowledge.hmm.gmm import (
    SortedFrames,
    estimate,
    estimate_transitions,
    split,
    split_targets,
)
from darkknowledge.hmm.model import Mixtures, Scorer
from darkknowledge.hmm.options import EstimationOptions
from darkknowledge.hmm.transforms import estimate_lda, estimate_mllt, mllt_objective

OPTIONS = EstimationOptions()
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    ),
]


@pytest.fixture
def mixtures(rng):
    counts = [3, 1, 5, 2]
    total = sum(counts)
    weights = np.concatenate([rng.dirichlet(np.ones(n)) for n in counts])
    return Mixtures(
        np.concatenate([[0], np.cumsum(counts)]),
        weights.astype(np.float32),
        rng.normal(size=(total, 4)).astype(np.float32),
        rng.uniform(0.5, 2, size=(total, 4)).astype(np.float32),
    )


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def _by_scipy(mixtures, frames):
    joint = np.stack(
        [
            np.log(weight) + multivariate_normal(mean, np.diag(variance)).logpdf(frames)
            for weight, mean, variance in zip(
                mixtures.weights, mixtures.means, mixtures.variances, strict=True
            )
        ],
        axis=1,
    )
    bounds = mixtures.offsets
    return joint, np.stack(
        [logsumexp(joint[:, bounds[j] : bounds[j + 1]], axis=1) for j in range(len(bounds) - 1)], 1
    )


def test_scores_agree_with_scipy(mixtures, rng):
    frames = rng.normal(size=(17, 4)).astype(np.float32)
    _, expected = _by_scipy(mixtures, frames)
    scores = Scorer(mixtures)(torch.from_numpy(frames)).T.numpy()
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


def test_scores_of_some_pdfs(mixtures, rng):
    frames = torch.from_numpy(rng.normal(size=(5, 4)).astype(np.float32))
    every = Scorer(mixtures)(frames)
    some = Scorer(mixtures, np.array([3, 0]))(frames)
    np.testing.assert_allclose(some, every[[3, 0]], rtol=1e-5, atol=1e-5)


def test_far_frames_stay_finite(mixtures):
    scores = Scorer(mixtures)(torch.full((2, 4), 300.0))
    assert torch.isfinite(scores).all()


def test_accumulation_agrees_with_brute_force(mixtures, rng):
    frames = rng.normal(size=(200, 4)).astype(np.float32)
    pdfs = rng.integers(0, 4, size=200)
    pdfs[pdfs == 1] = 0  # an unseen pdf
    joint, total = _by_scipy(mixtures, frames)
    expected = np.zeros((11, 9))
    for frame, pdf in enumerate(pdfs):
        for g in range(mixtures.offsets[pdf], mixtures.offsets[pdf + 1]):
            posterior = np.exp(joint[frame, g] - total[frame, pdf])
            x = frames[frame]
            expected[g] += posterior * np.concatenate([[1], x, x * x])
    sums, likelihood = SortedFrames(torch.from_numpy(frames), pdfs).accumulate(mixtures)
    np.testing.assert_allclose(sums, expected, rtol=1e-3, atol=1e-3)
    assert likelihood == pytest.approx(total[np.arange(200), pdfs].sum(), rel=1e-5)


@pytest.fixture
def many(rng):
    """Mixtures of many sizes, and frames of which most pdfs have few and one very many."""
    counts = rng.integers(1, 13, size=700)
    total = counts.sum()
    share = 1 / np.arange(1, 701)
    pdfs = rng.permutation(700)[rng.choice(700, 40000, p=share / share.sum())]
    assert np.bincount(pdfs).max() > 4096
    mixtures = Mixtures(
        np.concatenate([[0], np.cumsum(counts)]),
        np.concatenate([rng.dirichlet(np.ones(n)) for n in counts]).astype("f4"),
        rng.normal(size=(total, 5)).astype("f4"),
        rng.uniform(0.5, 2, size=(total, 5)).astype("f4"),
    )
    return mixtures, torch.from_numpy(rng.normal(size=(40000, 5)).astype("f4")), pdfs


def _one_by_one(mixtures, frames, pdfs, others):
    sums = np.zeros((mixtures.num_gaussians, 1 + 2 * mixtures.dimension))
    constants, linear = (part.double() for part in mixtures.natural())
    likelihood = 0.0
    for pdf in np.unique(pdfs):
        own = slice(*mixtures.offsets[pdf : pdf + 2])
        x, y = frames[pdfs == pdf].double(), others[pdfs == pdf].double()
        scores = constants[own] + torch.cat([x, x * x], 1) @ linear[own].T
        likelihood += float(scores.logsumexp(1).sum())
        posteriors = scores.softmax(1)
        sums[own] = posteriors.T @ torch.cat([torch.ones(len(y), 1), y, y * y], 1)
    return sums, likelihood


@pytest.mark.parametrize("device", DEVICES)
def test_many_pdfs_at_once_are_as_one_by_one(many, device):
    mixtures, frames, pdfs = many
    others = frames.flip(0)
    ordered = SortedFrames(frames, pdfs, device)
    for summed in (None, others):
        sums, likelihood = ordered.accumulate(mixtures, summed)
        expected = _one_by_one(mixtures, frames, pdfs, frames if summed is None else summed)
        np.testing.assert_allclose(sums, expected[0], rtol=1e-4, atol=2e-3)
        assert likelihood == pytest.approx(expected[1], rel=1e-6)
        again = SortedFrames(frames, pdfs, device).accumulate(mixtures, summed)
        assert again[0].tobytes() == sums.tobytes() and again[1] == likelihood


@pytest.mark.parametrize("device", DEVICES)
def test_groups_hold_every_frame_once_and_little_else(many, device):
    mixtures, frames, pdfs = many
    ordered = SortedFrames(frames, pdfs, device)
    assert torch.equal(ordered.extended[ordered.place, 1:6].cpu(), frames)
    assert len(ordered.extended) < 1.25 * len(frames)
    posteriors = sum(float(segment.posteriors.sum()) for segment in ordered.segments(mixtures))
    assert posteriors == pytest.approx(len(frames), rel=1e-5)


def test_tensors_of_different_devices_never_meet(many):
    mixtures, frames, pdfs = many
    frames = frames.numpy()
    with FakeTensorMode(allow_non_fake_inputs=True):  # knows devices and shapes, computes nothing
        ordered = SortedFrames(torch.from_numpy(frames), pdfs, "cuda")
        with pytest.raises(RuntimeError, match="numpy"):  # as far as a fake can go
            ordered.accumulate(mixtures, torch.from_numpy(frames))
        owner, weights = np.arange(len(pdfs)) % 3, np.ones(len(pdfs))
        found = speaker_statistics(ordered, owner, weights, 3, mixtures)
        assert found.linear.device.type == found.quadratic.device.type == "cpu"
        natural = tuple(part.to("cuda") for part in mixtures.natural())
        scores = Scorer(mixtures, None, natural)(torch.from_numpy(frames).to("cuda"))
        assert scores.device.type == "cuda"


@pytest.mark.parametrize("device", DEVICES)
def test_scores_on_a_device(mixtures, rng, device):
    frames = torch.from_numpy(rng.normal(size=(9, 4)).astype(np.float32))
    natural = tuple(part.to(device) for part in mixtures.natural())
    scores = Scorer(mixtures, np.array([2, 0]), natural)(frames.to(device))
    np.testing.assert_allclose(scores.cpu(), Scorer(mixtures)(frames)[[2, 0]], rtol=1e-5, atol=1e-5)


def test_em_raises_the_likelihood(mixtures, rng):
    frames = torch.from_numpy(rng.normal(size=(4000, 4)).astype(np.float32))
    ordered = SortedFrames(frames, rng.integers(0, 4, size=4000))
    values = []
    for _ in range(5):
        sums, likelihood = ordered.accumulate(mixtures)
        values.append(likelihood)
        mixtures, _ = estimate(mixtures, sums.astype(np.float64), OPTIONS)
    assert all(later > earlier for earlier, later in zip(values, values[1:], strict=False))


def test_estimate_of_one_gaussian_is_mean_and_variance(rng):
    frames = rng.normal(3, 2, size=(500, 2)).astype(np.float32)
    one = Mixtures(
        np.array([0, 1]), np.ones(1, "f4"), np.zeros((1, 2), "f4"), np.ones((1, 2), "f4")
    )
    sums, _ = SortedFrames(torch.from_numpy(frames), np.zeros(500, int)).accumulate(one)
    fitted, report = estimate(one, sums.astype(np.float64), OPTIONS)
    np.testing.assert_allclose(fitted.means[0], frames.mean(0), rtol=1e-4)
    np.testing.assert_allclose(fitted.variances[0], frames.var(0), rtol=1e-3)
    assert report == {"floored": 0, "removed": 0, "unseen": 0}


def test_constant_frames_are_floored_and_rare_gaussians_removed():
    two = Mixtures(
        np.array([0, 2]),
        np.array([0.5, 0.5], "f4"),
        np.array([[0.0], [9.0]], "f4"),
        np.ones((2, 1), "f4"),
    )
    sums = np.array([[50.0, 50.0, 50.0], [2.0, 18.0, 162.0]])
    fitted, report = estimate(two, sums, OPTIONS)
    assert fitted.num_gaussians == 1 and report["removed"] == 1 and report["floored"] == 1
    assert fitted.variances[0, 0] == pytest.approx(OPTIONS.variance_floor)
    assert fitted.weights.tolist() == [1.0]


def test_unseen_pdf_keeps_its_values(mixtures):
    sums = np.zeros((11, 9))
    fitted, report = estimate(mixtures, sums, OPTIONS)
    assert fitted.counts.tolist() == [1, 1, 1, 1] and report["unseen"] == 4
    assert np.isfinite(fitted.means).all()


def test_split_targets_follow_occupancy():
    targets = split_targets(np.array([10000.0, 625.0, 0.0, 30.0]), 10, 0.25, 20.0)
    # shares 10, 5, 0, 2.3; the last would have 15 frames a Gaussian, the empty one never splits
    assert targets.tolist() == [6, 2, 1, 1] or targets.sum() == 10
    assert targets[2] == 1 and targets[3] == 1 and targets[0] > targets[1]


def test_split_keeps_weight_and_mean(mixtures, rng):
    fatter = split(mixtures, np.full(4, 1e4), 30, OPTIONS, rng)
    assert fatter.num_gaussians == 30
    for pdf in range(4):
        own = slice(fatter.offsets[pdf], fatter.offsets[pdf + 1])
        old = slice(mixtures.offsets[pdf], mixtures.offsets[pdf + 1])
        assert fatter.weights[own].sum() == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose(
            fatter.weights[own] @ fatter.means[own],
            mixtures.weights[old] @ mixtures.means[old],
            atol=1e-4,
        )


def test_transitions_sum_to_one_with_floor_and_minimum():
    offsets = np.array([0, 2, 4, 8])
    before = np.array([0.75, 0.25, 0.75, 0.25, 0.25, 0.25, 0.25, 0.25])
    counts = np.array([90, 10, 2, 1, 1000, 0, 0, 0])
    fresh = estimate_transitions(before, counts, offsets, OPTIONS)
    assert fresh[:2].tolist() == pytest.approx([0.9, 0.1])
    assert fresh[2:4].tolist() == [0.75, 0.25]
    assert fresh[4:].min() >= 0.0099
    np.testing.assert_allclose(np.add.reduceat(fresh, offsets[:-1]), 1)


def _classes(rng, size=5, classes=4, frames=3000):
    labels = rng.integers(0, classes, frames)
    mix = rng.normal(size=(size, size))
    x = rng.normal(size=(frames, size)) @ mix + 3 * rng.normal(size=(classes, size))[labels]
    first = np.zeros((classes, 1 + size))
    np.add.at(first, labels, np.concatenate([np.ones((frames, 1)), x], 1))
    return labels, x, first, x.T @ x


def test_lda_agrees_with_generalised_eigenvectors(rng):
    labels, x, first, second = _classes(rng)
    matrix = estimate_lda(first, second, 3).astype(np.float64)
    means = first[:, 1:] / first[:, :1]
    centred = x - means[labels]
    within = centred.T @ centred / len(x)
    between = np.cov(means[labels].T, bias=True)
    values, vectors = scipy.linalg.eigh(between, within)
    expected = vectors[:, ::-1][:, :3].T
    for row, other in zip(matrix, expected, strict=True):
        assert abs(row @ within @ other) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(matrix @ within @ matrix.T, np.eye(3), atol=1e-4)
    np.testing.assert_allclose(
        np.diag(matrix @ between @ matrix.T), values[::-1][:3], rtol=1e-3, atol=1e-5
    )


def test_lda_refuses_too_little(rng):
    _, _, first, second = _classes(rng)
    with pytest.raises(TrainingError, match="6 dimensions from 5"):
        estimate_lda(first, second, 6)
    with pytest.raises(TrainingError, match="singular"):
        flat = second.copy()
        flat[0], flat[:, 0] = 0, 0
        estimate_lda(np.where(np.arange(6) == 1, 0, first), flat, 3)


def test_mllt_raises_its_objective_and_finds_the_diagonalising_transform(rng):
    size, frames = 4, 20000
    mix = rng.normal(size=(size, size)) + 2 * np.eye(size)
    variances = rng.uniform(0.3, 3, size=(3, size))
    second = np.zeros((size, size, size))
    for variance in variances:
        x = rng.normal(size=(frames, size)) * np.sqrt(variance) @ mix.T
        second += np.einsum("i,jk->ijk", 1 / x.var(0), x.T @ x)
    matrix, improvement = estimate_mllt(second, 3.0 * frames)
    identity = mllt_objective(np.eye(size), second, 3.0 * frames)
    value = mllt_objective(matrix.astype(np.float64), second, 3.0 * frames)
    assert improvement > 0.01
    assert value - identity == pytest.approx(improvement, abs=1e-5)
    for _ in range(20):
        nearby = matrix + 1e-2 * rng.normal(size=matrix.shape)
        assert mllt_objective(nearby, second, 3.0 * frames) <= value + 1e-9


def test_mllt_refuses_too_few_frames():
    with pytest.raises(TrainingError, match="too few"):
        estimate_mllt(np.stack([np.eye(4)] * 4), 10.0)
