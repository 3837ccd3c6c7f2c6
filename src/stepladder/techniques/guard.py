"""What a hook may not do, held against every technique on its first batch: the user's own among them."""

from __future__ import annotations

import math
import os
import random
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

import numpy as np
import torch
from torch import Tensor

from stepladder.errors import RecipeError, StepladderError, described, for_want_of_memory
from stepladder.network import Network
from stepladder.network.arithmetic import format_shape
from stepladder.techniques.base import Technique

#: Exit status of a copy of the process that a technique forked and that came back to train as well.
FORKED = 70


def end_copy(owner: int) -> None:
    """End this process if it is not ``owner``: a technique has forked it, and two must not train one trial."""
    if os.getpid() != owner:
        os._exit(FORKED)


@contextmanager
def guarded(technique: Technique, hook: str) -> Iterator[None]:
    """Turn what goes wrong within into one sentence that names the technique, the hook and the line.

    Raises:
        RecipeError: the hook raised, or drew from a global random generator.
    """
    before, owner = _global_states(), os.getpid()
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
            )


def check_augmented(
    technique: Technique, before: tuple[Tensor, Tensor], after: object, num_classes: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return what ``augment`` gave back, if it is images and targets as they should be.

    Raises:
        RecipeError: it is not; the message says what was wrong.
    """
    place = f"{technique.name}.augment"
    if not isinstance(after, tuple) or len(after) != 2 or not all(isinstance(part, Tensor) for part in after):
        raise RecipeError(f"{place} returned {_kind(after)}; it must return (images, targets), two tensors")
    images, targets = after
    expected = before[0]
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[:2] != expected.shape[:2]:
        raise RecipeError(
            f"{place} returned images {_kind(images)}; it got {_kind(expected)} and must keep type and B, C"
        )
    count = len(expected)
    hard = targets.dtype == torch.int64 and targets.shape == (count,)
    soft = targets.dtype == torch.float32 and targets.ndim == 2 and len(targets) == count
    if soft and num_classes is not None:
        soft = targets.shape[1] == num_classes
    if not hard and not soft:
        raise RecipeError(
            f"{place} returned targets {_kind(targets)}; they must be int64 ({count},) labels or float32 "
            f"({count}, {num_classes or 'classes'}) shares"
        )
    return images, targets


def check_prepared(technique: Technique, before: Tensor, after: object) -> Tensor:
    """Return what ``prepare`` gave back, if it is a batch of finite images of the shape that was told.

    Raises:
        RecipeError: it is not.
    """
    place = f"{technique.name}.prepare"
    if not isinstance(after, Tensor) or after.dtype != torch.float32 or after.ndim != 4 or len(after) != len(before):
        raise RecipeError(f"{place} returned {_kind(after)}; it must return float32 ({len(before)}, C, H, W)")
    if not bool(torch.isfinite(after).all()):
        raise RecipeError(f"{place} returned values that are not finite; look for a division by zero")
    told = check_shape(technique, technique.prepared_shape(_shape(before)))
    if _shape(after) != told:
        raise RecipeError(
            f"{place} returned images of {format_shape(_shape(after))}, and {technique.name}.prepared_shape told of "
            f"{format_shape(told)}; a technique that changes the size of images overrides both"
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
    raise RecipeError(f"{technique.name}.prepared_shape returned {shape!r}; it must return (channels, height, width)")


def check_factor(technique: Technique, factor: object) -> float:
    """Return what ``lr_factor`` gave back, if it is a number that a learning rate can be multiplied by.

    Raises:
        RecipeError: it is not.
    """
    if not isinstance(factor, int | float) or not math.isfinite(factor) or factor < 0:
        raise RecipeError(f"{technique.name}.lr_factor returned {factor!r}; it must be a finite number of at least 0")
    return float(factor)


def check_loss(technique: Technique, loss: object) -> Tensor:
    """Return what ``loss`` gave back, if it is one number with a gradient.

    Raises:
        RecipeError: it is not.
    """
    if not isinstance(loss, Tensor) or loss.shape != () or not loss.requires_grad:
        raise RecipeError(
            f"{technique.name}.loss returned {_kind(loss)}; it must return the mean over the batch, one number with a "
            f"gradient"
        )
    return loss


def check_network(technique: Technique, network: object) -> Network:
    """Return what ``rewrite`` gave back, if it is a network.

    Raises:
        RecipeError: it is not.
    """
    if not isinstance(network, Network):
        raise RecipeError(f"{technique.name}.rewrite returned {_kind(network)}; it must return a Network")
    return network


def check_learned(technique: Technique, learned: object) -> dict[str, Tensor]:
    """Return what ``fit`` gave back, if it is float32 tensors by name.

    Raises:
        RecipeError: it is not.
    """
    if not isinstance(learned, dict):
        raise RecipeError(f"{technique.name}.fit returned {_kind(learned)}; it must return a dict of tensors by name")
    for name, value in learned.items():
        if not isinstance(value, Tensor) or value.dtype != torch.float32:
            raise RecipeError(f"{technique.name}.fit returned {_kind(value)} as '{name}'; it must be a float32 tensor")
    return learned


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
