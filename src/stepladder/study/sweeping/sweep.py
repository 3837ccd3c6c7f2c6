"""A sweep: one recipe, some of its settings varied over a grid, compared by validation accuracy alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from stepladder.data import ImageSet
from stepladder.errors import StudyError
from stepladder.recipe import Recipe, change_settings
from stepladder.study.design.axes import make_points, parse_axes, with_swept_techniques
from stepladder.study.design.sweep_records import SweepRecord
from stepladder.study.files.records import SavedStudy
from stepladder.study.run import run_study
from stepladder.study.running.execution import Execution
from stepladder.study.running.watch import Watch
from stepladder.training.device import Compute

#: What ``study.json`` calls a grid, beside the names of designs.
SWEEP = "sweep"
#: A grid of more trials is probably a slip of the finger.
MOST_TRIALS = 500

_NO_CHANGES: Mapping[str, str] = MappingProxyType({})


def run_sweep(
    image_set: ImageSet,
    recipe: Recipe,
    over: Sequence[str],
    out: Path | str,
    compute: Compute,
    *,
    changes: Mapping[str, str] = _NO_CHANGES,
    seeds: int = 2,
    many: bool = False,
    validation: float = 0.1,
    drop_leaks: bool = False,
    command: str = "",
    watch: Watch | None = None,
    execution: Execution | None = None,
) -> SavedStudy:
    """Run every trial of a grid that ``out`` does not hold yet, and return it as a study; test is never read.

    Another grid around the same recipe takes the place of the one in ``out``, and what both have is not trained again.

    Args:
        recipe: with all its techniques; one that an axis names and that it lacks is added.
        over: an axis each, as ``optimizer.lr=0.3,0.1`` or ``dropout.p=0,0.5``; the grid has every combination.
        out: the sweep's folder.
        changes: settings of all points, as ``--set`` has them.
        seeds: trials a point.
        many: allow more than :data:`MOST_TRIALS` trials.
        validation, drop_leaks, command: see :func:`stepladder.study.run.plan_study`.
        execution: see :func:`stepladder.study.run.run_study`.

    Raises:
        StudyError: the axes are not written so, the grid is too large or has one point, ``validation`` is 0, or ``out``
            holds something else.
        DataError: the images do not fit the splits.
        RecipeError: a point does not fit the images, or has a key or value that does not exist.
        StorageError: ``out`` cannot be written.
    """
    axes = parse_axes(over, ranges=False)
    # Before the points are made: a slip of the finger can ask for millions.
    refuse_many(math.prod(len(axis.values) for axis in axes), seeds, many)
    refuse_no_validation(validation)
    recipe = with_swept_techniques(recipe, axes)
    rungs, points = make_points(axes, recipe, changes)
    sweep = SweepRecord(base=change_settings(recipe, changes).to_table(), axes=axes, points=points, guess=0.0)
    return run_study(
        image_set,
        recipe,
        out,
        compute,
        seeds=seeds,
        plan=SWEEP,
        rungs=rungs,
        sweep=sweep,
        validation=validation,
        drop_leaks=drop_leaks,
        command=command,
        watch=watch,
        execution=execution,
    )


def refuse_many(points: int, seeds: int, many: bool) -> None:
    """Refuse more than :data:`MOST_TRIALS` trials.

    Raises:
        StudyError: there are more, and nobody said that they are meant.
    """
    if points * seeds > MOST_TRIALS and not many:
        raise StudyError(
            f"{points:,} points × {seeds:,} seeds are {points * seeds:,} trials, more than {MOST_TRIALS}; take fewer, "
            "or add --yes to train them all"
        )


def refuse_no_validation(validation: float) -> None:
    """Refuse to choose by anything but validation images.

    Raises:
        StudyError: ``validation`` is 0.
    """
    if validation == 0:
        raise StudyError(
            "--validation is 0, and a sweep chooses by validation images, since test may choose nothing; give it a "
            "share above 0, such as 0.1"
        )
