import torch
from torch import nn

from stepladder.recipe import Optimizer
from stepladder.training.optimizer import make_optimizer


def test_steps_are_those_of_plain_sgd_with_momentum() -> None:
    module = nn.Linear(3, 2, bias=False)
    weight = module.weight.detach().clone()
    optimizer = make_optimizer(Optimizer(lr=0.5, momentum=0.9), module)
    velocity = torch.zeros_like(weight)
    for _ in range(3):
        module.weight.grad = torch.ones_like(weight)
        optimizer.step()
        velocity = 0.9 * velocity + 1
        weight -= 0.5 * velocity
    torch.testing.assert_close(module.weight.detach(), weight)
