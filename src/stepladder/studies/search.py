"""A search: points of a sweep are tried one by one, or some together, by what validation said of those before."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Generic, TypeVar

from stepladder.datasets import ImageSet
from stepladder.errors import StudyError
from stepladder.recipe import Recipe, change_settings
from stepladder.studies.design.designs import Design
from stepladder.studies.design.rules import Protocol, Rules, check_seeds
from stepladder.studies.design.rungs import Rung
from stepladder.studies.design.sweeps import (
    SweepRecord,
    Value,
    check_ranges,
    make_point,
    parse_axes,
    point_name,
    with_swept_techniques,
)
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.integrity import differences, find_edit, hash_plan
from stepladder.studies.files.records import RungRecord, SavedStudy, StudyRecord, TrialResult
from stepladder.studies.files.store import (
    load_study,
    read_record,
    read_result,
    trial_folder,
    write_record,
    write_results,
)
from stepladder.studies.proposals import DATABASE, Proposals, Search, open_proposals, sampler_of
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.dispatch import carry_out, count_at_a_time, count_workers
from stepladder.studies.running.estimate import Work, estimate_seconds
from stepladder.studies.running.execution import Execution
from stepladder.studies.running.hours import say_hours
from stepladder.studies.running.jobs import reopen_failed, set_damaged_aside
from stepladder.studies.running.reuse import check_sources, take_over
from stepladder.studies.running.timing import Range
from stepladder.studies.study import (
    PlannedStudy,
    named_as,
    note_owned_files,
    plan_study,
    refuse_other_results,
)
from stepladder.studies.sweep import refuse_no_validation

#: What ``study.json`` calls a search, beside the names of designs.
SEARCH = "search"
#: Points that must have ended before one can be given up.
_PRUNE_FROM = 5
#: A trial of images, or of a command.
_T = TypeVar("_T")


def run_search(
    image_set: ImageSet,
    recipe: Recipe,
    search: Search,
    out: Path,
    *,
    seeds: int = 2,
    protocol: Protocol | None = None,
    execution: Execution | None = None,
    callbacks: Callbacks | None = None,
) -> SavedStudy:
    """Try the points that a search proposes, and return them as a study; test is never read.

    Optuna's tree-structured Parzen estimator proposes (Bergstra et al., Algorithms for Hyper-Parameter Optimization,
    2011), or chance. A point's worth is its mean over its seeds on validation, by the metric that decides, a failed one
    counting as guessing. After each seed but the last, a point whose mean so far is worse than the median of the
    earlier points' after as many seeds is given up (Golovin et al., Google Vizier, 2017, section 3.2.2). The same call
    goes on where an earlier one stopped, and proposes what that would have.

    With ``search.together`` the points of a round train at the same time. Neither their proposals nor whether one of
    them is given up depends on others of the round, so it does not matter which of them ends first.

    Args:
        seeds: trials a point.
        execution: how trials are carried out; without ``search.together`` in one process, since each proposal waits
            for the one before.

    Raises:
        StudyError: Optuna or the storage is missing, the axes are not written so, or ``out`` holds something else.
        DataError: the images do not fit the splits.
        RecipeError: a point does not fit the images, or has a key or value that does not exist.
        StorageError: ``out`` cannot be written.
    """
    protocol, callbacks, execution = protocol or Protocol(), callbacks or Callbacks(), execution or Execution()
    execution.check()
    check_seeds(seeds)
    axes = parse_axes(search.over, ranges=True)
    search.check(seeds)
    refuse_no_validation(protocol.validation)
    refuse_other_results(out)
    check_sources(execution.reuse)
    set_damaged_aside(out, callbacks.message)
    recipe = with_swept_techniques(recipe, axes)
    axes, ends = check_ranges(axes, recipe, search.settings)
    record = search.to_record()
    base = change_settings(recipe, search.settings).to_table()
    ends_of = tuple(values for _, values in ends)
    sweep = SweepRecord(base=base, axes=axes, points=ends_of, guess=0.0, search=record)
    planned = plan_study(
        image_set,
        Design(SEARCH, tuple(rung for rung, _ in ends), sweep=sweep),
        seeds=seeds,
        rules=Rules(**vars(protocol)),
        execution=execution,
        callbacks=callbacks,
        out=out,
    )
    runner = PointRunner(out, _begin(out, planned))
    first = _trials(runner.record, ends[0][0], range(seeds))
    each = math.inf
    if any(read_result(trial_folder(out, trial)) is None for trial in first):
        expected, each = _estimate(planned, search, first, execution, callbacks)
        say_hours(expected.middle, runner.record.data.image_shape, callbacks)
        callbacks.searching(runner.record, expected)
    if execution.cluster is not None or execution.workers != "auto":
        memory = planned.record.machine.memory_gb
        room = min(search.points, count_at_a_time(execution, planned.compute, search.points, math.inf, memory))
        if room > search.together:
            callbacks.message(
                f"There is room for {room} trials at a time, and a round has {search.together}: in another folder, "
                f"`together={room}` would use it."
            )

    def make(values: tuple[Value, ...]) -> ProposedPoint[Trial]:
        rung = make_point(axes, values, recipe, search.settings)
        made = RungRecord(name=rung.name, adds=(), recipe=rung.recipe.to_table())
        return ProposedPoint(values, made, lambda seed: _trials(runner.record, rung, (seed,))[0])

    train = partial(_train, planned, out, each if search.together > 1 else None, execution, callbacks)
    search_points(search, runner, make, train, callbacks.point_started)
    study = load_study(out)
    write_results(study)
    note_owned_files(study, DATABASE)
    return study


def _estimate(
    planned: PlannedStudy, search: Search, trials: Sequence[Trial], execution: Execution, callbacks: Callbacks
) -> tuple[Range, float]:
    """Return how long a search will take at most, by a measurement of one point, and a trial of it, in seconds.

    Args:
        trials: of that point.
    """
    rung, seeds = trials[0].rung, len(trials)
    if search.together == 1:
        work = {rung: Work(trials[0].recipe, len(planned.splits.train))}
        classes = len(planned.record.data.class_names)
        estimate = estimate_seconds(work, planned.splits, classes, planned.compute, callbacks, reads_test=False)
        return estimate.study([rung] * (search.points * seeds), 1), estimate.seconds[rung]
    estimate = planned.estimate([trials[0]] * min(search.together, search.points), execution, callbacks)
    each, steps = estimate.seconds[rung], steps_of(search, seeds)
    memory = planned.record.machine.memory_gb
    slots = count_at_a_time(execution, planned.compute, max(steps), each * max(steps), memory)
    return estimate.steps(rung, steps, slots), each


def _train(
    planned: PlannedStudy,
    out: Path,
    each: float | None,
    execution: Execution,
    callbacks: Callbacks,
    trials: Sequence[Trial],
) -> list[TrialResult]:
    """Return the results of trials, which are trained at the same time unless they are there.

    Args:
        each: seconds of a trial, by a measurement; None where they are trained in one process.
    """
    # A round may have a point twice.
    jobs = list({trial.id: planned.job(trial, out) for trial in trials}.values())
    if execution.retry_failed:
        reopen_failed(jobs)
    todo = [job for job in jobs if read_result(job.folder) is None]
    if todo and execution.reuse:
        take_over(todo, execution, planned.compute, callbacks)
        todo = [job for job in todo if read_result(job.folder) is None]
    if todo:
        workers = 1
        if each is not None:
            memory = planned.record.machine.memory_gb
            workers = count_workers(execution, planned.compute, len(todo), each * len(todo), memory)
        carry_out(workers, todo, planned.compute, execution, callbacks, partial(_refresh, out))
    results = [read_result(planned.job(trial, out).folder) for trial in trials]
    assert all(result is not None for result in results), out
    return [result for result in results if result is not None]


@dataclass(frozen=True)
class ProposedPoint(Generic[_T]):
    """A point that a search tries.

    Attributes:
        values: in the order of the axes.
        rung: what it is in the record.
        trial: given a seed, returns its trial.
    """

    values: tuple[Value, ...]
    rung: RungRecord
    trial: Callable[[int], _T]


def search_points(
    search: Search,
    runner: PointRunner,
    make: Callable[[tuple[Value, ...]], ProposedPoint[_T]],
    train: Callable[[Sequence[_T]], Sequence[TrialResult]],
    started: Callable[[int, int, str], None],
) -> None:
    """Ask for one round of points after another, and tell how each did; those of earlier calls are gone through again.

    Args:
        make: given its values, returns a point.
        train: returns the results of trials, of which as many run at the same time as there is room for.
        started: told the number of a point, how many there are, and its name.

    Raises:
        StudyError: Optuna or the storage is missing.
    """
    record = runner.record
    assert record.sweep is not None
    axes = record.sweep.axes
    higher_is_better = record.measured_by.higher_is_better
    with open_proposals(search, axes, higher_is_better, record.plan_hash, runner.out) as proposals:
        for first in range(0, search.points, search.together):
            numbers = range(first, min(first + search.together, search.points))
            points = []
            for number, values in zip(numbers, proposals.ask(numbers), strict=True):
                started(number + 1, search.points, point_name(axes, values))
                points.append(make(values))
            came_of = runner.run(points, train, partial(_report, proposals, first))
            # In the order of their proposals, whichever ended first, and not before all have ended.
            for number, (mean, pruned) in zip(numbers, came_of, strict=True):
                proposals.tell(number, mean, pruned)


def _report(proposals: Proposals, first: int, place: int, seeds_so_far: int, mean: float) -> None:
    proposals.report(first + place, seeds_so_far, mean)


class PointRunner:
    """Takes one round of points after another through its seeds, and keeps the record of the search.

    Args:
        out: the search's folder.
        record: of the search, without its points so far.
    """

    def __init__(self, out: Path, record: StudyRecord) -> None:
        self.out, self.record = out, record
        self._metric = record.measured_by
        #: Mean after one seed, after two, ..., of every point of the rounds so far.
        self.means: list[list[float]] = []

    def run(
        self,
        points: Sequence[ProposedPoint[_T]],
        train: Callable[[Sequence[_T]], Sequence[TrialResult]],
        report: Callable[[int, int, float], None],
    ) -> list[tuple[float, bool]]:
        """Train the seeds of a round's points; return the mean of each, and whether it was given up before the last.

        Args:
            train: returns the results of trials, of which as many run at the same time as there is room for.
            report: told the place of a point in the round, how many of its seeds have ended, and their mean.
        """
        self._add(points)
        sweep, seeds = self.record.sweep, self.record.seeds
        assert sweep is not None
        assert sweep.search is not None
        scores: list[list[float]] = [[] for _ in points]
        means: list[list[float]] = [[] for _ in points]
        going = list(range(len(points)))
        for step in _steps(seeds, len(self.means), sweep.search.together):
            begun = [(place, seed) for seed in step for place in going]
            results = train([points[place].trial(seed) for place, seed in begun])
            for (place, _), result in zip(begun, results, strict=True):
                if not result.stopped:  # one that was says nothing of the point
                    measured = self._metric.on_validation(result)
                    guessed = result.diverged or measured is None
                    scores[place].append(sweep.diverged if guessed or measured is None else measured)
                means[place].append(fmean(scores[place]) if scores[place] else sweep.diverged)
                report(place, len(means[place]), means[place][-1])
            hopeless = [
                place
                for place in going
                if scores[place] and len(means[place]) < len(seeds) and self._below_median(means[place])
            ]
            self._give_up({points[place].rung.name: len(means[place]) for place in hopeless})
            going = [place for place in going if place not in hopeless]
            if not going:
                break
        self.means += means
        return [(each[-1], len(each) < len(seeds)) for each in means]

    def _below_median(self, means: Sequence[float]) -> bool:
        """The median rule of Golovin et al. (2017), on means of as many seeds; the first points are not given up."""
        others = [earlier[len(means) - 1] for earlier in self.means if len(earlier) >= len(means)]
        sign = self._metric.sign
        return len(self.means) >= _PRUNE_FROM and sign * means[-1] < sign * median(others)

    def _add(self, points: Sequence[ProposedPoint[_T]]) -> None:
        sweep, record = self.record.sweep, self.record
        assert sweep is not None
        assert sweep.search is not None
        added = {point.rung.name: point for point in points}
        search = sweep.search.model_copy(
            update={
                "tried": sweep.search.tried + len(points),
                "pruned": tuple(name for name in sweep.search.pruned if name not in added),
            }
        )
        known = {each.name for each in record.rungs}
        new = [point for name, point in added.items() if name not in known]
        reached = {name: seeds for name, seeds in record.reached.items() if name not in added}
        rungs = (*record.rungs, *(point.rung for point in new))
        sweep = sweep.model_copy(update={"points": (*sweep.points, *(point.values for point in new)), "search": search})
        self.record = record.model_copy(update={"rungs": rungs, "reached": reached, "sweep": sweep})
        write_record(self.out, self.record)

    def _give_up(self, hopeless: Mapping[str, int]) -> None:
        """Note points that are given up, by name, after how many seeds."""
        if not hopeless:
            return
        sweep = self.record.sweep
        assert sweep is not None
        assert sweep.search is not None
        search = sweep.search.model_copy(update={"pruned": (*sweep.search.pruned, *hopeless)})
        sweep = sweep.model_copy(update={"search": search})
        reached = {**self.record.reached, **hopeless}
        self.record = self.record.model_copy(update={"sweep": sweep, "reached": reached})
        write_record(self.out, self.record)


def steps_of(search: Search, seeds: int) -> list[int]:
    """Return how many trials run at the same time at most, step by step, where no point is given up."""
    rounds = (
        (first, min(search.together, search.points - first)) for first in range(0, search.points, search.together)
    )
    return [count * len(step) for first, count in rounds for step in _steps(range(seeds), first, search.together)]


def _steps(seeds: Sequence[int], ended: int, together: int) -> list[tuple[int, ...]]:
    """Return the seeds of a round's points, those together that are trained at the same time.

    After each step a point may be given up, but none before :data:`_PRUNE_FROM` have ended: then all seeds go at once.

    Args:
        ended: points of earlier rounds.
    """
    if together > 1 and ended < _PRUNE_FROM:
        return [tuple(seeds)]
    return [(seed,) for seed in seeds]


def _trials(record: StudyRecord, rung: Rung, seeds: Iterable[int]) -> list[Trial]:
    key = record.measured_by.key
    return [
        Trial(rung.name, rung.recipe, seed, record.data.split, record.precision, record.select, key) for seed in seeds
    ]


def _begin(out: Path, planned: PlannedStudy) -> StudyRecord:
    return begin_search(out, planned.record)


def begin_search(out: Path, record: StudyRecord) -> StudyRecord:
    """Return the record of a search that has no point yet, to go on with in its folder.

    Raises:
        StudyError: ``out`` holds something else.
    """
    assert record.sweep is not None
    nothing_yet = {"rungs": (), "sweep": record.sweep.model_copy(update={"points": ()})}
    return _continue_record(out, record.model_copy(update=nothing_yet))


def _refresh(out: Path) -> None:
    write_results(load_study(out))


def _continue_record(out: Path, record: StudyRecord) -> StudyRecord:
    """Return the record to go on with; its points are gone through again, and those that have ended cost nothing."""
    found = read_record(out)
    if found is None:
        return record
    record = named_as(record, found)
    if (edit := find_edit(found, ())) is not None:
        raise StudyError(f"{out}: {edit}; restore it from a copy, or choose another folder with `out`")
    if found.plan_hash != hash_plan(record):
        raise StudyError(
            f"{out} holds another study: {'; '.join(differences(found, record)[:4])}. Choose another folder with "
            "`out`, or the same settings to continue"
        )
    before, now = (sampler_of(one.sweep) for one in (found, record))
    if before != now:
        raise StudyError(
            f"{out} holds a search by `sampler={before}`, and this one is by {now}; choose another folder with `out`, "
            f"or the same sampler to continue"
        )
    return record.model_copy(update={"created": found.created})
