"""Networks: known answers, agreement with torch's LSTM, scoring of utterances."""

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from darkknowledge.errors import TrainingError
from darkknowledge.networks.inputs import estimate_lda, mean_and_deviation, window_index
from darkknowledge.networks.options import (
    BlstmOptions,
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
BLSTM = {"kind": "blstm", "layers": 2, "units": 8}
TIME_CONTEXT = {
    **BLSTM,
    "splice": 2,
    "below": [6, 5],
    "above": [7],
    "cell_clip": 0.2,
    "bias": False,
}
HIGHWAY = {"kind": "highway", "layers": 3, "units": 8, "splice": 2}


def recurrent_layer(projection, clip=None, bias=True):
    layer = RecurrentLayer(5, 6, projection, clip, bias).double()
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


def step_by_step(layer, inputs, state):
    """Run a layer by its equations, with torch's own gradients."""
    (r, c), outputs = state, []
    for frame in inputs:
        gates = frame @ layer.w_input.T + r @ layer.w_recurrent.T + layer.bias
        forget, write, emit, new = gates.chunk(4, 1)
        c = torch.sigmoid(forget) * c + torch.sigmoid(write) * torch.tanh(new)
        c = c.clamp(-layer.clip, layer.clip)
        r = torch.sigmoid(emit) * torch.tanh(c)
        r = r if layer.w_project is None else r @ layer.w_project.T
        outputs.append(r)
    return torch.stack(outputs), (r, c)


@pytest.mark.parametrize(("projection", "bias"), [(4, True), (None, False)])
def test_cells_are_clipped(projection, bias):
    layer = recurrent_layer(projection, clip=0.25, bias=bias)
    torch.manual_seed(0)
    inputs = torch.randn(7, 3, 5, dtype=torch.float64, requires_grad=True)
    weights = [inputs, *layer.parameters()]
    assert len(weights) == 1 + 2 + bias + bool(projection)
    results = []
    for run in (layer, lambda *given: step_by_step(layer, *given)):
        outputs, (last, cells) = run(inputs, layer.initial_state(3))
        factor = torch.linspace(-1, 1, outputs.numel(), dtype=torch.float64).view_as(outputs)
        gradients = torch.autograd.grad((outputs * factor).sum(), weights)
        results.append([outputs, last, cells, *gradients])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert (cells.abs() == 0.25).any() and (cells.abs() < 0.25).any()


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


@pytest.mark.parametrize(
    "options",
    [
        DNN,
        {**DNN, "lda": 10},
        LSTM,
        {**LSTM, "projection": None},
        TIME_CONTEXT,
        HIGHWAY,
        {**HIGHWAY, "init": 0.5},
    ],
)
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


def test_blstm_agrees_with_torch():
    network = build_network(BLSTM, 3, 5, 0)
    reference = torch.nn.LSTM(3, 8, num_layers=2, bidirectional=True)
    for place, layers in enumerate((network.forwards, network.backwards)):
        for number, layer in enumerate(layers):
            suffix = f"l{number}" + "_reverse" * place
            for ours, theirs in (
                (layer.w_input, "weight_ih"),
                (layer.w_recurrent, "weight_hh"),
                (layer.bias, "bias_ih"),
            ):
                forget, write, emit, new = ours.data.chunk(4)
                value = torch.cat([write, forget, new, emit])
                getattr(reference, f"{theirs}_{suffix}").data.copy_(value)
            getattr(reference, f"bias_hh_{suffix}").data.zero_()
    torch.manual_seed(0)
    lengths = [9, 4, 70]
    utterances = [torch.randn(length, 3) for length in lengths]
    packed = torch.nn.utils.rnn.pack_sequence(utterances, enforce_sorted=False)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(reference(packed)[0])
    padded = torch.nn.utils.rnn.pad_sequence(utterances)
    found = network.hidden(padded, torch.tensor(lengths))
    with torch.no_grad():
        torch.testing.assert_close(network.hidden(padded, torch.tensor(lengths)), found)
    for stream, length in enumerate(lengths):
        torch.testing.assert_close(found[:length, stream], expected[:length, stream])


def test_time_context_reads_a_window():
    network = build_network({**TIME_CONTEXT, "layers": 1, "below": [4]}, 3, 5, 0)
    seen = []
    network.below.register_forward_hook(lambda module, given, made: seen.append(given[0]))
    features = torch.arange(12.0).view(4, 1, 3)
    network.hidden(features, torch.tensor([4]))
    padded = torch.cat([features[:1]] * 2 + [features] + [features[-1:]] * 2)
    expected = torch.stack([padded[t : t + 5].flatten() for t in range(4)])
    torch.testing.assert_close(seen[0][:, 0], expected)


@pytest.mark.parametrize("gates", ["both", "constrained", "transform", "carry"])
def test_highway_matches_the_equations(gates):
    network = build_network({**HIGHWAY, "gates": gates}, 3, 5, 0)
    torch.manual_seed(0)
    windows = torch.randn(4, 5, 3)
    hidden = torch.sigmoid(network.first(windows.flatten(1)))
    weights = {name: gate.weight for name, gate in network.gates.items()}
    assert (
        weights.keys()
        == {
            "both": {"transform", "carry"},
            "constrained": {"transform"},
            "transform": {"transform"},
            "carry": {"carry"},
        }[gates]
    )
    for layer in network.hidden:
        one = torch.ones_like(hidden)
        transform = torch.sigmoid(hidden @ weights["transform"].T) if gates != "carry" else one
        carry = torch.sigmoid(hidden @ weights["carry"].T) if "carry" in weights else one
        carry = 1 - transform if gates == "constrained" else carry
        hidden = torch.sigmoid(layer(hidden)) * transform + hidden * carry
    torch.testing.assert_close(network(windows), network.output(hidden))


def test_cost_of_a_frame():
    dnn = build_network({**DNN, "lda": 10}, 4, 6, 0)
    assert dnn.multiply_adds() == 20 * 10 + 10 * 8 + 8 * 8 + 8 * 6
    assert dnn.stored_bytes(4) == 4 * (count_parameters(dnn) + 20 * 10 + 10)
    assert dnn.stored_bytes(1) == dnn.multiply_adds() + 4 * (8 + 8 + 6 + 10)
    highway = build_network({**HIGHWAY, "layers": 5}, 4, 6, 0)
    assert highway.multiply_adds() == 20 * 8 + 4 * 3 * 8 * 8 + 8 * 6


# 1608.00892, Table 1, and 1610.05812, Table I, in millions. Their own counts are those of a window
# of 11 frames and 3927 states; with the 15 frames and 3972 states that they state, the sizes of
# 256 units would be 6 % larger. 1512.04280 has 0.77 for the smallest, which is 15 and 3972.
PRINTED = [
    ({"kind": "dnn", "units": 2048, "layers": 6}, 30),
    ({"kind": "dnn", "units": 512, "layers": 10}, 4.6),
    ({"kind": "dnn", "units": 256, "layers": 10}, 1.7),
    ({"kind": "dnn", "units": 128, "layers": 10}, 0.71),
    ({"kind": "highway", "units": 512, "layers": 10}, 5.1),
    ({"kind": "highway", "units": 256, "layers": 10}, 1.8),
    ({"kind": "highway", "units": 128, "layers": 10}, 0.74),
    ({"kind": "highway", "units": 512, "layers": 15}, 6.4),
    ({"kind": "highway", "units": 256, "layers": 15}, 2.1),
]


@pytest.mark.parametrize(("options", "millions"), PRINTED)
def test_highway_papers_sizes(options, millions):
    with torch.device("meta"):
        network = build_network({**options, "splice": 5, "lda": None}, 40, 3927, 0)
    assert count_parameters(network) == pytest.approx(millions * 1e6, rel=0.05)


def test_size_of_the_first_highway_paper():
    network = build_network({"kind": "highway"}, 40, 3972, 0)
    assert count_parameters(network) == 770_692  # 0.77 million in 1512.04280


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


@pytest.mark.parametrize("options", [DNN, LSTM, BLSTM, TIME_CONTEXT, HIGHWAY])
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


def test_a_bias_that_is_not_there():
    with pytest.raises(ValidationError, match="forget_bias has no effect with bias: false"):
        BlstmOptions(bias=False, forget_bias=0.0)


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
