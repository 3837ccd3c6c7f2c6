"""A study carried out: check everything, write the plan, run what is missing, and then read test."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from time import monotonic

import numpy as np

from stepladder.datasets import ImageSet, Split, Splits
from stepladder.datasets.groups import some_groups
from stepladder.datasets.splits import SPLIT_SEED
from stepladder.errors import DataError, StorageError, StudyError
from stepladder.files import remove_stale_parts
from stepladder.studies.curve import with_equal_steps
from stepladder.studies.design.designs import Design
from stepladder.studies.design.rules import (
    DEFAULT_SEEDS,
    Look,
    Rules,
    Seeds,
    check_seeds,
    looks_for,
    most_seeds,
    next_size,
)
from stepladder.studies.design.sweeps import settle_sweep
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.checksums import forget_files, note_files, noted_files
from stepladder.studies.files.images import describe_changes, read_images, write_images
from stepladder.studies.files.integrity import added_rungs, differences, find_edit, hash_plan, is_other_grid
from stepladder.studies.files.machine import describe_versions, now
from stepladder.studies.files.records import (
    AddedSeeds,
    ArithmeticRecord,
    ContrastRecord,
    DataRecord,
    LookRecord,
    RungRecord,
    SavedStudy,
    StudyRecord,
)
from stepladder.studies.files.store import (
    load_study,
    planned_trials,
    read_readings,
    read_record,
    read_result,
    trial_folder,
    write_record,
    write_results,
)
from stepladder.studies.judging.statistics import summarize_rungs, weigh_effects
from stepladder.studies.judging.trial_facts import gather_trial_facts
from stepladder.studies.prepare import describe_data, draw_splits, preflight, prepare, refuse_file
from stepladder.studies.running.asked import ask_to_estimate, estimated
from stepladder.studies.running.callbacks import Callbacks, Schedule
from stepladder.studies.running.cluster.asking import asking
from stepladder.studies.running.dispatch import count_workers, dispatch
from stepladder.studies.running.estimate import Work, estimate_seconds
from stepladder.studies.running.execution import Execution, Job
from stepladder.studies.running.jobs import remove_old_checkpoints, reopen_failed, set_damaged_aside
from stepladder.studies.running.locks import locked
from stepladder.studies.running.reading import read_study_test
from stepladder.studies.running.reuse import check_sources, take_over
from stepladder.studies.running.timing import Estimate
from stepladder.training.device import Compute, compute_here
from stepladder.training.engine import engine_versions
from stepladder.training.metrics import Metric, find_metric

#: Seconds between two rebuildings of ``results.csv``.
_REFRESH_SECONDS = 5.0

#: Files of a study that are written only by who owns its folder; those of the report may be by several processes.
_OWNED = ("study.json", "images.safetensors", "test-readings.json", "gallery.json")


@dataclass(frozen=True)
class PlannedStudy:
    """A study before its first trial.

    Attributes:
        record: the plan.
        splits: of all images.
        compute: device, precision and threads of its trials.
        most: seeds a rung may get by this call: those asked for, or those that ``auto`` may take.
        parts: of a curve, by rung: the splits of those rungs that train on fewer images.
        draw: gives the splits that a seed draws anew; None where all seeds have the same.
    """

    record: StudyRecord
    splits: Splits
    compute: Compute
    most: int
    parts: dict[str, tuple[Splits, DataRecord]] = field(default_factory=dict)
    draw: Callable[[int], Splits] | None = None

    def __repr__(self) -> str:
        return f"<PlannedStudy of {self.record!r}>"

    def job(self, trial: Trial, out: Path) -> Job:
        """Return what carries out one trial of the study in the folder ``out``."""
        splits, data = self.parts.get(trial.rung, (self.splits, self.record.data))
        if self.draw is not None:
            splits = self.draw(trial.seed)
        record = self.record
        return Job(trial, splits, data, trial_folder(out, trial).absolute(), record.metric, record.costs)

    def work(self, trials: Sequence[Trial]) -> dict[str, Work]:
        """Return what is to be estimated of each rung that has a trial."""
        images = {trial.rung: len(self.parts.get(trial.rung, (self.splits,))[0].train) for trial in trials}
        return {trial.rung: Work(trial.recipe, images[trial.rung]) for trial in trials}

    def estimate(self, trials: Sequence[Trial], execution: Execution, callbacks: Callbacks) -> Estimate:
        """Return how long trials of the study will probably take, in as many processes as ``execution`` has."""
        memory, work = self.record.machine.memory_gb, self.work(trials)
        more = {
            "limit": execution.trial_timeout,
            "at_a_time": count_workers(execution, self.compute, len(trials), math.inf, memory),
            "reads_test": self.record.sweep is None,
        }
        with asking(execution, [one.recipe for one in work.values()]) as node:
            if node is not None:
                question = partial(ask_to_estimate, work, self.splits, self.record.data, self.compute)
                return estimated(node.ask(lambda place: question(place, more)))
        classes = len(self.record.data.class_names)
        return estimate_seconds(
            work,
            self.splits,
            classes,
            self.compute,
            callbacks,
            limit=execution.trial_timeout,
            at_a_time=count_workers(execution, self.compute, len(trials), math.inf, memory),
            reads_test=self.record.sweep is None,
        )


def plan_study(
    image_set: ImageSet,
    design: Design,
    *,
    seeds: Seeds = DEFAULT_SEEDS,
    rules: Rules | None = None,
    execution: Execution | None = None,
    callbacks: Callbacks | None = None,
    out: Path | None = None,
) -> PlannedStudy:
    """Check and settle everything about a study, and run nothing.

    Args:
        design: what is trained and judged.
        seeds: trials a rung, with seeds 0 to ``seeds`` - 1; ``auto`` adds seeds to what is undecided, look by look, up
            to ``rules.max_seeds``.
        out: the folder of a study that this may go on with; it keeps the precision that it was begun with.

    Raises:
        StudyError: there is nothing to run, a rule is out of range, or a technique hangs.
        DataError: the images do not fit the splits, or are too few for the sizes of a curve.
        RecipeError: a rung's techniques do not fit the images.
    """
    rules, callbacks = rules or Rules(), callbacks or Callbacks()
    execution = _one_thread_each(execution or Execution())
    check_seeds(seeds, auto=True)
    if seeds == "auto" and rules.final:
        raise StudyError("`final` looks once and `seeds=auto` as often as it takes; leave one of them out")
    if rules.all_data:
        raise StudyError("`all_data` leaves no image to judge by; it is for a training alone, so leave it out")
    if rules.resplit and (design.sweep or any(rung.share < 1 for rung in design.rungs)):
        raise StudyError("`resplit` is for studies that compare rungs on test; leave it out")
    begun = read_record(out) if out is not None else None
    fullest = max(design.rungs, key=lambda rung: len(rung.recipe.techniques)).recipe
    prepared = prepare(image_set, fullest, rules, execution, callbacks, begun.precision if begun else None)
    splits, data, compute = prepared.splits, prepared.data, prepared.compute
    metric = find_metric(rules.metric, data.class_names, rules.costs)
    _refuse_unmeasured(metric, splits, data.class_names)
    sweep = design.sweep and settle_sweep(design.sweep, design.rungs, splits, metric)
    rungs, parts = [], {}
    for rung in design.rungs:
        part = thin_out(splits, rung.share)
        name = rung.name or f"{len(part.train):,} images"  # of a curve, whose sizes are known only now
        images = None if rung.name else len(part.train)
        if part is not splits:
            parts[name] = part, describe_data(image_set, part)
        recipe = with_equal_steps(rung.recipe, len(part.train), len(splits.train)) if rung.equal_steps else rung.recipe
        # Said before anything trains, whichever rung it is on.
        what = name if sweep is not None or images is not None else f"rung {name}"
        preflight(what, recipe, part, len(data.class_names), execution.trial_timeout)
        split = None if part is splits else part.fingerprint
        table = recipe.to_table()
        rungs.append(RungRecord(name=name, adds=rung.adds, lacks=rung.lacks, recipe=table, images=images, split=split))
    if len({rung.name for rung in rungs}) < len(rungs):
        raise DataError(
            f"{image_set.name} has {len(splits.train)} training images, too few to take "
            f"{min(rung.share for rung in design.rungs):.0%} of; add images"
        )
    # Points of a sweep and sizes of a curve are not judged, so there is no error to spend.
    rules = rules if design.contrasts else replace(rules, final=True)
    looks = looks_for(seeds, rules) if design.contrasts else (Look(most_seeds(seeds, rules), 1.0),)
    record = StudyRecord(
        plan=design.name,
        plan_hash="",
        rungs=tuple(rungs),
        contrasts=tuple(
            ContrastRecord(name=one.name, design=one.design, weights=one.weights) for one in design.contrasts
        ),
        notes=design.notes,
        looks=tuple(LookRecord(seeds=look.seeds, share=look.share) for look in looks),
        **rules.to_record().model_dump(),
        seeds=tuple(range(looks[0].seeds)),
        validation=rules.validation,
        precision=compute.precision,
        device=compute.device.type,
        threads=compute.threads,
        arithmetic=ArithmeticRecord.model_validate(asdict(prepared.arithmetic)),
        data=data,
        versions=describe_versions() | engine_versions((rung.recipe for rung in design.rungs), compute),
        machine=prepared.machine,
        command=execution.command,
        created=now(),
        sweep=sweep,
    )
    record = record.model_copy(update={"plan_hash": hash_plan(record)})
    draw = cache(partial(draw_splits, image_set, rules, splits)) if rules.resplit else None
    if draw is not None:
        draw(0)  # refused before anything is written
    return PlannedStudy(record, splits, compute, most_seeds(seeds, rules), parts, draw)


def run_study(
    image_set: ImageSet,
    design: Design,
    out: Path,
    *,
    seeds: Seeds = DEFAULT_SEEDS,
    rules: Rules | None = None,
    execution: Execution | None = None,
    callbacks: Callbacks | None = None,
) -> SavedStudy:
    """Run every trial of the plan that ``out`` does not hold yet, read test once, and return the whole study.

    Args:
        out: the study's folder. A study of the same plan in it is continued; more seeds are its next look.
        design, seeds, rules: see :func:`plan_study`; fewer seeds than the plan in the folder has train only those, and
            leave test unread until the plan has been run.
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
    rules, callbacks = rules or Rules(), callbacks or Callbacks()
    execution = _one_thread_each(execution or Execution())
    refuse_other_results(out)
    check_sources(execution.reuse)
    set_damaged_aside(out, callbacks.message)
    planned = plan_study(image_set, design, seeds=seeds, rules=rules, execution=execution, callbacks=callbacks, out=out)
    splits, compute = planned.splits, planned.compute
    begun = read_record(out)
    record = _continue_record(out, planned.record, seeds, splits, execution)
    if begun is not None and (added := added_rungs(begun, record)):
        callbacks.message(
            f"{out} is gone on with {'a further rung' if len(added) == 1 else f'{len(added)} further rungs'}, "
            f"{', '.join(added)}: test has not been read, so the plan may still grow."
        )
    if (called := planned.record.data.name) != record.data.name:
        callbacks.message(
            f"The images are called {called} here and {record.data.name} in {out}; they are the same, so it goes "
            "on under that name."
        )
        planned = replace(planned, record=named_as(planned.record, record))
    upto = _upto(record, seeds)
    if seeds != "auto" and upto > seeds:
        first_seeds = record.looks[0].seeds
        begun_with = "1 seed" if first_seeds == 1 else f"{first_seeds} seeds"
        callbacks.message(f"This study was begun with {begun_with} and looks next at {upto}, so {upto} are trained.")

    if upto < len(record.seeds):
        there = len(record.seeds)
        callbacks.message(
            f"{out} has {there} seeds by an earlier call, and `seeds` is {seeds}: nothing is taken away, so the report "
            f"is of all {there}."
        )

    first = True
    while True:
        # Seeds that an earlier call asked for stay in the plan; this one trains those that it asks for.
        asked = [trial for trial in planned_trials(record) if trial.seed < upto]
        jobs = [planned.job(trial, out) for trial in asked]
        if first and execution.retry_failed:
            reopen_failed(jobs)
        todo = [job for job in jobs if read_result(job.folder) is None]
        if todo and execution.reuse:
            _write_plan(out, record, seeds, splits, execution)
            take_over(todo, execution, compute, callbacks)
            todo = [job for job in todo if read_result(job.folder) is None]
        # The longest of a seed first: then little is left for the last process.
        todo.sort(key=lambda job: (job.trial.seed, -len(job.splits.train)))
        if first or todo:
            estimate = planned.estimate([job.trial for job in todo], execution, callbacks)
            record = _write_plan(out, record, seeds, splits, execution)
        if todo:
            forget_files(out)
            trials = tuple(job.trial for job in todo)
            images = {job.trial.rung: len(job.splits.train) for job in todo}
            schedule = Schedule(record, trials, len(asked) - len(todo), estimate, images)
            dispatch(todo, schedule, compute, execution, callbacks, _Refresh(out, callbacks))
        first = False
        remove_old_checkpoints(jobs)
        with locked(out):  # whoever comes first reads test; the others find it read
            study = load_study(out)
            if study.missing or record.sweep is not None:
                break
            if study.unread:
                forget_files(out)
            study = read_study_test(
                study, [planned.job(trial, out) for trial in planned_trials(record)], compute_here(compute), callbacks
            )
            following = next_look(study, planned.most if seeds == "auto" else None)
            if following is None or lacks_time(study, following, execution.stop.left(), callbacks.message):
                break
            record, upto = following, len(following.seeds)
            write_record(out, record)
    _Refresh(out, callbacks)()
    if not study.missing:
        note_owned_files(study)
    return study


