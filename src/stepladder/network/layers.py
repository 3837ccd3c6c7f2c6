"""Modules that PyTorch does not have in the form needed here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepladder.network.arithmetic import Window


class SeededDropout(nn.Module):
    """Dropout with a random stream of its own, so that switching it on moves no other random number.

    PyTorch's own draws from the global generator. Zeroes each value with probability ``p`` in training mode and scales
    the rest by 1 / (1 - p); in evaluation mode it is the identity (Srivastava et al., JMLR 2014, section 4, but scaled
    while training instead of afterwards).

    Args:
        p: probability of zeroing, 0 <= p < 1; rounded to a multiple of 2^-16.
        generator: on the device of the inputs.
        whole_maps: zero (N, C, H, W) inputs by whole maps (Tompson et al. 2015, section 3.2).
    """

    def __init__(self, p: float, generator: torch.Generator, whole_maps: bool = False) -> None:
        super().__init__()
        self.p = p
        self.whole_maps = whole_maps
        self.generator = generator

    def forward(self, inputs: Tensor) -> Tensor:
        """Return ``inputs`` (any shape, floating point) with values dropped."""
        if not self.training or self.p == 0:
            return inputs
        # Four 16-bit numbers from each 64-bit draw take a fifteenth of the time of bernoulli_ on a CPU: 4 % of a step.
        shape = (*inputs.shape[:2], *(1,) * (inputs.ndim - 2)) if self.whole_maps else inputs.shape
        count = math.prod(shape)
        draws = torch.empty((count + 3) // 4, dtype=torch.int64, device=inputs.device)
        draws.random_(-(2**63), None, generator=self.generator)
        bits = draws.view(torch.int16)[:count].view(shape)
        kept = bits >= round(self.p * 2**16) - 2**15
        return inputs * (kept.to(inputs.dtype) / (1 - self.p))

    def extra_repr(self) -> str:
        """Show the probability where the network is printed."""
        return f"p={self.p}{', whole_maps=True' if self.whole_maps else ''}"


class ResidualSum(nn.Module):
    """x + body(x), or shortcut(x) + body(x) (He et al. 2016, section 3.2).

    Args:
        body: what the sum adds to its input.
        shortcut: what the input passes before it is added, by the names that they get among the children; empty adds
            the input as it is.
    """

    def __init__(self, body: nn.Sequential, shortcut: dict[str, nn.Module]) -> None:
        super().__init__()
        self.body = body
        self._shortcut = tuple(shortcut)
        for name, module in shortcut.items():
            self.add_module(name, module)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the sum, of the shape that the body puts out."""
        shortcut = inputs
        for part in self.shortcut:
            shortcut = part(shortcut)
        return self.body(inputs) + shortcut  # type: ignore[no-any-return]

    @property
    def shortcut(self) -> list[nn.Module]:
        """What the input passes before it is added."""
        return [self.get_submodule(name) for name in self._shortcut]


class Concatenation(nn.Module):
    """What several branches make of one input, their channels (or values) one behind another.

    Args:
        branches: children ``branch1``, ``branch2``, …; an empty one passes its input on.
    """

    def __init__(self, branches: Iterable[nn.Sequential]) -> None:
        super().__init__()
        for number, branch in enumerate(branches, start=1):
            self.add_module(f"branch{number}", branch)

    @property
    def branches(self) -> list[nn.Sequential]:
        """The branches in order."""
        return list(self.children())  # type: ignore[arg-type]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (N, sum of channels, …)."""
        return torch.cat([branch(inputs) for branch in self.branches], dim=1)


class SqueezeExcitation(nn.Module):
    """Maps times gates from 0 to 1, which two 1×1 convolutions make of the maps' means (Hu et al. 2018, section 3).

    Args:
        layers: channels in and out of the one that reduces and of the one that expands, by the names that they get
            among the children.
        activation: between them, ``relu`` or ``silu``.
        gate: ``sigmoid`` or ``hard_sigmoid``.
    """

    def __init__(self, layers: dict[str, tuple[int, int]], activation: str, gate: str) -> None:
        super().__init__()
        self.activation, self.gate = activation, gate
        self._reduce, self._expand = layers
        for name, (channels_in, channels_out) in layers.items():
            self.add_module(name, nn.Conv2d(channels_in, channels_out, 1))

    @property
    def layers(self) -> tuple[nn.Module, nn.Module]:
        """The layer that reduces and the one that expands."""
        return self.get_submodule(self._reduce), self.get_submodule(self._expand)

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, C, H, W) maps, each times its gate."""
        reduce, expand = self.layers
        hidden = reduce(maps.mean(dim=(2, 3), keepdim=True))
        gates = expand(F.silu(hidden) if self.activation == "silu" else F.relu(hidden))
        return maps * (F.hardsigmoid(gates) if self.gate == "hard_sigmoid" else torch.sigmoid(gates))

    def extra_repr(self) -> str:
        """Show what it is made of where the network is printed."""
        return f"activation={self.activation}, gate={self.gate}"


class SubsampledShortcut(nn.Module):
    """Every ``stride``-th pixel, and ``extra`` channels of zeros behind: He et al.'s option A, which has no weights."""

    def __init__(self, stride: int, extra: int) -> None:
        super().__init__()
        self.stride = stride
        self.extra = extra

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, C + extra, ⌈H/stride⌉, ⌈W/stride⌉) of (N, C, H, W) maps."""
        return F.pad(maps[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))

    def extra_repr(self) -> str:
        """Show the figures where the network is printed."""
        return f"stride={self.stride}, extra={self.extra}"


class PadTo(nn.Module):
    """Zeros around maps smaller than ``size`` × ``size``; the odd one at the bottom and right."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, C, H, W) maps of at least ``size`` in height and width."""
        rows, columns = (max(0, self.size - side) for side in maps.shape[2:])
        return F.pad(maps, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))

    def extra_repr(self) -> str:
        """Show the size where the network is printed."""
        return f"size={self.size}"


