"""A study carried out: check everything, write the plan, run what is missing, and then read test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from stepladder.data import ImageSet, Splits, make_splits
from stepladder.data.audit import look_first
from stepladder.errors import StorageError, StudyError
from stepladder.recipe import Recipe
from stepladder.study.design.axes import settle_sweep
from stepladder.study.design.designs import Design, compare_with_below, make_design
from stepladder.study.design.looks import declare_looks, single_look
from stepladder.study.design.plan import Rung
from stepladder.study.design.rules import Rules, Seeds
from stepladder.study.design.sweep_records import SweepRecord
from stepladder.study.files.integrity import hash_plan
from stepladder.study.files.machine import describe_machine, describe_versions, now
from stepladder.study.files.records import ContrastRecord, LookRecord, RungRecord, SavedStudy, StudyRecord
from stepladder.study.files.store import (
    load_study,
    planned_trials,
    read_result,
    trial_folder,
    write_record,
    write_results,
)
from stepladder.study.judging.statistics import weigh_effects
from stepladder.study.running.conduct import Job, set_failed_aside, sweep_up
from stepladder.study.running.continuation import continue_record, write_plan
from stepladder.study.running.estimate import estimate_seconds
from stepladder.study.running.execution import Execution
from stepladder.study.running.ownership import own
from stepladder.study.running.patience import check_in_time
from stepladder.study.running.reading import read_study_test
from stepladder.study.running.sharing import share_out
from stepladder.study.running.trial import describe_data
from stepladder.study.running.watch import Watch
from stepladder.training.device import Compute

#: Seconds between two rebuildings of ``results.csv``.
_REFRESH_SECONDS = 5.0


@dataclass(frozen=True)
class PlannedStudy:
    """A study before its first trial: its record, and the images as they are split."""

    record: StudyRecord
    splits: Splits


def plan_study(
    image_set: ImageSet,
    recipe: Recipe,
    compute: Compute,
    *,
    seeds: Seeds = 3,
    plan: str = "ladder",
    rungs: tuple[Rung, ...] | None = None,
    rules: Rules | None = None,
    validation: float = 0.1,
    drop_leaks: bool = False,
    command: str = "",
    sweep: SweepRecord | None = None,
    watch: Watch | None = None,
    limit: float | None = None,
) -> PlannedStudy:
    """Check and settle everything about a study, and run nothing.

    Args:
        seeds: trials a rung, with seeds 0 to ``seeds`` - 1; ``auto`` adds seeds to what is undecided, in looks that are
            declared here, up to ``rules.max_seeds``.
        plan: a name in ``designs.PLANS``, or ``factorial``.
        rungs: those of the user's own, in place of what ``plan`` makes of ``recipe``; each is compared with the one
            before it.
        rules: metric, error rate, smallest effect of interest.
        validation: share of the training images held out for the curves; 0 trains on all and draws the test curve.
        drop_leaks: take training images that are copies of held-out ones out, instead of only noting them.
        command: what the user typed, for the record.
        sweep: what ``rungs`` are points of; they are then compared by validation alone, and test is not read.
        limit: seconds that the techniques of a rung may take to say whether they fit.

    Raises:
        StudyError: there is nothing to run, a rule is out of range, or a technique hangs.
        DataError: the images do not fit the splits.
        RecipeError: a rung's techniques do not fit the images.
    """
    rules = rules or Rules()
    rules.check(seeds, validation)
    looks = declare_looks(rules.max_seeds) if seeds == "auto" else single_look(seeds)
    splits = make_splits(image_set, validation)
    if rungs is None:
        design = make_design(plan, recipe, looks[-1].seeds, rules.max_trials)
    elif sweep is not None:
        design = Design(rungs, ())
    else:
        design = compare_with_below(rungs)
    splits, look = look_first(splits, image_set.class_names, drop_leaks=drop_leaks)
    (watch or Watch()).looked(look)
    sweep = sweep and settle_sweep(sweep, rungs or (), splits)
    data = describe_data(image_set, splits)
    for rung in design.rungs:
        # Said before anything trains, whichever rung it is on.
        what = f"{'rung ' if sweep is None else ''}{rung.name}"
        check_in_time(what, rung.recipe, splits, len(data.class_names), limit)
    record = StudyRecord(
        plan=plan,
        plan_hash="",
        rungs=tuple(
            RungRecord(name=rung.name, adds=rung.adds, lacks=rung.lacks, recipe=rung.recipe.to_table())
            for rung in design.rungs
        ),
        contrasts=tuple(
            ContrastRecord(name=one.name, design=one.design, weights=one.weights) for one in design.contrasts
        ),
        notes=design.notes,
        looks=tuple(LookRecord(seeds=look.seeds, share=look.share) for look in looks),
        metric=rules.metric,
        alpha=rules.alpha,
        smallest_effect=rules.effect_of_interest,
        select=rules.select,
        seeds=tuple(range(looks[0].seeds)),
        validation=validation,
        precision=compute.precision,
        device=compute.device.type,
        threads=compute.threads,
        data=data,
        versions=describe_versions(),
        machine=describe_machine(compute.device),
        command=command,
        created=now(),
        sweep=sweep,
    )
    return PlannedStudy(record.model_copy(update={"plan_hash": hash_plan(record)}), splits)


def run_study(
    image_set: ImageSet,
    recipe: Recipe,
    out: Path | str,
    compute: Compute,
    *,
    seeds: Seeds = 3,
    plan: str = "ladder",
    rungs: tuple[Rung, ...] | None = None,
    rules: Rules | None = None,
    validation: float = 0.1,
    drop_leaks: bool = False,
    command: str = "",
    sweep: SweepRecord | None = None,
    watch: Watch | None = None,
    execution: Execution | None = None,
) -> SavedStudy:
    """Run every trial of the plan that ``out`` does not hold yet, read test once, and return the whole study.

    Args:
        out: the study's folder. A study of the same plan in it is continued; more seeds add to it, and are marked.
        seeds, plan, rungs, rules, validation, drop_leaks, command, sweep: see :func:`plan_study`; fewer seeds than the
            plan in the folder has train only those, and leave test unread until the plan has been run.
        execution: in how many processes, and what to do when something goes wrong. Several processes may also work on
            one folder, on several machines, by the same call.

    Raises:
        StudyError: ``out`` holds a study of another plan or of other data, or one that was edited; or there is nothing
            to run.
        DataError: the images do not fit the splits.
        RecipeError: the recipe does not fit the images.
        StorageError: ``out`` cannot be written.
        Stopped: that was asked for; the same call goes on.
    """
    out, watch, execution = Path(out), watch or Watch(), execution or Execution()
    compute = execution.settle(compute)
    planned = plan_study(
        image_set,
        recipe,
        compute,
        seeds=seeds,
        plan=plan,
        rungs=rungs,
        rules=rules,
        validation=validation,
        drop_leaks=drop_leaks,
        command=command,
        sweep=sweep,
        watch=watch,
        limit=execution.trial_timeout,
    )
    splits = planned.splits
    record = continue_record(out, planned.record, splits, execution)
    if out.is_file():
        raise StudyError(f"--out is {out}, which is a file; choose a folder")

    first = True
    while True:
        # Seeds that an earlier call asked for stay in the plan; this one trains those that it asks for.
        asked = [trial for trial in planned_trials(record) if seeds == "auto" or trial.seed < seeds]
        jobs = [Job(trial, splits, record.data, trial_folder(out, trial).absolute()) for trial in asked]
        if first and execution.retry_failed:
            set_failed_aside(jobs)
        todo = [job for job in jobs if read_result(job.folder) is None]
        seconds = {}
        if first or todo:
            recipes = {job.trial.rung: job.trial.recipe for job in todo}
            seconds = estimate_seconds(recipes, splits, record.data, compute, watch, execution.trial_timeout)
            record = write_plan(out, record, splits, execution)
        if todo:
            done, refresh = len(asked) - len(todo), _Refresh(out, watch)
            share_out(todo, done, record, seconds, compute, execution, watch, refresh)
        first = False
        sweep_up(jobs)
        with own(out):  # whoever comes first reads test; the others find it read
            study = load_study(out)
            if study.missing or record.sweep is not None:
                break
            study = read_study_test(study, splits, compute, watch)
            following = next_look(study)
            if following is None:
                break
            record = following
            write_record(out, record)
    _Refresh(out, watch)()
    return study


def next_look(study: SavedStudy) -> StudyRecord | None:
    """Return the record of the next declared look; None where there is none, or nothing is left to decide.

    Only the rungs of undecided contrasts get its seeds; the others stay where they are.
    """
    record = study.record
    position = next((i for i, look in enumerate(record.looks) if look.seeds == len(record.seeds)), None)
    if position is None or position + 1 == len(record.looks):
        return None
    effects = zip(record.contrasts, weigh_effects(study), strict=True)
    open_rungs = {name for contrast, effect in effects if effect.verdict == "undecided" for name in contrast.weights}
    if not open_rungs:
        return None
    reached = {rung.name: len(record.seeds_of(rung.name)) for rung in record.rungs if rung.name not in open_rungs}
    seeds = tuple(range(record.looks[position + 1].seeds))
    return record.model_copy(update={"seeds": seeds, "reached": reached})


class _Refresh:
    """Rebuilds ``results.csv`` after a trial: from all of them, so not more often than every few seconds.

    Another program may hold the file; that costs no trial, since it can be rebuilt at any time.
    """

    def __init__(self, out: Path, watch: Watch) -> None:
        self._out, self._watch = out, watch
        self._next = 0.0

    def __call__(self) -> None:
        if monotonic() < self._next:
            return
        self._next = monotonic() + _REFRESH_SECONDS
        if not self._out.is_dir():
            return  # it was removed, which is said by whoever notices, and must not be made again
        try:
            with own(self._out):
                write_results(load_study(self._out))
        except StorageError as error:
            self._watch.told(f"results.csv was not rebuilt ({error}); rebuild it with: stepladder report {self._out}")