def _refuse_unmeasured(metric: Metric, splits: Splits, class_names: Sequence[str]) -> None:
    """Refuse a metric of one class where a split that it is measured on has no image of it."""
    of = metric.name.partition(":")[2]
    for name, split in (("validation", splits.validation), ("test", splits.test)):
        if of and split is not None and not (split.labels == list(class_names).index(of)).any():
            raise StudyError(
                f"`metric={metric.name}` is measured on {name} images of {of}, and there is none; choose another "
                "metric, or give `validation` a larger share"
            )


def note_owned_files(study: SavedStudy, *more: str) -> None:
    """Note the checksums of the files of a study that no trial has, unless that was done since the last one ended.

    Args:
        more: names of files that it has beside those of every study.
    """
    out = study.folder
    with locked(out):
        if not noted_files(out):
            cards = [trial.folder / "model" / "README.md" for trial in study.trials]
            note_files(out, (*_OWNED, *more, *(card.relative_to(out).as_posix() for card in cards)))


def next_look(study: SavedStudy, most: int | None = None) -> StudyRecord | None:
    """Return the record of the next look; None where there is none, or nothing is left to decide.

    Only the rungs of undecided contrasts get its seeds; the others stay where they are.

    Args:
        most: seeds that open looks may take; None where nobody asked for more.
    """
    record = study.record
    if record.spending == "open":
        following = next_size(record.looks[0].seeds, len(record.seeds) + 1)
        if most is None or following > most:
            return None
    else:
        position = next((i for i, look in enumerate(record.looks) if look.seeds == len(record.seeds)), None)
        if position is None or position + 1 == len(record.looks):
            return None
        following = record.looks[position + 1].seeds
    effects = zip(record.contrasts, weigh_effects(study, summarize_rungs(study)), strict=True)
    # Where every trial of a rung was stopped, more of them would be as well.
    open_ones = [contrast for contrast, one in effects if one.verdict == "undecided" and one.differences]
    open_rungs = {name for contrast in open_ones for name in contrast.weights}
    if not open_rungs:
        return None
    reached = {rung.name: len(record.seeds_of(rung.name)) for rung in record.rungs if rung.name not in open_rungs}
    update: dict[str, object] = {"seeds": tuple(range(following)), "reached": reached}
    if record.spending == "open":
        update["added"] = (*record.added, _noted(record, following, after_reading=True))
    return record.model_copy(update=update)


