"""How long a study takes, in words: a range, what it rests on, and what other programs do to it."""

from __future__ import annotations

from stepladder.report.units import duration, time_range
from stepladder.studies.running.timing import Estimate, Range

#: How many times as long everything must take for other programs to be named.
_BUSY = 1.2


def how_long(seconds: Range, at_a_time: int, estimate: Estimate) -> str:
    """Return the rest of a sentence that begins with what will run, and one more where the machine is busy."""
    together = f", {at_a_time} trials at a time" if at_a_time > 1 else ""
    said = f"{time_range(seconds.low, seconds.high)}{together}, by a measurement of {duration(estimate.took)}."
    if estimate.busy < _BUSY:
        return said
    alone = time_range(seconds.low / estimate.busy, seconds.high / estimate.busy)
    return f"{said} Other programs use the processor now; without them it would take {alone}."
