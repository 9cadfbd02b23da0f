"""Minibatches: every frame once, in its place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkknowledge.batches import gather_frames, plan_streams, plan_utterances
from darkknowledge.errors import DataError


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    streams=st.integers(1, 5),
    chunk=st.integers(1, 8),
    delay=st.integers(0, 6),
    seed=st.integers(0, 3),
)
def test_streams_read_utterances_in_order(lengths, streams, chunk, delay, seed):
    lengths = np.array(lengths)
    order = np.random.default_rng(seed).permutation(len(lengths))
    starts = np.cumsum(lengths) - lengths
    batches = plan_streams(lengths, order, streams, chunk, delay)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    read = [[] for _ in range(streams)]
    begun = []
    labelled = []
    for batch in batches:
        inputs = batch.inputs.numpy()
        assert inputs.shape == (chunk, streams)
        if batch.keep is not None:
            for stream in np.flatnonzero(batch.keep.numpy()[:, 0] == 0):
                begun.append(owner[inputs[0, stream]])
                assert inputs[0, stream] == starts[begun[-1]]
                read[stream] = []
        for stream in range(streams):
            read[stream] += inputs[:, stream].tolist()
        for place, frame in zip(batch.outputs.tolist(), batch.frames.tolist(), strict=True):
            step, stream = divmod(place, streams)
            history = read[stream][: len(read[stream]) - chunk + step + 1]
            utterance = owner[frame]
            first, last = starts[utterance], starts[utterance] + lengths[utterance] - 1
            expected = [min(first + t, last) for t in range(frame - first + delay + 1)]
            assert history == expected
            labelled.append(frame)
    assert begun.count(0) == 1 and sorted(begun) == list(range(len(lengths)))
    assert sorted(labelled) == list(range(lengths.sum()))


def test_first_free_stream_takes_the_next_utterance():
    batches = plan_streams(np.array([4, 2, 2]), [0, 1, 2], streams=2, chunk=2, delay=0)
    assert [b.inputs.T.tolist() for b in batches] == [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]
    assert batches[0].keep.tolist() == [[0], [0]]
    assert batches[1].keep.tolist() == [[1], [0]]


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    streams=st.integers(1, 5),
    delay=st.integers(0, 6),
    seed=st.integers(0, 3),
)
def test_whole_utterances_stand_side_by_side(lengths, streams, delay, seed):
    lengths = np.array(lengths)
    starts = np.cumsum(lengths) - lengths
    owner = np.repeat(np.arange(len(lengths)), lengths)
    batches = list(plan_utterances(lengths, np.random.default_rng(seed), streams, delay))
    labelled, members = [], []
    for batch in batches:
        inputs, outputs, frames = (t.numpy() for t in (batch.inputs, batch.outputs, batch.frames))
        steps, stream = np.divmod(outputs, streams)
        assert inputs.shape == (lengths[owner[frames]].max() + delay, streams)
        for place in np.unique(stream):
            (utterance,) = np.unique(owner[frames[stream == place]])
            first, last = starts[utterance], starts[utterance] + lengths[utterance] - 1
            expected = np.minimum(first + np.arange(len(inputs)), last)
            assert inputs[:, place].tolist() == expected.tolist()
            assert batch.keep[place, 0] == 0
            assert batch.lengths[place] == lengths[utterance]
        assert (steps == frames - starts[owner[frames]] + delay).all()
        labelled += frames.tolist()
        members.append(lengths[np.unique(owner[frames])])
    assert sorted(labelled) == list(range(lengths.sum()))
    members.sort(key=lambda part: (part.min(), part.max()))
    assert all(a.max() <= b.min() for a, b in zip(members, members[1:], strict=False))


def test_the_order_of_batches_is_that_of_the_seed():
    lengths = np.repeat([5, 6, 7, 8], 3)
    orders = [
        [batch.frames.tolist() for batch in plan_utterances(lengths, generator, 3, 2)]
        for generator in map(np.random.default_rng, (1, 1, 2))
    ]
    assert orders[0] == orders[1] != orders[2]
    sorted_by_length = [batch.frames.tolist() for batch in plan_utterances(lengths, None, 3)]
    assert sum(sorted_by_length, [])[0] == 0 and len(sorted_by_length) == 4
    assert [max(frames) for frames in sorted_by_length] == (
        np.cumsum([15, 18, 21, 24]) - 1
    ).tolist()


FEATURES = {"a": np.zeros((3, 2), np.float32), "b": np.ones((2, 2), np.float32)}
LABELS = {"a": np.array([0, 1, 2], np.int32), "b": np.array([3, 3], np.int32)}


def test_gathered_frames():
    frames = gather_frames("train", FEATURES, LABELS, 4)
    assert frames.labels.tolist() == [0, 1, 2, 3, 3]
    assert frames.first.tolist() == [0, 0, 0, 3, 3]
    assert frames.last.tolist() == [2, 2, 2, 4, 4]
    assert frames.digest() == gather_frames("cv", FEATURES, LABELS, 4).digest()
    changed = {**LABELS, "b": np.array([3, 2], np.int32)}
    assert frames.digest() != gather_frames("train", FEATURES, changed, 4).digest()


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        ({"a": FEATURES["a"]}, LABELS, r"1 have only one of them, b for one \(it has labels\)"),
        (FEATURES, {**LABELS, "b": LABELS["a"]}, "b has 2 feature frames and 3 labels"),
        (FEATURES, {**LABELS, "b": np.array([3, 4])}, "b has label 4; expected 0 to 3"),
        ({**FEATURES, "a": np.full((3, 2), np.nan)}, LABELS, "a hold a NaN"),
        ({}, {}, "0 utterances have features"),
    ],
)
def test_wrong_data_is_named(features, labels, message):
    with pytest.raises(DataError, match=message):
        gather_frames("train", features, labels, 4)
