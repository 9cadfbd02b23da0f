"""Restricted Boltzmann machines: gradients by enumeration and by hand, stacks on a toy."""

import itertools

import numpy as np
import pytest
import torch

from darkknowledge.batches import gather_frames
from darkknowledge.errors import DivergenceError
from darkknowledge.networks import rbm as module
from darkknowledge.networks.rbm import Rbm, pretrain_layer
from darkknowledge.networks.registry import build_network

STATES = torch.tensor(list(itertools.product([0.0, 1.0], repeat=2)), dtype=torch.float64)
DNN = {"kind": "dnn", "layers": 3, "units": 16, "splice": 1, "lda": None}


def machine(gaussian=False):
    """Make a machine of two visible and two hidden units, in double precision."""
    rbm = Rbm(torch.tensor([0.3, 0.6]), 2, gaussian, torch.Generator().manual_seed(0))
    rbm.weight = torch.tensor([[0.5, -1.0], [2.0, 0.3]], dtype=torch.float64)
    rbm.visible_bias = torch.tensor([0.2, -0.4], dtype=torch.float64)
    rbm.hidden_bias = torch.tensor([-0.3, 0.1], dtype=torch.float64)
    rbm._steps = [torch.zeros_like(value) for value in rbm.parameters]
    return rbm


def log_joint(rbm):
    """Tabulate ln p(v, h) + ln Z (4, 4) over visible and hidden states."""
    interaction = STATES @ rbm.weight.t() @ STATES.t()
    return interaction + (STATES @ rbm.visible_bias)[:, None] + STATES @ rbm.hidden_bias


def test_statistics_are_the_gradient_of_the_likelihood():
    rbm = machine()
    parameters = [value.clone().requires_grad_() for value in rbm.parameters]
    rbm.weight, rbm.visible_bias, rbm.hidden_bias = parameters
    table = log_joint(rbm)
    log_probability = table.logsumexp(1) - table.logsumexp((0, 1))
    data = [0, 1, 1, 3]
    gradients = torch.autograd.grad(log_probability[data].mean(), parameters)
    probability = log_probability.exp().detach()
    states = torch.cat([STATES[data], STATES])
    weights = torch.cat([torch.full((4,), 1 / 4), -probability])[:, None]
    found = rbm.statistics(states, rbm.hidden(states), weights)
    for ours, expected in zip(found, gradients, strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("gaussian", [False, True])
def test_reconstructions_average_to_their_expectation(gaussian):
    rbm = machine(gaussian)
    visible = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    probability = rbm.hidden(visible)[0].numpy()
    expected = sum(
        np.prod(np.where(h == 1, probability, 1 - probability)) * rbm.visible(h[None].double())
        for h in STATES
    )
    generator = torch.Generator().manual_seed(1)
    found = rbm.reconstruct(rbm.hidden(visible).expand(40000, -1), generator).mean(0)
    torch.testing.assert_close(found, expected[0], atol=0.01, rtol=0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(("gaussian", "rate"), [(False, 0.4), (True, 0.01)])
def test_an_update_by_hand(gaussian, rate):
    rbm = machine(gaussian)
    w, b, c = (value.numpy().copy() for value in rbm.parameters)
    steps = [0 * w, 0 * b, 0 * c]
    v = np.array([[1.0, 0.0], [-1.0, 3.0], [0.0, -4.0]]) if gaussian else STATES[1:].numpy()
    ours, theirs = (torch.Generator().manual_seed(5) for _ in range(2))
    for _ in range(2):
        error = rbm.learn(torch.from_numpy(v), ours)
        p = sigmoid(v @ w.T + c)
        h = torch.rand(3, 2, generator=theirs, dtype=torch.float64).numpy() < p
        again = h @ w + b if gaussian else sigmoid(h @ w + b)
        q = sigmoid(again @ w.T + c)
        gradients = [
            (p.T @ v - q.T @ again) / 3 - 2e-4 * w,
            (v - again).mean(0),
            (p - q).mean(0),
        ]
        steps = [0.5 * s + rate * 0.5 * g for s, g in zip(steps, gradients, strict=True)]
        w, b, c = w + steps[0], b + steps[1], c + steps[2]
        assert float(error) == pytest.approx(((v - again) ** 2).sum())
    for found, expected in zip(rbm.parameters, (w, b, c), strict=True):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def test_weights_about_to_explode_are_scaled_down():
    rbm = machine(gaussian=True)
    rbm.weight *= 100
    visible = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)).double()
    before = rbm.weight.clone()
    rbm.learn(visible, torch.Generator().manual_seed(0))
    ratio = rbm.weight / before
    assert (ratio < 0.5).all()
    torch.testing.assert_close(ratio, ratio[0, 0].expand(2, 2))
    assert rbm.rate == pytest.approx(0.009)


