"""In which arithmetic a network trains here: chosen once a machine, by a measurement that load cannot fool.

Two commands of one machine must take the same arithmetic, however busy it is, since another precision is other bits.
So the choice rests on processor time of one thread, not on the clock; both precisions are timed in turn, round by
round; only rounds that agree decide; and where they do not, a rule on the processor's features does.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from time import thread_time
from typing import Any, Literal

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

#: How a precision came about: asked for; kept from what is continued; the only one that the device multiplies natively;
#: measured; or by the processor's features, where the measurement could not tell.
Reason = Literal["asked", "kept", "only", "measured", "features"]

#: bfloat16 is taken where a step in it takes less than this share of float32's time.
CLEARLY_FASTER = 0.9

#: Rounds in a row that must agree, and rounds after which the features decide.
_AGREE, _MOST_ROUNDS = 5, 20

#: Multiply-accumulates of one forward pass of the probe: the reference network's on 32 images, 30 ms on one core.
_PROBE_MACS = 750_000_000

#: Raised with every change of how it is measured: what an earlier version remembered is then measured anew.
_VERSION = 3


@dataclass(frozen=True)
class Arithmetic:
    """The precision in which a network trains, and why.

    Attributes:
        precision: ``float32`` or ``bfloat16``.
        reason: how it came about.
        float32_ms, bfloat16_ms: processor time of one thread for a step forward and backward on ``images`` images,
            the median of ``rounds`` rounds; None where nothing was measured.
    """

    precision: str
    reason: Reason
    float32_ms: float | None = None
    bfloat16_ms: float | None = None
    images: int | None = None
    rounds: int = 0

    def describe(self) -> str:
        """Return the choice and its figures in a sentence."""
        if self.reason == "asked":
            return f"Precision: {self.precision}, as asked."
        if self.reason == "kept":
            return f"Precision: {self.precision}, kept from what is continued."
        if self.reason == "only":
            return f"Precision: {self.precision}; this device does not multiply bfloat16 natively."
        figures = ""
        if self.float32_ms is not None and self.bfloat16_ms is not None:
            figures = (
                f" ({self.float32_ms:.1f} ms in float32 and {self.bfloat16_ms:.1f} ms in bfloat16 for {self.images} "
                f"images forward and backward, one thread's processor time, median of {self.rounds} rounds)"
            )
        if self.reason == "features":
            return f"Precision: {self.precision}, by the processor's features, since timings did not agree{figures}."
        return f"Precision: {self.precision}, measured to be as fast or faster for this network here{figures}."


def choose_arithmetic(
    network: Network, input_shape: tuple[int, int, int], classes: int, batch_size: int, compute: Compute
) -> Arithmetic:
    """Return the faster precision for ``network`` here, float32 where both are equally fast.

    What was found once is kept in the cache: on one machine, with one version of torch, a network always gets the same.

    Args:
        input_shape: (C, H, W).
        batch_size: of the recipe; fewer images are timed where they would take long.
        compute: whose precision is bfloat16; anything else is no question.
    """
    if compute.device.type != "cpu" or compute.precision != "bfloat16":
        return Arithmetic(compute.precision, "only")
    asked = (_VERSION, network.model_dump_json(), input_shape, classes, batch_size, torch.__version__)
    key = hashlib.sha256(repr((*asked, processor_features(), platform.node())).encode()).hexdigest()[:16]
    file = cache_folder() / PRECISIONS / f"{key}.json"
    with suppress(StorageError, LookupError, TypeError, ValueError):  # never asked, or a file that says nothing
        return _read(read_json(file))
    found = measure_arithmetic(network, input_shape, classes, batch_size, compute)
    with suppress(OSError, StorageError):  # a cache that cannot be written is no reason to stop
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_json(file, asdict(found))
    return found


def measure_arithmetic(
    network: Network, input_shape: tuple[int, int, int], classes: int, batch_size: int, compute: Compute
) -> Arithmetic:
    """Time training steps of ``network`` on random images in both precisions, and decide.

    PyTorch's bfloat16 convolutions on the CPU are faster than float32 ones on one processor and half as fast on the
    next (its issue 183815), and differ by shape, so the whole network is timed, forward and backward.
    """
    macs = sum(cost.macs for cost in trace_network(network, input_shape, classes))
    count = max(2, min(batch_size, _PROBE_MACS // max(macs, 1)))
    stream = Streams(0)
    module = build_network(network, input_shape, classes, stream, compute.device).train()
    drawn = stream("precision")
    images = torch.rand(count, *input_shape, generator=drawn).to(compute.device, memory_format=torch.channels_last)
    labels = torch.randint(classes, (count,), generator=drawn).to(compute.device)

    def seconds(precision: str) -> float:
        return _step(module, images, labels, replace(compute, precision=precision))

    with threads_for(batch_size * macs, 1):
        return replace(decide(seconds), images=count)


def decide(seconds: Callable[[str], float]) -> Arithmetic:
    """Return the precision that ``seconds`` tells to be faster, or that of the processor's features.

    After a round that warms up, both precisions are timed in turn until :data:`_AGREE` rounds in a row say the same:
    bfloat16 is clearly faster, or it is not, and float32 is taken. Contradictory rounds decide nothing.
    """
    times: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    said: list[str] = []
    for number in range(1 + _MOST_ROUNDS):
        round_times = {precision: seconds(precision) for precision in times}
        if number == 0:
            continue
        for precision, taken in round_times.items():
            times[precision].append(taken)
        said.append(_faster(round_times["float32"], round_times["bfloat16"]))
        if len(said) >= _AGREE and len(set(said[-_AGREE:])) == 1:
            chosen, reason = said[-1], "measured"
            break
    else:
        chosen, reason = precision_by_features(), "features"
    return Arithmetic(
        precision=chosen,
        reason="measured" if reason == "measured" else "features",
        float32_ms=1000 * median(times["float32"]),
        bfloat16_ms=1000 * median(times["bfloat16"]),
        rounds=len(said),
    )


def precision_by_features() -> str:
    """Return the precision that is faster by what the processor has: the same on every day and under any load.

    Intel's matrix tiles (AMX) and AMD's bfloat16 units (Zen 4 and 5) multiply bfloat16 at several times float32's rate.
    Intel's AVX-512 instructions for it without tiles were measured at half of float32's (Xeon, model 207).
    """
    features = processor_features()
    tiles = "amx_bf16" in features
    fast_units = "avx512_bf16" in features and "AuthenticAMD" in features
    return "bfloat16" if tiles or fast_units else "float32"


def processor_features() -> tuple[str, ...]:
    """Return the processor's maker and those features that matter here, sorted."""
    capability = torch.backends.cpu.get_cpu_capability()
    found = [f"torch {capability}"]
    if torch.cpu._is_avx512_bf16_supported():
        found.append("avx512_bf16")
    if torch.cpu._is_amx_tile_supported():
        found.append("amx_bf16")
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        found += {line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("vendor_id")}
    return tuple(sorted(found))


def _faster(float32: float, bfloat16: float) -> str:
    # Only one limit: whether float32 is faster or as fast changes nothing, so rounds on both sides of that agree.
    return "bfloat16" if bfloat16 < CLEARLY_FASTER * float32 else "float32"


def _read(kept: Mapping[str, Any]) -> Arithmetic:
    found = Arithmetic(**kept)
    if found.precision not in ("float32", "bfloat16"):
        raise ValueError(found.precision)
    return found


def _step(module: nn.Module, images: Tensor, labels: Tensor, compute: Compute) -> float:
    """Return the processor time of a step: what other processes take of a core does not count."""
    started = thread_time()
    with compute.autocast():
        loss = F.cross_entropy(module(images), labels)
    loss.backward()
    module.zero_grad()
    return thread_time() - started
