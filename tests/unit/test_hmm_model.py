"""The model: transitions, likelihoods, and a file with the same bytes each time."""

import numpy as np
import pytest

from darkknowledge.errors import DataError
from darkknowledge.hmm.model import HmmModel, Transform
from tests.hmm_toys import tiny_model


@pytest.mark.parametrize("width", [1, 3])
def test_transitions_sum_to_one_and_are_numbered_as_kaldis(width):
    model = tiny_model(width=width)
    seen = []
    for phone, state, pdf in model.tuples.tolist():
        ways = model.transition_ids(phone, state, pdf)
        assert sum(probability for _, _, probability in ways) == pytest.approx(1)
        assert model.transitions(phone, state, pdf) == [way[1:] for way in ways]
        seen += [number for number, _, _ in ways]
    assert seen == list(range(1, model.num_transitions + 1))
    assert model.tuples.tolist() == sorted(model.tuples.tolist())


@pytest.mark.parametrize("width", [1, 3])
def test_every_lookup_is_a_tuple(width):
    model = tiny_model(width=width)
    tuples = set(map(tuple, model.tuples.tolist()))
    reached = set()
    everything = range(len(model.phones) + 1)
    for phone in range(1, len(model.phones) + 1):
        for left in everything if width == 3 else [0]:
            window = (left, phone, 0) if width == 3 else (phone,)
            for state in range(model.num_states(phone)):
                reached.add((phone, state, model.pdf(window, state)))
    assert reached == tuples
    assert {pdf for _, _, pdf in tuples} == set(range(model.num_pdfs))


def test_unknown_tuple_is_refused():
    with pytest.raises(DataError, match="not in the model"):
        tiny_model().transition_ids(1, 0, 3)


@pytest.mark.parametrize("width", [1, 3])
def test_written_and_read_it_has_the_same_bytes(tmp_path, width):
    model = tiny_model(width=width)
    model.transform = Transform(
        "splice", left=1, right=1, matrix=np.arange(9, dtype=np.float32).reshape(3, 3)
    )
    model.write(tmp_path / "a.npz")
    again = HmmModel.read(tmp_path / "a.npz")
    again.write(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert again.tuples.tolist() == model.tuples.tolist()
    assert again.tree_digest == model.tree_digest
    features = np.ones((4, 3), np.float32)
    assert (again.log_likelihoods(features) == model.log_likelihoods(features)).all()


def test_the_digest_of_the_tree_is_that_of_the_meaning_of_pdfs():
    model = tiny_model()
    assert tiny_model(seed=5).tree_digest == model.tree_digest
    assert tiny_model(width=3).tree_digest != model.tree_digest
    swapped = tiny_model()
    leaves = np.flatnonzero(swapped.tree.pdf >= 0)[:2]
    swapped.tree.pdf[leaves] = swapped.tree.pdf[leaves[::-1]]
    assert swapped.num_pdfs == model.num_pdfs
    assert swapped.tree_digest != model.tree_digest


def test_absent_or_damaged_file(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        HmmModel.read(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match="not a model"):
        HmmModel.read(tmp_path / "bad.npz")


def test_chunks_do_not_change_likelihoods():
    model = tiny_model()
    features = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    whole = model.log_likelihoods(features)
    np.testing.assert_allclose(whole, model.log_likelihoods(features, chunk=7), rtol=1e-5)
    some = model.log_likelihoods(features, pdfs=np.array([4, 1]))
    np.testing.assert_allclose(some, whole[:, [4, 1]], rtol=1e-5)


def test_deltas_triple_the_features():
    frames = np.random.default_rng(0).normal(size=(9, 13)).astype(np.float32)
    assert Transform("deltas").apply(frames).shape == (9, 39)
    matrix = np.eye(39, 91, dtype=np.float32)
    assert Transform("splice", left=3, right=3, matrix=matrix).apply(frames).shape == (9, 39)
