"""A search: the points of a sweep are proposed one by one, by what validation said of those before them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from stepladder.datasets import ImageSet
from stepladder.errors import StudyError, missing_extra, unknown
from stepladder.recipe import Recipe, change_settings
from stepladder.studies.design.designs import Design
from stepladder.studies.design.rules import Protocol, Rules, check_seeds
from stepladder.studies.design.rungs import Rung
from stepladder.studies.design.sweeps import (
    AxisRecord,
    SearchRecord,
    SweepRecord,
    Value,
    check_ranges,
    make_point,
    parse_axes,
    point_name,
    with_swept_techniques,
)
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.checksums import forget_files
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
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.dispatch import carry_out
from stepladder.studies.running.estimate import Work, estimate_seconds
from stepladder.studies.running.execution import Execution
from stepladder.studies.running.hours import say_hours
from stepladder.studies.running.jobs import reopen_failed, set_damaged_aside
from stepladder.studies.running.reuse import check_sources, take_over
from stepladder.studies.study import (
    PlannedStudy,
    named_as,
    note_owned_files,
    plan_study,
    refuse_other_results,
)
from stepladder.studies.sweep import refuse_many, refuse_no_validation

#: What ``study.json`` calls a search, beside the names of designs.
SEARCH = "search"
#: Where a search without a storage of its own keeps its proposals, in its folder.
DATABASE = "search.db"
#: What proposes the points of a search, and what its record says of it: Parzen estimators, which learn from the points
#: before, or chance (Bergstra and Bengio, Random Search for Hyper-Parameter Optimization, 2012).
SAMPLERS = {"tpe": "TPE", "random": "random"}
#: Points that are drawn at random, and pruned by nothing, before the search learns from them: Optuna's own default.
_FIRST_POINTS = 10
#: Points that must have ended before one can be given up.
_PRUNE_FROM = 5
#: Digits of a proposed value: more of them say nothing, and a rate of 0.0478 can be read and typed.
_DIGITS = 3


@dataclass(frozen=True)
class Search:
    """What a search looks through, and how far.

    Attributes:
        over: an axis each: ``optimizer.lr=0.001..0.3``, or values to choose from.
        points: how many to try in all, those of earlier calls among them.
        seed: decides the proposals.
        storage: an Optuna storage URL; by default ``search.db`` in the search's folder.
        settings: of all points, by dotted name.
        many: allow more than 500 trials.
        sampler: what proposes points, one of :data:`SAMPLERS`.
    """

    over: tuple[str, ...]
    points: int = 40
    seed: int = 0
    storage: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    many: bool = False
    sampler: str = "tpe"

    def check(self, seeds: int) -> None:
        """Raise StudyError where a value is out of range, or more than 500 trials would come of it unasked."""
        if self.points < 1:
            raise StudyError(f"`points` is {self.points}; it must be at least 1")
        if self.seed < 0:
            raise StudyError(f"`search_seed` is {self.seed}; it must be 0 or more")
        if self.sampler not in SAMPLERS:
            raise StudyError(unknown("sampler", self.sampler, SAMPLERS))
        refuse_many(self.points, seeds, self.many)

    def to_record(self) -> SearchRecord:
        """Return how the search goes on, as its folder keeps it.

        Raises:
            StudyError: Optuna is missing.
        """
        tool = f"optuna {import_optuna().__version__}, {SAMPLERS[self.sampler]}"
        return SearchRecord(tool=tool, points=self.points, seed=self.seed)


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

    Args:
        seeds: trials a point.
        execution: how trials are carried out; a search takes one process, since each proposal waits for the one before.

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
    if any(read_result(trial_folder(out, trial)) is None for trial in _trials(runner.record, ends[0][0], range(seeds))):
        work = {"": Work(ends[0][0].recipe, len(planned.splits.train))}
        estimate = estimate_seconds(
            work, planned.splits, len(planned.record.data.class_names), planned.compute, callbacks, reads_test=False
        )
        expected = estimate.study([""] * (search.points * seeds), 1)
        say_hours(expected.middle, runner.record.data.image_shape, callbacks)
        callbacks.searching(runner.record, expected)

    def make(values: tuple[Value, ...]) -> tuple[RungRecord, Callable[[int], TrialResult]]:
        rung = make_point(axes, values, recipe, search.settings)
        made = RungRecord(name=rung.name, adds=(), recipe=rung.recipe.to_table())
        return made, partial(_train, planned, runner, rung, execution, callbacks)

    search_points(search, runner, make, callbacks.point_started)
    study = load_study(out)
    write_results(study)
    note_owned_files(study, DATABASE)
    return study


def _train(
    planned: PlannedStudy, runner: PointRunner, rung: Rung, execution: Execution, callbacks: Callbacks, seed: int
) -> TrialResult:
    """Return the result of one seed of a point, trained unless it is there."""
    out = runner.out
    (trial,) = _trials(runner.record, rung, (seed,))
    folder = trial_folder(out, trial).absolute()
    if execution.retry_failed:
        reopen_failed([planned.job(trial, out)])
    if read_result(folder) is None and execution.reuse:
        take_over([planned.job(trial, out)], execution, planned.compute, callbacks)
    if read_result(folder) is None:
        job = planned.job(trial, out)
        carry_out(1, [job], planned.compute, execution, callbacks, partial(_refresh, out))
    result = read_result(folder)
    assert result is not None, folder
    return result


def search_points(
    search: Search,
    runner: PointRunner,
    make: Callable[[tuple[Value, ...]], tuple[RungRecord, Callable[[int], TrialResult]]],
    started: Callable[[int, int, str], None],
) -> None:
    """Ask for one point after another, and tell how each did; those of an earlier call are gone through again.

    Args:
        make: given the values of a point, returns it as a rung, and what returns the result of a seed of it.
        started: told the number of a point, how many there are, and its name.

    Raises:
        StudyError: Optuna or the storage is missing.
    """
    optuna, out, record = import_optuna(), runner.out, runner.record
    assert record.sweep is not None
    axes = record.sweep.axes
    out.mkdir(parents=True, exist_ok=True)
    forget_files(out)
    for name in (DATABASE, f"{DATABASE}-journal", f"{DATABASE}-wal", f"{DATABASE}-shm"):
        if (out / name).is_symlink():  # SQLite would write through it
            (out / name).unlink()
    url = search.storage or str(sqlite_url(out / DATABASE))
    with open_storage(optuna, url, search.storage) as kept:
        # The name is the plan's: one storage can keep many searches, and the same one is found again.
        proposals = optuna.create_study(
            storage=kept,
            study_name=f"stepladder-{record.plan_hash[:16]}",
            direction="maximize" if record.measured_by.higher_is_better else "minimize",
            load_if_exists=True,
        )
        for number in range(search.points):
            # A sampler for each point, so that one who stops and goes on gets what one who does not stop gets.
            seed = int(np.random.SeedSequence([search.seed, number]).generate_state(1)[0])
            if search.sampler == "random":
                proposals.sampler = optuna.samplers.RandomSampler(seed=seed)
            else:
                proposals.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_FIRST_POINTS)
            earlier = proposals.get_trials(deepcopy=False)
            if number < len(earlier) and earlier[number].state.is_finished():
                proposed = optuna.trial.FixedTrial(earlier[number].params)
            elif number < len(earlier):  # it was broken off
                proposed = optuna.trial.Trial(proposals, earlier[number]._trial_id)
            else:
                proposed = proposals.ask()
            values = tuple(_suggest(proposed, axis) for axis in axes)
            reported = len(earlier[number].intermediate_values) if number < len(earlier) else 0
            running = not isinstance(proposed, optuna.trial.FixedTrial)
            started(number + 1, search.points, point_name(axes, values))

            def report(seeds_so_far: int, mean: float) -> None:
                if running and seeds_so_far > reported:  # noqa: B023
                    proposed.report(mean, seeds_so_far)  # noqa: B023

            rung, train = make(values)
            mean, pruned = runner.run(rung, values, train, report)
            if running and pruned:
                proposals.tell(proposed, state=optuna.trial.TrialState.PRUNED)
            elif running:
                proposals.tell(proposed, mean)


class PointRunner:
    """Takes one point after another through its seeds, and keeps the record of the search.

    Args:
        out: the search's folder.
        record: of the search, without its points so far.
    """

    def __init__(self, out: Path, record: StudyRecord) -> None:
        self.out, self.record = out, record
        self._metric = record.measured_by
        #: Mean after one seed, after two, ..., of every point so far.
        self.means: list[list[float]] = []

    def run(
        self,
        rung: RungRecord,
        values: tuple[Value, ...],
        train: Callable[[int], TrialResult],
        report: Callable[[int, float], None],
    ) -> tuple[float, bool]:
        """Train a point's seeds and return their mean, and whether it was given up before the last."""
        self._add(rung, values)
        scores: list[float] = []
        means: list[float] = []
        for seed in self.record.seeds:
            result = train(seed)
            assert self.record.sweep is not None
            guess = self.record.sweep.diverged
            if not result.stopped:  # one that was says nothing of the point
                measured = self._metric.on_validation(result)
                scores.append(guess if result.diverged or measured is None else measured)
            means.append(fmean(scores) if scores else guess)
            report(len(means), means[-1])
            if scores and len(means) < len(self.record.seeds) and self._below_median(means):
                self._give_up(rung.name, len(means))
                break
        self.means.append(means)
        return means[-1], len(means) < len(self.record.seeds)

    def _below_median(self, means: Sequence[float]) -> bool:
        """The median rule of Golovin et al. (2017), on means of as many seeds; the first points are not given up."""
        others = [earlier[len(means) - 1] for earlier in self.means if len(earlier) >= len(means)]
        sign = self._metric.sign
        return len(self.means) >= _PRUNE_FROM and sign * means[-1] < sign * median(others)

    def _add(self, rung: RungRecord, values: tuple[Value, ...]) -> None:
        sweep, record = self.record.sweep, self.record
        assert sweep is not None
        assert sweep.search is not None
        search = sweep.search.model_copy(
            update={
                "tried": sweep.search.tried + 1,
                "pruned": tuple(name for name in sweep.search.pruned if name != rung.name),
            }
        )
        known = rung.name in {each.name for each in record.rungs}
        rungs, points = record.rungs, sweep.points
        if not known:
            rungs = (*rungs, rung)
            points = (*points, values)
        reached = {name: seeds for name, seeds in record.reached.items() if name != rung.name}
        sweep = sweep.model_copy(update={"points": points, "search": search})
        self.record = record.model_copy(update={"rungs": rungs, "reached": reached, "sweep": sweep})
        write_record(self.out, self.record)

    def _give_up(self, name: str, seeds: int) -> None:
        sweep = self.record.sweep
        assert sweep is not None
        assert sweep.search is not None
        search = sweep.search.model_copy(update={"pruned": (*sweep.search.pruned, name)})
        sweep = sweep.model_copy(update={"search": search})
        reached = {**self.record.reached, name: seeds}
        self.record = self.record.model_copy(update={"sweep": sweep, "reached": reached})
        write_record(self.out, self.record)


