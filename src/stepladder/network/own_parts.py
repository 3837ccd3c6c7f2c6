"""What the modules within a user's own network put out, cost and see: measured on one image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from stepladder.network.arithmetic import Shape3
from stepladder.network.own_inspection import OwnPart
from stepladder.network.own_module import counting, make_module
from stepladder.network.spec import OwnModule

#: Weights and images that the field is measured with; what any of them shows is seen.
_TRIES = 2

#: Modules whose outputs each depend on one position: what they see is what their input sees.
_POINTWISE = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.dropout._DropoutNd,
    nn.Identity,
    nn.ReLU,
    nn.ReLU6,
    nn.GELU,
    nn.SiLU,
    nn.Hardswish,
    nn.Softplus,
)
#: Their statistics count as constants, as in a list of layers.
_NORMS = (nn.GroupNorm, nn.LayerNorm, nn.modules.instancenorm._InstanceNorm)


#: Functions that become flat, so that no gradient comes through at large values; of modules and of tensors.
_FLATTENING = {
    torch.sigmoid,
    Tensor.sigmoid,
    Tensor.sigmoid_,
    nn.functional.sigmoid,
    nn.functional.hardsigmoid,
    torch.tanh,
    Tensor.tanh,
    nn.functional.tanh,
}


class _Unsaturated(TorchFunctionMode):
    """Inside, x / (1 + |x|) stands in for functions that become flat: its gradient is nowhere zero."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _FLATTENING:
            return nn.functional.softsign(args[0])
        return func(*args, **(kwargs or {}))


class _LastAxis(nn.Identity):
    """In place of a norm over the last axis."""


#: Modules that work on the last axis, so that the positions are the axes before it.
_ON_LAST_AXIS = (nn.Linear, _LastAxis)


def measure_parts(layer: OwnModule, input_shape: Shape3, num_classes: int) -> tuple[OwnPart, ...]:
    """Return the modules within that of ``layer``, with what they put out, cost and see of images (C, H, W).

    What they see is the bounding box of the pixels from which a gradient comes that is not zero, of the middle position
    of what they put out, or of all of it where it has no positions. So that no dead unit hides a pixel, the gradient is
    that of another network of the same connections, in float64: weights drawn above zero, biases at zero, norms that
    change nothing, softplus in place of ReLU, softsign in place of sigmoid and tanh, means in place of maxima, and
    images above zero; each drawn twice. A ReLU or maximum that the forward pass calls as a function stays, and may hide
    pixels.

    Raises:
        RecipeError: see :func:`stepladder.network.own_module.build_own`.
    """
    module = make_module(layer, input_shape, num_classes, seed=0).eval()
    parts = _costs(module, torch.rand(1, *input_shape, generator=torch.Generator().manual_seed(0)))
    sees: dict[str, tuple[int, int]] = {}
    for dtype in (torch.float64, torch.float32):  # a module that makes numbers of its own may know float32 alone
        try:
            sees = _fields(make_module(layer, input_shape, num_classes, seed=0), input_shape, dtype)
        except Exception:  # weights that are all alike may be too much for a module: then its fields are not known
            continue
        break
    return tuple(replace(part, sees=sees.get(part.name)) for part in parts)


def _costs(module: nn.Module, images: Tensor) -> list[OwnPart]:
    """Return the modules that have no modules of their own, and those that have weights or MACs beside theirs."""
    shapes: dict[str, tuple[int, ...]] = {}
    spent: dict[str, int] = {}
    begun: list[tuple[int, int]] = []  # of the modules that are running: the count so far, and that of those within

    with counting() as counter:

        def enter(_module: nn.Module, _inputs: Any) -> None:
            begun.append((counter.get_total_flops(), 0))

        def leave(path: str) -> Any:
            def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
                before, within = begun.pop()
                total = counter.get_total_flops() - before
                spent[path] = spent.get(path, 0) + total - within
                if begun:
                    begun[-1] = begun[-1][0], begun[-1][1] + total
                first = _first_tensor(output)
                if first is not None:
                    shapes[path] = tuple(first.shape[1:])

            return hook

        handles = []
        for path, part in module.named_modules():
            handles += [part.register_forward_pre_hook(enter), part.register_forward_hook(leave(path))]
        module(images)
    for handle in handles:
        handle.remove()
    counted: set[int] = set()
    parts = []
    for path, part in module.named_modules():
        new = {id(one): one.numel() for one in part.parameters(recurse=False) if id(one) not in counted}
        counted |= set(new)
        own = spent.get(path, 0) // 2
        if new or own or not list(part.children()):
            parts.append(OwnPart(path, type(part).__name__, shapes.get(path), sum(new.values()), own))
    return parts


