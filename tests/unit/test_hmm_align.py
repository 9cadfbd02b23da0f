"""Training graphs and forced alignment against enumeration, on tiny models."""

import itertools
import math

import numpy as np
import pytest
import torch

from darkknowledge.errors import DataError
from darkknowledge.hmm.align import (
    Aligner,
    convert_alignment,
    equal_alignment,
    phone_segments,
    transition_scores,
)
from darkknowledge.hmm.options import AlignmentOptions
from darkknowledge.hmm.stages import check_failures
from darkknowledge.hmm.training_graph import (
    compile_training_graph,
    phone_graph,
    utterance_pronunciations,
)
from tests.hmm_toys import LEXICON, SIZE, tiny_model

WIDE = AlignmentOptions(beam=1e4, retry_beam=2e4, boost_silence=1.0)


def graph_of(model, words, options=WIDE):
    graph = phone_graph(
        utterance_pronunciations(words, LEXICON, model.phones),
        model.phones,
        model.context_width,
        options.silence_probability,
    )
    return graph, compile_training_graph(graph, model)


def phone_sequences(words, phones):
    """Every phone sequence of a transcript and the cost of its silences."""
    silence = (phones.silence_phone,)
    variants = [[phones.positioned(v) for v in LEXICON[word]] for word in words]
    for chosen in itertools.product(*variants):
        for pauses in itertools.product([False, True], repeat=len(words) + 1):
            sequence = silence if pauses[0] else ()
            for word, pause in zip(chosen, pauses[1:], strict=True):
                sequence += word + (silence if pause else ())
            yield sequence, (len(words) + 1) * math.log(2)


def best_by_enumeration(model, words, features, options):
    """Viterbi over each phone sequence apart, written out plainly."""
    likelihoods = options.acoustic_scale * model.log_likelihoods(features).double().numpy()
    scores = transition_scores(model, options).astype(float)
    best = (-math.inf, None)
    for sequence, cost in phone_sequences(words, model.phones):
        places, where = [], {}
        for position, phone in enumerate(sequence):
            left = sequence[position - 1] if position else 0
            right = sequence[position + 1] if position + 1 < len(sequence) else 0
            if phone in model.phones.silence:
                left = right = 0
            window = (left, phone, right) if model.context_width == 3 else (phone,)
            for state in range(model.num_states(phone)):
                where[position, state] = len(places)
                places.append((position, phone, state, model.pdf(window, state)))
        value = {0: (-cost, ())}
        for frame in likelihoods:
            following = {}
            for place, (total, path) in value.items():
                if place == len(places):
                    continue
                position, phone, state, pdf = places[place]
                for number, target, _ in model.transition_ids(phone, state, pdf):
                    leaving = target == model.num_states(phone)
                    key = (position + 1, 0) if leaving else (position, target)
                    arrival = where.get(key, len(places))
                    fresh = total + frame[pdf] + scores[number - 1]
                    if fresh > following.get(arrival, (-math.inf,))[0]:
                        following[arrival] = (fresh, (*path, number - 1))
            value = following
        best = max(best, value.get(len(places), (-math.inf, None)), key=lambda pair: pair[0])
    return best


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("words", [["A"], ["B", "A"], ["A", "A"]])
def test_alignment_is_the_best_of_all_paths(words, width):
    model = tiny_model(seed=len(words), width=width)
    generator = np.random.default_rng(3)
    for frames in (9, 17):
        features = torch.from_numpy(
            generator.normal(scale=4, size=(frames, SIZE)).astype(np.float32)
        )
        expected, path = best_by_enumeration(model, words, features, WIDE)
        _, graph = graph_of(model, words)
        found, attempts = Aligner(model, WIDE)(graph, features)
        if path is None:
            assert found is None and attempts == 2
            continue
        assert found is not None
        scores = transition_scores(model, WIDE).astype(float)
        likelihoods = WIDE.acoustic_scale * model.log_likelihoods(features).double().numpy()
        pdfs = model.transition_pdf[found]
        value = scores[found].sum() + likelihoods[np.arange(frames), pdfs].sum()
        value -= (len(words) + 1) * math.log(2)
        assert value == pytest.approx(expected, abs=1e-3)
        assert tuple(found) == path


