"""Modules that PyTorch does not have in the form needed here."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class SeededDropout(nn.Module):
    """Dropout with a random stream of its own, so that switching it on moves no other random number.

    PyTorch's own draws from the global generator. Zeroes each value with probability ``p`` in training mode and scales
    the rest by 1 / (1 - p); in evaluation mode it is the identity (Srivastava et al., JMLR 2014, section 4, but scaled
    while training instead of afterwards).

    Args:
        p: probability of zeroing, 0 <= p < 1; rounded to a multiple of 2^-16.
        generator: on the device of the inputs.
    """

    def __init__(self, p: float, generator: torch.Generator) -> None:
        super().__init__()
        self.p = p
        self.generator = generator

    def forward(self, inputs: Tensor) -> Tensor:
        """Return ``inputs`` (any shape, floating point) with values dropped."""
        if not self.training or self.p == 0:
            return inputs
        # Four 16-bit numbers from each 64-bit draw take a fifteenth of the time of bernoulli_ on a CPU: 4 % of a step.
        draws = torch.empty((inputs.numel() + 3) // 4, dtype=torch.int64, device=inputs.device)
        draws.random_(-(2**63), None, generator=self.generator)
        bits = draws.view(torch.int16)[: inputs.numel()].view(inputs.shape)
        kept = bits >= round(self.p * 2**16) - 2**15
        return inputs * (kept.to(inputs.dtype) / (1 - self.p))

    def extra_repr(self) -> str:
        """Show the probability where the network is printed."""
        return f"p={self.p}"


class MaxPool2x2(nn.MaxPool2d):
    """Max pooling of 2×2 windows that do not overlap: PyTorch's to the bit, in two thirds of the time on a CPU.

    PyTorch writes a 64-bit position for every window, as many bytes as a bfloat16 map has, and fills a map with zeros
    before it spreads the gradient. Two comparisons, of columns and then of rows, need neither. It works on maps of
    even height and width in channels-last memory on a CPU; all others go PyTorch's way.
    """

    def __init__(self, ceil_mode: bool = False) -> None:
        super().__init__(kernel_size=2, stride=2, ceil_mode=ceil_mode)

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, C, ⌈H/2⌉, ⌈W/2⌉), rounded down without ``ceil_mode``, of (N, C, H, W) floating-point maps."""
        height, width = input.shape[2:]
        in_pairs = height % 2 == 0 and width % 2 == 0
        if input.device.type != "cpu" or not in_pairs or not input.is_contiguous(memory_format=torch.channels_last):
            return super().forward(input)  # type: ignore[no-any-return]
        if torch.is_grad_enabled() and input.requires_grad:
            return _LargestOfFour.apply(input)  # type: ignore[no-any-return, no-untyped-call]
        left, right = _columns(input)
        upper, lower = _rows(torch.maximum(left, right), input.shape)
        return _as_maps(torch.maximum(upper, lower), input.shape[1], height // 2, width // 2)


class _LargestOfFour(torch.autograd.Function):
    """The gradient goes to the first largest value of a window in reading order, as in PyTorch.

    Masks are kept in the maps' own type: as truth values, each multiplication would first convert them, and take longer
    than PyTorch's scatter.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        left, right = _columns(maps)
        left_wins = torch.ge(left, right, out=torch.empty(left.shape, dtype=maps.dtype))
        upper, lower = _rows(torch.maximum(left, right), maps.shape)
        upper_wins = torch.ge(upper, lower, out=torch.empty(upper.shape, dtype=maps.dtype))
        ctx.save_for_backward(left_wins, upper_wins)
        ctx.shape = maps.shape
        return _as_maps(torch.maximum(upper, lower), maps.shape[1], maps.shape[2] // 2, maps.shape[3] // 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        left_wins, upper_wins = ctx.saved_tensors
        channels, height, width = ctx.shape[1:]
        # What one half of a pair does not take is the other's: exactly, since each share is all or nothing.
        pooled = gradients[0].permute(0, 2, 3, 1).reshape(upper_wins.shape)
        of_rows = pooled.new_empty(len(pooled), 2, pooled.shape[1])
        torch.mul(pooled, upper_wins, out=of_rows[:, 0])
        torch.sub(pooled, of_rows[:, 0], out=of_rows[:, 1])
        paired = of_rows.view(left_wins.shape)
        of_columns = paired.new_empty(len(paired), 2, channels)
        torch.mul(paired, left_wins, out=of_columns[:, 0])
        torch.sub(paired, of_columns[:, 0], out=of_columns[:, 1])
        return _as_maps(of_columns, channels, height, width)


def _columns(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Even and odd columns of (N, C, H, W) channels-last maps as (N·H·W/2, C) views."""
    pairs = maps.permute(0, 2, 3, 1).reshape(-1, 2, maps.shape[1])
    return pairs[:, 0], pairs[:, 1]


def _rows(halved: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor]:
    """Even and odd rows, as (N·H/2, W/2·C) views, of maps of ``shape`` whose columns were paired."""
    pairs = halved.view(-1, 2, shape[3] // 2 * shape[1])
    return pairs[:, 0], pairs[:, 1]


def _as_maps(values: Tensor, channels: int, height: int, width: int) -> Tensor:
    return values.view(-1, height, width, channels).permute(0, 3, 1, 2)
