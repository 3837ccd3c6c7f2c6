"""How the best learning rate moves with another key of the sweep: with the batch size, above all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from stepladder.report.units import listing
from stepladder.study.design.axes import RATE, as_text, is_number
from stepladder.study.design.sweep_records import Value
from stepladder.study.files.records import SavedStudy
from stepladder.study.judging.points import Best, Point


def describe_rates(study: SavedStudy, points: Sequence[Point], best: Best) -> list[str]:
    """Return one sentence for each other key of a grid: the best rate at each of its values, and whether that is told.

    Where there are further keys, each pair of values stands for the best point that has it.
    """
    sweep = study.record.sweep
    assert sweep is not None
    keys = [axis.key for axis in sweep.axes]
    if RATE not in keys or sweep.search is not None:
        return []
    rate = keys.index(RATE)
    sentences = []
    for other, axis in enumerate(sweep.axes):
        numbers = all(is_number(value) for value in axis.values)
        if other == rate or not numbers or len(axis.values) < 2 or len(sweep.axes[rate].values) < 2:
            continue
        if sentence := _describe(points, rate, other, axis.key, axis.values, best):
            sentences.append(sentence)
    return sentences


def _describe(
    points: Sequence[Point], rate: int, other: int, key: str, values: Sequence[Value], best: Best
) -> str | None:
    tops: dict[Value, Point] = {}
    for value in values:
        if top := _top([point for point in points if point.values[other] == value]):
            tops[value] = top
    if len(tops) < 2:
        return None
    rates = [float(top.values[rate]) for top in tops.values()]
    each = listing([f"{as_text(top.values[rate])} at {as_text(value)}" for value, top in tops.items()])
    missing = [as_text(value) for value in values if value not in tops]
    lacking = f" (none learned with all seeds at {listing(missing)})" if missing else ""
    if len(set(rates)) == 1:
        same = as_text(next(iter(tops.values())).values[rate])
        where = "at each of them" if missing else "at every value tried"
        return f"The highest mean is at {RATE}={same} whatever the {key}, {where}{lacking}."
    if all(one <= two for one, two in pairwise(rates)):
        moves = f"rises with {key}"
    elif all(one >= two for one, two in pairwise(rates)):
        moves = f"falls as {key} grows"
    else:
        return f"By {key}, the highest mean is at {RATE} {each}{lacking}: in no one direction."
    first, last = next(iter(tops)), list(tops)[-1]
    told = all(
        _told(points, rate, other, here, tops[here], tops[there].values[rate], best.margin)
        for here, there in ((first, last), (last, first))
    )
    if told:
        return (
            f"The best {RATE} {moves}: {each}{lacking}; at {as_text(first)} and at {as_text(last)} each can be told "
            "from the other's."
        )
    return (
        f"The best {RATE} by {key} is {each}{lacking}; that it {moves} may be chance, as at {as_text(first)} or "
        f"{as_text(last)} the two rates cannot be told apart."
    )


def _top(points: Sequence[Point]) -> Point | None:
    learned = [point for point in points if point.learned]
    return max(learned, key=lambda point: point.mean or 0.0) if learned else None


def _told(
    points: Sequence[Point], rate: int, other: int, here: Value, top: Point, rival_rate: Value, margin: float | None
) -> bool:
    """Whether at ``here`` the best rate can be told from the one that is best elsewhere."""
    rivals = [point for point in points if point.values[other] == here and point.values[rate] == rival_rate]
    rival = _top(rivals)
    if rival is not None:
        return margin is not None and (top.mean or 0.0) - (rival.mean or 0.0) > margin
    # It did not learn there at all: that is plain once more than one seed has shown it.
    return bool(rivals) and all(
        point.n > 1 and not point.missing and len(point.failed) + len(point.at_chance) == point.n for point in rivals
    )
