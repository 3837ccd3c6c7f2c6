"""Checkpoints of one trial: a folder each, written so that a reader finds a whole one or none.

``checkpoint/00000700/`` holds ``tensors.safetensors``, ``state.json`` and, written last, ``complete.json`` with the
checksums of both. It is made under another name and renamed, every file and folder synced (Pillai et al., "All File
Systems Are Not Created Equal", OSDI 2014, section 4). The two newest are kept: where the newest is damaged, the one
before it is taken.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from stepladder.errors import StorageError, StudyError
from stepladder.files import parse_json, read_plain, storage_failed, sync_folder, write_synced
from stepladder.techniques.guard import end_copy
from stepladder.training.snapshot import Snapshot
from stepladder.training.stop import Stop

#: Raised with every change that an older Stepladder would misread.
CHECKPOINT_VERSION = 1

#: Seconds of training that a checkpoint at an epoch's end is worth. It takes some hundredths of one, mostly for the
#: disk: as long as a whole epoch of few images, or of a GPU.
WORTH_KEEPING = 1.0

_TENSORS, _STATE, _COMPLETE = "tensors.safetensors", "state.json", "complete.json"
_KEPT = 2
#: What :func:`~stepladder.training.snapshot.take_snapshot` keeps beside tensors.
_VALUES = {"place", "history", "optimizer", "strides"}


class Checkpoints:
    """Where one trial keeps its checkpoints, when it makes one, and whether it should stop.

    Args:
        folder: of the checkpoints; made when the first is written.
        identity: the trial, and what its bits depend on beside it: versions, processor. A checkpoint of another trial
            is passed over; one made under other conditions is refused, unless ``accept_different_bits``.
        every_seconds: make one inside an epoch that takes longer; at an epoch's end, after a second.
        stop: asked after every step.
        tell: called with a sentence where a checkpoint was passed over.

    Attributes:
        seconds: what making checkpoints took so far.
        loaded: whether the trial goes on from one.
    """

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, str],
        *,
        every_seconds: float = 60.0,
        stop: Stop | None = None,
        accept_different_bits: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._folder = folder
        self._identity = dict(identity)
        self._every_seconds = every_seconds
        self.stop = stop or Stop()
        self._accept_different_bits = accept_different_bits
        self._tell = tell or (lambda _: None)
        self._owner = os.getpid()
        self._last = monotonic()
        self._newest = -1
        self.seconds = 0.0
        self.loaded = False

    def due(self, *, epoch_ended: bool = False) -> bool:
        """Whether to make one now: enough time has passed since the last, or a stop is wanted.

        Args:
            epoch_ended: between two epochs; :data:`WORTH_KEEPING` seconds are then enough.
        """
        end_copy(self._owner)
        enough = min(WORTH_KEEPING, self._every_seconds) if epoch_ended else self._every_seconds
        return self.stop.wanted() or monotonic() - self._last >= enough

    def save(self, step: int, snapshot: Snapshot, conditions: Mapping[str, str]) -> None:
        """Write the checkpoint of ``step`` steps, and remove all but the newest two.

        Args:
            conditions: what the bits depend on that was not known beforehand: the number of threads.

        Raises:
            StorageError: it cannot be written; the ones before stay.
        """
        started = monotonic()
        if step != self._newest:
            self._write(step, snapshot, {**self._identity, **conditions})
            self._newest = step
            for old in self._names()[_KEPT:]:
                shutil.rmtree(self._folder / old, ignore_errors=True)
        self._last = monotonic()
        self.seconds += self._last - started

    def load(self, conditions: Mapping[str, str]) -> Snapshot | None:
        """Return the newest checkpoint that is whole; None where there is none.

        Raises:
            StudyError: it was made under other conditions, so that the trial would not end with the same bits.
        """
        for name in self._names():
            try:
                snapshot = self._read(self._folder / name)
            except StorageError as error:
                self._tell(f"checkpoint {name} is passed over: {error}")
                continue
            self._check_identity(snapshot, {**self._identity, **conditions})
            self._newest = int(name)
            self.loaded = True
            return snapshot
        return None

    def remove(self) -> None:
        """Remove all of them: the trial has ended."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, step: int, snapshot: Snapshot, identity: dict[str, str]) -> None:
        document = {"checkpoint_version": CHECKPOINT_VERSION, "identity": identity, "values": snapshot.values}
        contents = {
            _TENSORS: save(snapshot.tensors),
            _STATE: json.dumps(document, allow_nan=False).encode(),
        }
        checksums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        contents[_COMPLETE] = json.dumps(checksums, indent=2).encode()
        target, temporary = self._folder / f"{step:08d}", self._folder / f".{step:08d}.{os.getpid()}.part"
        try:
            self._folder.mkdir(exist_ok=True)  # not its parents: a study that was removed is not made again
            temporary.mkdir()
            for name, content in contents.items():
                write_synced(temporary / name, content)
            sync_folder(temporary)
            shutil.rmtree(target, ignore_errors=True)  # a damaged one of the same step
            temporary.rename(target)
            sync_folder(self._folder)
        except OSError as error:
            raise storage_failed(target, sum(map(len, contents.values())), error) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _names(self) -> list[str]:
        """Return the checkpoints that are there, the newest first."""
        try:
            return sorted((path.name for path in self._folder.iterdir() if path.name.isdecimal()), reverse=True)
        except OSError:
            return []

    def _read(self, folder: Path) -> Snapshot:
        contents = {}
        checksums = _parse(_content(folder / _COMPLETE), _COMPLETE)
        for name in (_TENSORS, _STATE):
            contents[name] = _content(folder / name)
            if hashlib.sha256(contents[name]).hexdigest() != checksums.get(name):
                raise StorageError(f"its {name} does not have the checksum that was written with it")
        document = _parse(contents[_STATE], _STATE)
        version = document.get("checkpoint_version")
        if version != CHECKPOINT_VERSION:
            raise StorageError(f"it has version {version}; this Stepladder reads version {CHECKPOINT_VERSION}")
        identity, values = document.get("identity"), document.get("values")
        if not isinstance(identity, dict) or not isinstance(values, dict) or not values.keys() >= _VALUES:
            raise StorageError(f"its {_STATE} does not hold what it should")
        if identity.get("trial") != self._identity.get("trial"):
            raise StorageError("it is that of another trial")
        try:
            tensors = load(contents[_TENSORS])
        except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:  # of types that torch lacks
            raise StorageError(f"its {_TENSORS} cannot be read ({error})") from error
        if not _can_be_laid_out(tensors, values["strides"]):
            raise StorageError(f"its {_STATE} lays the tensors out in a way that they cannot lie")
        return Snapshot(tensors, {**values, "identity": identity})

    def _check_identity(self, snapshot: Snapshot, here: Mapping[str, str]) -> None:
        there = snapshot.values["identity"]
        changed = [
            f"{name} was {there.get(name)} and is {value}" for name, value in here.items() if there.get(name) != value
        ]
        if not changed:
            return
        if self._accept_different_bits:
            self._tell(f"going on with different bits: {'; '.join(changed)}")
            return
        raise StudyError(
            f"the checkpoint in {self._folder} was made under other conditions ({'; '.join(changed)}), so the trial "
            f"would not end with the same bits; continue with `accept_different_bits=True`, or remove "
            f"{self._folder} to start the trial again"
        )


def _can_be_laid_out(tensors: Mapping[str, Tensor], strides: object) -> bool:
    """Whether strides are those of tensors without gaps: others would take memory that the file does not tell of."""
    if not isinstance(strides, dict) or not strides.keys() <= tensors.keys():
        return False
    for name, steps in strides.items():
        sizes = tensors[name].shape
        if not isinstance(steps, list) or len(steps) != len(sizes) or not all(type(one) is int for one in steps):
            return False
        last = sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
        if min(steps) < 0 or last >= tensors[name].numel():
            return False
    return True


def _content(path: Path) -> bytes:
    try:
        return read_plain(path, sys.maxsize, follow=False)
    except OSError as error:
        raise StorageError(f"its {path.name} cannot be read ({error.strerror or error})") from error


def _parse(content: bytes, name: str) -> dict[str, Any]:
    try:
        document = parse_json(content)
    except ValueError as error:
        raise StorageError(f"its {name} is no JSON ({error})") from error
    if not isinstance(document, dict):
        raise StorageError(f"its {name} holds no JSON object")
    return document
