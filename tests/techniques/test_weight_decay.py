from __future__ import annotations

import pytest
import torch

from stepladder.optimizer import Optimizer
from stepladder.techniques.gradient_clipping import GradientClipping
from stepladder.techniques.weight_decay import WeightDecay
from stepladder.training.optimizer import make_optimizer


def trained(
    technique: WeightDecay | None, optimizer: torch.optim.Optimizer, module: torch.nn.Module, clip: bool = False
):
    inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(1))
    for _ in range(5):
        module(inputs).square().mean().backward()
        with torch.no_grad():
            if clip:
                GradientClipping(max_norm=0.05).before_step(list(module.parameters()), 0.1)
            if technique is not None:
                technique.before_step(list(module.parameters()), 0.1)
        optimizer.step()
        optimizer.zero_grad()
    return [parameter.detach().clone() for parameter in module.parameters()]


def layer() -> torch.nn.Linear:
    module = torch.nn.utils.skip_init(torch.nn.Linear, 4, 3)
    rng = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, generator=rng)
    return module


@pytest.mark.parametrize("clip", [False, True])
def test_through_the_gradient_it_is_torch_s_sgd(clip):
    ours, theirs = layer(), layer()
    one = trained(WeightDecay(amount=0.1), make_optimizer(Optimizer(lr=0.1, momentum=0.9), ours), ours, clip)
    other = trained(None, torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1), theirs, clip)
    torch.testing.assert_close(one, other)


def test_decoupled_it_is_torch_s_adamw():
    ours, theirs = layer(), layer()
    technique = WeightDecay(amount=0.1, decoupled=True)
    one = trained(technique, make_optimizer(Optimizer(name="adamw", lr=0.1), ours), ours)
    other = trained(None, torch.optim.AdamW(theirs.parameters(), lr=0.1, weight_decay=0.1), theirs)
    torch.testing.assert_close(one, other)


def test_biases_can_be_left_alone():
    with torch.no_grad():
        weight, bias = torch.ones(3, 2).requires_grad_(), torch.ones(3).requires_grad_()
        weight.grad, bias.grad = torch.zeros(3, 2), torch.zeros(3)
        WeightDecay(amount=0.5, biases=False).before_step([weight, bias], 0.1)
    assert torch.equal(weight.grad, torch.full((3, 2), 0.5))
    assert torch.equal(bias.grad, torch.zeros(3))
