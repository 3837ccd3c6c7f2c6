"""A search: the points of a sweep are proposed one by one, by what validation said of those before them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from stepladder.data import ImageSet, Splits
from stepladder.errors import StudyError
from stepladder.recipe import Recipe, change_settings
from stepladder.study.design.axes import check_ranges, make_point, parse_axes, point_name, with_swept_techniques
from stepladder.study.design.plan import Rung, Trial
from stepladder.study.design.sweep_records import AxisRecord, SearchRecord, SweepRecord, Value
from stepladder.study.files.integrity import differences, find_edit, hash_plan
from stepladder.study.files.records import RungRecord, SavedStudy, StudyRecord
from stepladder.study.files.store import load_study, read_record, read_result, trial_folder, write_record, write_results
from stepladder.study.run import plan_study
from stepladder.study.running.conduct import Job
from stepladder.study.running.estimate import estimate_seconds
from stepladder.study.running.execution import Execution
from stepladder.study.running.sharing import carry_out
from stepladder.study.running.watch import Watch
from stepladder.study.sweeping.proposals import import_optuna, open_storage, sqlite_url
from stepladder.study.sweeping.sweep import refuse_many, refuse_no_validation
from stepladder.training.device import Compute

#: What ``study.json`` calls a search, beside the names of designs.
SEARCH = "search"
#: Points that are drawn at random, and pruned by nothing, before the search learns from them: Optuna's own default.
_FIRST_POINTS = 10
#: Points that must have ended before one can be given up.
_PRUNE_FROM = 5
#: Digits of a proposed value: more of them say nothing, and a rate of 0.0478 can be read and typed.
_DIGITS = 3


def run_search(
    image_set: ImageSet,
    recipe: Recipe,
    over: Sequence[str],
    out: Path | str,
    compute: Compute,
    *,
    points: int = 40,
    search_seed: int = 0,
    storage: str | None = None,
    changes: Mapping[str, str] | None = None,
    seeds: int = 2,
    many: bool = False,
    validation: float = 0.1,
    drop_leaks: bool = False,
    command: str = "",
    watch: Watch | None = None,
    execution: Execution | None = None,
) -> SavedStudy:
    """Try ``points`` points that a search proposes, and return them as a study; test is never read.

    Optuna's tree-structured Parzen estimator (Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011)
    proposes; a point's worth is its mean validation accuracy over its seeds, a failed one counting as guessing. After
    each seed but the last, a point whose mean so far is below the median of the earlier points' after as many seeds is
    given up (Golovin et al., Google Vizier, 2017, section 3.2.2). The same call goes on where an earlier one stopped,
    and proposes what that would have.

    Args:
        over: an axis each: ``optimizer.lr=0.001..0.3``, or values to choose from.
        points: how many to try in all, those of earlier calls among them.
        search_seed: decides the proposals.
        storage: an Optuna storage URL; by default ``search.db`` in ``out``.
        recipe, out, changes, seeds, many, validation, drop_leaks, command: see
            :func:`stepladder.study.sweeping.sweep.run_sweep`.
        execution: how trials are carried out; a search takes one process, since each proposal waits for the one before.

    Raises:
        StudyError: Optuna or the storage is missing, or see :func:`~stepladder.study.sweeping.sweep.run_sweep`.
        DataError: the images do not fit the splits.
        RecipeError: a point does not fit the images, or has a key or value that does not exist.
        StorageError: ``out`` cannot be written.
    """
    out, watch, changes, execution = Path(out), watch or Watch(), changes or {}, execution or Execution()
    execution.check(compute.device.type)
    axes = parse_axes(over, ranges=True)
    if points < 1:
        raise StudyError(f"--trials is {points}; it must be at least 1")
    if search_seed < 0:
        raise StudyError(f"--search-seed is {search_seed}; it must be 0 or more")
    refuse_many(points, seeds, many)
    refuse_no_validation(validation)
    optuna = import_optuna()
    if out.is_file():
        raise StudyError(f"--out is {out}, which is a file; choose a folder")
    recipe = with_swept_techniques(recipe, axes)
    axes, ends = check_ranges(axes, recipe, changes)
    search = SearchRecord(tool=f"optuna {optuna.__version__}, TPE", points=points, seed=search_seed)
    base = change_settings(recipe, changes).to_table()
    ends_of = tuple(values for _, values in ends)
    planned = plan_study(
        image_set,
        recipe,
        compute,
        seeds=seeds,
        plan=SEARCH,
        rungs=tuple(rung for rung, _ in ends),
        sweep=SweepRecord(base=base, axes=axes, points=ends_of, guess=0.0, search=search),
        validation=validation,
        drop_leaks=drop_leaks,
        command=command,
        watch=watch,
    )
    assert planned.record.sweep is not None
    nothing_yet = {"rungs": (), "sweep": planned.record.sweep.model_copy(update={"points": ()})}
    record = _continue_record(out, planned.record.model_copy(update=nothing_yet))
    if any(read_result(trial_folder(out, trial)) is None for trial in _trials(record, ends[0][0], range(seeds))):
        seconds = estimate_seconds({"": ends[0][0].recipe}, planned.splits, record.data, compute, watch)[""]
        watch.searching(record, seconds * points * seeds)
    runner = _Runner(out, record, planned.splits, compute, watch, execution)
    out.mkdir(parents=True, exist_ok=True)
    url = storage or str(sqlite_url(out / "search.db"))
    with open_storage(optuna, url, storage) as kept:
        # The name is the plan's: one storage can keep many searches, and the same one is found again.
        proposals = optuna.create_study(
            storage=kept,
            study_name=f"stepladder-{record.plan_hash[:16]}",
            direction="maximize",
            load_if_exists=True,
        )
        for number in range(points):
            # A sampler for each point, so that one who stops and goes on gets what one who does not stop gets.
            seed = int(np.random.SeedSequence([search_seed, number]).generate_state(1)[0])
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
            watch.point_started(number + 1, points, point_name(axes, values))

            def report(seeds_so_far: int, mean: float) -> None:
                if running and seeds_so_far > reported:  # noqa: B023
                    proposed.report(mean, seeds_so_far)  # noqa: B023

            mean, pruned = runner.run(make_point(axes, values, recipe, changes), values, report)
            if running and pruned:
                proposals.tell(proposed, state=optuna.trial.TrialState.PRUNED)
            elif running:
                proposals.tell(proposed, mean)
    study = load_study(out)
    write_results(study)
    return study


class _Runner:
    """Trains the seeds of one point after another, and keeps the record of the search."""

    def __init__(
        self, out: Path, record: StudyRecord, splits: Splits, compute: Compute, watch: Watch, execution: Execution
    ) -> None:
        self.out, self.record, self.splits, self.compute = out, record, splits, compute
        self.watch, self.execution = watch, execution
        #: Mean after one seed, after two, ..., of every point so far.
        self.means: list[list[float]] = []

    def run(self, rung: Rung, values: tuple[Value, ...], report: Callable[[int, float], None]) -> tuple[float, bool]:
        """Train a point's seeds and return their mean, and whether it was given up before the last."""
        self._add(rung, values)
        scores: list[float] = []
        means: list[float] = []
        for trial in _trials(self.record, rung, self.record.seeds):
            folder = trial_folder(self.out, trial).absolute()
            if read_result(folder) is None:
                job = Job(trial, self.splits, self.record.data, folder)
                carry_out(
                    1,
                    [job],
                    self.compute,
                    self.execution,
                    self.watch,
                    lambda: write_results(load_study(self.out)),
                )
            result = read_result(folder)
            assert result is not None, folder
            assert self.record.sweep is not None
            failed = result.status == "failed" or result.val_accuracy is None
            scores.append(self.record.sweep.guess if failed else result.val_accuracy or 0.0)
            means.append(fmean(scores))
            report(len(means), means[-1])
            if len(means) < len(self.record.seeds) and self._below_median(means):
                self._give_up(rung.name, len(means))
                break
        self.means.append(means)
        return means[-1], len(means) < len(self.record.seeds)

    def _below_median(self, means: Sequence[float]) -> bool:
        """The median rule of Golovin et al. (2017), on means of as many seeds; the first points are not given up."""
        others = [earlier[len(means) - 1] for earlier in self.means if len(earlier) >= len(means)]
        return len(self.means) >= _PRUNE_FROM and means[-1] < median(others)

    def _add(self, rung: Rung, values: tuple[Value, ...]) -> None:
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
            rungs = (*rungs, RungRecord(name=rung.name, adds=(), recipe=rung.recipe.to_table()))
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
    return [Trial(rung.name, rung.recipe, seed, record.data.split, record.precision, record.select) for seed in seeds]


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


def _continue_record(out: Path, record: StudyRecord) -> StudyRecord:
    """Return the record to go on with; its points are gone through again, and those that have ended cost nothing."""
    found = read_record(out)
    if found is None:
        return record
    if (edit := find_edit(found, ())) is not None:
        raise StudyError(f"{out}: {edit}; restore it from a copy, or choose another folder with --out")
    if found.plan_hash != hash_plan(record):
        raise StudyError(
            f"{out} holds another study: {'; '.join(differences(found, record)[:4])}. Choose another folder with "
            "--out, or the same settings to continue"
        )
    return record.model_copy(update={"created": found.created})
