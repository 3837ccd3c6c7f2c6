"""Does the best point of a sweep lie at the edge of what was tried, and how far should one look next?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from stepladder.errors import RecipeError
from stepladder.recipe import Recipe, change_settings, parse_recipe
from stepladder.report.units import listing
from stepladder.study.design.axes import BATCH, as_text, is_number
from stepladder.study.design.sweep_records import AxisRecord, Value
from stepladder.study.files.records import SavedStudy
from stepladder.study.judging.points import Best

#: Neighbors that are further apart than this are taken for steps of a factor.
_FACTOR = 1.5
#: This close to an end of a range, as a share of it, counts as the edge.
_NEAR = 0.05


def describe_edges(study: SavedStudy, best: Best) -> list[str]:
    """Return a sentence for each key whose smallest or largest value the best point has, and what to try next.

    An end beyond which the key takes no value (a probability of 0) is none.
    """
    sweep = study.record.sweep
    assert sweep is not None
    sentences = []
    for position, axis in enumerate(sweep.axes):
        values = [point.values[position] for point in best.points]
        side = _side(axis, values)
        if side is None:
            continue
        further = _next(study, axis, side)
        if further is None:
            continue
        extreme = "largest" if side > 0 else "smallest"
        if axis.values:
            grid = listing_of((*axis.values, further) if side > 0 else (further, *axis.values))
            sentences.append(
                f"That is the {extreme} {axis.key} of the grid, so the best may lie beyond it: extend to "
                f"{as_text(further)} (--over {axis.key}={grid})."
            )
        else:
            ends = (axis.low, further) if side > 0 else (further, axis.high)
            sentences.append(
                f"That is near the {extreme} {axis.key} of the range, so the best may lie beyond it: extend to "
                f"{as_text(further)} (--over {axis.key}={_number(ends[0], axis)}..{_number(ends[1], axis)})."
            )
    if best.margin is None and sentences and len(best.points) == 1 and best.ties:
        sentences[-1] = f"{sentences[-1][:-1]}, and with one seed its place may be chance."
    return sentences


def listing_of(values: Sequence[Value]) -> str:
    """Write values as ``--over`` takes them."""
    return ",".join(map(as_text, values))


def describe_axis(axis: AxisRecord) -> str:
    """Say what a key was varied over."""
    if axis.values:
        return f"{axis.key}: {listing([as_text(value) for value in axis.values])}"
    scale = ", evenly in the logarithm" if axis.log else ""
    return f"{axis.key}: {_number(axis.low, axis)} to {_number(axis.high, axis)}{scale}"


def _side(axis: AxisRecord, values: Sequence[Value]) -> int | None:
    """1 where every one of the values is at the upper edge, -1 at the lower, None anywhere else."""
    numbers = [float(value) for value in values if is_number(value)]
    if len(numbers) < len(values):
        return None
    if axis.low is not None and axis.high is not None:
        places = [_place(axis.low, axis.high, axis.log, number) for number in numbers]
        return 1 if min(places) > 1 - _NEAR else -1 if max(places) < _NEAR else None
    grid = [float(value) for value in axis.values if is_number(value)]
    if len(grid) < len(axis.values) or len(grid) < 2:
        return None
    return 1 if min(numbers) == max(grid) else -1 if max(numbers) == min(grid) else None


def _place(low: float, high: float, log: bool, value: float) -> float:
    if log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)


def _next(study: SavedStudy, axis: AxisRecord, side: int) -> Value | None:
    """Return the next value beyond the edge, by the last step of the grid or half of it; None where none is allowed."""
    grid = [float(value) for value in axis.values if is_number(value)]
    if axis.low is not None and axis.high is not None:
        grid = [axis.low, axis.high]
    last, before = (grid[-1], grid[-2]) if side > 0 else (grid[0], grid[1])
    ratio = last / before if before else 0.0
    if axis.low is not None:  # a range: ten times as far, or half as much again
        ratio = 10.0**side if axis.log else 0.0
        before = last - side * (grid[1] - grid[0]) / 2
    gaps = [later - earlier for earlier, later in pairwise(grid)]
    even = len(gaps) > 1 and max(gaps) < 1.01 * min(gaps)
    grows = ratio > 0 and max(ratio, 1 / ratio) >= _FACTOR and not even
    steps = (last * ratio, last * math.sqrt(ratio)) if grows else (2 * last - before, last + (last - before) / 2)
    whole = axis.whole or (all(isinstance(value, int) for value in axis.values) and bool(axis.values))
    for step in steps:
        rounded = round(step) if whole else float(f"{step:.2g}")
        if rounded != last and _allowed(study, axis.key, rounded):
            return rounded
    return None


def _allowed(study: SavedStudy, key: str, value: Value) -> bool:
    sweep = study.record.sweep
    assert sweep is not None
    if key == BATCH and is_number(value) and float(value) > study.record.data.counts["train"]:
        return False
    try:
        base: Recipe = parse_recipe(sweep.base)
        change_settings(base, {key: as_text(value)})
    except RecipeError:
        return False
    return True


def _number(value: Value | None, axis: AxisRecord) -> str:
    assert value is not None
    return as_text(int(value) if axis.whole else value)
