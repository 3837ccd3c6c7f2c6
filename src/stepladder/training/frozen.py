"""What frozen layers make of images: worked out once for an image set, cached, shared by rungs and seeds.

Features of plain images serve evaluation, and training where nothing is augmented. Where images are augmented, a fixed
number of random views of each training image is worked out, the same for every seed, and a step draws one of them for
each image. They are computed in parts, each kept as soon as it is there, so that a trial which is stopped goes on, and
two processes that need the same features share the work.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import warnings
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from stepladder.datasets.cache import (
    FEATURES,
    MOST_BYTES,
    UnsafeFolderError,
    cache_folder,
    private_folder,
    warn_unsafe,
)
from stepladder.datasets.mapped import open_plain, reserve
from stepladder.errors import StepladderWarning, StorageError
from stepladder.files import replace_json
from stepladder.network import Network
from stepladder.network.layers import BatchNorm1d, BatchNorm2d
from stepladder.techniques import Progress, Technique, code_of
from stepladder.techniques.base import Frozen
from stepladder.techniques.guard import guarded
from stepladder.training.arithmetic import processor_features
from stepladder.training.device import Compute, available_cores
from stepladder.training.engine import ForwardEngine
from stepladder.training.evaluate import DeviceSplit, prepare_images
from stepladder.training.rng import Streams

#: Images of a part, and of a forward pass: few, so that the maps between two layers stay in the processor's cache.
_PART, _BATCH = 128, 4
_GPU_BATCH = 64

#: Images at a time of a split of features in evaluation.
_ROWS = 1024

#: Where views are drawn for: there is no step yet.
_START = Progress(0, 1, 1)

#: Called with images done and in all.
Tell = Callable[[int, int], None]


def find_frozen(techniques: Sequence[Technique], network: Network) -> Frozen:
    """Return which layers of ``network``, as rewritten, the techniques keep as they are."""
    frozen = Frozen(0)
    for technique in techniques:
        if technique.overrides("frozen"):
            with guarded(technique, "frozen"):
                frozen = technique.frozen(frozen, network)
    return frozen


def freeze_layers(module: nn.Sequential, layers: int) -> None:
    """Let the first ``layers`` of ``module`` learn nothing, and hold their batch norms in evaluation mode."""
    for part in list(module)[:layers]:
        part.requires_grad_(False)
        for norm in part.modules():
            if isinstance(norm, BatchNorm2d | BatchNorm1d):
                norm.held = True
                norm.eval()


def divided(module: nn.Sequential, layers: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Return the first ``layers`` of ``module`` and those behind, under their names."""
    parts = list(module.named_children())
    return nn.Sequential(OrderedDict(parts[:layers])), nn.Sequential(OrderedDict(parts[layers:]))


def keeps_features(techniques: Sequence[Technique]) -> bool:
    """Whether features can be worked out before training: not where images of a batch are mixed with one another."""
    return not any(technique.mixes_targets for technique in techniques)


@dataclass(frozen=True, repr=False)
class FeatureBatches:
    """Features in order, some at a time as float32 (B, …); can be gone through any number of times."""

    values: Tensor
    rows: Tensor

    def __iter__(self) -> Iterator[Tensor]:
        for rows in self.rows.split(_ROWS):
            yield self.values.index_select(0, rows)