def lacks_time(study: SavedStudy, following: StudyRecord, left: float | None, tell: Callable[[str], None]) -> bool:
    """Whether the next look would not end in the time that is left; then say so: seeds without a look tell nothing.

    Args:
        left: seconds; None for any.
    """
    if left is None:
        return False
    facts = gather_trial_facts(study)
    more = following.planned_trials - study.record.planned_trials
    needed = facts.costs.seconds / len(study.trials) * more / facts.costs.at_a_time
    if needed <= left:
        return False
    tell(
        f"The next look, at {len(following.seeds)} seeds, would take about {needed / 60:,.1f} min, and "
        f"{left / 60:,.1f} min are left of `max_time`; the same command goes on with it."
    )
    return True


def _noted(record: StudyRecord, upto: int, *, after_reading: bool) -> AddedSeeds:
    """Return the note that a record goes on to ``upto`` seeds."""
    return AddedSeeds(seeds=tuple(range(len(record.seeds), upto)), time=now(), after_reading=after_reading)


def _upto(record: StudyRecord, seeds: Seeds) -> int:
    """Return how many seeds a call trains: those asked for, rounded up to a look where they go beyond the first."""
    if seeds == "auto":
        return len(record.seeds)
    first = record.looks[0].seeds
    return next_size(first, seeds) if record.spending == "open" and seeds > first else seeds


