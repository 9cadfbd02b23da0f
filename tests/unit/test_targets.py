"""Objectives: gradients in closed form, phases."""

import pytest
import torch

from darkknowledge.networks.options import TargetOptions
from darkknowledge.targets import Objective, objectives

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