def _trials(record: StudyRecord, rung: Rung, seeds: Iterable[int]) -> list[Trial]:
    key = record.measured_by.key
    return [
        Trial(rung.name, rung.recipe, seed, record.data.split, record.precision, record.select, key) for seed in seeds
    ]


def _suggest(proposed: Any, axis: AxisRecord) -> Value:
    if axis.values:
        chosen: Value = proposed.suggest_categorical(axis.key, list(axis.values))
        return chosen
    assert axis.low is not None
    assert axis.high is not None
    if axis.whole:
        return int(proposed.suggest_int(axis.key, int(axis.low), int(axis.high), log=axis.log))
    value = float(proposed.suggest_float(axis.key, axis.low, axis.high, log=axis.log))
    return min(max(float(f"{value:.{_DIGITS}g}"), axis.low), axis.high)


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


def sampler_of(sweep: SweepRecord | None) -> str | None:
    """Return what proposed the points of a search, as :class:`Search` has it; None of anything else."""
    tool = "" if sweep is None or sweep.search is None else sweep.search.tool
    return next((name for name, words in SAMPLERS.items() if tool.endswith(f", {words}")), None)


def sqlite_url(path: Path) -> str:
    """Return the storage URL of a SQLite file, whatever signs its path has."""
    from sqlalchemy.engine import URL  # comes with optuna

    return URL.create("sqlite", database=str(path.resolve())).render_as_string()


