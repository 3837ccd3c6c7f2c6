"""What a study ran on: figures without it mean little."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version

import torch

from stepladder.studies.files.processor import memory_gb, processor_name
from stepladder.studies.files.records import Machine
from stepladder.training.device import available_cores


def describe_machine(device: torch.device) -> Machine:
    """Return the processor, the cores that this process may use, the memory, and the accelerator where it is used."""
    accelerator = None
    if device.type == "cuda":
        accelerator = torch.cuda.get_device_name(device)
    elif device.type == "mps":
        accelerator = "Apple GPU"
    return Machine(
        processor=processor_name(),
        cores=available_cores(),
        memory_gb=memory_gb(),
        accelerator=accelerator,
        system=f"{platform.system()} {platform.machine()}",
    )


def memory_of(device: torch.device) -> float:
    """Return the memory in GB that trainings on ``device`` share; 0 where the system does not tell."""
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory) / 1e9
    return memory_gb()


def describe_versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    packages = {name: version(name) for name in ("stepladder", "torch", "numpy")}
    return {"python": platform.python_version(), **packages}


def now() -> str:
    """Return the time to the second, in UTC, as ISO 8601 writes it; for a reader only, since clocks are set back."""
    return datetime.now(UTC).isoformat(timespec="seconds")
