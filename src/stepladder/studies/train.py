"""One recipe, one seed, one model."""

from __future__ import annotations

from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path

from stepladder.datasets import ImageSet
from stepladder.errors import StudyError
from stepladder.files import remove_links
from stepladder.recipe import Recipe
from stepladder.studies.design.rules import Protocol
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.checksums import note_files, noted_files
from stepladder.studies.files.ledger import PlanRead, note_reading
from stepladder.studies.files.machine import now
from stepladder.studies.files.records import TrialResult
from stepladder.studies.files.store import CHECKPOINTS, read_epochs, read_result
from stepladder.studies.judging.learning import NothingLearned, judge_trial
from stepladder.studies.prepare import Prepared, prepare
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution, Job
from stepladder.studies.running.hours import say_hours_of_training
from stepladder.studies.running.locks import try_lock
from stepladder.studies.running.reading import card_facts, read_test, tell_elsewhere
from stepladder.studies.running.trial import run_trial
from stepladder.training.arithmetic import Arithmetic
from stepladder.training.metrics import Metric, find_metric


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
    test: bool = True,
    protocol: Protocol | None = None,
    execution: Execution | None = None,
    callbacks: Callbacks | None = None,
) -> TrainedModel:
    """Train one recipe with one seed into the folder ``out`` and read test; the same call again only reads the result.

    Args:
        out: the folder of the result.
        seed: decides initial weights, order of the images and augmentation.
        test: whether to read test; a model that was trained without is read by a call with it.
        execution: how it is carried out; a stopped training goes on from its checkpoint.

    Raises:
        StudyError: ``out`` holds something else, or test was to stay unread without images left for validation.
        DataError: the images do not fit the splits.
        RecipeError: the recipe does not fit the images.
        StorageError: ``out`` cannot be written.
        Stopped: that was asked for; the same call goes on.
    """
    protocol, execution, callbacks = protocol or Protocol(), execution or Execution(), callbacks or Callbacks()
    if protocol.validation == 0 and not test:
        raise StudyError(
            "without images for validation the test curve is drawn, so test cannot stay unread; give `validation` a "
            "share above 0"
        )
    found = read_result(out)
    for name in ("model", CHECKPOINTS):
        remove_links(out / name)
    alone = replace(execution, workers=1, streams=1)
    prepared = prepare(image_set, recipe, protocol, alone, callbacks, None if found is None else found.precision)
    splits, data, compute = prepared.splits, prepared.data, prepared.compute
    metric = find_metric(protocol.metric, data.class_names, protocol.costs)
    trial = Trial(recipe.name, recipe, seed, data.split, compute.precision, protocol.select, metric.key)
    job = Job(trial, splits, data, out, protocol.metric, protocol.costs)
    if found is not None and found.trial == trial.id:
        if test and found.status == "finished" and found.test_accuracy is None:  # not wanted then, or stopped before
            _note(out, trial, prepared, callbacks)
            found = read_test(job, found, card_facts(found, recipe.name, data), compute)
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
        _note(out, trial, prepared, callbacks)
        result = read_test(job, result, card_facts(result, recipe.name, data), compute)
        callbacks.test_read(trial, result)
    return _trained(job, result, prepared)


def _note(out: Path, trial: Trial, prepared: Prepared, callbacks: Callbacks) -> None:
    plan = PlanRead(trial.id, "training", prepared.data.name, str(out.absolute()), now())
    tell_elsewhere(note_reading(prepared.splits.test, plan), callbacks)


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
