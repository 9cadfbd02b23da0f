"""fMLLR against brute force, a numerical optimum and speakers made by known transforms."""

import numpy as np
import pytest
import torch

from darkknowledge.errors import TrainingError
from darkknowledge.hmm.fmllr import (
    SpeakerStatistics,
    compose_transforms,
    estimate_fmllr,
    fmllr_objective,
    speaker_statistics,
    transform_features,
    update_transforms,
)
from darkknowledge.hmm.gmm import SortedFrames
from darkknowledge.hmm.model import Mixtures


def _mixtures(generator, pdfs=6, dimension=3):
    counts = generator.integers(1, 4, pdfs)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    weights = np.concatenate([generator.dirichlet(np.ones(n)) for n in counts])
    total = int(offsets[-1])
    return Mixtures(
        offsets,
        weights.astype(np.float32),
        generator.normal(scale=3, size=(total, dimension)).astype(np.float32),
        generator.uniform(0.3, 1.5, (total, dimension)).astype(np.float32),
    )


def _draw(generator, mixtures, frames):
    pdfs = generator.integers(0, mixtures.num_pdfs, frames)
    rows = []
    for pdf in pdfs:
        own = slice(*mixtures.offsets[pdf : pdf + 2])
        weights = mixtures.weights[own].astype(float)
        row = mixtures.offsets[pdf] + generator.choice(len(weights), p=weights / weights.sum())
        noise = generator.normal(size=mixtures.dimension)
        rows.append(mixtures.means[row] + noise * np.sqrt(mixtures.variances[row]))
    return np.array(rows), pdfs


def _speakers(generator, mixtures, transforms, frames):
    """Features whose transforms by speaker give frames of the mixtures."""
    features, pdfs, owner = [], [], []
    for number, transform in enumerate(transforms):
        drawn, own = _draw(generator, mixtures, frames)
        inverse = np.linalg.inv(transform[:, :-1])
        features.append((drawn - transform[:, -1]) @ inverse.T)
        pdfs.append(own)
        owner.append(np.full(frames, number))
    order = generator.permutation(frames * len(transforms))
    joined = [np.concatenate(part)[order] for part in (features, pdfs, owner)]
    return torch.from_numpy(joined[0].astype(np.float32)), joined[1], joined[2]


def test_statistics_equal_brute_force():
    generator = np.random.default_rng(0)
    mixtures = _mixtures(generator)
    features = torch.from_numpy(generator.normal(size=(50, 3)).astype(np.float32))
    pdfs = generator.integers(0, 6, 50)
    speaker = generator.integers(0, 2, 50)
    weights = generator.uniform(0, 1, 50)
    found = speaker_statistics(SortedFrames(features, pdfs), speaker, weights, 2, mixtures)
    expected = SpeakerStatistics.zeros(2, 3)
    for x, pdf, who, weight in zip(features.numpy(), pdfs, speaker, weights, strict=True):
        own = slice(*mixtures.offsets[pdf : pdf + 2])
        mean, variance = mixtures.means[own], mixtures.variances[own]
        score = mixtures.weights[own] * np.prod(
            np.exp(-((x - mean) ** 2) / variance / 2) / np.sqrt(variance), axis=1
        )
        posterior = weight * score / score.sum()
        extended = np.append(x, 1)
        expected.frames[who] += weight
        for d in range(3):
            slope = (posterior * mean[:, d] / variance[:, d]).sum()
            curvature = (posterior / variance[:, d]).sum()
            expected.linear[who, d] += torch.from_numpy(slope * extended)
            expected.quadratic[who, d] += torch.from_numpy(curvature * np.outer(extended, extended))
    torch.testing.assert_close(found.frames, expected.frames, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.linear, expected.linear, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(found.quadratic, expected.quadratic, rtol=1e-4, atol=1e-3)


def test_the_estimate_is_the_optimum():
    generator = np.random.default_rng(1)
    mixtures = _mixtures(generator)
    features = torch.from_numpy(generator.normal(scale=2, size=(900, 3)).astype(np.float32))
    pdfs = generator.integers(0, 6, 900)
    statistics = speaker_statistics(
        SortedFrames(features, pdfs), np.zeros(900, int), np.ones(900), 1, mixtures
    )
    found, improvement = estimate_fmllr(statistics, 100)
    free = torch.eye(3, 4, dtype=torch.float64).unsqueeze(0).requires_grad_()
    solver = torch.optim.LBFGS([free], max_iter=500, line_search_fn="strong_wolfe")

    def loss():
        solver.zero_grad()
        value = -fmllr_objective(free, statistics).sum() / 900
        value.backward()
        return value

    solver.step(loss)
    start = fmllr_objective(torch.eye(3, 4, dtype=torch.float64).unsqueeze(0), statistics)
    best = fmllr_objective(free.detach(), statistics)
    assert improvement == pytest.approx(float((best - start) / 900), abs=1e-4)
    np.testing.assert_allclose(found, free.detach().numpy(), atol=1e-2)


def test_known_transforms_are_found_and_composed():
    generator = np.random.default_rng(2)
    mixtures = _mixtures(generator)
    truth = [
        np.hstack([np.eye(3) + generator.normal(scale=0.15, size=(3, 3)), np.full((3, 1), shift)])
        for shift in (0.5, -0.7)
    ]
    features, pdfs, owner = _speakers(generator, mixtures, truth, 4000)
    present: dict = {}
    for _ in range(6):  # posteriors are better on better features
        moved = features.clone()
        for number, name in enumerate("ab"):
            if name in present:
                moved[owner == number] = transform_features(
                    features[owner == number], present[name]
                )
        total = speaker_statistics(
            SortedFrames(moved, pdfs), owner, np.ones(len(pdfs)), 2, mixtures
        )
        parts = {name: total.take(number) for number, name in enumerate("ab")}
        present, improvement = update_transforms(parts, present, 500)
        assert improvement >= 0
    assert improvement < 1e-3
    for name, transform in zip("ab", truth, strict=True):
        np.testing.assert_allclose(present[name], transform, atol=0.08)


def test_few_frames_change_nothing():
    statistics = SpeakerStatistics.zeros(2, 3)
    found, improvement = estimate_fmllr(statistics, 500)
    np.testing.assert_array_equal(found, np.stack([np.eye(3, 4, dtype=np.float32)] * 2))
    assert improvement == 0


def test_a_constant_feature_is_an_error():
    generator = np.random.default_rng(3)
    mixtures = _mixtures(generator)
    features = torch.zeros(600, 3)
    pdfs = generator.integers(0, 6, 600)
    statistics = speaker_statistics(
        SortedFrames(features, pdfs), np.zeros(600, int), np.ones(600), 1, mixtures
    )
    with pytest.raises(TrainingError, match="singular"):
        estimate_fmllr(statistics, 500)


def test_composition_is_one_transform_after_the_other():
    generator = np.random.default_rng(4)
    one, two = generator.normal(size=(2, 3, 4)).astype(np.float32)
    features = torch.from_numpy(generator.normal(size=(5, 3)).astype(np.float32))
    both = transform_features(transform_features(features, one), two)
    np.testing.assert_allclose(
        transform_features(features, compose_transforms(two, one)), both, rtol=1e-4, atol=1e-4
    )
