"""The fastest way to run frozen layers forward: onnxruntime on a CPU where it is installed and knows the layers.

PyTorch runs EfficientNet-Lite0 at a third of onnxruntime's speed on a CPU (docs/performance.md): its kernels go through
memory between a convolution, its norm and its activation. So batch norms are put into the convolutions before them,
and the layers become an ONNX graph in memory. Elsewhere, and for layers that the graph lacks, PyTorch does the same.

Each call uses one thread, so that what comes out does not depend on how many there are; several calls at a time fill
the cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stepladder.network.layers import (
    Concatenation,
    GlobalPool,
    PaddedConv2d,
    ResidualSum,
    SeededDropout,
    SqueezeExcitation,
)
from stepladder.recipe import Recipe
from stepladder.training.device import Compute

if TYPE_CHECKING:
    import onnx

#: Of the ONNX standard; onnxruntime reads all from 7 on.
_OPSET, _IR = 18, 9


def engine_versions(recipes: Iterable[Recipe], compute: Compute) -> dict[str, str]:
    """Return the version of what works out the features of frozen layers, where that is not PyTorch."""
    techniques = [technique for recipe in recipes for technique in recipe.make_techniques()]
    if not _has_onnxruntime(compute) or not any(technique.overrides("frozen") for technique in techniques):
        return {}
    return {"onnxruntime": version("onnxruntime")}


def _has_onnxruntime(compute: Compute) -> bool:
    return compute.device.type == "cpu" and all(find_spec(name) is not None for name in ("onnxruntime", "onnx"))


class ForwardEngine:
    """Frozen layers, ready to run.

    Args:
        layers: in evaluation mode; their weights are copied.
        compute: where they run.

    Attributes:
        name: what identifies the arithmetic: two engines of one name give the same bits.
        parallel: whether several threads may call it at a time.
    """

    def __init__(self, layers: nn.Sequential, compute: Compute) -> None:
        self._compute = compute
        self._session: Any = None
        self.name = f"torch {torch.__version__} {compute.device.type} {compute.precision}"
        self.parallel = compute.device.type == "cpu"
        if _has_onnxruntime(compute):
            folded = _folded(layers)
            if all(isinstance(part, _KNOWN) for part in folded.modules()):
                self._session = _session(_graph(folded))
                import onnxruntime

                self.name = f"onnxruntime {onnxruntime.__version__}"
        self._layers = layers

    def __call__(self, images: Tensor) -> Tensor:
        """Return float32 features (B, …) of prepared images, float32 (B, C, H, W), on the device of the layers."""
        if self._session is not None:
            feed = {"images": np.ascontiguousarray(images.numpy())}
            return torch.from_numpy(self._session.run(None, feed)[0])
        with torch.inference_mode(), self._compute.autocast():
            return self._layers(images).float()  # type: ignore[no-any-return]


#: Layers that a graph can have, and what holds others.
_KNOWN = (
    nn.Sequential,
    ResidualSum,
    Concatenation,
    SqueezeExcitation,
    nn.Conv2d,
    nn.BatchNorm2d,
    nn.ReLU,
    nn.LeakyReLU,
    nn.SiLU,
    nn.Hardswish,
    nn.Hardtanh,
    nn.MaxPool2d,
    GlobalPool,
    nn.Flatten,
    nn.Linear,
    SeededDropout,
)


def _folded(layers: nn.Sequential) -> nn.Sequential:
    """Return the layers with each batch norm put into the convolution right before it."""
    parts = list(layers.named_children())
    found: list[nn.Module] = []
    for _, part in parts:
        if isinstance(part, nn.BatchNorm2d) and found and isinstance(found[-1], nn.Conv2d):
            found[-1] = fuse_conv_bn_eval(found[-1], part)
        elif isinstance(part, ResidualSum):
            shortcut = _folded(nn.Sequential(*part.shortcut))
            found.append(ResidualSum(_folded(part.body), {"way": shortcut} if len(shortcut) else {}).eval())
        elif isinstance(part, Concatenation):
            found.append(Concatenation(_folded(branch) for branch in part.branches).eval())
        else:
            found.append(part)
    return nn.Sequential(*found).eval()


class _Nodes:
    """The nodes of a graph as they are added, each output with a name of its own."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.values: list[onnx.TensorProto] = []

    def add(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        from onnx import helper

        name = f"x{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def value(self, tensor: Tensor | np.ndarray) -> str:
        from onnx import numpy_helper

        name = f"w{len(self.values)}"
        array = tensor.detach().cpu().numpy() if isinstance(tensor, Tensor) else tensor
        self.values.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name


def _graph(layers: nn.Sequential) -> bytes:
    from onnx import TensorProto, helper

    nodes = _Nodes()
    last = _add(layers, "images", nodes)
    free = [f"d{axis}" for axis in range(4)]
    graph = helper.make_graph(
        nodes.nodes,
        "frozen",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, free)],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)],
        nodes.values,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    return bytes(model.SerializeToString())


