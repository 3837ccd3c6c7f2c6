"""Random layer lists for property tests, and the same lists run by PyTorch's own modules."""

from __future__ import annotations

import math
import os

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor, nn

from stepladder.errors import RecipeError
from stepladder.network import Network, trace_network
from stepladder.network.spec import Concat, Layer, Residual

CLASSES = 3
#: STEPLADDER_EXAMPLES=5000 tries thousands; by default a few hundred, so that the tests stay quick.
thorough = settings(max_examples=int(os.environ.get("STEPLADDER_EXAMPLES", "200")), deadline=None)

shapes = st.tuples(st.integers(1, 4), st.integers(1, 12), st.integers(1, 12))


def _layer(kind: str, **options: st.SearchStrategy) -> st.SearchStrategy:
    return st.fixed_dictionaries({"kind": st.just(kind), **options})


_sizes = st.one_of(st.integers(1, 5), st.integers(1, 5), st.tuples(st.integers(1, 5), st.integers(1, 4)))
_window = {
    "kernel_size": _sizes,
    "stride": st.integers(1, 3),
    "dilation": st.integers(1, 2),
    "bias": st.booleans(),
}


def _padded(tables: st.SearchStrategy) -> st.SearchStrategy:
    """Add a padding; "same" where the stride allows it."""

    def pad(drawn: tuple[dict, tuple[int, int], bool]) -> dict:
        table, paddings, same = drawn
        if same and table["stride"] == 1:
            return {**table, "padding": "same"}
        size = table["kernel_size"]
        if isinstance(size, int):
            return {**table, "padding": min(paddings[0], table["dilation"] * (size - 1))}
        most = [table["dilation"] * (side - 1) for side in size]
        return {**table, "padding": [min(pair) for pair in zip(paddings, most, strict=True)]}

    return st.tuples(tables, st.tuples(st.integers(0, 3), st.integers(0, 3)), st.booleans()).map(pad)


def _pool(kind: str) -> st.SearchStrategy:
    sizes = st.integers(1, 4).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size // 2)))
    return st.tuples(sizes, st.integers(1, 4), st.booleans()).map(
        lambda drawn: {
            "kind": kind,
            "kernel_size": drawn[0][0],
            "padding": drawn[0][1],
            "stride": drawn[1],
            "ceil_mode": drawn[2],
        }
    )


