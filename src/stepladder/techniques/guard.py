"""What a hook may not do, held against every technique on its first batch: the user's own among them."""

from __future__ import annotations

import math
import os
import random
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
import torch
from torch import Tensor

from stepladder.errors import RecipeError, StepladderError, described, for_want_of_memory
from stepladder.network import Network
from stepladder.network.arithmetic import format_shape, trace_network
from stepladder.techniques.base import Frozen, Technique

#: Exit status of a copy of the process that a technique forked and that came back to train as well.
FORKED = 70


def end_copy(owner: int) -> None:
    """End this process if it is not ``owner``: a technique has forked it, and two must not train one trial."""
    if os.getpid() != owner:
        os._exit(FORKED)


@contextmanager
def guarded(technique: Technique, hook: str, **keeps: Tensor) -> Iterator[None]:
    """Turn what goes wrong within into one sentence that names the technique, the hook and the line.

    Args:
        keeps: arguments of the hook, by name, that it may not change in place: others hold them too, or they are
            compared with what it returns.

    Raises:
        RecipeError: the hook raised, drew from a global random generator, or changed such an argument.
    """
    before, owner = _global_states(), os.getpid()
    copies = {name: value.detach().clone() for name, value in keeps.items()}
    try:
        yield
        end_copy(owner)
    except StepladderError:
        raise
    except Exception as error:
        if for_want_of_memory(error):  # no fault of the hook's: other trials may have taken it
            raise
        raise RecipeError(raised_in_hook(error) or f"{technique.name}.{hook} raised {described(error)}") from error
    for name, state in _global_states().items():
        if state != before[name]:
            raise RecipeError(
                f"{technique.name}.{hook} used the global random generator of {name}, so that other random numbers of "
                f"the trial move; draw from the generator that the hook gets, as in torch.rand(n, generator=rng)"
                f"{line_of(technique, hook)}"
            )
    for name, value in keeps.items():
        if not _is_as(value, copies[name]):
            raise RecipeError(
                f"{technique.name}.{hook} changed its argument {name} in place, which others hold too; change a copy "
                f"and return that: {name} = {name}.clone(){line_of(technique, hook)}"
            )


def watch_batches(technique: Technique, hook: str, batches: Iterable[Tensor]) -> Iterable[Tensor]:
    """Return the batches of training images as ``hook`` may go through them: it must leave them as they are.

    Each is compared by its count of changes, which costs nothing; what changes the memory past torch is not seen.
    """
    return _Watched(technique, hook, batches)


class _Watched:
    """Batches that can be gone through more than once, each looked at when the hook asks for the next one."""

    def __init__(self, technique: Technique, hook: str, batches: Iterable[Tensor]) -> None:
        self._technique, self._hook, self._batches = technique, hook, batches

    def __iter__(self) -> Iterator[Tensor]:
        for batch in self._batches:
            changes, shape = batch._version, batch.shape
            yield batch
            if batch._version != changes or batch.shape != shape:
                raise RecipeError(
                    f"{self._technique.name}.{self._hook} changed a batch of training images in place, which the trial "
                    f"trains on; change a copy: images = images.clone(){line_of(self._technique, self._hook)}"
                )


def line_of(technique: Technique, hook: str) -> str:
    """Return where a technique's hook stands, as `` (blur.py, line 12)``; nothing where Python does not know."""
    code = getattr(getattr(type(technique), hook, None), "__code__", None)
    return "" if code is None else f" ({Path(code.co_filename).name}, line {code.co_firstlineno})"


def _is_as(value: Tensor, copy: Tensor) -> bool:
    alike = value.shape == copy.shape and value.dtype == copy.dtype and value.device == copy.device
    return alike and bool(torch.equal(value.detach(), copy))


