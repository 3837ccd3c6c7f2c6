"""Energy of a trial, where the machine tells: the processors' own counters under Linux (Intel's and AMD's RAPL)."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/sys/class/powercap")


class EnergyMeter:
    """Adds up what the processor packages have used since it was made, memory and accelerators left out.

    The counters stand in micro-joules, run over after minutes to hours, and on many machines only root may read them;
    ``add`` must be called more often than they run over, so once an epoch. What other programs use is counted as well.
    """

    def __init__(self, root: Path = _ROOT) -> None:
        #: Packages only: their cores and memory controllers, "intel-rapl:0:0", are parts of them.
        folders = sorted(root.glob("*rapl:*")) if root.is_dir() else []
        self._counters = [folder for folder in folders if folder.name.count(":") == 1]
        self._last = self._read()
        self._used = 0

    def add(self) -> None:
        """Read the counters and add what has been used since the last time."""
        now = self._read()
        if self._last is None or now is None:
            self._last = None  # a gap in the readings makes the sum wrong: rather none
            return
        for (before, _), (after, most) in zip(self._last, now, strict=True):
            self._used += after - before if after >= before else after - before + most
        self._last = now

    def joules(self) -> float | None:
        """Return the sum up to now; None where the machine does not tell."""
        self.add()
        return None if self._last is None else self._used / 1e6

    def _read(self) -> list[tuple[int, int]] | None:
        """Return every counter with the value at which it runs over."""
        try:
            found = [
                (int((folder / "energy_uj").read_text()), int((folder / "max_energy_range_uj").read_text()))
                for folder in self._counters
            ]
        except (OSError, ValueError):
            return None
        return found or None
