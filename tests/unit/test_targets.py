"""Objectives: gradients in closed form, phases."""

import math

import numpy as np
import pytest
import torch

from darkknowledge.networks.options import TargetOptions
from darkknowledge.targets import LogitMatching, Objective, objectives

torch.manual_seed(0)
LOGITS = torch.randn(6, 5)
LABELS = torch.tensor([0, 1, 2, 3, 4, 0])
SOFT = torch.softmax(torch.randn(6, 5), 1)


def gradient(objective):
    logits = LOGITS.clone().requires_grad_()
    loss = objective.loss(logits, LABELS, SOFT)
    loss.backward()
    return loss.detach(), logits.grad


@pytest.mark.parametrize("hard", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("soft", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_gradient_in_closed_form(hard, soft, temperature):
    if hard == soft == 0:
        return
    loss, computed = gradient(Objective("any", hard, soft, temperature))
    aligned = torch.nn.functional.one_hot(LABELS, 5).float()
    y = torch.softmax(LOGITS, 1)
    tempered = torch.softmax(LOGITS / temperature, 1)
    expected = hard * (y - aligned) + soft / temperature * (tempered - SOFT)
    torch.testing.assert_close(computed, expected, atol=1e-6, rtol=1e-5)
    value = -(hard * aligned * y.log() + soft * SOFT * tempered.log()).sum()
    torch.testing.assert_close(loss, value)


def softmax(z):
    exponentials = np.exp(z - z.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


@pytest.mark.parametrize(
    ("options", "closed_forms"),
    [
        ({}, [lambda y, y3, t, p: y - t]),
        ({"targets": "soft", "temperature": 2}, [lambda y, y3, t, p: y - p]),
        (
            {"targets": "soft", "temperature": 3, "student_temperature": 3},
            [lambda y, y3, t, p: (y3 - p) / 3],
        ),
        (
            {"targets": "reg", "temperature": 2},
            [lambda y, y3, t, p: 0.5 * (y - t) + 4 * (y - p)],
        ),
        (
            {"targets": "reg", "temperature": 2, "scale": "one", "alpha": 0.2},
            [lambda y, y3, t, p: 0.2 * (y - t) + (y - p)],
        ),
        (
            {"targets": "reg", "temperature": 3, "student_temperature": 3},
            [lambda y, y3, t, p: 0.5 * (y - t) + 9 / 3 * (y3 - p)],
        ),
        (
            {"targets": "reg", "temperature": 3, "student_temperature": 3, "scale": "one"},
            [lambda y, y3, t, p: 0.5 * (y - t) + (y3 - p) / 3],
        ),
        (
            {"targets": "pretrain", "temperature": 2, "student_temperature": 3},
            [lambda y, y3, t, p: (y3 - p) / 3, lambda y, y3, t, p: y - t],
        ),
    ],
)
def test_every_kind_of_targets_has_its_gradient(options, closed_forms):
    z = LOGITS.numpy().astype(np.float64)
    terms = (softmax(z), softmax(z / 3), np.eye(5)[LABELS.numpy()], SOFT.numpy())
    phases = objectives(TargetOptions(**options))
    for phase, closed_form in zip(phases, closed_forms, strict=True):
        _, computed = gradient(phase)
        np.testing.assert_allclose(computed.numpy(), closed_form(*terms), atol=1e-6, rtol=1e-5)


def logit_gradient(logits, teacher):
    logits = logits.clone().requires_grad_()
    LogitMatching().loss(logits, LABELS, teacher).backward()
    return logits.grad


def test_logits_are_matched_without_their_mean():
    teacher = torch.randn(6, 5)
    v = teacher - teacher.mean(1, keepdim=True)
    z = LOGITS.numpy()
    expected = z - z.mean(1, keepdims=True) - v.numpy()
    np.testing.assert_allclose(logit_gradient(LOGITS, v).numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(logit_gradient(LOGITS + 7, v).numpy(), expected, atol=1e-5)
    loss = LogitMatching().loss(LOGITS, LABELS, v)
    assert float(loss) == pytest.approx(0.5 * (expected**2).sum(), rel=1e-5)
    (phase,) = objectives(TargetOptions(targets="logits"))
    assert phase == LogitMatching()


@pytest.mark.parametrize("temperature", [30.0, 100.0, 300.0])
def test_logit_matching_is_the_limit_of_high_temperature(temperature):
    torch.manual_seed(1)
    z, v = torch.randn(2, 6, 5).double()
    limit = logit_gradient(z, v - v.mean(1, keepdim=True))
    student = z.clone().requires_grad_()
    tempered = student / temperature
    soft = torch.softmax(v / temperature, 1)
    loss = -(soft * torch.log_softmax(tempered, 1)).sum()
    loss.backward()
    error = (5 * temperature**2 * student.grad - limit).abs().max()
    assert error < 6 * limit.abs().max() / temperature

    objective = Objective("soft", 0.0, 1.0, student_temperature=temperature)
    single = z.float().requires_grad_()
    objective.loss(single, LABELS, soft.float()).backward()
    ours = 5 * temperature**2 * single.grad
    torch.testing.assert_close(ours, limit.float(), atol=float(error) + 2e-3, rtol=0.01)


def test_what_is_known_of_a_loss_before_training():
    class Teacher:
        entropy, power = 0.7, 3.0

    reg = Objective("reg", 0.5, 4.0)
    assert reg.floor(Teacher) == 4 * 0.7
    assert reg.ignorance(Teacher, 10) == pytest.approx(4.5 * math.log(10))
    assert Objective("hard", 1.0, 0.0).floor(None) == 0
    assert (LogitMatching().floor(Teacher), LogitMatching().ignorance(Teacher, 10)) == (0, 1.5)


def test_loss_scales_with_its_factor():
    logits = LOGITS.clone().requires_grad_()
    (Objective("soft", 0, 1).loss(logits, LABELS, SOFT) / 3).backward()
    _, whole = gradient(Objective("soft", 0, 1))
    torch.testing.assert_close(logits.grad, whole / 3)


def test_soft_targets_are_left_alone():
    before = SOFT.clone()
    gradient(Objective("reg", 0.5, 1.0))
    assert torch.equal(SOFT, before)


@pytest.mark.parametrize(
    ("options", "phases"),
    [
        ({}, [("hard", 1, 0, 1)]),
        ({"targets": "soft", "temperature": 2}, [("soft", 0, 1, 1)]),
        ({"targets": "reg", "temperature": 2}, [("reg", 0.5, 4, 1)]),
        ({"targets": "reg", "temperature": 2, "scale": "one"}, [("reg", 0.5, 1, 1)]),
        ({"targets": "reg", "alpha": 0.2, "student_temperature": 3}, [("reg", 0.2, 1, 3)]),
        ({"targets": "pretrain", "temperature": 2}, [("soft", 0, 1, 1), ("hard", 1, 0, 1)]),
    ],
)
def test_phases(options, phases):
    found = objectives(TargetOptions(**options))
    assert [(p.name, p.hard, p.soft, p.student_temperature) for p in found] == phases


def test_fresh_output_concerns_the_second_phase():
    options = TargetOptions(targets="pretrain", fresh_output=True)
    assert [phase.fresh_output for phase in objectives(options)] == [False, True]
