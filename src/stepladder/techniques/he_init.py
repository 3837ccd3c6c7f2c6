"""Initial weights that keep the variance from layer to layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from stepladder.citations import cite
from stepladder.network.layers import SqueezeExcitation
from stepladder.techniques.base import WEIGHTS, Stream, Technique


class HeInit(Technique):
    """Draw weights from N(0, 2 / fan_in) and set biases to 0, in all layers but the last (torch's ``kaiming_normal_``).

    He et al. 2015, section 2.2. The variance of the values before each ReLU then stays the same from layer to layer.
    Before a LeakyReLU of slope a it is 2 / ((1 + a²)·fan_in), equation 15. The last layer, which no ReLU follows, keeps
    its own draw.
    """

    name = "he_init"
    group = "network"
    summary = "draw initial weights so that values keep their variance from layer to layer"
    plain = (
        "Draw the initial weights so large that the values keep their size from layer to layer, although each "
        "ReLU sets half of them to zero. Signals neither fade nor explode, so that a deep network can start "
        "learning."
    )
    papers = (cite("he2015delving", "section 2.2, equation 15"),)
    differs = "the last layer, which no ReLU follows, keeps its own draw"
    caveat = "six times the variance of torch's default: with a high learning rate the first steps may diverge"
    cost = "nothing"
    interactions = "a normalization after each layer undoes the scale; excludes xavier_init"
    slot = WEIGHTS

    def initialize(self, module: nn.Sequential, stream: Stream, inputs: Iterable[Tensor]) -> None:  # noqa: ARG002
        """Draw from the streams that the layers' weights come from anyway."""
        slopes = _slopes(module)
        for name, layer in list(weighted_layers(module))[:-1]:
            weight = torch.empty(layer.weight.shape)
            nn.init.kaiming_normal_(weight, a=slopes.get(layer, 0.0), generator=stream(f"weights/{name}"))
            set_weights(layer, weight)


#: After which the values are others, and the slope of a LeakyReLU behind is not a layer's business any more.
_ACTIVATIONS = (nn.ReLU, nn.Hardtanh, nn.GELU, nn.SiLU, nn.Hardswish, nn.CELU, nn.Tanh, nn.Sigmoid, nn.ELU)


def _slopes(module: nn.Module) -> dict[nn.Module, float]:
    """Return the slope below zero of the activation that follows each layer with weights, where one is a LeakyReLU.

    The first activation behind a layer counts, whatever normalization, pooling or sum stands between.
    """
    found: dict[nn.Module, float] = {}
    waiting: list[nn.Module] = []
    gates = {part for gated in module.modules() if isinstance(gated, SqueezeExcitation) for part in gated.layers}
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear) and part not in gates:
            waiting.append(part)
        elif isinstance(part, nn.LeakyReLU):
            found |= dict.fromkeys(waiting, part.negative_slope)
        if isinstance(part, (nn.LeakyReLU, *_ACTIVATIONS)):
            waiting = []
    return found


def weighted_layers(module: nn.Sequential) -> Iterator[tuple[str, nn.Conv2d | nn.Linear]]:
    """Yield the name and the layer of every convolution and fully connected layer that is not frozen.

    The name is the last part of its path; where several have that, as within a module of the user's own, the path.
    """
    weighted = [(path, one) for path, one in module.named_modules() if isinstance(one, nn.Conv2d | nn.Linear)]
    names = Counter(path.rpartition(".")[2] for path, _ in weighted)
    for path, layer in weighted:
        if layer.weight.requires_grad:
            name = path.rpartition(".")[2]
            yield name if names[name] == 1 else path, layer


def set_weights(layer: nn.Conv2d | nn.Linear, weight: Tensor) -> None:
    """Copy ``weight`` into ``layer`` and set its bias to 0."""
    layer.weight.copy_(weight)
    if layer.bias is not None:
        layer.bias.zero_()
