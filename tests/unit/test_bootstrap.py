"""The paired bootstrap on data whose truth is known."""

import numpy as np
import pytest

from darkknowledge.bootstrap import bootstrap_difference

WORDS = np.arange(8, 28)


def test_identical_systems_do_not_differ():
    errors = np.random.default_rng(0).integers(0, 9, size=(3, 20))
    found = bootstrap_difference(errors, errors, WORDS)
    assert found.absolute == 0 and found.interval == (0, 0)
    assert found.relative == 0 and found.relative_interval == (0, 0)
    assert found.p == 1
    perfect = bootstrap_difference(0 * errors, 0 * errors, WORDS)
    assert perfect.p == 1 and perfect.relative is None and perfect.relative_interval is None


def test_a_difference_that_is_the_same_everywhere():
    first = np.tile(WORDS, (2, 1))
    found = bootstrap_difference(first, 0.75 * first, WORDS, replicates=999)
    assert found.absolute == pytest.approx(-25) and found.relative == pytest.approx(-25)
    assert found.interval == pytest.approx((-25, -25))
    assert found.p == pytest.approx(0.002)


def test_a_few_sentences_prove_nothing():
    for sentences, p in ((1, 1), (2, 0.5), (5, 0.0625)):
        first = np.full((1, sentences), 9)
        assert bootstrap_difference(first, first - 5, np.full(sentences, 20)).p == p


def test_the_draws_are_the_same_each_time_and_for_both():
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 9, size=(2, 3, 20))
    one = bootstrap_difference(first, second, WORDS, 1000)
    other = bootstrap_difference(second, first, WORDS, 1000)
    assert one == bootstrap_difference(first, second, WORDS, 1000)
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]))
    assert one.p == pytest.approx(other.p)


def test_what_is_hard_for_both_falls_out():
    rng = np.random.default_rng(2)
    hard = rng.integers(0, 20, size=(1, 60)).astype(float)
    better = hard - rng.uniform(0, 0.4, size=(1, 60))
    assert bootstrap_difference(hard, better, np.full(60, 20)).p < 0.001


def test_one_seed_that_differs_among_three_is_no_evidence():
    first = np.full((3, 40), 5)
    second = first + np.array([[-3], [1], [1]])
    low, high = bootstrap_difference(first, second, np.full(40, 20)).interval
    assert low < 0 < high
    assert bootstrap_difference(first[:1], second[:1], np.full(40, 20)).p < 0.001


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_interval_holds_the_truth_as_often_as_it_says(seeds):
    rng = np.random.default_rng(3)
    sentences, simulations, truth = 60, 300, -2.0
    held = 0
    for _ in range(simulations):
        words = rng.integers(60, 200, sentences)
        hard = rng.gamma(4, 0.025, (1, sentences))
        of_sentence = rng.normal(0, 0.05, (1, sentences))
        of_seed = rng.normal(0, 0.05 / sentences**0.5, (seeds, 1)) * (seeds > 1)
        change = truth / 100 + of_sentence + of_seed + rng.normal(0, 0.02, (seeds, sentences))
        first = np.broadcast_to(hard * words, change.shape)
        low, high = bootstrap_difference(first, (hard + change) * words, words, 500).interval
        held += low <= truth <= high
    assert 0.90 <= held / simulations <= 0.98
