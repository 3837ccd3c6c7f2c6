"""A convolution as the fully connected layer that it equals: a sparse matrix."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import nn

from stepladder.errors import RecipeError
from stepladder.network.layers import LocallyConnected2d, PaddedConv2d


def as_matrix(layer: nn.Conv2d | LocallyConnected2d, input_size: tuple[int, ...]) -> sparse.csr_array:
    """Return the matrix M with ``layer(x)`` = M·x + bias, for flattened x of ``input_size`` (C, H, W) or (H, W).

    A convolution is a fully connected layer in which most weights are zero and the rest are shared (Goodfellow, Bengio
    and Courville 2016, section 9.1): each row of M holds one output's kernel, shifted to its place.

    Args:
        layer: a built convolution (strides, padding, dilation and groups as they are), or a locally connected layer.

    Returns:
        float64, (C'·H'·W', C·H·W), rows and columns in PyTorch's order (channel by channel, row by row). The bias, one
        a channel, is not in it: it is added to H'·W' rows each.

    Raises:
        RecipeError: a layer that pads with other than zeros, or an input that its kernel does not fit.
    """
    height, width = input_size[-2:]
    if isinstance(layer, nn.Conv2d) and layer.padding_mode != "zeros":
        raise RecipeError(
            f"the layer pads with '{layer.padding_mode}'; only a convolution padded with zeros is a matrix"
        )
    taps_rows, taps_columns = _taps(layer, 0, height), _taps(layer, 1, width)
    if not len(taps_rows) or not len(taps_columns):
        raise RecipeError(f"the kernel does not fit {height}×{width} pixels; use a larger input")
    kernels = _kernels(layer, len(taps_rows), len(taps_columns))
    channels_out, rows_out, columns_out, inputs = kernels.shape[:4]
    groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
    channels_in = inputs * groups
    if len(input_size) == 3 and input_size[0] != channels_in:
        raise RecipeError(f"the layer reads {channels_in} channels and the input has {input_size[0]}")

    # One entry for every output (o, y, x), input channel of its group (i) and tap (v, u) of its kernel.
    o, y, x, i, v, u = np.ix_(*(np.arange(length) for length in kernels.shape))
    row_in, column_in = taps_rows[y, v], taps_columns[x, u]
    channel_in = o // (channels_out // groups) * inputs + i
    inside = (row_in >= 0) & (row_in < height) & (column_in >= 0) & (column_in < width)
    targets = np.broadcast_to((o * rows_out + y) * columns_out + x, kernels.shape)
    sources = np.broadcast_to((channel_in * height + row_in) * width + column_in, kernels.shape)
    kept = np.broadcast_to(inside, kernels.shape)
    shape = (channels_out * rows_out * columns_out, channels_in * height * width)
    return sparse.csr_array((kernels[kept], (targets[kept], sources[kept])), shape=shape)


def _taps(layer: nn.Conv2d | LocallyConnected2d, axis: int, size: int) -> np.ndarray:
    """Return, for each output along an axis, which input pixels its taps read: int64 (outputs, taps)."""
    if isinstance(layer, LocallyConnected2d):
        kernel, stride, dilation = layer.kernel_size[axis], layer.stride, layer.dilation
        before, after = _border(layer.borders, axis)
    else:
        kernel, stride, dilation = layer.kernel_size[axis], layer.stride[axis], layer.dilation[axis]
        if isinstance(layer, PaddedConv2d):
            before, after = _border(layer.borders, axis)
        elif isinstance(layer.padding, str):
            total = dilation * (kernel - 1) if layer.padding == "same" else 0
            before, after = total // 2, total - total // 2
        else:
            before = after = layer.padding[axis]
    outputs = (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
    starts = np.arange(max(0, outputs)) * stride - before
    return starts[:, None] + np.arange(kernel) * dilation


def _border(borders: tuple[int, int, int, int], axis: int) -> tuple[int, int]:
    """Padding before and after rows (axis 0) or columns (axis 1)."""
    left, right, top, bottom = borders
    return (top, bottom) if axis == 0 else (left, right)


@torch.no_grad()
def _kernels(layer: nn.Conv2d | LocallyConnected2d, rows: int, columns: int) -> np.ndarray:
    """Return every output's kernel: float64 (channels out, rows, columns, channels in of a group, k, l)."""
    weight = layer.weight.detach().double().cpu().numpy()
    if isinstance(layer, LocallyConnected2d):
        own = weight.reshape(rows, columns, weight.shape[1], -1, *layer.kernel_size)
        return np.ascontiguousarray(own.transpose(2, 0, 1, 3, 4, 5))
    shape = (weight.shape[0], rows, columns, *weight.shape[1:])
    return np.broadcast_to(weight[:, None, None], shape)
