"""Where the arithmetic happens and in what precision."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

import torch

from stepladder.errors import RecipeError, unknown

#: Multiply-accumulates of a training step below which one thread is as fast as several.
SMALL_STEP = 500_000_000

#: What torch would use by itself, read before anything changes it.
_ALL_THREADS = torch.get_num_threads()

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Compute:
    """A device and a precision.

    Attributes:
        device: where images, weights and random streams live.
        precision: ``float32``, or ``bfloat16`` for convolutions and matrix products; weights, losses and statistics
            stay in float32 either way (Micikevicius et al., Mixed Precision Training, 2018, section 3).
        threads: of one training step on the CPU at most; None for all cores. Another number sums in another order, so
            it changes the last bits of every weight where steps are large.
        replay: record a step on a CUDA GPU once and replay it, instead of launching kernel after kernel.
    """

    device: torch.device
    precision: str
    threads: int | None = None
    replay: bool = True

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which networks run forward."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16")


def available_cores() -> int:
    """Return how many cores this process may use, where the system tells; otherwise how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_compute(device: str = "auto", precision: str = "auto", threads: int | None = None) -> Compute:
    """Turn what a user asked for into a device that is there and a precision that is fast on it.

    ``auto`` takes a GPU where there is one, and bfloat16 where the hardware multiplies it natively.

    Raises:
        RecipeError: an unknown name, a device that this machine lacks, or fewer than one thread.
    """
    if threads is not None and threads < 1:
        raise RecipeError(f"`threads` is {threads}; a step needs at least 1")
    if device not in DEVICES:
        raise RecipeError(unknown("device", device, DEVICES))
    if precision not in PRECISIONS:
        raise RecipeError(unknown("precision", precision, PRECISIONS))
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available[device]:
        there = ", ".join(name for name, is_there in available.items() if is_there)
        raise RecipeError(f"`device` is {device}, and PyTorch finds none on this machine; there is: {there}")
    if precision == "auto":
        precision = "bfloat16" if _multiplies_bfloat16(device) else "float32"
    return Compute(torch.device(device), precision, threads)


def compute_here(compute: Compute) -> Compute:
    """Return ``compute``, or the CPU in its precision where it is of another machine, whose GPU this one lacks."""
    missing = compute.device.type == "cuda" and not torch.cuda.is_available()
    return replace(compute, device=torch.device("cpu")) if missing else compute


def choose_threads(step_macs: int, at_most: int | None = None) -> None:
    """Use one thread for a step of fewer than :data:`SMALL_STEP` multiply-accumulates, else ``at_most``, or all cores.

    On 8×8 images two threads were no faster than one (79 and 77 s for 18 trials), and beside another busy process they
    were 20 times slower, because each step waits for both a hundred times.
    """
    torch.set_num_threads(1 if step_macs < SMALL_STEP else at_most or _ALL_THREADS)


@contextmanager
def threads_for(macs: int, at_most: int | None = None) -> Iterator[None]:
    """Use as many threads as ``macs`` multiply-accumulates at a time are worth, and leave the number as it was."""
    before = torch.get_num_threads()
    choose_threads(macs, at_most)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks for the next step instead of handing them back to the system.

    Every step frees and allocates the same few blocks of megabytes, and fresh pages are slow to get: without this,
    a training step on the CPU took 48 ms instead of 34. Elsewhere than on Linux with glibc it does nothing.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        trim_threshold, mmap_threshold = -1, -3
        mallopt(mmap_threshold, 32 * 2**20)  # the largest that glibc takes
        mallopt(trim_threshold, 2**31 - 1)


def _multiplies_bfloat16(device: str) -> bool:
    if device == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return False  # on Apple's GPUs autocast to bfloat16 depends on the system's version; float32 always works
