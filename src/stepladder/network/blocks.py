"""Where the blocks of a network end: what is frozen, trained or slowed down together."""

from __future__ import annotations

import re
from itertools import pairwise

from stepladder.network.spec import (
    Concat,
    Conv,
    DepthwiseConv,
    Linear,
    LocallyConnected,
    Network,
    Residual,
    is_output,
)

_NAMED = re.compile(r"block\d+")


def block_ends(network: Network) -> list[int]:
    """Return the positions (from 0) of the layers that end a block, in order.

    Those that are called ``block1``, ``block2``, …; where none is, the residuals and concatenations; where there are
    none, every layer with kernels but the output, with what follows it up to the next (its norm, activation and
    pooling).
    """
    layers = network.layers
    named = [at for at, layer in enumerate(layers) if _NAMED.fullmatch(layer.name)]
    ends = named or [at for at, layer in enumerate(layers) if isinstance(layer, Residual | Concat)]
    if ends:
        return ends
    kernels = [
        at for at, layer in enumerate(layers) if isinstance(layer, Conv | DepthwiseConv | LocallyConnected | Linear)
    ]
    return [after - 1 for at, after in pairwise(kernels) if not is_output(layers[at])]
