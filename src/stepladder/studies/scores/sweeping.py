"""A sweep of a user's own command: a grid of values, or a search, chosen by what it reports of validation."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from pathlib import Path

from stepladder.errors import StudyError
from stepladder.studies.design.rules import Rules, check_seeds
from stepladder.studies.design.sweeps import AxisRecord, Value, parse_axes
from stepladder.studies.design.trials import CommandTrial
from stepladder.studies.files.records import RungRecord, SavedStudy, TrialResult
from stepladder.studies.files.store import load_study, read_result, write_results
from stepladder.studies.scores.command_record import Origin, Points, make_sweep_record
from stepladder.studies.scores.commands import CommandPlan
from stepladder.studies.scores.running import (
    CommandCallbacks,
    CommandExecution,
    CommandPool,
    end_study,
    owning,
    run_commands,
)
from stepladder.studies.search import DATABASE, PointRunner, Search, begin_search, search_points
from stepladder.studies.sweep import Grid, refuse_many


def sweep_commands(
    plan: CommandPlan,
    asked: Grid | Search,
    out: Path,
    *,
    seeds: int,
    origin: Origin,
    execution: CommandExecution,
    callbacks: CommandCallbacks | None = None,
) -> SavedStudy:
    """Run a command at every point of a grid, or at those that a search proposes; what had ended is kept.

    Args:
        plan: the command, with a place in braces for every key; it has no rungs.
        seeds: runs a point.
        origin: for the record.

    Raises:
        StudyError: the command has no place for a key, the axes are not written so, or ``out`` holds something else.
        Stopped: it was asked to; the same call goes on.
    """
    check_seeds(seeds)
    if asked.settings:
        raise StudyError("settings of all points belong into `run` itself; leave them out of the sweep")
    if isinstance(asked, Search):
        return _search(plan, asked, out, seeds, origin, execution, callbacks or CommandCallbacks())
    axes = parse_axes(asked.over, ranges=False)
    refuse_many(math.prod(len(axis.values) for axis in axes), seeds, asked.many)
    points = tuple(product(*(axis.values for axis in axes)))
    if len(points) < 2:
        raise StudyError(f"`over={axes[0].key}` has one value, and a sweep compares several; add another")
    record = make_sweep_record(plan, Points(axes, points), seeds, origin)
    return run_commands(record, out, Rules(), execution, callbacks)


def _search(
    plan: CommandPlan,
    search: Search,
    out: Path,
    seeds: int,
    origin: Origin,
    execution: CommandExecution,
    watching: CommandCallbacks,
) -> SavedStudy:
    """Try the points that a search proposes, one run at a time, since each proposal waits for the one before."""
    if execution.workers not in (None, 1):
        raise StudyError(
            "`workers` is for runs at the same time, and a search runs one at a time, as each proposal waits for the "
            "one before; leave it out"
        )
    execution.check()
    axes = parse_axes(search.over, ranges=True)
    search.check(seeds)
    first = tuple(_lowest(axis) for axis in axes)
    record = make_sweep_record(plan, Points(axes, (first,), search.to_record()), seeds, origin)
    with owning(out), execution.stop.observing():
        runner = PointRunner(out, begin_search(out, record))

        def make(values: tuple[Value, ...]) -> tuple[RungRecord, Callable[[int], TrialResult]]:
            rung = plan.point_record(axes, values)

            def run(seed: int) -> TrialResult:
                return _run(CommandTrial(rung.name, rung.recipe, seed), runner, execution, watching)

            return rung, run

        search_points(search, runner, make, watching.point_started)
        study = load_study(out)
        end_study(study, DATABASE)
        return study


def _run(
    trial: CommandTrial, runner: PointRunner, execution: CommandExecution, watching: CommandCallbacks
) -> TrialResult:
    """Return the result of a run, which is made unless it is there."""
    out = runner.out
    before = read_result(out / "trials" / trial.id)
    if before is not None and not (execution.retry_failed and before.status == "failed"):
        return before
    pool = CommandPool(out, runner.record, execution, watching.message)
    ((_, result),) = pool.run([trial], read_test=False)
    watching.ended(trial, result)
    write_results(load_study(out))
    return result


def _lowest(axis: AxisRecord) -> Value:
    if axis.values:
        return axis.values[0]
    assert axis.low is not None
    return int(axis.low) if axis.whole else axis.low
