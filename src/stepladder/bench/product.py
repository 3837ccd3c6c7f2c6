"""The machine's own matrix product, and what a training step costs in it: how much of the hardware is used?"""

from __future__ import annotations

from time import perf_counter

import torch
from torch import Tensor

from stepladder.bench.lanes import CHANNELS, CLASSES, SIZE
from stepladder.network import trace_network
from stepladder.recipe import Recipe
from stepladder.training.device import Compute, threads_for

#: Rows and columns of the matrices.
_MATRIX = 2048
#: Matrix products in one measurement: about as long as twenty training steps.
_PRODUCTS = 20


def matrix_rate(compute: Compute, products: int = _PRODUCTS) -> float:
    """Return the FLOP a second of a 2048² matrix product in the precision used, on all cores or the device.

    Args:
        products: after one that warms up.
    """
    dtype = torch.bfloat16 if compute.precision == "bfloat16" else torch.float32
    one, other = (torch.randn(_MATRIX, _MATRIX, device=compute.device).to(dtype) for _ in range(2))
    # A small network that was trained before has left torch with one thread.
    with threads_for(_MATRIX**3, compute.threads):
        _wait_for(one @ other)
        started = perf_counter()
        for _ in range(products):
            product = one @ other
        _wait_for(product)
        return products * 2 * _MATRIX**3 / (perf_counter() - started)


def flop_an_image(recipe: Recipe, num_classes: int = CLASSES) -> float:
    """Return the FLOP of a training step, an image of 32×32 in color.

    Forward, weight gradients, input gradients but the first layer's; layers that multiply, no others.
    """
    costs = [cost for cost in trace_network(recipe.network, (CHANNELS, SIZE, SIZE), num_classes) if cost.macs]
    # Two FLOP a multiply-accumulate; forward, weight and input gradient cost the same; images need no gradient.
    return 2 * (3 * sum(cost.macs for cost in costs) - costs[0].macs)


def _wait_for(result: Tensor) -> None:
    """Reading one number makes an asynchronous device finish."""
    result[0, 0].item()
