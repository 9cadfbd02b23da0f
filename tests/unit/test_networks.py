"""Networks: known answers, agreement with torch's LSTM, scoring of utterances."""

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from darkknowledge.errors import TrainingError
from darkknowledge.networks.inputs import estimate_lda, mean_and_deviation, window_index
from darkknowledge.networks.options import (
    LstmOptions,
    NetworkOptions,
    Options,
    SoftTargetOptions,
    TargetOptions,
    TrainingOptions,
)
from darkknowledge.networks.recurrence import RecurrentLayer
from darkknowledge.networks.registry import (
    build_network,
    count_parameters,
    log_posteriors,
    stream_log_posteriors,
)

DNN = {"kind": "dnn", "layers": 2, "units": 8, "splice": 2, "lda": None}
LSTM = {"kind": "lstm", "layers": 2, "units": 8, "projection": 3, "delay": 2}


def recurrent_layer(projection):
    layer = RecurrentLayer(5, 6, projection).double()
    layer.initialise(None, 1.0, torch.Generator().manual_seed(0))
    return layer


@pytest.mark.parametrize("projection", [4, None])
def test_recurrence_agrees_with_torch(projection):
    layer = recurrent_layer(projection)
    torch.manual_seed(0)
    inputs = torch.randn(7, 3, 5, dtype=torch.float64, requires_grad=True)
    state = (torch.randn(3, projection or 6).double(), torch.randn(3, 6).double())
    weights = [inputs, *layer.parameters()]
    results = []
    for run in (layer, layer.native):
        outputs, after = run(inputs, state)
        factor = torch.linspace(-1, 1, outputs.numel(), dtype=torch.float64).view_as(outputs)
        results.append([outputs, *after, *torch.autograd.grad((outputs * factor).sum(), weights)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_recurrence_in_bf16():
    layer = recurrent_layer(4).float()
    inputs = torch.randn(7, 3, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    results = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            outputs, _ = layer(inputs, layer.initial_state(3))
        assert outputs.dtype == torch.float32
        gradients = torch.autograd.grad(outputs.square().sum(), [inputs, *layer.parameters()])
        results.append([outputs, *gradients])
    for exact, rounded in zip(*results, strict=True):
        assert rounded.dtype == torch.float32 and not torch.equal(exact, rounded)
        assert (exact - rounded).norm() < 0.01 * exact.norm()  # bf16 has eight bits


def test_recurrence_matches_the_equations():
    layer = recurrent_layer(4)
    inputs = torch.randn(1, 1, 5).double()
    (r, c) = (torch.randn(1, 4).double(), torch.randn(1, 6).double())
    forget, write, emit, new = (
        inputs[0] @ layer.w_input.T + r @ layer.w_recurrent.T + layer.bias
    ).chunk(4, 1)
    cells = torch.sigmoid(forget) * c + torch.sigmoid(write) * torch.tanh(new)
    output = (torch.sigmoid(emit) * torch.tanh(cells)) @ layer.w_project.T
    result, (_, after) = layer(inputs, (r, c))
    torch.testing.assert_close(result[0], output)
    torch.testing.assert_close(after, cells)


@pytest.mark.parametrize("options", [DNN, {**DNN, "lda": 10}, LSTM, {**LSTM, "projection": None}])
def test_seed_decides_the_weights(options):
    one, same, other = (build_network(options, 4, 6, seed) for seed in (1, 1, 2))
    for name, value in one.state_dict().items():
        assert torch.equal(value, same.state_dict()[name])
    assert not torch.equal(one.output.weight, other.output.weight)


def test_parameter_counts():
    assert count_parameters(build_network(DNN, 4, 6, 0)) == 21 * 8 + 9 * 8 + 9 * 6
    assert count_parameters(build_network({**DNN, "lda": 10}, 4, 6, 0)) == 11 * 8 + 9 * 8 + 9 * 6
    lstm = 4 * 8 * (4 + 3 + 1) + 3 * 8 + 4 * 8 * (3 + 3 + 1) + 3 * 8 + 4 * 6
    assert count_parameters(build_network(LSTM, 4, 6, 0)) == lstm


def test_window_repeats_edges():
    index = window_index(torch.tensor([3, 4]), torch.tensor([3, 3]), torch.tensor([4, 4]), 2)
    assert index.tolist() == [[3, 3, 3, 4, 4], [3, 3, 4, 4, 4]]


def test_dnn_sees_the_spliced_window():
    network = build_network(DNN, 3, 5, 0)
    features = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    padded = np.concatenate([features[:1]] * 2 + [features] + [features[-1:]] * 2)
    windows = torch.from_numpy(np.stack([padded[t : t + 5] for t in range(6)]))
    expected = torch.log_softmax(network(windows), 1).detach().numpy()
    np.testing.assert_allclose(log_posteriors(network, features), expected, rtol=1e-5)


def test_lstm_output_follows_after_the_delay():
    network = build_network({**LSTM, "delay": 2}, 3, 5, 0)
    features = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    scores = log_posteriors(network, features)
    assert scores.shape == (9, 5)
    changed = features.copy()
    changed[6:] += 1
    difference = np.abs(log_posteriors(network, changed) - scores).max(1)
    assert (difference[:4] == 0).all() and (difference[4:] > 0).all()
    np.testing.assert_allclose(np.exp(scores).sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("options", [DNN, LSTM])
def test_utterances_scored_together_and_alone(options):
    network = build_network(options, 3, 5, 0)
    rng = np.random.default_rng(0)
    features = {f"u{n}": rng.normal(size=(n, 3)).astype(np.float32) for n in (1, 90, 7, 40)}
    scored = dict(stream_log_posteriors(network, features, most=3))
    assert scored.keys() == features.keys()
    for name, frames in features.items():
        np.testing.assert_allclose(
            scored[name], log_posteriors(network, frames), rtol=1e-4, atol=1e-5
        )


def test_mean_and_deviation():
    features = torch.tensor([[0.0, 5.0], [2.0, 5.0]])
    mean, deviation = mean_and_deviation(features)
    assert mean.tolist() == [1, 5]
    assert deviation.tolist() == pytest.approx([1, 1e-3])


def test_lda_against_a_direct_computation():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    means = np.array([[0, 0, 0], [3, 0, 0], [0, 2, 0]])
    mixing = np.array([[1, 0.5, 0], [0, 1, 0.3], [0, 0, 2]])
    features = (means[labels] + rng.normal(size=(600, 3))) @ mixing
    whole = torch.zeros(600, dtype=torch.int64)
    matrix, offset = estimate_lda(
        torch.from_numpy(features).float(), whole, whole + 599, torch.from_numpy(labels), 0, 2
    )
    # Fisher's directions: eigenvectors of inv(W) B.
    within = sum(np.cov(features[labels == k].T, bias=True) * (labels == k).sum() for k in range(3))
    total = np.cov(features.T, bias=True)
    values, vectors = np.linalg.eig(np.linalg.solve(within / 600, total - within / 600))
    for row, place in enumerate(np.argsort(-values)[:2]):
        direction = vectors[:, place] / np.linalg.norm(vectors[:, place])
        ours = matrix[row].numpy() / np.linalg.norm(matrix[row])
        assert abs(direction @ ours) == pytest.approx(1, abs=1e-4)
    projected = features @ matrix.numpy().T + offset.numpy()
    np.testing.assert_allclose(projected.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(projected.std(0), 1, atol=1e-3)


def test_lda_wider_than_the_window():
    whole = torch.zeros(4, dtype=torch.int64)
    with pytest.raises(TrainingError, match="200 dimensions of a window of 9"):
        estimate_lda(torch.randn(4, 3), whole, whole + 3, whole, 1, 200)


def test_unknown_keys_are_refused():
    with pytest.raises(ValidationError, match="unit"):
        TypeAdapter(NetworkOptions).validate_python({"kind": "dnn", "unit": 3})


def test_projection_must_be_smaller():
    with pytest.raises(ValidationError, match="projection 800 is not smaller than units 800"):
        LstmOptions(units=800, projection=800)


@pytest.mark.parametrize(
    "options",
    [
        {"targets": "hard", "temperature": 2},
        {"targets": "soft", "alpha": 0.3},
        {"targets": "reg", "fresh_output": True},
        {"targets": "pretrain", "scale": "one"},
        {"targets": "soft", "temperature": 0},
        {"targets": "logits", "temperature": 2},
    ],
)
def test_targets_refuse_what_has_no_effect(options):
    with pytest.raises(ValidationError):
        TargetOptions(**options)


def test_every_option_is_described():
    waiting, seen = [Options], set()
    while waiting:
        model = waiting.pop()
        waiting += model.__subclasses__()
        if model.__module__ == "darkknowledge.networks.options":
            seen.add(model)
            for name, field in model.model_fields.items():
                assert field.description, f"{model.__name__}.{name}"
    assert {LstmOptions, TrainingOptions, TargetOptions, SoftTargetOptions} <= seen
