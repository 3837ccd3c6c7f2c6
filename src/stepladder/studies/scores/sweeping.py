"""A sweep of a user's own command: a grid of values, or a search, chosen by what it reports of validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

from stepladder.errors import StudyError
from stepladder.studies.design.rules import Rules, check_seeds
from stepladder.studies.design.sweeps import AxisRecord, Value, parse_axes
from stepladder.studies.design.trials import CommandTrial
from stepladder.studies.files.records import SavedStudy, TrialResult
from stepladder.studies.files.store import load_study, read_result, write_results
from stepladder.studies.proposals import DATABASE, Search
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
from stepladder.studies.search import PointRunner, ProposedPoint, begin_search, search_points
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
    """Try the points that a search proposes, one after the other, or the points of a round at the same time."""
    if search.together == 1 and execution.workers not in (None, 1):
        raise StudyError(
            "`workers` is for runs at the same time, and a search runs one at a time, as each proposal waits for the "
            "one before; leave it out, or add `together=2`, or more, to propose several"
        )
    execution.check()
    axes = parse_axes(search.over, ranges=True)
    search.check(seeds)
    first = tuple(_lowest(axis) for axis in axes)
    record = make_sweep_record(plan, Points(axes, (first,), search.to_record()), seeds, origin)
    with owning(out), execution.stop.observing():
        runner = PointRunner(out, begin_search(out, record))

        def make(values: tuple[Value, ...]) -> ProposedPoint[CommandTrial]:
            rung = plan.point_record(axes, values)
            return ProposedPoint(values, rung, lambda seed: CommandTrial(rung.name, rung.recipe, seed))

        run = partial(_run, runner, execution, watching)
        search_points(search, runner, make, run, watching.point_started)
        study = load_study(out)
        end_study(study, DATABASE)
        return study


def _run(
    runner: PointRunner, execution: CommandExecution, watching: CommandCallbacks, trials: Sequence[CommandTrial]
) -> list[TrialResult]:
    """Return the results of runs, which are made at the same time unless they are there."""
    out, results = runner.out, dict[str, TrialResult]()
    for trial in trials:
        before = read_result(out / "trials" / trial.id)
        if before is not None and not (execution.retry_failed and before.status == "failed"):
            results[trial.id] = before
    # A round may have a point twice.
    todo = list({trial.id: trial for trial in trials if trial.id not in results}.values())
    pool = CommandPool(out, runner.record, execution, watching.message)
    for trial, result in pool.run(todo, read_test=False):
        watching.ended(trial, result)
        write_results(load_study(out))
        results[trial.id] = result
    return [results[trial.id] for trial in trials]


def _lowest(axis: AxisRecord) -> Value:
    if axis.values:
        return axis.values[0]
    assert axis.low is not None
    return int(axis.low) if axis.whole else axis.low