def test_momentum_rises_with_the_frames():
    rbm = machine()
    generator = torch.Generator().manual_seed(0)
    found = []
    for frames in (0, 499_996, 10_000_000, 90_000_000):
        rbm.frames = frames
        rbm.learn(STATES, generator)
        found.append(rbm.momentum)
    assert found == pytest.approx([0.5, 0.51, 0.7, 0.9])


def test_bernoulli_units_start_at_their_mean():
    rbm = Rbm(torch.tensor([0.25, 0.0]), 3, False, torch.Generator().manual_seed(0))
    assert torch.sigmoid(rbm.visible_bias).tolist() == pytest.approx([0.25, 1e-4])
    assert Rbm(torch.ones(2), 3, True, torch.Generator()).visible_bias.tolist() == [0, 0]


def toy():
    rng = np.random.default_rng(0)
    shapes = rng.normal(size=(6, 8))
    features = {
        f"u{n}": (shapes[rng.integers(0, 6, 60)] + 0.3 * rng.normal(size=(60, 8))).astype(
            np.float32
        )
        for n in range(20)
    }
    labels = {u: np.zeros(60, np.int32) for u in features}
    data = gather_frames("train", features, labels, 4)
    network = build_network(DNN, 8, 4, 0)
    network.estimate(data.features, data.first, data.last, data.labels)
    return network, data


def pretrain(network, data, epochs, seed, bf16=False):
    return [
        pretrain_layer("dnn", network, data, depth, epochs, seed, bf16)
        for depth in range(len(network.hidden))
    ]


def test_a_stack_reconstructs_better_and_better():
    network, data = toy()
    before = network.state_dict()["output.weight"].clone()
    errors = pretrain(network, data, 12, 1)
    assert [len(layer) for layer in errors] == [24, 12, 12]
    assert all(layer[-1] < 0.9 * layer[0] for layer in errors)
    assert errors[0][-1] < 0.8
    assert torch.equal(network.output.weight, before)
    again, _ = toy()
    assert pretrain(again, data, 12, 1) == errors
    other, _ = toy()
    assert pretrain(other, data, 1, 2) != errors
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert not torch.equal(network.hidden[1].weight, other.hidden[1].weight)


def test_lower_precision_learns_the_same_machines():
    networks = []
    for bf16 in (False, True):
        network, data = toy()
        errors = pretrain(network, data, 12, 1, bf16)
        networks.append((network, errors))
    (exact, expected), (lower, found) = networks
    assert lower.hidden[0].weight.dtype == torch.float32
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0.02)
    for ours, theirs in zip(lower.hidden, exact.hidden, strict=True):
        assert not torch.equal(ours.weight, theirs.weight)
        assert (ours.weight - theirs.weight).norm() < 0.2 * theirs.weight.norm()


def test_an_error_that_is_not_a_number_stops_it(monkeypatch):
    network, data = toy()
    monkeypatch.setattr(module, "GAUSSIAN_RATE", float("nan"))
    with pytest.raises(DivergenceError, match="dnn seed 1: the reconstruction error is not a num"):
        pretrain(network, data, 2, 1)
