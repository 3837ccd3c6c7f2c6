"""Is bfloat16 faster than float32 for this network on this machine?"""

from __future__ import annotations

import hashlib
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepladder.datasets.cache import PRECISIONS, cache_folder
from stepladder.errors import StorageError
from stepladder.files import read_json, replace_json
from stepladder.network import Network, trace_network
from stepladder.network.build import build_network
from stepladder.training.device import Compute, threads_for
from stepladder.training.rng import Streams

#: How many times as long as in float32 a step in bfloat16 must take before float32 is chosen: timings differ by a tenth
#: from one second to the next, and a choice that flips between two runs would change their bits.
CLEARLY_SLOWER = 1.25

#: Multiply-accumulates of one forward pass of the probe: the reference network's on 32 images, 30 ms on one core.
_PROBE_MACS = 750_000_000
_ROUNDS = 2


@dataclass(frozen=True)
class StepTimes:
    """Seconds of a training step forward and backward, the shortest of several, in turn."""

    bfloat16: float
    float32: float

    @property
    def bfloat16_is_slower(self) -> bool:
        """Whether float32 is clearly faster."""
        return self.bfloat16 > CLEARLY_SLOWER * self.float32


def remembered_times(
    network: Network, input_shape: tuple[int, int, int], classes: int, batch_size: int, compute: Compute
) -> StepTimes:
    """Return what :func:`time_precisions` found when it was first asked this here, from the cache.

    So a study that goes on makes the choice that it began with, however busy the machine is then.
    """
    asked = (network.model_dump_json(), input_shape, classes, batch_size, compute.threads, torch.__version__)
    key = hashlib.sha256(repr((*asked, compute.device.type, platform.node())).encode()).hexdigest()[:16]
    file = cache_folder() / PRECISIONS / f"{key}.json"
    with suppress(StorageError, LookupError, TypeError, ValueError):  # never asked, or a file that says nothing
        kept = read_json(file)
        return StepTimes(bfloat16=float(kept["bfloat16"]), float32=float(kept["float32"]))
    times = time_precisions(network, input_shape, classes, batch_size, compute)
    with suppress(OSError, StorageError):  # a cache that cannot be written is no reason to stop
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_json(file, asdict(times))
    return times


def time_precisions(
    network: Network, input_shape: tuple[int, int, int], classes: int, batch_size: int, compute: Compute
) -> StepTimes:
    """Time training steps of ``network`` on random images in both precisions.

    PyTorch's bfloat16 convolutions on the CPU are faster than float32 ones for most shapes and slower for a few (its
    issue 183815), so it is measured and not assumed: the whole network, forward and backward.

    Args:
        input_shape: (C, H, W).
        batch_size: of the recipe; fewer images are taken where they would take long.
    """
    macs = sum(cost.macs for cost in trace_network(network, input_shape, classes))
    count = max(2, min(batch_size, _PROBE_MACS // max(macs, 1)))
    stream = Streams(0)
    module = build_network(network, input_shape, classes, stream, compute.device).train()
    drawn = stream("precision")
    images = torch.rand(count, *input_shape, generator=drawn).to(compute.device, memory_format=torch.channels_last)
    labels = torch.randint(classes, (count,), generator=drawn).to(compute.device)
    with threads_for(batch_size * macs, compute.threads):
        times: dict[str, list[float]] = {"bfloat16": [], "float32": []}
        for _ in range(1 + _ROUNDS):
            for precision, seconds in times.items():
                seconds.append(_step(module, images, labels, replace(compute, precision=precision)))
    return StepTimes(**{precision: min(seconds[1:]) for precision, seconds in times.items()})


def _step(module: nn.Module, images: Tensor, labels: Tensor, compute: Compute) -> float:
    started = perf_counter()
    with compute.autocast():
        loss = F.cross_entropy(module(images), labels)
    loss.backward()
    module.zero_grad()
    return perf_counter() - started
