"""Sweeps: keys as ``optimizer.lr=0.3,0.1`` or ``0.001..0.3``, read, checked, and made into points."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from stepladder.datasets import Splits
from stepladder.errors import RecipeError, StudyError
from stepladder.recipe import Recipe, change_settings, read_value
from stepladder.studies.design.rungs import Rung, add_techniques
from stepladder.techniques import known_techniques
from stepladder.training.metrics import Metric


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


#: What a key of a sweep can be set to.
Value = bool | int | float | str


class AxisRecord(_Record):
    """One key of a sweep, by its dotted name: the values of a grid, or the range that a search looks through.

    Attributes:
        values: of a grid, or the choices of a search, in ascending order where all are numbers.
        low, high: ends of a range, both within it; None where there are values.
        log: whether a search looks through the range evenly in the logarithm.
        whole: whether the range is of whole numbers.
    """

    key: str
    values: tuple[Value, ...] = ()
    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False


class SearchRecord(_Record):
    """How a search goes on.

    Attributes:
        tool: what proposes the points.
        points: how many it was asked for.
        seed: of the proposals.
        tried: how many it has begun; fewer are listed where it proposed one twice.
        pruned: points that were given up after their first seeds.
        together: points that are proposed together, a round.
    """

    tool: str
    points: int
    seed: int
    tried: int = 0
    pruned: tuple[str, ...] = ()
    together: int = 1

    @model_serializer(mode="wrap")
    def _leave_out_the_usual(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        table: dict[str, Any] = write(self)
        return table if self.together > 1 else {k: v for k, v in table.items() if k != "together"}


class SweepRecord(_Record):
    """The keys of a sweep, and the values of each rung, which is one of its points.

    Attributes:
        base: the recipe that the keys change.
        points: the values of every rung, in the order of the axes.
        guess: accuracy on the validation images of always naming their largest class.
        counts_as: what a trial that diverged counts as, where another metric than accuracy decides; else ``guess``.
        search: None for a grid.
    """

    base: dict[str, Any]
    axes: tuple[AxisRecord, ...]
    points: tuple[tuple[Value, ...], ...]
    guess: float
    search: SearchRecord | None = None
    counts_as: float | None = None

    @model_serializer(mode="wrap")
    def _leave_out_the_usual(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        table: dict[str, Any] = write(self)
        return table if self.counts_as is not None else {k: v for k, v in table.items() if k != "counts_as"}

    @property
    def diverged(self) -> float:
        """What a trial that diverged counts as."""
        return self.guess if self.counts_as is None else self.counts_as


#: The keys that sentences and figures know the meaning of.
RATE, BATCH = "optimizer.lr", "batch_size"

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")
#: Between ends that are further apart than this, a search looks evenly in the logarithm.
_LOG_FROM = 10


def parse_axes(written: Sequence[str], *, ranges: bool) -> tuple[AxisRecord, ...]:
    """Read ``KEY=VALUE,VALUE`` or ``KEY=LOW..HIGH``, a text an axis.

    Args:
        ranges: whether a range may stand there, as only a search looks through one.

    Raises:
        StudyError: it is not written so, a key is there twice, or a value is.
    """
    if not written:
        raise StudyError("a sweep needs a key to go over; add `over=optimizer.lr=0.3,0.1,0.03`")
    axes = [_parse_axis(text, ranges) for text in written]
    keys = [axis.key for axis in axes]
    for key in keys:
        if keys.count(key) > 1:
            raise StudyError(f"`over={key}` is given twice; give all of its values in one, as {key}=A,B,C")
    return tuple(axes)


def with_swept_techniques(recipe: Recipe, axes: Sequence[AxisRecord]) -> Recipe:
    """Return ``recipe`` with every technique that an axis names and that it lacks, each on a rung of its own on top."""
    named = (axis.key.partition(".") for axis in axes)
    listed = {setting.name for setting in recipe.techniques}
    # Only where it is missing: naming all techniques loads those of installed packages.
    absent = [name for name, _, option in named if option and name != "optimizer" and name not in listed]
    return add_techniques(recipe, [name for name in absent if name in known_techniques()]) if absent else recipe


def make_points(
    axes: Sequence[AxisRecord], recipe: Recipe, changes: Mapping[str, str]
) -> tuple[tuple[Rung, ...], tuple[tuple[Value, ...], ...]]:
    """Return every point of the grid as a rung, the last axis changing first, and its values.

    Args:
        changes: settings of all points, by dotted name.

    Raises:
        StudyError: a key is both swept and set, or there is one point.
        RecipeError: a key that the recipe does not have, or a value that it cannot take.
    """
    check_keys(axes, changes)
    points = tuple(product(*(axis.values for axis in axes)))
    if len(points) < 2:
        raise StudyError(f"`over={axes[0].key}` has one value, and a sweep compares several; add another")
    return tuple(make_point(axes, values, recipe, changes) for values in points), points


def make_point(axes: Sequence[AxisRecord], values: Sequence[Value], recipe: Recipe, changes: Mapping[str, str]) -> Rung:
    """Return one point as a rung.

    Raises:
        RecipeError: a key that the recipe does not have, or a value that it cannot take.
    """
    point = {axis.key: as_text(value) for axis, value in zip(axes, values, strict=True)}
    # Together and not one after the other: another optimizer would forget the rate that was set before.
    return Rung(point_name(axes, values), (), change_settings(recipe, {**changes, **point}))


def check_keys(axes: Sequence[AxisRecord], changes: Mapping[str, str]) -> None:
    """Refuse a key that is swept and set, and the one that changes nothing.

    Raises:
        StudyError: there is one.
    """
    for axis in axes:
        if axis.key in changes:
            raise StudyError(f"{axis.key} is given twice, with `over` and for all points; give it once")
        if axis.key == "name":
            raise StudyError("`over=name` changes what a recipe is called and nothing else; leave it out")


def check_ranges(
    axes: Sequence[AxisRecord], recipe: Recipe, changes: Mapping[str, str]
) -> tuple[tuple[AxisRecord, ...], list[tuple[Rung, tuple[Value, ...]]]]:
    """Return the axes of a search, settled whether they are of whole numbers, and a point at each value and each end.

    Raises:
        StudyError: a key is both swept and set.
        RecipeError: a key that the recipe does not have, or a value or an end that it cannot take.
    """
    check_keys(axes, changes)
    lowest = [axis.values[0] if axis.values else _end(axis, axis.low) for axis in axes]
    settled, ends = [], []
    for position, axis in enumerate(axes):

        def at(value: Value) -> tuple[Rung, tuple[Value, ...]]:
            values = (*lowest[:position], value, *lowest[position + 1 :])  # noqa: B023
            return make_point(axes, values, recipe, changes), values

        ends += [at(value) for value in axis.values or (_end(axis, axis.low), _end(axis, axis.high))]
        if axis.whole:
            assert axis.low is not None
            try:  # 1..10 are whole numbers, unless the key takes those between them
                at(axis.low + 0.5)
            except RecipeError:
                settled.append(axis)
                continue
        settled.append(axis.model_copy(update={"whole": False}))
    return tuple(settled), list({rung.name: (rung, values) for rung, values in ends}.values())


def settle_sweep(sweep: SweepRecord, rungs: Sequence[Rung], splits: Splits, metric: Metric) -> SweepRecord:
    """Return the sweep with what guessing would have on the validation images.

    Raises:
        StudyError: batch sizes are compared, and one is larger than the training set.
    """
    assert splits.validation is not None
    if any(axis.key == BATCH for axis in sweep.axes):
        for rung in rungs:
            check_batch(rung.recipe, splits)
    counts = np.bincount(splits.validation.labels)
    shares = (counts / counts.sum()).tolist()
    settled = {"guess": max(shares), "counts_as": None if metric.name == "accuracy" else metric.diverged(shares)}
    return sweep.model_copy(update=settled)


def check_batch(recipe: Recipe, splits: Splits) -> None:
    """Refuse, where batch sizes are compared, one larger than the training set: all such are the same one.

    Whatever else is trained takes all images in one step then; see :func:`stepladder.training.assembly.count_steps`.

    Raises:
        StudyError: they are.
    """
    if recipe.batch_size > len(splits.train):
        raise StudyError(
            f"batch_size is {recipe.batch_size:,} and {len(splits.train):,} images train; take at most that many"
        )


def point_name(axes: Sequence[AxisRecord], values: Sequence[Value]) -> str:
    """Return what a point is called: ``optimizer.lr=0.1, batch_size=32``."""
    return ", ".join(f"{axis.key}={as_text(value)}" for axis, value in zip(axes, values, strict=True))


def as_text(value: Value) -> str:
    """Write a value as a recipe file would.

    >>> as_text(0.1), as_text(128), as_text(True), as_text("sgd")
    ('0.1', '128', 'true', 'sgd')
    """
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_number(value: Value) -> bool:
    """Whether a value has a place on a scale."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _parse_axis(text: str, ranges: bool) -> AxisRecord:
    key, equals, listed = text.partition("=")
    key = key.strip()
    example = "write it as `over=optimizer.lr=0.3,0.1`"
    if not equals or not key:
        raise StudyError(f"`over` is {text}; {example}")
    found = _RANGE.fullmatch(listed.strip())
    if found:
        return _parse_range(text, key, found[1], found[2], ranges)
    words = [word.strip() for word in listed.split(",")]
    if not all(words):
        what = "has no values" if not any(words) else "has an empty value"
        raise StudyError(f"`over={text}` {what}; {example}")
    values = [_value(word) for word in words]
    for value in values:
        if values.count(value) > 1:
            raise StudyError(f"`over={key}` has the value {as_text(value)} twice; give each once")
    if all(is_number(value) for value in values):
        values.sort()  # the order of a grid says nothing; in order it can be read
    return AxisRecord(key=key, values=tuple(values))


def _parse_range(text: str, key: str, first: str, last: str, ranges: bool) -> AxisRecord:
    if not ranges:
        raise StudyError(
            f"`over={text}` is a range, which only a search looks through; add `search=optuna`, or list values"
        )
    low, high = float(first), float(last)
    if not (low < high < math.inf):
        raise StudyError(f"`over={text}` is no range from a smaller to a larger number; turn it round")
    whole = isinstance(read_value(first), int) and isinstance(read_value(last), int) and high - low >= 2
    return AxisRecord(key=key, low=low, high=high, log=low > 0 and high / low >= _LOG_FROM, whole=whole)


def _value(word: str) -> Value:
    value = read_value(word)
    if not isinstance(value, int | float | str):
        raise RecipeError(f"`over` has the value {word}; it must be a number, true, false or a word")
    return value


def _end(axis: AxisRecord, end: float | None) -> Value:
    assert end is not None
    return int(end) if axis.whole else end
