"""A sweep: one recipe, some of its settings varied over a grid, compared by validation accuracy alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stepladder.errors import StudyError
from stepladder.recipe import Recipe, change_settings
from stepladder.studies.design.designs import Design
from stepladder.studies.design.sweeps import SweepRecord, make_points, parse_axes, with_swept_techniques

#: What ``study.json`` calls a grid, beside the names of designs.
SWEEP = "sweep"
#: A grid of more trials is probably a slip of the finger.
MOST_TRIALS = 500


@dataclass(frozen=True)
class Grid:
    """Every combination of some values.

    Attributes:
        over: an axis each, as ``optimizer.lr=0.3,0.1`` or ``dropout.p=0,0.5``.
        settings: of all points, by dotted name.
        many: allow more than :data:`MOST_TRIALS` trials.
    """

    over: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    many: bool = False


def grid_design(recipe: Recipe, grid: Grid, seeds: int, validation: float) -> Design:
    """Return the plan of a grid, a rung a point, and nothing to compare on test.

    Args:
        recipe: with all its techniques; one that an axis names and that it lacks is added.

    Raises:
        StudyError: the axes are not written so, the grid is too large or has one point, or ``validation`` is 0.
        RecipeError: a point has a key or value that does not exist.
    """
    axes = parse_axes(grid.over, ranges=False)
    # Before the points are made: a slip of the finger can ask for millions.
    refuse_many(math.prod(len(axis.values) for axis in axes), seeds, grid.many)
    refuse_no_validation(validation)
    recipe = with_swept_techniques(recipe, axes)
    rungs, points = make_points(axes, recipe, grid.settings)
    base = change_settings(recipe, grid.settings).to_table()
    return Design(SWEEP, rungs, sweep=SweepRecord(base=base, axes=axes, points=points, guess=0.0))


def write_over(over: Mapping[str, Sequence[object] | str] | Sequence[str]) -> tuple[str, ...]:
    """Return the axes of a sweep as text, from a mapping of keys to values or ranges, or from such texts.

    >>> write_over({"optimizer.lr": [0.3, 0.1], "dropout.p": "0..0.5"})
    ('optimizer.lr=0.3,0.1', 'dropout.p=0..0.5')
    """
    if isinstance(over, str):
        return (over,)
    if not isinstance(over, Mapping):
        return tuple(over)
    return tuple(
        f"{key}={values if isinstance(values, str) else ','.join(_as_text(value) for value in values)}"
        for key, values in over.items()
    )


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def refuse_many(points: int, seeds: int, many: bool) -> None:
    """Refuse more than :data:`MOST_TRIALS` trials.

    Raises:
        StudyError: there are more, and nobody said that they are meant.
    """
    if points * seeds > MOST_TRIALS and not many:
        raise StudyError(
            f"{points:,} points × {seeds:,} seeds are {points * seeds:,} trials, more than {MOST_TRIALS}; take fewer, "
            "or add `many=True` to train them all"
        )


def refuse_no_validation(validation: float) -> None:
    """Refuse to choose by anything but validation images.

    Raises:
        StudyError: ``validation`` is 0.
    """
    if validation == 0:
        raise StudyError(
            "`validation` is 0, and a sweep chooses by validation images, since test may choose nothing; give it a "
            "share above 0, such as 0.1"
        )
