"""One recipe, one seed, one model."""

from __future__ import annotations

from contextlib import chdir
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path

from stepladder.datasets import ImageSet
from stepladder.datasets.splits import join_all
from stepladder.errors import DamagedError, StudyError
from stepladder.files import remove_links
from stepladder.recipe import Recipe
from stepladder.studies.design.rules import Protocol
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.checksums import note_files, noted_files
from stepladder.studies.files.consistency import wrong_with_result
from stepladder.studies.files.ledger import PlanRead, note_reading
from stepladder.studies.files.machine import now
from stepladder.studies.files.predictions import check_predictions
from stepladder.studies.files.records import TrialResult
from stepladder.studies.files.store import CHECKPOINTS, move_aside, read_epochs, read_result
from stepladder.studies.judging.learning import NothingLearned, judge_trial
from stepladder.studies.prepare import Prepared, describe_data, prepare
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution, Job
from stepladder.studies.running.hours import say_hours_of_training
from stepladder.studies.running.locks import try_lock
from stepladder.studies.running.reading import card_facts, read_test, tell_elsewhere
from stepladder.studies.running.trial import run_trial
from stepladder.training.arithmetic import Arithmetic
from stepladder.training.metrics import Metric, find_metric

# All that lies in the folder of a training.
_FILES = frozenset(
    (
        *("recipe.toml", "history.csv", "result.json", "checksums.txt", "model", CHECKPOINTS, "tracking", ".lock"),
        *("predictions.safetensors", "validation.safetensors"),
    )
)


@dataclass(frozen=True)
class Use:
    """What becomes of the test images of a training.

    Attributes:
        test: whether they are read at the end.
        expected: what a study of the recipe measured, a sentence for the card of a model that every image trained.
    """

    test: bool = True
    expected: str | None = None


@dataclass(frozen=True)
class TrainedModel:
    """One training as its folder holds it: how its precision came about, what decides, whether it learned nothing."""

    folder: Path
    result: TrialResult
    arithmetic: Arithmetic
    metric: Metric
    nothing_learned: NothingLearned | None = None


def train_model(
    image_set: ImageSet,
    recipe: Recipe,
    out: Path,
    *,
    seed: int = 0,
    use: Use | None = None,
    protocol: Protocol | None = None,
    execution: Execution | None = None,
    callbacks: Callbacks | None = None,
) -> TrainedModel:
    """Train one recipe with one seed into the folder ``out`` and read test; the same call again only reads the result.

    A training that has ended and whose files are damaged is set aside, said, and trained again, as a trial of a study.

    Args:
        out: the folder of the result.
        seed: decides initial weights, order of the images and augmentation.
        use: what becomes of the test images; a model that was trained without reading them is read by a call with it.
        execution: how it is carried out; a stopped training goes on from its checkpoint.

    Raises:
        StudyError: ``out`` holds something else, or test was to stay unread without images left for validation.
        DataError: the images do not fit the splits.
        RecipeError: the recipe does not fit the images.
        StorageError: ``out`` cannot be written.
        Stopped: that was asked for; the same call goes on.
    """
    protocol, execution, callbacks = protocol or Protocol(), execution or Execution(), callbacks or Callbacks()
    use = use or Use()
    test = use.test and not protocol.all_data
    if protocol.validation == 0 and not test:
        raise StudyError(
            "without images for validation the test curve is drawn, so test cannot stay unread; give `validation` a "
            "share above 0"
        )
    try:
        found = read_result(out)
    except DamagedError as error:
        _set_aside(out, error, callbacks)
        found = None
    for name in ("model", CHECKPOINTS):
        remove_links(out / name)
    alone = replace(execution, workers=1, streams=1)
    begun_with = None if found is None else found.precision
    quiet = _without_leaks(callbacks) if protocol.all_data else callbacks
    prepared = prepare(image_set, recipe, protocol, alone, quiet, begun_with)
    if protocol.all_data:
        prepared = _all_train(image_set, prepared)
    splits, data, compute = prepared.splits, prepared.data, prepared.compute
    metric = find_metric(protocol.metric, data.class_names, protocol.costs)
    trial = Trial(recipe.name, recipe, seed, data.split, compute.precision, protocol.select, metric.key)
    job = Job(trial, splits, data, out, protocol.metric, protocol.costs, protocol.all_data, use.expected)
    if found is not None and found.trial == trial.id:
        try:
            _refuse_damaged(job, found)
        except DamagedError as error:
            _set_aside(out, error, callbacks)
            found = None
    if found is not None and found.trial == trial.id:
        if test and found.status == "finished" and found.test_accuracy is None:  # not wanted then, or stopped before
            elsewhere = _note(out, trial, prepared, callbacks)
            found = read_test(job, found, card_facts(out, found, recipe.name, data, elsewhere), compute)
        return _trained(job, found, prepared)
    if found is not None or (out / "study.json").exists():
        raise StudyError(f"{out} holds another result, which would be lost; choose another folder with `out`")
    say_hours_of_training(recipe, splits, data, compute, callbacks)
    with try_lock(out) as owned:
        if not owned:
            raise StudyError(f"another process trains in {out}; wait for it, or choose another folder with `out`")
        with chdir(Path.cwd()):  # and back: a technique of the user's own may go elsewhere
            result = run_trial(job, compute, callbacks, execution)
    if result.status == "finished" and test:
        elsewhere = _note(out, trial, prepared, callbacks)
        result = read_test(job, result, card_facts(out, result, recipe.name, data, elsewhere), compute)
        callbacks.test_read(trial, result)
    return _trained(job, result, prepared)


