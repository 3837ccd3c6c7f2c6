"""What this machine is, what is installed on it, and which arithmetic Stepladder takes here."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from stepladder.bench.engine import matrix_rates
from stepladder.datasets.cache import cache_folder, forget_precisions
from stepladder.network import load_preset
from stepladder.studies.files.machine import describe_machine, describe_versions
from stepladder.studies.files.records import Machine
from stepladder.training.arithmetic import (
    Arithmetic,
    choose_arithmetic,
    measure_arithmetic,
    precision_by_features,
    processor_features,
)
from stepladder.training.device import Compute, choose_compute

#: Optional libraries by the extra that brings them.
_EXTRAS: Mapping[str, tuple[str, ...]] = {
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "explain": ("captum",),
    "sift": ("opencv-python-headless",),
    "search": ("optuna",),
    "track": ("tensorboard", "trackio", "wandb", "mlflow-skinny"),
    "pandas": ("pandas",),
}

#: The network of the reference study, on its images.
_NETWORK, _SHAPE, _CLASSES, _BATCH = "report", (3, 32, 32), 10, 128


@dataclass(frozen=True)
class Checkup:
    """What was found.

    Attributes:
        features: the processor's maker and the features that decide.
        products: floating-point operations a second of a 2048² matrix product on all cores, by precision; of those that
            the device multiplies natively.
        chosen: what ``auto`` takes for network ``report`` on 32×32 color images in batches of 128.
        measured: both precisions measured now; None where the device multiplies only one natively.
        by_features: what the rule on the processor's features says.
        cache, cache_bytes: the folder of the cache, and how much is in it.
        extras: by the name of an extra, its libraries with their version; None for one that is not installed.
        browser: Chromium's path, for the tests of the page; None without.
        gpu: the name of the CUDA or Apple GPU; None without.
    """

    machine: Machine
    versions: dict[str, str]
    features: tuple[str, ...]
    products: dict[str, float]
    chosen: Arithmetic
    measured: Arithmetic | None
    by_features: str
    cache: Path
    cache_bytes: int
    extras: dict[str, dict[str, str | None]]
    browser: str | None
    gpu: str | None

    def __repr__(self) -> str:
        return f"<Checkup: {self.machine.processor}, {self.machine.cores} cores; {self.chosen.describe()[:300]}>"

    def to_document(self) -> dict[str, Any]:
        """Return it as plain values for programs."""
        document = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            **document,
            "machine": self.machine.model_dump(mode="json"),
            "chosen": asdict(self.chosen),
            "measured": None if self.measured is None else asdict(self.measured),
            "cache": str(self.cache),
        }


def examine_machine(*, again: bool = False, on_step: Callable[[str], None] | None = None) -> Checkup:
    """Look at this machine; a few seconds, most of them for the measurements.

    Args:
        again: forget what was measured here before, so that it is measured anew from now on.
        on_step: called with what begins, in words.
    """
    tell = on_step or (lambda _: None)
    if again:
        forget_precisions()
    compute = choose_compute()
    tell("Measuring matrix products")
    products = matrix_rates(compute, products=5)
    tell("Measuring training steps")
    network = load_preset(_NETWORK)
    both = Compute(torch.device("cpu"), "bfloat16", 1)
    chosen = choose_arithmetic(network, _SHAPE, _CLASSES, _BATCH, compute)
    cache = cache_folder()
    return Checkup(
        machine=describe_machine(compute.device),
        versions=describe_versions(),
        features=processor_features(),
        products=products,
        chosen=chosen,
        # Without instructions for bfloat16 a step of training takes as long as a hundred.
        measured=measure_arithmetic(network, _SHAPE, _CLASSES, _BATCH, both) if "bfloat16" in products else None,
        by_features=precision_by_features(),
        cache=cache,
        cache_bytes=sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) if cache.exists() else 0,
        extras={extra: {name: _version(name) for name in names} for extra, names in _EXTRAS.items()},
        browser=shutil.which("chromium") or shutil.which("google-chrome"),
        gpu=None if compute.device.type == "cpu" else describe_machine(compute.device).accelerator,
    )


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