def _speak(model, sequence, each=4):
    """Frames at the means of a phone sequence's states."""
    rows = []
    for position, phone in enumerate(sequence):
        left = sequence[position - 1] if position else 0
        window = (left, phone, 0) if model.context_width == 3 else (phone,)
        for state in range(model.num_states(phone)):
            rows += [model.mixtures.means[model.pdf(window, state)]] * each
    return torch.from_numpy(np.stack(rows))


@pytest.mark.parametrize("variant", [0, 1])
@pytest.mark.parametrize("pause", [False, True])
def test_pronunciation_and_silence_are_found(variant, pause):
    model = tiny_model()
    phones = model.phones
    silence = [phones.silence_phone] if pause else []
    spoken = [
        *silence,
        *phones.positioned(LEXICON["A"][variant]),
        *silence,
        *phones.positioned(LEXICON["B"][0]),
    ]
    features = _speak(model, spoken)
    _, graph = graph_of(model, ["A", "B"])
    aligned, attempts = Aligner(model, AlignmentOptions())(graph, features)
    segments = phone_segments(model, aligned, np.array([len(aligned)]))
    assert segments.phone.tolist() == spoken and attempts == 1
    lengths = [4 * model.num_states(phone) for phone in spoken]
    assert (segments.end - segments.start).tolist() == lengths
    assert segments.left.tolist() == [0, *spoken[:-1]]
    assert segments.right.tolist() == [*spoken[1:], 0]


def test_too_short_an_utterance_fails():
    model = tiny_model()
    _, graph = graph_of(model, ["B", "B"])
    aligned, attempts = Aligner(model, AlignmentOptions())(graph, torch.zeros(10, SIZE))
    assert aligned is None and attempts == 2


def test_too_many_failures_are_an_error():
    check_failures(["u1"], 100, AlignmentOptions())
    with pytest.raises(DataError, match="6 of 100.*u0"):
        check_failures([f"u{n}" for n in range(6)], 100, AlignmentOptions())
    with pytest.raises(DataError, match="1 of 1"):
        check_failures(["u"], 1, AlignmentOptions(allowed_failures=0.99))


def test_equal_alignment_visits_every_state_equally():
    model = tiny_model()
    phones = np.array([1, *model.phones.positioned(("Z", "X", "Y"))])
    aligned = equal_alignment(model, phones, 28)
    states = model.tuples[model.transition_owner[aligned]]
    assert len(np.unique(states, axis=0)) == 14
    assert np.unique(states, axis=0, return_counts=True)[1].tolist() == [2] * 14
    segments = phone_segments(model, aligned, np.array([28]))
    assert segments.phone.tolist() == phones.tolist()
    assert equal_alignment(model, phones, 13) is None


def test_conversion_keeps_phones_states_and_times():
    old, new = tiny_model(), tiny_model(width=3)
    spoken = [1, *old.phones.positioned(("X",)), *old.phones.positioned(("Y", "Z"))]
    first = equal_alignment(old, np.array(spoken), 40)
    second = equal_alignment(old, np.array(spoken[1:]), 23)
    together = np.concatenate([first, second])
    converted = convert_alignment(old, new, together, np.array([40, 23]))
    before = old.tuples[old.transition_owner[together]]
    after = new.tuples[new.transition_owner[converted]]
    assert (before[:, :2] == after[:, :2]).all()
    assert (old.transition_target[together] == new.transition_target[converted]).all()
    x = spoken[1]
    assert new.pdf((1, x, 0), 0) != new.pdf((0, x, 0), 0)
    assert after[20, 1] >= 0
    at_start = after[40:43]  # the second utterance begins with X after nothing
    assert at_start[0, 2] == new.pdf((0, x, spoken[2]), 0)


def test_log_likelihood_of_wrong_features_is_refused():
    with pytest.raises(DataError, match="expected"):
        tiny_model().log_likelihoods(np.zeros((4, SIZE + 1), np.float32))


def test_an_early_pass_may_fail_more_often_but_not_mostly():
    early = [f"u{n}" for n in range(40)]
    check_failures(early, 100, AlignmentOptions(), early=True)
    with pytest.raises(DataError, match="60 of 100"):
        check_failures([f"u{n}" for n in range(60)], 100, AlignmentOptions(), early=True)