def refuse_other_results(out: Path) -> None:
    """Refuse a folder that is a file, or holds another kind of result.

    Raises:
        StudyError: it does.
        StorageError: the folder cannot be looked into.
    """
    refuse_file(out)
    if (out / "curve.json").exists() and not (out / "study.json").exists():
        raise StudyError(
            f"{out} holds a curve that Stepladder 0.1 wrote; that version reads it (pip install stepladder==0.1.0), "
            "and this one makes it anew: choose another folder with `out`"
        )
    for name, what in (("bag-of-words.json", "a bag of words"), ("baseline.json", "a bag of words")):
        if (out / name).exists():
            raise StudyError(f"{out} holds {what}; choose another folder with `out`")
    if (out / "result.json").exists():
        raise StudyError(f"{out} holds a trained model; choose another folder with `out`")


def thin_out(splits: Splits, share: float) -> Splits:
    """Return the splits with ``share`` of the training images of every class, at least one; validation and test whole.

    A smaller share is within a larger one. Groups stay whole.
    """
    if share == 1:
        return splits
    positions = _some_of_each_class(splits.train, share)
    digest = hashlib.sha256(f"{splits.fingerprint} of which\n".encode() + positions.astype(np.int64).tobytes())
    return replace(splits, train=splits.train.take(positions), fingerprint=digest.hexdigest())


