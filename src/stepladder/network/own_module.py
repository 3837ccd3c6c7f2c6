"""The module that a function of the user's own builds: made from a seed, looked at once, and ready to train."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from stepladder.errors import RecipeError, StepladderError, described, for_want_of_memory
from stepladder.network.arithmetic import Shape3, format_shape
from stepladder.network.layers import RowMajor, SeededDropout
from stepladder.network.own import find_build
from stepladder.network.own_random import BORROWING, SeededModules, Stream, draws_elsewhere, standing_in, streams_of
from stepladder.network.spec import OwnModule

if TYPE_CHECKING:
    from torch.utils.flop_counter import FlopCounterMode

#: PyTorch's dropouts, which draw from the global generator, and whether they drop whole maps.
_DROPOUTS: dict[type[nn.Module], bool] = {
    nn.Dropout: False,
    nn.Dropout1d: True,
    nn.Dropout2d: True,
    nn.Dropout3d: True,
}

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Facts:
    """What was found out about a module.

    Attributes:
        weights: learned numbers, those that several layers share once.
        macs: multiply-accumulates an image forward, as torch's own counter has them.
        row_major: whether its forward pass needs images as rows of each channel (``x.view`` does), and not the
            channels of each pixel side by side, which is faster.
        draws: whether it draws from PyTorch's global generator in training, beside its dropouts.
    """

    weights: int
    macs: int
    row_major: bool
    draws: bool


_FACTS: dict[tuple[str, str, Shape3, int], Facts] = {}


def build_own(
    layer: OwnModule, input_shape: Shape3, num_classes: int, stream: Stream, device: torch.device
) -> nn.Sequential:
    """Build the module of ``layer`` for images of ``input_shape`` (C, H, W), with initial weights, on ``device``.

    The function's own initialization draws from PyTorch's global generator, seeded by the stream ``weights/own`` and
    put back afterwards: the same seed gives the same bits, and nothing else moves. Dropouts are replaced by ones with
    streams of their own, ``dropout/own.<path>``; what else the module draws in training comes from ``random/own``.

    Returns:
        a module from (N, C, H, W) float images to (N, num_classes) logits, with one child that has weights, ``own``.

    Raises:
        RecipeError: the file was not named in this process, or the module is not what it should be.
    """
    facts = facts_of(layer, input_shape, num_classes)
    seed = stream(f"weights/{layer.name}", _CPU).initial_seed()
    module = make_module(layer, input_shape, num_classes, seed)
    _seed_dropouts(module, layer.name, stream, device)
    module.train()
    modules: OrderedDict[str, nn.Module] = OrderedDict(own=module)
    if facts.row_major:
        modules = OrderedDict(row_major=RowMajor(), own=module)
    if facts.draws:
        built: nn.Sequential = SeededModules(modules, streams_of(layer.name, stream, device))
    else:
        built = nn.Sequential(modules)
    built = built.to(device)
    return built if facts.row_major else built.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def facts_of(layer: OwnModule, input_shape: Shape3, num_classes: int) -> Facts:
    """Return what is known of the module of ``layer``, tried on two images; once a process for each shape.

    Raises:
        RecipeError: see :func:`build_own`; one sentence that names file, function, what it did and what it must do.
    """
    key = (layer.sha256, layer.function, input_shape, num_classes)
    if key not in _FACTS:
        with BORROWING:
            _FACTS[key] = _look_at(layer, input_shape, num_classes)
    return _FACTS[key]


def make_module(layer: OwnModule, input_shape: Shape3, num_classes: int, seed: int) -> nn.Module:
    """Return a new module of the user's function, its weights drawn from ``seed``.

    Raises:
        RecipeError: the function raised, or returned something else.
    """
    build = find_build(layer)
    with _own_random_numbers(seed), _blaming(f"{layer.reference} raised"):
        module = build(input_shape, num_classes)
        if not isinstance(module, nn.Module):
            raise RecipeError(
                f"{layer.reference} returned a value of type {type(module).__name__}; it must return a "
                f"torch.nn.Module, from images (N, C, H, W) to logits (N, classes)"
            )
        if any(isinstance(one, nn.parameter.UninitializedParameter) for one in module.parameters()):
            with torch.no_grad():
                module.eval()(torch.zeros(2, *input_shape))  # lazy layers draw their weights when they see images
    return module


def output_path(module: nn.Module, num_classes: int) -> str | None:
    """Return the path of the last layer that puts out one value a class; None where none does."""
    found = None
    for path, part in module.named_modules():
        outputs = {nn.Linear: "out_features", nn.Conv2d: "out_channels"}
        if any(isinstance(part, kind) and getattr(part, name) == num_classes for kind, name in outputs.items()):
            found = path
    return found


def _look_at(layer: OwnModule, input_shape: Shape3, num_classes: int) -> Facts:
    def make() -> nn.Module:
        return make_module(layer, input_shape, num_classes, seed=0)

    images = torch.rand(2, *input_shape, generator=torch.Generator().manual_seed(0))
    module, again = make(), make()
    _check_weights(layer, module, again)
    # Dropouts draw nothing here, so that what else draws shows.
    for one in (module, again):
        _seed_dropouts(one, layer.name, lambda _, device: torch.Generator(device).manual_seed(0), _CPU)
    try:
        _forward(layer, again.to(memory_format=torch.channels_last), _as_channels_last(images), num_classes)  # type: ignore[call-overload]
        row_major = False
    except RecipeError:
        row_major = True
    # Where both fail, this one's words are about the user's code.
    draws = _forward(layer, module, images, num_classes)
    with counting() as counter:
        module.eval()(images[:1])
    weights = sum(parameter.numel() for parameter in module.parameters())
    return Facts(weights, counter.get_total_flops() // 2, row_major, draws)


@contextmanager
def counting() -> Iterator[FlopCounterMode]:
    """Count the operations inside, two a multiply-accumulate, by torch's own counter; no gradients are kept.

    It knows products of matrices and convolutions, and none of the kernels for whole attention layers on a CPU; so
    attention is worked out as the products that it is.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode  # with sympy, a third of a second

    fast = torch.backends.mha.get_fastpath_enabled()
    with BORROWING, torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield counter
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)