@dataclass(frozen=True, repr=False)
class FeatureSplit:
    """A split as frozen layers see it; it stands where a :class:`DeviceSplit` of images would.

    Attributes:
        plain: float32 (N, …), of the images as evaluation sees them.
        labels: int64 (N,).
        rows: int64 (M,), which of them, in order.
        views: float32 (V, N, …), of random views; None where training sees plain images too.
        rng: chooses the view of each image in a step.
    """

    plain: Tensor
    labels: Tensor
    rows: Tensor
    views: Tensor | None = None
    rng: torch.Generator | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.plain.shape[1:]))
        return f"FeatureSplit({len(self):,} images, {shape} features of each)"

    @property
    def batches(self) -> FeatureBatches:
        """All features of plain images in order."""
        return FeatureBatches(self.plain, self.rows)

    def take(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (B, …) and labels (B,) at ``positions``, each of a view that is drawn."""
        rows, labels = self.rows.index_select(0, positions), self.labels.index_select(0, positions)
        if self.views is None:
            return self.plain.index_select(0, rows), labels
        chosen = torch.randint(len(self.views), (len(rows),), generator=self.rng).to(rows.device)
        return self.views[chosen, rows], labels

    def select(self, positions: Tensor) -> FeatureSplit:
        """Return the split of the images at ``positions``."""
        rows, labels = self.rows.index_select(0, positions), self.labels.index_select(0, positions)
        return FeatureSplit(self.plain, labels, rows, self.views, self.rng)


class FrozenLayers:
    """Frozen layers with the preparation of their images.

    Args:
        layers: in evaluation mode.
        techniques: fitted, in recipe order; they prepare the images and augment the views.
        tell: called after every part with images done and in all; what it raises ends the work, which goes on from
            there the next time.
    """

    def __init__(
        self, layers: nn.Sequential, techniques: Sequence[Technique], compute: Compute, tell: Tell | None = None
    ) -> None:
        self._techniques, self._compute, self._tell = techniques, compute, tell
        self._engine = ForwardEngine(layers.eval(), compute)
        # Another processor rounds otherwise, and a cache may lie on a disk that several machines share.
        self._digest = hashlib.sha256(f"{self._engine.name}\n{processor_features()}\n{layers!r}\n".encode())
        for name, tensor in layers.state_dict().items():
            self._digest.update(f"{name} {tuple(tensor.shape)}\n".encode())
            self._digest.update(_bytes(tensor))
        for technique in techniques:
            if technique.overrides("prepare"):
                self._digest.update(_described(technique))
                for name, tensor in technique.learned.items():
                    self._digest.update(name.encode() + _bytes(tensor))

    def split(
        self, split: DeviceSplit, fingerprint: str, views: int = 0, rng: torch.Generator | None = None
    ) -> FeatureSplit:
        """Return ``split`` as these layers see it.

        Args:
            fingerprint: of the :class:`Split` that was loaded; what was worked out is found again by it.
            views: how many random views of each image are worked out, of which training draws by ``rng``.
        """
        rows = torch.arange(len(split), device=split.labels.device)
        seen = self.views(split, fingerprint, views) if views else None
        return FeatureSplit(self.features(split, fingerprint), split.labels, rows, seen, rng)

    def features(self, split: DeviceSplit, fingerprint: str) -> Tensor:
        """Return float32 (N, …) features of the plain images of ``split``, on the device of the layers."""
        digest = self._digest.copy()
        digest.update(f"{fingerprint}\n".encode())
        return self._kept(digest.hexdigest(), (len(split),), lambda part: self._run(self._take(split, part)))

    def views(self, split: DeviceSplit, fingerprint: str, count: int) -> Tensor | None:
        """Return float32 (count, N, …) features of random views of ``split``; None where nothing is augmented."""
        augmenting = [technique for technique in self._techniques if technique.overrides("augment")]
        if not augmenting:
            return None
        digest = self._digest.copy()
        digest.update(f"{fingerprint}\n{count} views".encode() + b"".join(map(_described, augmenting)))

        def work_out(part: _Part) -> Tensor:
            images = self._take(split, part)
            targets = split.labels[part.first : part.last]
            for technique in augmenting:
                # A copy, which remembers nothing of other parts: they come in any order, or from another process.
                probe = technique.model_copy(deep=True)
                rng = Streams(part.view)(f"views/{technique.name}/{part.first}", images.device)
                with guarded(technique, "augment"):
                    probe.batch_started(torch.arange(part.first, part.last, device=images.device), _START)
                    images, targets = probe.augment(images, targets, rng)
            return self._run(images)

        return self._kept(digest.hexdigest(), (count, len(split)), work_out)

    def _kept(self, key: str, sizes: tuple[int, ...], work_out: Callable[[_Part], Tensor]) -> Tensor:
        found = _Store(cache_folder() / FEATURES / key[:32], sizes, work_out, self._tell).read()
        return found.to(self._compute.device)

    def _take(self, split: DeviceSplit, part: _Part) -> Tensor:
        return split.take(torch.arange(part.first, part.last, device=split.labels.device))[0]

    def _run(self, images: Tensor) -> Tensor:
        """The features of uint8 images, on the CPU: on all cores that this trial may use, one thread a piece."""
        pieces = images.split(_BATCH if images.device.type == "cpu" else _GPU_BATCH)

        def run(piece: Tensor) -> Tensor:
            with torch.inference_mode():
                return self._engine(prepare_images(piece, self._techniques)).cpu()

        if not self._engine.parallel:
            return torch.cat([run(piece) for piece in pieces])
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(self._compute.threads or available_cores()) as pool:
                return torch.cat(list(pool.map(run, pieces)))
        finally:
            torch.set_num_threads(threads)


@dataclass(frozen=True)
class _Part:
    """Images that are worked out together: positions ``first`` to ``last`` - 1, of one view."""

    number: int
    view: int
    first: int
    last: int


class _Store:
    """Features in the cache: one mapped file, and a marker with a checksum for each part that is in it.

    Args:
        sizes: (N,) or (views, N).
        work_out: gives the features of a part, float32 (M, …).
    """

    def __init__(
        self, folder: Path, sizes: tuple[int, ...], work_out: Callable[[_Part], Tensor], tell: Tell | None
    ) -> None:
        self._folder, self._sizes, self._work_out, self._tell = folder, sizes, work_out, tell
        *views, count = sizes
        starts = [(view, first) for view in range(*views or (1,)) for first in range(0, count, _PART)]
        self._parts = [
            _Part(number, view, first, min(first + _PART, count)) for number, (view, first) in enumerate(starts)
        ]

    def read(self) -> Tensor:
        """Return the whole, float32 (*sizes, …): mapped from the cache, where it can be kept there."""
        try:
            values = self._open()
        except UnsafeFolderError as error:
            warn_unsafe(error)
            return self._in_memory()
        except (OSError, StorageError, LookupError, TypeError, ValueError, OverflowError):
            return self._in_memory()
        states = {part: self._state(values, part) for part in self._parts}
        missing = [part for part, state in states.items() if state != "whole"]
        if damaged := sum(state == "damaged" for state in states.values()):
            file = self._folder / "features.f32"
            self._say_damaged(f"{damaged} of {len(self._parts)} parts of {file} have another checksum than they had")
        while missing:
            left = [part for part in missing if not self._settle(values, part)]
            if len(left) == len(missing):  # other processes are at all that is left: wait for the first of them
                with FileLock(self._lock(left[0])):
                    pass
            missing = left
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
            return torch.from_numpy(values.view(np.ndarray))

    def _open(self) -> np.memmap[Any, np.dtype[np.float32]]:
        """Map the file, made where it is not there yet, or is not what it should be."""
        file, facts = self._folder / "features.f32", self._folder / "features.json"
        private_folder(self._folder.parent)
        private_folder(self._folder)
        with FileLock(self._folder / ".lock"):
            shape = self._told_shape(facts, file)
            if shape is None:
                first = self._work_out(_Part(0, 0, 0, 1))
                shape = (*self._sizes, *first.shape[1:])
                _make_room(self._folder.parent, 4 * math.prod(shape))
                for part in self._parts:
                    self._marker(part).unlink(missing_ok=True)
                reserve(file, 4 * math.prod(shape))
                replace_json(facts, {"shape": list(shape)})
            os.utime(facts)  # used just now: the last to make room
            with open_plain(file, writable=True) as opened:
                return np.memmap(opened, np.float32, "r+", shape=shape)

    def _told_shape(self, facts: Path, file: Path) -> tuple[int, ...] | None:
        """Return the shape of the file's features, or None where they have to be made anew, which is said."""
        try:
            with open_plain(facts) as opened:
                told = json.load(opened)["shape"]
            shape = tuple(told) if all(type(size) is int and size > 0 for size in told) else ()
            with open_plain(file, writable=True) as opened:
                # A map of a file that is shorter than its shape would end the process on reading past the end.
                size = os.fstat(opened.fileno()).st_size
            if (
                len(shape) > len(self._sizes)
                and shape[: len(self._sizes)] == self._sizes
                and size == 4 * math.prod(shape)
            ):
                return shape
        except FileNotFoundError:
            if not os.path.lexists(facts):
                return None
        except (OSError, LookupError, TypeError, ValueError, RecursionError):
            pass
        self._say_damaged(f"{file} is not what {facts} says")
        return None

    def _say_damaged(self, what: str) -> None:
        warnings.warn(
            f"Features in the cache are damaged ({what}); they are worked out again.", StepladderWarning, stacklevel=3
        )

    def _settle(self, values: np.ndarray, part: _Part) -> bool:
        """Have ``part`` in the file: return False where another process works it out."""
        try:
            with FileLock(self._lock(part), timeout=0):
                if self._state(values, part) != "whole":
                    found = self._work_out(part).numpy()
                    self._place(values, part)[...] = found
                    values.flush()  # type: ignore[attr-defined]
                    replace_json(self._marker(part), {"crc32": zlib.crc32(np.ascontiguousarray(found).data)})
        except Timeout:
            return False
        if self._tell is not None:
            done = sum(one.last - one.first for one in self._parts[: part.number + 1])
            self._tell(done, math.prod(self._sizes))
        return True

    def _state(self, values: np.ndarray, part: _Part) -> Literal["whole", "absent", "damaged"]:
        try:
            with open_plain(self._marker(part)) as file:
                told = json.load(file)["crc32"]
        except FileNotFoundError:
            return "absent"
        except (OSError, LookupError, TypeError, ValueError, RecursionError):
            return "damaged"
        found = zlib.crc32(np.ascontiguousarray(self._place(values, part)).data)
        return "whole" if found == told else "damaged"

    def _place(self, values: np.ndarray, part: _Part) -> np.ndarray:
        of_view: np.ndarray = values[part.view] if len(self._sizes) == 2 else values
        return of_view[part.first : part.last]

    def _marker(self, part: _Part) -> Path:
        return self._folder / f"part-{part.number}.json"

    def _lock(self, part: _Part) -> Path:
        return self._folder / f"part-{part.number}.lock"

    def _in_memory(self) -> Tensor:
        """Work everything out and keep it nowhere: the cache cannot be written, or has no room."""
        found = torch.cat([self._work_out(part) for part in self._parts])
        return found.view(*self._sizes, *found.shape[1:])


def _make_room(folder: Path, size: int) -> None:
    """Remove the features that were not used for longest until ``size`` more bytes keep within :data:`MOST_BYTES`."""
    kept = sorted(folder.glob("*/features.json"), key=lambda facts: facts.stat().st_mtime)
    total = sum(file.stat().st_size for file in folder.glob("*/features.f32"))
    for facts in kept:
        if total + size <= MOST_BYTES:
            break
        total -= facts.with_suffix(".f32").stat().st_size
        shutil.rmtree(facts.parent, ignore_errors=True)


def _described(technique: Technique) -> bytes:
    told = {"name": technique.name, "code": code_of(type(technique)), **technique.model_dump(mode="json")}
    return json.dumps(told, sort_keys=True).encode()


def _bytes(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().numpy().tobytes()
