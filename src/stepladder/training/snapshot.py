"""All that a trial must remember to go on as if it had never stopped, taken from it and put back, to the bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from stepladder.training.assembly import Assembly
from stepladder.training.history import EpochRecord, history_text, parse_history
from stepladder.training.optimizer import Steps


@dataclass(repr=False)
class Place:
    """Where a trial is, between two steps, beside its weights.

    Attributes:
        loss_sum: float, (): the loss of every image of the epoch so far; on the device, so that no step waits for it.
        order_state: where the stream ``order`` was before this epoch's order was drawn.
        epoch: the one under way, from 1.
        batch: how many of its batches are done.
        step: steps taken since the start.
        lr: learning rate of the last of them.
        epoch_seconds: wall time of the epoch so far.
        seconds: wall time of the trial so far.
        history: the epochs that are finished.
        warnings: what a reader of the result should know.
        best: the weights of the epoch that validation likes best, where it may choose.
        best_epoch, best_score: which epoch that is, and its figure, the higher the better.
    """

    loss_sum: Tensor
    order_state: Tensor
    epoch: int = 1
    batch: int = 0
    step: int = 0
    lr: float | None = None
    epoch_seconds: float = 0.0
    seconds: float = 0.0
    history: list[EpochRecord] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    best_score: float | None = None

    def __repr__(self) -> str:
        return f"Place(epoch {self.epoch}, {self.batch} of its batches done, {self.step} steps)"


#: The fields of Place that are plain values.
_PLAIN = ("epoch", "batch", "step", "lr", "epoch_seconds", "seconds", "warnings", "best_epoch", "best_score")


@dataclass(frozen=True, repr=False)
class Snapshot:
    """A trial between two steps, as a file can hold it.

    Attributes:
        tensors: by name with slashes; copies of its own, on the CPU.
        values: plain values: the place, the history as CSV, the layout of the tensors.
    """

    tensors: dict[str, Tensor]
    values: dict[str, Any]

    def __repr__(self) -> str:
        return f"Snapshot({len(self.tensors)} tensors, {sum(map(Tensor.numel, self.tensors.values())):,} numbers)"


def take_snapshot(assembly: Assembly, place: Place) -> Snapshot:
    """Return all that changes in a trial from step to step."""
    remembered, plain = _take_optimizer(assembly.optimizer)
    parts = {
        "module": assembly.module.state_dict(),
        "averaged": {} if assembly.averaged is None else assembly.averaged.state_dict(),
        "best": place.best,
        "optimizer": remembered,
        "stream": {name: generator.get_state() for name, generator in assembly.streams.items()},
        "place": {"loss_sum": place.loss_sum, "order_state": place.order_state},
        **{_part(technique.name): technique.state for technique in assembly.techniques},
    }
    tensors, strides = _flatten(parts)
    values = {
        "place": {name: getattr(place, name) for name in _PLAIN},
        "history": history_text(place.history),
        "optimizer": plain,
        "strides": strides,
    }
    return Snapshot(tensors, values)


def restore_snapshot(snapshot: Snapshot, assembly: Assembly) -> Place:
    """Put a snapshot back into the trial that it was taken from, newly assembled, and return its place."""
    device = assembly.data.labels.device
    assembly.module.load_state_dict(_get(snapshot, "module", device))
    if assembly.averaged is not None:
        assembly.averaged.load_state_dict(_get(snapshot, "averaged", device))
    _restore_optimizer(assembly.optimizer, _get(snapshot, "optimizer", device), snapshot.values["optimizer"])
    for technique in assembly.techniques:
        technique.restore_state(_get(snapshot, _part(technique.name), device))
    states = _get(snapshot, "stream", torch.device("cpu"))
    for name, generator in assembly.streams.items():
        generator.set_state(states[name])
    tensors = _get(snapshot, "place", device)
    return Place(
        loss_sum=tensors["loss_sum"],
        order_state=tensors["order_state"].cpu(),
        history=list(parse_history(snapshot.values["history"])),
        best=_get(snapshot, "best", device),
        **snapshot.values["place"],
    )


def _part(technique: str) -> str:
    return f"technique:{technique}"


def _flatten(parts: Mapping[str, Mapping[str, Tensor]]) -> tuple[dict[str, Tensor], dict[str, list[int]]]:
    """Return copies of all tensors as ``part/name``, and the strides of those that are not laid out row by row.

    Files hold rows; a tensor that comes back in another layout takes another path through the kernels, which may round
    differently.
    """
    tensors, strides = {}, {}
    for part, named in parts.items():
        for name, tensor in named.items():
            value = tensor.detach()
            if not value.is_contiguous():
                strides[f"{part}/{name}"] = list(value.stride())
            tensors[f"{part}/{name}"] = value.cpu().clone(memory_format=torch.contiguous_format)
    return tensors, strides


def _get(snapshot: Snapshot, part: str, device: torch.device) -> dict[str, Tensor]:
    """Return the tensors of one part by name, on ``device``, laid out as they were."""
    found = {}
    strides = snapshot.values["strides"]
    for path, tensor in snapshot.tensors.items():
        if not path.startswith(f"{part}/"):
            continue
        value = tensor
        if path in strides:
            value = torch.empty_strided(tuple(tensor.shape), strides[path], dtype=tensor.dtype).copy_(tensor)
        found[path.removeprefix(f"{part}/")] = value.to(device)
    return found


def _take_optimizer(optimizer: Steps) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors that an optimizer remembers, and its plain values, by their path in its state."""
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    for path, value in _leaves(optimizer.state_dict()):
        if isinstance(value, Tensor):
            tensors[path] = value
        else:
            values[path] = value
    return tensors, values


def _restore_optimizer(optimizer: Steps, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Put back what :func:`_take_optimizer` returned; rates and other settings stay those of the recipe."""
    state: dict[str, Any] = optimizer.state_dict()
    for path, value in [*tensors.items(), *values.items()]:
        _put(state, path.split("."), value)
    optimizer.load_state_dict(state)


def _leaves(state: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of the optimizer's ``state`` entries; its parameter groups hold nothing that a step changes."""
    items = state.items() if isinstance(state, dict) else enumerate(state)
    for key, value in items:
        if key == "param_groups":
            continue
        inner = f"{path}.{key}" if path else str(key)
        if isinstance(value, dict | list):
            yield from _leaves(value, inner)
        else:
            yield inner, value


def _put(state: Any, keys: Sequence[str], value: Any) -> None:
    """Set one leaf, making the entries of parameters that have none yet."""
    for key in keys[:-1]:
        state = state[int(key)] if isinstance(state, list) else state.setdefault(_key(key), {})
    state[_key(keys[-1])] = value


def _key(text: str) -> str | int:
    # torch numbers the parameters and names what it remembers of each.
    return int(text) if text.isdecimal() else text