def _check_weights(layer: OwnModule, module: nn.Module, again: nn.Module) -> None:
    """Refuse modules that do not come out of a seed, that two trials would share, or that nothing can be saved of."""
    state, other = module.state_dict(), again.state_dict()
    odd = next((name for name, value in state.items() if not isinstance(value, Tensor)), None)
    if odd is not None:
        raise RecipeError(
            f"{layer.reference} keeps {odd} in its state, which is no tensor and cannot be saved; keep it elsewhere"
        )
    shared = {id(parameter) for parameter in module.parameters()} & {id(parameter) for parameter in again.parameters()}
    if module is again or shared:
        raise RecipeError(
            f"{layer.reference} returned the same weights in two calls; build a new module in every call, as each "
            f"trial trains one of its own"
        )
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise RecipeError(f"{layer.reference} returned a module without weights that learn; there is nothing to train")
    differing = next((name for name in state if name not in other or not torch.equal(state[name], other[name])), None)
    if differing is not None or len(state) != len(other):
        raise RecipeError(
            f"{layer.reference} gave {differing or 'its weights'} other values from the same seed; draw with torch "
            f"alone, as in torch.nn.init, and leave no weight as torch.empty made it"
        )


def _forward(layer: OwnModule, module: nn.Module, images: Tensor, num_classes: int) -> bool:
    """Refuse a module that does not make logits of two images, or of one in evaluation, or draws where it must not.

    Returns:
        whether it draws from PyTorch's global generator in training.
    """
    shape = format_shape(tuple(images.shape[1:]))
    drew = False
    for training, count in ((True, 2), (False, 2), (False, 1)):
        reads = f"{count} image{'s' * (count > 1)} of {shape}"
        module.train(training)
        # A seed of its own, so that trying moves no random number of the process.
        with _own_random_numbers(0), _blaming(f"{layer.reference}: its module, given {reads}, raised"):
            before, elsewhere = torch.get_rng_state(), draws_elsewhere()
            with torch.no_grad():
                logits = module(images[:count].clone(memory_format=torch.preserve_format))
            drawing = not torch.equal(before, torch.get_rng_state())
            others = [name for name, state in draws_elsewhere().items() if state != elsewhere[name]]
        _check_logits(layer, logits, (count, num_classes), f"{reads} in {'training' if training else 'evaluation'}")
        if others:
            raise RecipeError(
                f"{layer.reference}: its module draws random numbers of {others[0]}'s, so that the same seed would not "
                f"give the same bits; draw with torch"
            )
        if drawing and not training:
            raise RecipeError(
                f"{layer.reference}: its module draws random numbers in evaluation, so that the same image would get "
                f"another answer each time; draw in training alone: F.dropout needs training=self.training"
            )
        drew |= drawing
    return drew


def _check_logits(layer: OwnModule, logits: object, shape: tuple[int, int], reads: str) -> None:
    """Refuse what is no floating-point tensor of ``shape``."""
    if isinstance(logits, Tensor) and logits.is_floating_point() and logits.shape == shape:
        return
    several = ""
    if isinstance(logits, Tensor):
        kind = f"{tuple(logits.shape)}"
        if not logits.is_floating_point():
            kind += f" of {str(logits.dtype).removeprefix('torch.')}"
    else:
        kind = f"a value of type {type(logits).__name__}"
        if isinstance(logits, tuple | list | dict):
            several = ", and no other outputs beside them; torchvision builds such with aux_logits=False"
    raise RecipeError(
        f"{layer.reference}: its module returned {kind} for {reads}; it must return logits, floating point "
        f"{shape}{several}"
    )


def _as_channels_last(images: Tensor) -> Tensor:
    """The same images as the training loop has them."""
    return images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)


def _seed_dropouts(module: nn.Module, name: str, stream: Stream, device: torch.device) -> None:
    """Replace every dropout of PyTorch's within ``module`` by one with a stream of its own."""
    replaced: dict[int, SeededDropout] = {}
    for path, parent in list(module.named_modules()):
        for child, part in list(parent.named_children()):
            if not isinstance(part, nn.modules.dropout._DropoutNd) or type(part) not in _DROPOUTS or part.p >= 1:
                continue
            if id(part) not in replaced:  # one that stands in several places is one
                own = ".".join(filter(None, (name, path, child)))
                replaced[id(part)] = SeededDropout(part.p, stream(f"dropout/{own}", device), _DROPOUTS[type(part)])
            setattr(parent, child, replaced[id(part)])


@contextmanager
def _own_random_numbers(seed: int) -> Iterator[None]:
    """Let PyTorch's global generator on the CPU begin at ``seed`` inside, and put it back as it was."""
    # By its own generator; torch.manual_seed would seed GPUs too.
    with standing_in([torch.Generator().manual_seed(seed)]):
        yield


@contextmanager
def _blaming(what: str) -> Iterator[None]:
    """Turn what a user's code raises inside into one sentence that begins with ``what``."""
    try:
        yield
    except StepladderError:
        raise
    except Exception as error:
        if for_want_of_memory(error):  # no fault of the code's
            raise
        raise RecipeError(f"{what} {described(error)}") from error