pointwise = st.one_of(
    st.fixed_dictionaries({"kind": st.sampled_from(["relu", "gelu", "tanh", "batch_norm", "layer_norm"])}),
    st.fixed_dictionaries({"kind": st.sampled_from(["silu", "hard_swish"])}),
    _layer("leaky_relu", negative_slope=st.sampled_from([0.01, 0.1, 0.25])),
    _layer("group_norm", groups=st.integers(1, 2)),
    _layer("celu", alpha=st.sampled_from([0.075, 0.3, 1.0])),
    _layer("dropout", p=st.floats(0, 0.9)),
    _layer("scale", factor=st.floats(0.1, 2)),
)
sliding = st.one_of(
    _padded(_layer("conv", channels=st.integers(1, 4), groups=st.integers(1, 2), **_window)),
    _padded(_layer("conv", channels=st.integers(1, 6), groups=st.just(1), **_window)),
    _padded(_layer("depthwise_conv", multiplier=st.integers(1, 2), **_window)),
    _padded(_layer("locally_connected", channels=st.integers(1, 3), **_window)),
    _pool("max_pool"),
    _pool("avg_pool"),
    _layer("pad", size=st.integers(1, 9)),
)
gates = st.one_of(
    _layer("squeeze_excite", reduction=st.integers(1, 4), activation=st.sampled_from(["relu", "silu"])),
    _layer("squeeze_excite", hidden=st.integers(1, 3), gate=st.sampled_from(["sigmoid", "hard_sigmoid"])),
)
maps = st.one_of(sliding, sliding, sliding, pointwise, gates)
# Bodies that keep the size, and bodies of any size, many of which no shortcut fits.
_keeping = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.just("conv"),
            "channels": st.integers(1, 4),
            "kernel_size": st.sampled_from([1, 3]),
            "stride": st.integers(1, 2),
        }
    ).map(lambda table: {**table, "padding": table["kernel_size"] // 2}),
    pointwise,
    gates,
)
residuals = _layer(
    "residual",
    body=st.one_of(st.lists(_keeping, max_size=3), st.lists(maps, max_size=2)),
    shortcut=st.sampled_from(["conv", "pad"]),
)
nested = _layer(
    "residual",
    body=st.lists(st.one_of(_keeping, residuals), max_size=3),
    shortcut=st.sampled_from(["conv", "pad"]),
)
# Branches that keep the size, and branches of any, many of which do not fit beside one another.
_branch = st.one_of(
    st.lists(
        st.fixed_dictionaries(
            {
                "kind": st.just("conv"),
                "channels": st.integers(1, 3),
                "kernel_size": st.sampled_from([1, 3, [3, 1], [1, 5]]),
                "padding": st.just("same"),
            }
        ),
        max_size=2,
    ),
    st.lists(_keeping, max_size=2),
    st.lists(st.one_of(maps, residuals), max_size=2),
)
concatenations = _layer("concat", branches=st.lists(_branch, min_size=2, max_size=3))
rows = st.one_of(_layer("linear", features=st.integers(1, 9), bias=st.booleans()), pointwise)


def _named(tables: list[dict], above: str = "l") -> list[dict]:
    named = []
    for number, table in enumerate(tables, start=1):
        name = f"{above}{number}"
        table = {**table, "name": name}
        if table["kind"] == "residual":
            table["body"] = _named(table["body"], f"{name}_")
        if table["kind"] == "concat":
            branches = enumerate(table["branches"], start=1)
            table["branches"] = [_named(branch, f"{name}_{at}_") for at, branch in branches]
        named.append(table)
    return named


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Any layer list, whether or not it fits any image."""
    tables = [
        *draw(st.lists(st.one_of(maps, maps, maps, residuals, nested, concatenations), max_size=5)),
        draw(st.sampled_from([{"kind": "flatten"}, {"kind": "global_avg_pool"}, {"kind": "global_max_pool"}])),
        *draw(st.lists(rows, max_size=2)),
        {"kind": "linear", "features": "classes"},
    ]
    return Network.model_validate({"layers": _named(tables)})


@st.composite
def fitting(draw: st.DrawFn) -> tuple[Network, tuple[int, int, int]]:
    """A layer list and images that fit it: what does not fit is left out."""
    shape = draw(shapes)
    end = [draw(st.sampled_from([{"kind": "flatten"}, {"kind": "global_avg_pool"}]))]
    end.append({"kind": "linear", "features": "classes"})
    kept: list[dict] = []
    for table in draw(st.lists(st.one_of(maps, maps, maps, residuals, nested, concatenations), min_size=1, max_size=6)):
        try:
            trace_network(Network.model_validate({"layers": _named([*kept, table, *end])}), shape, CLASSES)
        except RecipeError:
            continue
        kept.append(table)
    return Network.model_validate({"layers": _named([*kept, *end])}), shape


def run_in_pytorch(layers: tuple[Layer, ...], values: Tensor) -> tuple[Tensor, dict[str, tuple[tuple, int]]]:
    """Run a layer list with PyTorch's own modules, made as the values arrive.

    Returns the output, and for each layer the shape that it puts out and its number of weights.

    Raises RuntimeError or ValueError where PyTorch does.
    """
    found: dict[str, tuple[tuple, int]] = {}
    for layer in layers:
        if isinstance(layer, Residual):
            body, inner = run_in_pytorch(layer.body, values)
            found |= inner
            values, weights = _add(layer, values, body)
        elif isinstance(layer, Concat):
            branches = []
            for branch in layer.branches:
                output, inner = run_in_pytorch(branch, values)
                found |= inner
                branches.append(output)
            strides = {_stride_of(branch) for branch in layer.branches}
            values, weights = torch.cat(branches, dim=1), 0
            if len(strides) > 1 and max(values.shape[2:], default=1) > 1:
                raise RuntimeError("pixels of other places")  # which PyTorch would let pass
        else:
            module = _module(layer, values)
            values = module(values)
            weights = sum(parameter.numel() for parameter in module.parameters())
        found[layer.name] = (tuple(values.shape[1:]), weights)
    return values, found


def _add(layer: Residual, values: Tensor, body: Tensor) -> tuple[Tensor, int]:
    if values.shape == body.shape:
        return values + body, 0
    if values.ndim != 4 or body.ndim != 4:
        raise RuntimeError("a row of another length")
    stride = _stride(layer)
    if layer.shortcut == "pad":
        extra = body.shape[1] - values.shape[1]
        if extra < 0:
            raise RuntimeError("fewer channels")
        shortcut, weights = nn.functional.pad(values[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, extra)), 0
    else:
        module = nn.Conv2d(values.shape[1], body.shape[1], 1, stride, bias=False)
        shortcut, weights = module(values), module.weight.numel()
    if shortcut.shape != body.shape:
        raise RuntimeError("no shortcut fits")
    return shortcut + body, weights


def _stride(layer: Residual) -> int:
    """Product of strides; a residual that needs no shortcut passes its body's on only if that body has none left."""
    return _stride_of(layer.body)


def _stride_of(layers: tuple[Layer, ...]) -> int:
    return math.prod(
        _stride(inner)
        if isinstance(inner, Residual)
        else max(map(_stride_of, inner.branches))
        if isinstance(inner, Concat)
        else getattr(inner, "stride", 1)
        for inner in layers
    )


class _Gated(nn.Module):
    """Squeeze-and-excitation of PyTorch's own layers."""

    def __init__(self, layer: Layer, channels: int) -> None:
        super().__init__()
        hidden = layer.hidden or max(1, channels // layer.reduction)
        self.gates = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, hidden, 1),
            nn.SiLU() if layer.activation == "silu" else nn.ReLU(),
            nn.Conv2d(hidden, channels, 1),
            nn.Hardsigmoid() if layer.gate == "hard_sigmoid" else nn.Sigmoid(),
        )

    def forward(self, values: Tensor) -> Tensor:
        return values * self.gates(values)