def import_optuna() -> Any:
    """Return Optuna, which then warns only of what matters.

    Raises:
        StudyError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise StudyError(missing_extra("optuna", "search")) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@contextmanager
def open_storage(optuna: Any, url: str, asked: str | None) -> Iterator[Any]:
    """Open a storage and close it again; SQLite would keep the file.

    Args:
        url: Optuna's storage URL.
        asked: the one that the user gave, if any, for messages.

    Raises:
        StudyError: it cannot be opened.
    """
    from sqlalchemy.exc import SQLAlchemyError  # comes with optuna

    try:
        kept = optuna.storages.RDBStorage(url)
    except Exception as error:  # whatever the database's driver raises
        raise _cannot_open(url, asked, error) from error
    try:
        yield kept
    except SQLAlchemyError as error:  # a damaged file opens well, and is read later
        raise _cannot_open(url, asked, error) from error
    finally:
        kept.remove_session()
        kept.engine.dispose()


def _cannot_open(url: str, asked: str | None, error: Exception) -> StudyError:
    reason = hide_password(str(error)).strip().partition("\n")[0] or type(error).__name__
    place = f"`storage={hide_password(asked)}`" if asked else f"the search's storage {url}"
    return StudyError(f"cannot open {place}: {reason}; give an Optuna storage URL, as sqlite:///search.db")


def hide_password(text: str) -> str:
    """Return a text without the password of the URL in it: commands are written into files that are passed on."""
    return re.sub(r"(://[^/@\s:]*):[^@/\s]*@", r"\1:***@", text)
