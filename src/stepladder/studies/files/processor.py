"""The processor and the memory of this machine, told without torch: a node of a cluster says them at once."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def processor_name() -> str:
    """Return what the processor calls itself. Linux says it in one file; elsewhere the platform's own word must do."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def memory_gb() -> float:
    """Return the memory of this machine in GB; 0 where the system does not tell."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 0.0