class _Local(nn.Module):
    """A convolution of its own for every position, each run on its own patch."""

    def __init__(self, layer: Layer, values: Tensor) -> None:
        super().__init__()
        self.layer, self.reach = layer, [layer.dilation * (side - 1) for side in layer.kernel]
        if layer.padding == "same":
            sides = [(reach // 2, reach - reach // 2) for reach in self.reach]
        else:
            sides = [
                (side, side) for side in (layer.padding if isinstance(layer.padding, tuple) else [layer.padding] * 2)
            ]
        self.padding = (*sides[1], *sides[0])
        height, width = (
            size + sum(side) - reach for size, side, reach in zip(values.shape[2:], sides, self.reach, strict=True)
        )
        if min(height, width) < 1:
            raise RuntimeError("the kernel is larger than the padded image")
        self.rows = range(0, height, layer.stride)
        self.columns = range(0, width, layer.stride)
        self.kernels = nn.ModuleList(
            nn.Conv2d(values.shape[1], layer.channels, layer.kernel_size, dilation=layer.dilation, bias=layer.bias)
            for _ in range(len(self.rows) * len(self.columns))
        )

    def forward(self, values: Tensor) -> Tensor:
        padded, kernels = nn.functional.pad(values, self.padding), iter(self.kernels)
        outputs = [
            [next(kernels)(padded[:, :, y : y + self.reach[0] + 1, x : x + self.reach[1] + 1]) for x in self.columns]
            for y in self.rows
        ]
        return torch.cat([torch.cat(row, dim=3) for row in outputs], dim=2)


def _module(layer: Layer, values: Tensor) -> nn.Module:
    channels = values.shape[1]
    options = {key: value for key, value in layer if key not in ("kind", "name")}
    if layer.kind == "conv":
        maps = options.pop("channels")
        return nn.Conv2d(channels, maps, **options)
    if layer.kind == "depthwise_conv":
        return nn.Conv2d(channels, channels * options.pop("multiplier"), groups=channels, **options)
    if layer.kind == "locally_connected":
        return _Local(layer, values)
    if layer.kind == "pad":
        missing = [max(0, layer.size - size) for size in reversed(values.shape[2:])]
        return nn.ZeroPad2d(tuple(side for total in missing for side in (total // 2, total - total // 2)))
    if layer.kind == "linear":
        return nn.Linear(channels, CLASSES if layer.features == "classes" else layer.features, layer.bias)
    if layer.kind == "batch_norm":
        return (nn.BatchNorm2d if values.ndim == 4 else nn.BatchNorm1d)(channels).eval()
    if layer.kind == "layer_norm":
        return nn.LayerNorm(values.shape[1:])
    if layer.kind == "squeeze_excite":
        return _Gated(layer, channels)
    if layer.kind == "global_avg_pool":
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    if layer.kind == "global_max_pool":
        return nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())
    others = {
        "max_pool": lambda: nn.MaxPool2d(**options),
        "avg_pool": lambda: nn.AvgPool2d(**options),
        "group_norm": lambda: nn.GroupNorm(layer.groups, channels),
        "celu": lambda: nn.CELU(layer.alpha),
        "dropout": lambda: nn.Dropout(layer.p).eval(),
        "scale": nn.Identity,
        "relu": nn.ReLU,
        "leaky_relu": lambda: nn.LeakyReLU(layer.negative_slope),
        "silu": nn.SiLU,
        "hard_swish": nn.Hardswish,
        "gelu": nn.GELU,
        "tanh": nn.Tanh,
        "flatten": nn.Flatten,
    }
    return others[layer.kind]()
