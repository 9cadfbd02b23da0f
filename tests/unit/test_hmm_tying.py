"""State tying on toys whose best split is known."""

import numpy as np
import pytest
import torch

from darkknowledge.hmm.options import TreeOptions
from darkknowledge.hmm.phones import PhoneTable
from darkknowledge.hmm.tying import (
    build_tree,
    cluster_phones,
    gaussian_objective,
    initial_mixtures,
    phone_questions,
)


def _sums(frames):
    return np.concatenate([[len(frames)], frames.sum(0), (frames**2).sum(0)])


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def phones():
    return PhoneTable(["A", "B", "C"])


@pytest.fixture
def states(phones):
    return {p: 5 if p in phones.silence else 3 for p in range(1, len(phones) + 1)}


def test_objective_is_the_likelihood_of_the_own_gaussian(rng):
    frames = rng.normal(2, 3, size=(400, 2))
    mean, variance = frames.mean(0), frames.var(0)
    density = -0.5 * (np.log(2 * np.pi * variance) + (frames - mean) ** 2 / variance)
    value = gaussian_objective(torch.from_numpy(_sums(frames)), 0.01)
    assert float(value) == pytest.approx(density.sum())


def test_clusters_of_two_far_groups(rng):
    centres = [0, 0.5, 20, 20.5, 1.0]
    points = torch.from_numpy(np.stack([_sums(rng.normal(c, 1, size=(50, 2))) for c in centres]))
    clusters = {tuple(sorted(c)) for c in cluster_phones(points, 0.01, rng)}
    assert {(0, 1, 2, 3, 4), (0, 1, 4), (2, 3)} <= clusters
    assert {(n,) for n in range(5)} <= clusters


def _toy(phones, rng):
    """Base phone A moves by 10 when C is on its left; everything else is noise."""
    a, b, c = (phones.id(f"{base}_I") for base in "ABC")
    keys, sums = [], []
    for left in (a, b, c):
        for right in (a, b, c):
            for state in range(3):
                shift = 10.0 if left == c else 0.0
                keys.append((left, a, right, state))
                sums.append(_sums(rng.normal(shift, 1, size=(200, 2))))
    for other, centre in ((b, 50.0), (c, -50.0)):
        for state in range(3):
            keys.append((a, other, a, state))
            sums.append(_sums(rng.normal(centre, 1, size=(200, 2))))
    for state in range(5):
        keys.append((0, 1, 0, state))
        sums.append(_sums(rng.normal(state, 1, size=(100, 2))))
    order = np.lexsort(np.array(keys).T[::-1])
    return np.array(keys)[order], np.stack(sums)[order]


def test_tree_finds_the_context_that_matters(phones, states, rng):
    keys, sums = _toy(phones, rng)
    questions = phone_questions(keys, sums, 1, phones, 0.01, rng)
    names = {tuple(q.tolist()) for q in questions}
    assert tuple(phones.silence) in names
    assert tuple(p for p in phones.nonsilence if phones.position(p) == "B") in names
    # 5 + 5 silence states and three roots, of which one is split once
    tree, report = build_tree(
        keys, sums, 1, phones, states, questions, TreeOptions(leaves=14, merge=False)
    )
    assert report["leaves"] == tree.num_pdfs == 14
    a, b, c = (phones.id(f"{base}_I") for base in "ABC")
    windows = np.array([(c, a, b), (c, a, c), (a, a, b), (b, a, b)])
    pdf = tree.pdfs(windows, np.zeros(4, int))
    assert pdf[0] == pdf[1] != pdf[2] == pdf[3]
    tied = tree.pdfs(np.array([(a, phones.id("B_B"), a), (a, b, a)]), np.zeros(2, int))
    assert tied[0] == tied[1]
    silent = tree.pdfs(np.tile([0, 1, 0], (5, 1)), np.arange(5))
    assert len(set(silent.tolist())) == 5
    assert (tree.pdfs(np.tile([a, 1, b], (5, 1)), np.arange(5)) == silent).all()
    mixtures, occupancy = initial_mixtures(tree, keys, sums, 0.01)
    assert occupancy[pdf[0]] == 3 * 3 * 200
    np.testing.assert_allclose(mixtures.means[pdf[0]], 10, atol=0.2)
    unseen = tree.pdfs(np.array([[0, 2, 0]]), np.array([0]))[0]
    assert occupancy[unseen] == 0 and np.isfinite(mixtures.means[unseen]).all()


def test_gain_below_the_threshold_is_no_split_and_merging_joins(phones, states, rng):
    keys, sums = _toy(phones, rng)
    questions = phone_questions(keys, sums, 1, phones, 0.01, rng)
    options = TreeOptions(leaves=1000, minimum_gain=1e9)
    tree, report = build_tree(keys, sums, 1, phones, states, questions, options)
    assert tree.num_pdfs == 13 and report["merged"] == 0
    options = TreeOptions(leaves=1000, minimum_gain=0.0, merge=True)
    tree, report = build_tree(keys, sums, 1, phones, states, questions, options)
    assert report["leaves"] == tree.num_pdfs and set(tree.pdf.tolist()) == {
        -1,
        *range(tree.num_pdfs),
    }


def test_sides_keep_the_minimum_of_frames(phones, states, rng):
    keys, sums = _toy(phones, rng)
    questions = phone_questions(keys, sums, 1, phones, 0.01, rng)
    options = TreeOptions(leaves=1000, minimum_gain=0.0, minimum_frames=700.0, merge=False)
    tree, _ = build_tree(keys, sums, 1, phones, states, questions, options)
    _, occupancy = initial_mixtures(tree, keys, sums, 0.01)
    speech = tree.pdfs(keys[keys[:, 1] > 2][:, :3], keys[keys[:, 1] > 2][:, 3])
    assert occupancy[np.unique(speech)].min() >= 600


def test_reachable_agrees_with_all_lookups(phones, states, rng):
    keys, sums = _toy(phones, rng)
    questions = phone_questions(keys, sums, 1, phones, 0.01, rng)
    tree, _ = build_tree(
        keys, sums, 1, phones, states, questions, TreeOptions(leaves=60, minimum_gain=0.0)
    )
    size = len(phones) + 1
    left, phone, right = np.meshgrid(range(size), range(1, size), range(size), indexing="ij")
    windows = np.stack([left.ravel(), phone.ravel(), right.ravel()], 1)
    expected = set()
    for state in range(5):
        allowed = windows[[states[p] > state for p in windows[:, 1].tolist()]]
        pdfs = tree.pdfs(allowed, np.full(len(allowed), state))
        expected |= set(
            zip(allowed[:, 1].tolist(), [state] * len(allowed), pdfs.tolist(), strict=True)
        )
    assert set(tree.reachable(phones, states)) == expected