class RowMajor(nn.Module):
    """Maps as rows of one channel after another, for modules that read memory in that order, as ``x.view`` does."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, C, H, W) maps, the same values row by row."""
        # Maps of one channel count as contiguous either way, and convolutions go by their strides.
        return maps.flatten(1).view(maps.shape)


class GlobalPool(nn.Module):
    """The mean, or the largest value, of each map: (N, C, H, W) to (N, C)."""

    def __init__(self, largest: bool) -> None:
        super().__init__()
        self.largest = largest

    def forward(self, maps: Tensor) -> Tensor:
        """Return one value a map."""
        return maps.amax(dim=(2, 3)) if self.largest else maps.mean(dim=(2, 3))

    def extra_repr(self) -> str:
        """Show which it is where the network is printed."""
        return f"largest={self.largest}"


class Scaled(nn.Module):
    """Multiplication by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs, scaled."""
        return inputs * self.factor

    def extra_repr(self) -> str:
        """Show the factor where the network is printed."""
        return f"factor={self.factor}"


class PaddedConv2d(nn.Conv2d):
    """A convolution whose window has other padding at the bottom and right than at the top and left.

    PyTorch's own "same" does this for even kernels at stride 1, with a warning that it copies its input.

    Attributes:
        borders: pixels of padding at the left, right, top and bottom.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        windows: tuple[Window, Window],
        *,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        rows, columns = windows
        super().__init__(
            channels_in,
            channels_out,
            (rows.kernel_size, columns.kernel_size),
            rows.stride,
            dilation=rows.dilation,
            groups=groups,
            bias=bias,
        )
        self.borders = (columns.before, columns.after, rows.before, rows.after)

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution of (N, C, H, W) maps, padded."""
        return super().forward(F.pad(input, self.borders))

    def extra_repr(self) -> str:
        """Show the padding too where the network is printed."""
        return f"{super().extra_repr()}, borders={self.borders}"  # type: ignore[no-untyped-call]


class LocallyConnected2d(nn.Module):
    """A convolution without shared weights: its own kernel, and its own bias, at every position.

    Attributes:
        weight: (positions, channels_out, channels_in·kernel rows·kernel columns), positions row by row.
        bias: (channels_out, rows, columns), or None.
        kernel_size: rows and columns.
        borders: pixels of padding at the left, right, top and bottom.
        fan_in: inputs of one output.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        positions: tuple[int, int],
        windows: tuple[Window, Window],
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        rows, columns = windows
        self.kernel_size = rows.kernel_size, columns.kernel_size
        self.stride, self.dilation = rows.stride, rows.dilation
        self.borders = (columns.before, columns.after, rows.before, rows.after)
        self.fan_in = channels_in * math.prod(self.kernel_size)
        self.weight = nn.Parameter(torch.empty(positions[0] * positions[1], channels_out, self.fan_in))
        self.bias = nn.Parameter(torch.empty(channels_out, *positions)) if bias else None

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, channels_out, rows, columns) of (N, C, H, W) maps of the size that it was built for."""
        padded = F.pad(maps, self.borders)
        windows = F.unfold(padded, self.kernel_size, self.dilation, stride=self.stride)
        # A matrix product a position: (positions, channels_out, fan_in) with (positions, fan_in, N).
        outputs = torch.bmm(self.weight, windows.permute(2, 1, 0)).permute(2, 1, 0)
        rows = (padded.shape[2] - self.dilation * (self.kernel_size[0] - 1) - 1) // self.stride + 1
        outputs = outputs.reshape(len(maps), -1, rows, outputs.shape[2] // rows)
        return outputs if self.bias is None else outputs + self.bias


class BatchNorm2d(nn.BatchNorm2d):
    """PyTorch's, which can be held in evaluation mode while the network around it trains.

    Attributes:
        held: whether running statistics are used, and left as they are, in training too.
    """

    held = False

    def train(self, mode: bool = True) -> Self:
        """Go to training mode, unless it is held."""
        return super().train(mode and not self.held)


class BatchNorm1d(nn.BatchNorm1d):
    """The same for rows of features."""

    held = False

    def train(self, mode: bool = True) -> Self:
        """Go to training mode, unless it is held."""
        return super().train(mode and not self.held)


class MaxPool2x2(nn.MaxPool2d):
    """Max pooling of 2×2 windows that do not overlap: PyTorch's to the bit, in two thirds of the time in bfloat16.

    PyTorch writes a 64-bit position for every window, as many bytes as a bfloat16 map has, and fills a map with zeros
    before it spreads the gradient. Two comparisons, of columns and then of rows, need neither. In float32 that gains
    nothing (0.65 to 0.85 times PyTorch's speed on an AMD EPYC with AVX2). So this works on bfloat16 maps of even height
    and width in channels-last memory on a CPU; all others go PyTorch's way.
    """

    def __init__(self, ceil_mode: bool = False) -> None:
        super().__init__(kernel_size=2, stride=2, ceil_mode=ceil_mode)

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, C, ⌈H/2⌉, ⌈W/2⌉), rounded down without ``ceil_mode``, of (N, C, H, W) floating-point maps."""
        height, width = input.shape[2:]
        in_pairs = height % 2 == 0 and width % 2 == 0
        halved = input.dtype == torch.bfloat16 and input.device.type == "cpu" and in_pairs
        if not halved or not input.is_contiguous(memory_format=torch.channels_last):
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