def _some_of_each_class(split: Split, share: float) -> np.ndarray:
    if split.groups is not None:
        return some_groups(split.labels, split.groups, share, SPLIT_SEED)
    chosen = []
    for label in np.unique(split.labels):
        positions = np.flatnonzero(split.labels == label)
        order = np.random.default_rng([SPLIT_SEED, int(label)]).permutation(positions)
        chosen.append(order[: max(1, round(share * len(positions)))])
    return np.sort(np.concatenate(chosen))


def _one_thread_each(execution: Execution) -> Execution:
    """A study of several trials runs one a core: processes whose threads outnumber the cores wait for each other."""
    return execution if execution.threads is not None else replace(execution, threads=1)


def _write_plan(out: Path, record: StudyRecord, asked: Seeds, splits: Splits, execution: Execution) -> StudyRecord:
    """Write the plan before the first trial, unless another process has just done so; return the one that holds."""
    with locked(out):
        remove_stale_parts(out, _OWNED)
        remove_stale_parts(out / "figures", ())
        record = _continue_record(out, record, asked, splits, execution)
        if read_record(out) != record:
            forget_files(out)
            write_record(out, record)
        if read_images(out) is None:
            write_images(out, splits)
    return record


def _continue_record(out: Path, record: StudyRecord, asked: Seeds, splits: Splits, execution: Execution) -> StudyRecord:
    """Return the record to go on with: that of ``out`` where it has the same plan, with the seeds of both."""
    found = read_record(out)
    if found is None:
        return record
    record = named_as(record, found)
    readings = read_readings(out)
    results = (read_result(trial_folder(out, trial)) for trial in planned_trials(found))
    if (edit := find_edit(found, readings, (result for result in results if result is not None))) is not None:
        raise StudyError(f"{out}: {edit}; restore it from a copy, or choose another folder with `out`")
    # More or fewer seeds are no other plan. A study from before looks were open keeps those that it declared.
    alike = record
    if record.spending == "open" and (len(found.looks) == 1 or asked == "auto"):
        alike = record.model_copy(update={"looks": found.looks, "spending": found.spending})
    elif len(found.looks) == len(record.looks) == 1:
        alike = record.model_copy(update={"looks": found.looks})
    if found.plan_hash != hash_plan(alike):
        if is_other_grid(found, record):
            return record
        if readings or not record.validation or not added_rungs(found, alike):
            raise StudyError(f"{out} holds another study: {_differences(out, found, alike, splits)}")
        # Nothing has been seen of test, so nothing was promised that a further rung could break.
        more = {name: getattr(alike, name) for name in ("rungs", "contrasts", "notes", "command")}
        found = found.model_copy(update={**more, "plan_hash": hash_plan(alike)})
    if found.threads != record.threads and found.threads is not None and not execution.accept_different_bits:
        here = record.threads or "all cores"
        raise StudyError(
            f"{out} was begun with `threads={found.threads}`, and this would be {here}, so bits may differ; continue "
            f"with `threads={found.threads}`, or with `accept_different_bits=True`"
        )
    return _continue_seeds(found, record, asked, after_reading=bool(readings))


