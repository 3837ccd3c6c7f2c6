"""Random numbers that a module of the user's own draws while it trains, from streams of the trial's.

Stochastic depth, dropout inside attention and ``F.dropout`` draw from PyTorch's global generators. So that the same
seed gives the same bits, and nothing else in the process moves, generators of the trial's stand in for them meanwhile.
"""

from __future__ import annotations

import random
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

#: Gives the random stream of a name on a device; the same name always starts the same stream.
Stream = Callable[[str, torch.device], torch.Generator]

_CPU = torch.device("cpu")
#: The process has one global generator a device: one borrows it at a time.
BORROWING = threading.RLock()


class SeededModules(nn.Sequential):
    """Modules in a row that draw, in training, from generators of their own in place of PyTorch's global ones.

    Args:
        modules: by name.
        streams: generators by the names of their streams; one of the CPU, and one of the device where that is another.
    """

    def __init__(self, modules: OrderedDict[str, nn.Module], streams: dict[str, torch.Generator]) -> None:
        super().__init__(modules)
        self.streams = streams

    def forward(self, inputs: Tensor) -> Tensor:
        """Return what the last module makes of ``inputs``; in evaluation nothing is drawn."""
        if not self.training:
            return super().forward(inputs)  # type: ignore[no-any-return, no-untyped-call]
        if inputs.is_cuda and torch.cuda.is_current_stream_capturing():
            raise RuntimeError("the module draws from PyTorch's global generator, which a recording cannot exchange")
        with standing_in(list(self.streams.values())):
            return super().forward(inputs)  # type: ignore[no-any-return, no-untyped-call]


def streams_of(name: str, stream: Stream, device: torch.device) -> dict[str, torch.Generator]:
    """Return the generators of a module called ``name`` that draws on the CPU and on ``device``."""
    devices = [_CPU] if device.type == "cpu" else [_CPU, device]
    return {f"random/{name}/{one.type}": stream(f"random/{name}/{one.type}", one) for one in devices}


@contextmanager
def standing_in(generators: Sequence[torch.Generator]) -> Iterator[None]:
    """Let PyTorch's global generators of their devices be at ``generators`` inside, and these at what is left after."""
    with BORROWING:
        pairs = [(_global_generator(one.device), one) for one in generators]
        before = [shared.get_state() for shared, _ in pairs]
        for shared, own in pairs:
            shared.set_state(own.get_state())
        try:
            yield
        finally:
            for (shared, own), state in zip(pairs, before, strict=True):
                own.set_state(shared.get_state())
                shared.set_state(state)


def draws_elsewhere() -> dict[str, object]:
    """Return where the generators stand that no stream stands in for, by the library; to be compared."""
    state = np.random.get_state(legacy=False)  # noqa: NPY002  (it is read, to see that nobody draws from it)
    inner = state["state"]
    return {"NumPy": (inner["key"].tobytes(), inner["pos"], state["has_gauss"]), "Python": random.getstate()}


def _global_generator(device: torch.device) -> torch.Generator:
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        return torch.cuda.default_generators[index]
    if device.type == "mps":
        return torch.mps._get_default_mps_generator()
    return torch.default_generator