def _refuse_damaged(job: Job, found: TrialResult) -> None:
    """Raise DamagedError where the files of a training that has ended do not fit one another."""
    if (wrong := wrong_with_result(found, job.trial)) is not None:
        raise DamagedError(f"{job.folder / 'result.json'} is damaged ({wrong})", "remove it to run the trial again")
    read_epochs(job.folder, found)
    if found.test_accuracy is None:
        return
    classes, validation = len(job.data.class_names), job.splits.validation
    check_predictions(job.folder, len(job.splits.test), classes)
    if validation is not None:
        check_predictions(job.folder, len(validation), classes, "validation")


def _set_aside(out: Path, error: DamagedError, callbacks: Callbacks) -> None:
    """Move a damaged training out of the way, so that it is trained again; nothing is deleted.

    Raises:
        DamagedError: there are other files in its folder, which are not to be moved with it.
    """
    if not {path.name for path in out.iterdir()} <= _FILES:
        raise error
    target = move_aside(out)
    if (target / "tracking").is_dir():  # whose files trackers have opened by now
        out.mkdir()
        (target / "tracking").rename(out / "tracking")
    callbacks.message(
        f"The training in {out} is damaged: {error.what}. It was set aside as {target.name}, and is trained again."
    )


def _without_leaks(callbacks: Callbacks) -> Callbacks:
    """Copies across splits say nothing where all of them train."""
    quiet = copy(callbacks)
    quiet.leaks_checked = Callbacks().leaks_checked  # type: ignore[method-assign]
    return quiet


def _all_train(image_set: ImageSet, prepared: Prepared) -> Prepared:
    """Return what is trained on without any image held out."""
    splits = join_all(prepared.splits)
    data = describe_data(image_set, splits)
    note = f"Every image trains ({len(splits.train):,}), and none is left to test."
    notes = (*(one for one in prepared.data.notes if "set aside" not in one), note)
    return replace(
        prepared,
        splits=splits,
        data=data.model_copy(update={"counts": {"train": len(splits.train)}, "notes": notes}),
    )


def _note(out: Path, trial: Trial, prepared: Prepared, callbacks: Callbacks) -> int:
    """Note that test is read, and return how many other plans had read it before, which is said."""
    plan = PlanRead(trial.id, "training", prepared.data.name, str(out.absolute()), now())
    elsewhere = note_reading(prepared.splits.test, plan)
    tell_elsewhere(elsewhere, callbacks)
    return elsewhere


def _trained(job: Job, result: TrialResult, prepared: Prepared) -> TrainedModel:
    out, splits = job.folder, job.splits
    if "model/README.md" not in noted_files(out):  # only now: it tells of test, which is read last
        note_files(out, ("model/README.md",))
    labels = {"train": splits.train.labels}
    if splits.validation is not None:
        labels["validation"] = splits.validation.labels
    history = read_epochs(out, result)
    nothing = judge_trial(out, result, history, labels, job.data.class_names, job.trial.recipe.batch_size)
    return TrainedModel(out, result, prepared.arithmetic, job.measured_by, nothing)