def _continue_seeds(found: StudyRecord, record: StudyRecord, asked: Seeds, *, after_reading: bool) -> StudyRecord:
    """Return the record of a study with the seeds that it has and those that are asked for."""
    if found.spending == "open":
        upto = _upto(found, asked)
        if asked == "auto" or (upto <= len(found.seeds) and not found.reached):
            return found
        more: dict[str, object] = {"reached": {}, "command": record.command}
        if upto > len(found.seeds):
            more["seeds"] = tuple(range(upto))
            more["added"] = (*found.added, _noted(found, upto, after_reading=after_reading))
        return found.model_copy(update=more)
    new = tuple(seed for seed in record.seeds if seed not in found.seeds)
    if not new or len(found.looks) > 1:
        return found
    added = AddedSeeds(seeds=new, time=now(), after_reading=after_reading)
    return found.model_copy(
        update={"seeds": (*found.seeds, *new), "added": (*found.added, added), "command": record.command}
    )


def named_as(record: StudyRecord, found: StudyRecord) -> StudyRecord:
    """Return ``record`` with the name that its images have in ``found``, where these are the same images.

    Somebody renames a folder; what identifies images is what they hold.
    """
    here, there = record.data, found.data
    if here.name == there.name or (here.fingerprint, here.split) != (there.fingerprint, there.split):
        return record
    renamed = record.model_copy(update={"data": here.model_copy(update={"name": there.name})})
    return renamed.model_copy(update={"plan_hash": hash_plan(renamed)})


def _differences(out: Path, found: StudyRecord, here: StudyRecord, splits: Splits) -> str:
    """Return how two plans differ and what to do, after "holds another study:"."""
    phrases = differences(found, here)
    images = read_images(out)
    changes: Sequence[str] = ()
    if found.data.fit != here.data.fit:  # which may be by another default than there was then
        changes = [f"its images became squares by {found.data.fit}, and these by {here.data.fit}"]
    elif found.data.fingerprint != here.data.fingerprint and images is not None:
        changes = describe_changes(images, splits, found.data.class_names)
    if changes:
        phrases = [phrase for phrase in phrases if phrase not in ("the images differ", "the split differs")]
        phrases += changes
    fix = "Choose another folder with `out`, or the same settings to continue"
    if found.data.fit != here.data.fit:
        fix = f"Choose another folder with `out`, or say `fit='{found.data.fit}'` to continue"
    more = f"; and {len(phrases) - 4} more" if len(phrases) > 4 else ""
    if phrases and all(phrase.startswith("epochs is ") for phrase in phrases):
        before = found.rungs[0].recipe["epochs"]
        fix = (
            f"A finished trial cannot be made longer or shorter: its learning rates and every other schedule were made "
            f"for {before} epoch{'' if before == 1 else 's'}. Train new trials in another folder, with `out`"
        )
    return f"{'; '.join(phrases[:4])}{more}. {fix}"


class _Refresh:
    """Rebuilds ``results.csv`` after a trial: from all of them, so not more often than every few seconds.

    Another program may hold the file; that costs no trial, since it can be rebuilt at any time.
    """

    def __init__(self, out: Path, callbacks: Callbacks) -> None:
        self._out, self._callbacks = out, callbacks
        self._next = 0.0

    def __call__(self) -> None:
        if monotonic() < self._next:
            return
        self._next = monotonic() + _REFRESH_SECONDS
        if not self._out.is_dir():
            return  # it was removed, which is said by whoever notices, and must not be made again
        try:
            with locked(self._out):
                write_results(load_study(self._out))
        except StorageError as error:
            self._callbacks.message(f"results.csv was not rebuilt ({error}); the report rebuilds it")
