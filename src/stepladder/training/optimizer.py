"""The optimizer of a recipe, made by torch."""

from __future__ import annotations

from torch import nn, optim

from stepladder.recipe import Optimizer


def make_optimizer(settings: Optimizer, module: nn.Module) -> optim.Optimizer:
    """Return torch's optimizer over all parameters of ``module``; fused, it updates them in one pass over memory."""
    return optim.SGD(module.parameters(), lr=settings.lr, momentum=settings.momentum, fused=True)