def check_augmented(
    technique: Technique, before: tuple[Tensor, Tensor], after: object, num_classes: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return what ``augment`` gave back, if it is images and targets as they should be.

    Raises:
        RecipeError: it is not; the message says what was wrong.
    """
    place, line = f"{technique.name}.augment", line_of(technique, "augment")
    if not isinstance(after, tuple) or len(after) != 2 or not all(isinstance(part, Tensor) for part in after):
        raise RecipeError(f"{place} returned {_kind(after)}; it must return (images, targets), two tensors{line}")
    images, targets = after
    expected = before[0]
    for name, part in (("images", images), ("targets", targets)):
        if part.device != expected.device:
            raise RecipeError(
                f"{place} returned {name} on {part.device}; it got them on {expected.device} and must leave them "
                f"there{line}"
            )
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[:2] != expected.shape[:2]:
        raise RecipeError(
            f"{place} returned images {_kind(images)}; it got {_kind(expected)} and must keep type and B, C{line}"
        )
    count = len(expected)
    hard = targets.dtype == torch.int64 and targets.shape == (count,)
    soft = targets.dtype == torch.float32 and targets.ndim == 2 and len(targets) == count
    if soft and num_classes is not None:
        soft = targets.shape[1] == num_classes
    if not hard and not soft:
        raise RecipeError(
            f"{place} returned targets {_kind(targets)}; they must be int64 ({count},) labels or float32 "
            f"({count}, {num_classes or 'classes'}) shares{line}"
        )
    return images, targets


def check_size(technique: Technique, augmented: Tensor) -> None:
    """Refuse that ``augment`` makes images of a size that the network does not take: torch would not name the hook.

    Training on smaller images than those of evaluation is fine where the network has as many weights for both.

    Args:
        augmented: what ``augment`` gave back.

    Raises:
        RecipeError: it does.
    """
    context = technique.context
    network, expected = context.rewritten, context.input_shape
    if network is None or expected is None or network.own is not None:
        return
    shape = technique.shape_for_network(_shape(augmented))
    if shape == expected:
        return
    try:
        here, there = (trace_network(network, each, context.num_classes) for each in (shape, expected))
        if sum(cost.weights for cost in here) == sum(cost.weights for cost in there):
            return
    except RecipeError:
        pass
    raise RecipeError(
        f"{technique.name}.augment returned images of {format_shape(_shape(augmented))}, of which the network gets "
        f"{format_shape(shape)} in training and {format_shape(expected)} in evaluation, and it does not take both; a "
        f"technique that changes the size of images overrides prepare and prepared_shape too"
        f"{line_of(technique, 'augment')}"
    )


def check_initialized(technique: Technique, before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> None:
    """Refuse that ``initialize`` changed what weights there are, and not their values alone.

    Raises:
        RecipeError: it did.
    """
    if before.keys() != after.keys():
        names = ", ".join(sorted(before.keys() ^ after.keys())[:3])
        raise RecipeError(
            f"{technique.name}.initialize added or removed weights ({names}); use rewrite to change the layers"
            f"{line_of(technique, 'initialize')}"
        )
    for name, value in before.items():
        check_in_place(technique, "initialize", value, after[name])


def check_prepared(technique: Technique, before: Tensor, after: object) -> Tensor:
    """Return what ``prepare`` gave back, if it is a batch of finite images of the shape that was told.

    Raises:
        RecipeError: it is not.
    """
    place, line = f"{technique.name}.prepare", line_of(technique, "prepare")
    if not isinstance(after, Tensor) or after.dtype != torch.float32 or after.ndim != 4 or len(after) != len(before):
        raise RecipeError(f"{place} returned {_kind(after)}; it must return float32 ({len(before)}, C, H, W){line}")
    if after.device != before.device:
        raise RecipeError(f"{place} returned images on {after.device}; it got them on {before.device}{line}")
    if not bool(torch.isfinite(after).all()):
        raise RecipeError(f"{place} returned values that are not finite; look for a division by zero{line}")
    told = check_shape(technique, technique.prepared_shape(_shape(before)))
    if _shape(after) != told:
        raise RecipeError(
            f"{place} returned images of {format_shape(_shape(after))}, and {technique.name}.prepared_shape told of "
            f"{format_shape(told)}; a technique that changes the size of images overrides both{line}"
        )
    return after


def check_shape(technique: Technique, shape: object) -> tuple[int, int, int]:
    """Return what ``prepared_shape`` gave back, if it is one of images.

    Raises:
        RecipeError: it is not.
    """
    match shape:
        case (int(channels), int(height), int(width)) if min(channels, height, width) >= 1:
            return channels, height, width
    raise RecipeError(
        f"{technique.name}.prepared_shape returned {shape!r}; it must return (channels, height, width)"
        f"{line_of(technique, 'prepared_shape')}"
    )


def check_factor(technique: Technique, factor: object) -> float:
    """Return what ``lr_factor`` gave back, if it is a number that a learning rate can be multiplied by.

    Raises:
        RecipeError: it is not.
    """
    if not isinstance(factor, int | float) or not math.isfinite(factor) or factor < 0:
        raise RecipeError(
            f"{technique.name}.lr_factor returned {factor!r}; it must be a finite number of at least 0"
            f"{line_of(technique, 'lr_factor')}"
        )
    return float(factor)


def check_loss(technique: Technique, loss: object) -> Tensor:
    """Return what ``loss`` gave back, if it is one number with a gradient.

    Raises:
        RecipeError: it is not.
    """
    if not isinstance(loss, Tensor) or loss.shape != () or not loss.requires_grad:
        raise RecipeError(
            f"{technique.name}.loss returned {_kind(loss)}; it must return the mean over the batch, one number with a "
            f"gradient{line_of(technique, 'loss')}"
        )
    return loss


def check_weights(technique: Technique, weights: object, images: int) -> Tensor | None:
    """Return what ``image_weights`` gave back, if images can be drawn by it.

    Raises:
        RecipeError: it is not.
    """
    if weights is None:
        return None
    place, line = f"{technique.name}.image_weights", line_of(technique, "image_weights")
    if not isinstance(weights, Tensor) or weights.dtype != torch.float64 or weights.shape != (images,):
        raise RecipeError(f"{place} returned {_kind(weights)}; it must return float64 ({images},), or None{line}")
    if not bool(torch.isfinite(weights).all()) or bool((weights < 0).any()) or not float(weights.sum()) > 0:
        raise RecipeError(f"{place} returned weights that are not finite, below 0, or all 0{line}")
    return weights


def check_network(technique: Technique, network: object) -> Network:
    """Return what ``rewrite`` gave back, if it is a network.

    Raises:
        RecipeError: it is not.
    """
    if not isinstance(network, Network):
        raise RecipeError(
            f"{technique.name}.rewrite returned {_kind(network)}; it must return a Network"
            f"{line_of(technique, 'rewrite')}"
        )
    return network


def check_learned(technique: Technique, learned: object) -> dict[str, Tensor]:
    """Return what ``fit`` gave back, if it is float32 tensors by name.

    Raises:
        RecipeError: it is not.
    """
    if not isinstance(learned, dict):
        raise RecipeError(
            f"{technique.name}.fit returned {_kind(learned)}; it must return a dict of tensors by name"
            f"{line_of(technique, 'fit')}"
        )
    for name, value in learned.items():
        if not isinstance(value, Tensor) or value.dtype != torch.float32:
            raise RecipeError(
                f"{technique.name}.fit returned {_kind(value)} as '{name}'; it must be a float32 tensor"
                f"{line_of(technique, 'fit')}"
            )
    return learned


def check_frozen(technique: Technique, frozen: object) -> Frozen:
    """Return what ``frozen`` gave back, if it is a ``Frozen``.

    Raises:
        RecipeError: it is not.
    """
    if not isinstance(frozen, Frozen):
        raise RecipeError(
            f"{technique.name}.frozen returned {_kind(frozen)}; it must return a Frozen{line_of(technique, 'frozen')}"
        )
    return frozen


def check_scales(technique: Technique, scales: object) -> Mapping[str, float]:
    """Return what ``lr_scales`` gave back, if it is finite numbers by the name of a layer.

    Raises:
        RecipeError: it is not.
    """
    fine = isinstance(scales, Mapping) and all(
        isinstance(name, str) and isinstance(factor, int | float) and math.isfinite(factor) and factor >= 0
        for name, factor in scales.items()
    )
    if not fine:
        raise RecipeError(
            f"{technique.name}.lr_scales returned {_kind(scales)}; it must return finite numbers of at least 0 by the "
            f"name of a layer{line_of(technique, 'lr_scales')}"
        )
    assert isinstance(scales, Mapping)
    return scales


def check_in_place(technique: Technique, hook: str, before: Tensor, after: Tensor | None) -> None:
    """Refuse that a hook, which may change the values of a tensor in place, changed its shape, type or device.

    Args:
        after: the tensor, or what the hook put in its place.

    Raises:
        RecipeError: it did.
    """
    if after is None or after.shape != before.shape or after.dtype != before.dtype or after.device != before.device:
        left = "nothing" if after is None else f"{_kind(after)} on {after.device}"
        raise RecipeError(
            f"{technique.name}.{hook} left {left} in place of {_kind(before)} on {before.device}; change the values, "
            f"as add_ does, and keep shape, type and device{line_of(technique, hook)}"
        )


def _shape(images: Tensor) -> tuple[int, int, int]:
    channels, height, width = images.shape[1:]
    return channels, height, width


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return f"{value!r:.40}" if value is None or isinstance(value, int | float | str) else f"a {type(value).__name__}"


def raised_in_hook(error: Exception) -> str | None:
    """Return the sentence for what a technique's method raised: which technique and hook, what, the file and line.

    None where no technique is to blame. The loop calls hooks bare: :func:`guarded` compares the random generators'
    states, which would take longer than many a step, so that after the first batch the traceback is asked instead.
    """
    method = _hook_among(frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return None if method is None else f"{method} raised {described(error)}"


def hook_at(frame: FrameType | None) -> str | None:
    """Return the method of a technique, as ``name.hook``, that ``frame`` is at work in; None where there is none."""
    frames = [] if frame is None else [inner for inner, _ in traceback.walk_stack(frame)]
    return _hook_among(reversed(frames))


def _hook_among(frames: Iterable[FrameType]) -> str | None:
    """Return the hook, as ``name.hook``, that ``frames``, the outermost first, are in; None where there is none.

    Where one technique's hook has another's called, as ``pca_init`` looks at prepared images, it is the other's; of
    a technique's methods that call each other it is the outermost, which was called as a hook.
    """
    technique, hook = None, None
    for frame in frames:
        first, method = _method_at(frame)
        if method is not None and first is not technique:
            technique, hook = first, method
    return None if technique is None else f"{technique.name}.{hook}"


def _method_at(frame: FrameType) -> tuple[Technique, str] | tuple[None, None]:
    """Return the technique whose method ``frame`` is in, and the method's name."""
    code = frame.f_code
    first = frame.f_locals.get(code.co_varnames[0]) if code.co_argcount else None
    if isinstance(first, Technique):
        # Functions that are given a technique first, as ``guarded`` is, are no methods of its.
        for kind in type(first).__mro__:
            for name, value in tuple(vars(kind).items()):
                if name == code.co_name or getattr(value, "__code__", None) is code:
                    return first, name
    return None, None


def _global_states() -> dict[str, object]:
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002  (it is read, to see that nobody draws from it)
    inner = numpy_state["state"]
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": (inner["key"].tobytes(), inner["pos"], numpy_state["has_gauss"]),
        "random": random.getstate(),
    }