def _first_tensor(output: Any) -> Tensor | None:
    """Return the first tensor of what a module put out, which may be several."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, dict):
        output = tuple(output.values())
    if not isinstance(output, tuple | list):
        return None
    return next((found for one in output if (found := _first_tensor(one)) is not None), None)


def _fields(module: nn.Module, input_shape: Shape3, dtype: torch.dtype) -> dict[str, tuple[int, int]]:
    """Return rows and columns of the image that the middle of what each module puts out depends on, by path."""
    _open_all_ways(module)
    module.to(dtype).eval()
    seen: dict[str, Tensor] = {}
    for number in range(_TRIES):
        rng = torch.Generator().manual_seed(number)
        _draw_above_zero(module, rng)
        image = (torch.rand(1, *input_shape, generator=rng) + 0.5).to(dtype).requires_grad_()
        whole = {path for path, pixels in seen.items() if pixels.all()}  # more than all is not to be found
        for path, pixels in _gradients(module, image, whole).items():
            seen[path] = seen.get(path, torch.zeros_like(pixels)) | pixels
    fields = {}
    for path, pixels in seen.items():
        spans = [torch.nonzero(pixels.any(dim=axis)).flatten() for axis in (1, 0)]
        if all(len(span) for span in spans):
            rows, columns = (int(span[-1] - span[0]) + 1 for span in spans)
            fields[path] = rows, columns
    return fields


def _open_all_ways(module: nn.Module) -> None:
    """Replace what passes no gradient on at some places by what passes it everywhere, in place."""
    for parent in list(module.modules()):
        if hasattr(parent, "inplace"):  # what was noted of its input must stay
            parent.inplace = False  # type: ignore[assignment]
        for child, part in list(parent.named_children()):
            if type(part) in (nn.ReLU, nn.ReLU6):
                setattr(parent, child, nn.Softplus())
            elif type(part) is nn.MaxPool2d and part.dilation in (1, (1, 1)):
                averages = nn.AvgPool2d(part.kernel_size, part.stride, part.padding, part.ceil_mode)
                setattr(parent, child, averages)
            elif type(part) is nn.AdaptiveMaxPool2d:
                setattr(parent, child, nn.AdaptiveAvgPool2d(part.output_size))
            elif isinstance(part, _NORMS):
                last = type(part) is nn.LayerNorm and len(part.normalized_shape) == 1
                setattr(parent, child, _LastAxis() if last else nn.Identity())


@torch.no_grad()
def _draw_above_zero(module: nn.Module, rng: torch.Generator) -> None:
    """Draw weights above zero that keep the size of values, and let batch norms change nothing."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.reset_running_stats()
        for name, weight in part.named_parameters(recurse=False):
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                weight.fill_(float(name == "weight"))
            elif weight.ndim > 1:
                drawn = torch.rand(weight.shape, generator=rng) + 0.5
                weight.copy_(drawn * (len(weight) / weight.numel()))
            elif name == "bias":
                weight.zero_()
            else:
                weight.abs_().clamp_(min=0.1)


def _gradients(module: nn.Module, image: Tensor, known: set[str]) -> dict[str, Tensor]:
    """Return from which pixels (H, W) a gradient comes, by the path of the module whose output it is of.

    Args:
        known: paths that are left out.
    """
    outputs: dict[str, Tensor] = {}
    sources: dict[str, str] = {}
    names: dict[int, str] = {}
    kept: list[Tensor] = []

    def note(path: str) -> Any:
        def hook(_part: nn.Module, inputs: Any, output: Any) -> None:
            output = _first_tensor(output)
            if output is None or not output.requires_grad:
                return
            outputs[path] = output.clone()  # the forward pass may go on to change the tensor itself, as x += y does
            if inputs and id(inputs[0]) in names:
                sources[path] = names[id(inputs[0])]
            names[id(output)] = path
            kept.append(output)  # so that no two have one id

        return hook

    handles = [part.register_forward_hook(note(path)) for path, part in module.named_modules()]
    with _Unsaturated():
        module(image)
    for handle in handles:
        handle.remove()
    parts = dict(module.named_modules())
    seen = {path: torch.ones(image.shape[2:], dtype=torch.bool) for path in known}
    for path, output in outputs.items():
        if path in known:
            continue
        part, before = parts[path], seen.get(sources[path]) if path in sources else None
        if before is not None and (isinstance(part, _POINTWISE) or (before.all() and _reads_its_middle(part))):
            seen[path] = before
            continue
        (gradient,) = torch.autograd.grad(_middle(part, output), image, retain_graph=True, allow_unused=True)
        if gradient is not None:
            seen[path] = (gradient != 0).any(dim=1)[0]
    return seen


def _reads_its_middle(part: nn.Module) -> bool:
    """Whether the middle of what ``part`` puts out depends on the middle of its input, and so sees what that sees."""
    if not isinstance(part, nn.Conv2d):
        return isinstance(part, _ON_LAST_AXIS)
    same = [distance * (size - 1) / 2 for distance, size in zip(part.dilation, part.kernel_size, strict=True)]
    return set(part.stride) == {1} and [*part.padding] == same and all(size % 2 for size in part.kernel_size)


def _middle(part: nn.Module, output: Tensor) -> Tensor:
    """Return the sum of what ``part`` puts out at its middle position; of all where there are no positions."""
    if output.ndim == 4 and not isinstance(part, _ON_LAST_AXIS):
        return output[0, :, output.shape[2] // 2, output.shape[3] // 2].sum()
    positions = output.shape[1:-1]
    return output[(0, *(size // 2 for size in positions))].sum()