def _add(layers: nn.Module, value: str, nodes: _Nodes) -> str:
    """Add the nodes of ``layers`` on ``value``; return the name of what comes out."""
    if isinstance(layers, nn.Sequential):
        for part in layers:
            value = _add(part, value, nodes)
        return value
    if isinstance(layers, ResidualSum):
        shortcut = value
        for part in layers.shortcut:
            shortcut = _add(part, shortcut, nodes)
        return nodes.add("Add", [_add(layers.body, value, nodes), shortcut])
    if isinstance(layers, Concatenation):
        return nodes.add("Concat", [_add(branch, value, nodes) for branch in layers.branches], axis=1)
    return _ADD[next(kind for kind in _ADD if isinstance(layers, kind))](layers, value, nodes)


def _add_convolution(layer: Any, value: str, nodes: _Nodes) -> str:
    if isinstance(layer, PaddedConv2d):
        left, right, top, bottom = layer.borders
        pads = [top, left, bottom, right]
    else:
        pads = [*layer.padding, *layer.padding]
    inputs = [value, nodes.value(layer.weight), *([] if layer.bias is None else [nodes.value(layer.bias)])]
    return nodes.add(
        "Conv",
        inputs,
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.stride),
        dilations=list(layer.dilation),
        group=layer.groups,
        pads=pads,
    )


def _add_norm(layer: Any, value: str, nodes: _Nodes) -> str:
    parts = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
    return nodes.add("BatchNormalization", [value, *(nodes.value(part) for part in parts)], epsilon=layer.eps)


def _add_clip(layer: Any, value: str, nodes: _Nodes) -> str:
    bounds = [nodes.value(np.array(bound, np.float32)) for bound in (layer.min_val, layer.max_val)]
    return nodes.add("Clip", [value, *bounds])


def _add_silu(_: Any, value: str, nodes: _Nodes) -> str:
    return nodes.add("Mul", [value, nodes.add("Sigmoid", [value])])


def _add_gates(layer: SqueezeExcitation, value: str, nodes: _Nodes) -> str:
    reduce, expand = layer.layers
    hidden = _add_convolution(reduce, nodes.add("GlobalAveragePool", [value]), nodes)
    hidden = _add_silu(None, hidden, nodes) if layer.activation == "silu" else nodes.add("Relu", [hidden])
    gates = _add_convolution(expand, hidden, nodes)
    if layer.gate == "hard_sigmoid":
        return nodes.add("Mul", [value, nodes.add("HardSigmoid", [gates], alpha=1 / 6, beta=0.5)])
    return nodes.add("Mul", [value, nodes.add("Sigmoid", [gates])])


def _add_pool(layer: Any, value: str, nodes: _Nodes) -> str:
    kernel, stride, padding = (_pair(size) for size in (layer.kernel_size, layer.stride, layer.padding))
    return nodes.add(
        "MaxPool", [value], kernel_shape=kernel, strides=stride, pads=padding * 2, ceil_mode=int(layer.ceil_mode)
    )


def _add_global_pool(layer: Any, value: str, nodes: _Nodes) -> str:
    pooled = nodes.add("GlobalMaxPool" if layer.largest else "GlobalAveragePool", [value])
    return nodes.add("Flatten", [pooled], axis=1)


def _add_linear(layer: Any, value: str, nodes: _Nodes) -> str:
    inputs = [value, nodes.value(layer.weight), *([] if layer.bias is None else [nodes.value(layer.bias)])]
    return nodes.add("Gemm", inputs, transB=1)


_ADD: dict[type[nn.Module], Callable[[Any, str, _Nodes], str]] = {
    nn.Conv2d: _add_convolution,
    nn.BatchNorm2d: _add_norm,
    nn.Hardtanh: _add_clip,
    nn.LeakyReLU: lambda layer, value, nodes: nodes.add("LeakyRelu", [value], alpha=layer.negative_slope),
    nn.SiLU: _add_silu,
    nn.Hardswish: lambda _, value, nodes: nodes.add("HardSwish", [value]),
    SqueezeExcitation: _add_gates,
    nn.ReLU: lambda _, value, nodes: nodes.add("Relu", [value]),
    nn.MaxPool2d: _add_pool,
    GlobalPool: _add_global_pool,
    nn.Flatten: lambda _, value, nodes: nodes.add("Flatten", [value], axis=1),
    nn.Linear: _add_linear,
    SeededDropout: lambda _, value, __: value,
}


def _pair(size: int | tuple[int, int]) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size)


def _session(model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
