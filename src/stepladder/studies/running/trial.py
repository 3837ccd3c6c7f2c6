"""One trial carried out and saved: train, and write the folder. Test is read later; see ``reading``."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from stepladder.datasets import Split, Splits
from stepladder.errors import StudyError
from stepladder.files import remove_parts, replace_text
from stepladder.model import save_model
from stepladder.model.card import render_card
from stepladder.model.training_images import TrainingImages, write_training_images
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.checksums import save_result
from stepladder.studies.files.machine import describe_machine, describe_versions, now
from stepladder.studies.files.records import TrialResult
from stepladder.studies.files.store import CHECKPOINTS
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.energy import EnergyMeter
from stepladder.studies.running.execution import Execution, Job
from stepladder.studies.running.reading import card_facts
from stepladder.training.assembly import TrainingData
from stepladder.training.checkpoint import Checkpoints
from stepladder.training.device import Compute
from stepladder.training.engine import engine_versions
from stepladder.training.history import EpochRecord, write_history
from stepladder.training.loop import TrainedNetwork, TrainingCallbacks, train_network
from stepladder.training.metrics import Metric


def watched_images(splits: Splits) -> Split:
    """Return the images whose curve is drawn: validation, or test where no image was left for validation."""
    return splits.test if splits.validation is None else splits.validation


def training_data(splits: Splits, num_classes: int, metric: Metric | None = None) -> TrainingData:
    """Return what a trial trains on; its curves show validation, or test where no image was left for validation.

    Args:
        metric: what decides; None for accuracy.
    """
    if splits.validation is None:
        return TrainingData(splits.train, splits.test, num_classes, watches_test=True)
    return TrainingData(splits.train, splits.validation, num_classes, metric=metric)


def run_trial(job: Job, compute: Compute, callbacks: Callbacks, execution: Execution) -> TrialResult:
    """Train a trial and write its folder: ``recipe.toml``, ``history.csv``, ``model/``, and last ``result.json``.

    A folder without ``result.json`` is an unfinished trial, which goes on from its newest checkpoint. The test images
    are not read here, except where ``splits`` has no validation images: then their curve is drawn.

    Raises:
        MemoryError: it ran out of memory beside other trials of this process, and is left unfinished: alone it may end.
        RecipeError, StudyError, StorageError, Stopped: see ``loop.train_network``.
    """
    trial, splits, data = job.trial, job.splits, job.data
    folder = job.folder.absolute()  # a technique of the user's own may go to another folder
    callbacks.trial_started(trial)
    remove_parts(folder)
    replace_text(folder / "recipe.toml", trial.recipe.to_toml())
    checkpoints = Checkpoints(
        folder / CHECKPOINTS,
        {
            "trial": trial.id,
            **describe_versions(),
            **engine_versions([trial.recipe], compute),
            "processor": describe_machine(compute.device).processor,
        },
        every_seconds=execution.checkpoint_seconds,
        stop=execution.stop,
        accept_different_bits=execution.accept_different_bits,
        tell=callbacks.message,
    )
    energy = EnergyMeter()

    def epoch_ended(record: EpochRecord) -> None:
        energy.add()
        callbacks.epoch_ended(trial, record)

    def features_computed(done: int, total: int) -> None:
        callbacks.features_computed(trial, done, total)
        execution.stop.raise_if_wanted()  # what is there is kept

    with execution.stop.observing():
        images = training_data(splits, len(data.class_names), None if job.metric == "accuracy" else job.measured_by)
        trained = train_network(
            trial.recipe,
            replace(images, watched=None, watches_test=False) if job.all_train else images,
            trial.seed,
            compute,
            TrainingCallbacks(lambda images: callbacks.batch_ended(trial, images), epoch_ended, features_computed),
            select_best=trial.select == "best-val",
            checkpoints=checkpoints,
        )
    if trained.ran_out_of_memory and execution.streams > 1:
        raise MemoryError(trained.failure)
    if not folder.is_dir():
        raise StudyError(f"{folder} was removed while the trial ran; run the same command to start it again")
    write_history(folder / "history.csv", trained.history)
    # The counters are the whole processor's: other trials at the same time, or a part before a stop, make them wrong.
    alone = execution.workers == 1 and execution.streams == 1 and not checkpoints.loaded
    result = _result(trial, trained, compute).model_copy(update={"energy_joules": energy.joules() if alone else None})
    if result.status == "finished":
        trained_on = TrainingImages.of(splits.train, data.name, data.fingerprint, len(data.class_names))
        write_training_images(folder / "model", trained_on)
        card = render_card(replace(card_facts(folder, result, trial.recipe.name, data), expected=job.expected))
        save_model(folder / "model", trained, data.class_names, data.image_shape, compute, card, data.fit, data.span)
    elif trained.error:
        replace_text(folder / "failure.txt", trained.error)
    save_result(folder, result)
    checkpoints.remove()
    callbacks.trial_ended(trial, result)
    return result


def record_failure(
    job: Job, reason: str, error: str, compute: Compute, callbacks: Callbacks, seconds: float = 0.0
) -> TrialResult:
    """Record that a trial ended without leaving a figure: it raised before its first step, hung, or its process died.

    Args:
        reason: one sentence.
        error: the traceback, if there is one.
    """
    trial, folder = job.trial, job.folder
    replace_text(folder / "recipe.toml", trial.recipe.to_toml())
    write_history(folder / "history.csv", ())
    if error:
        replace_text(folder / "failure.txt", error)
    result = TrialResult(
        trial=trial.id,
        seed=trial.seed,
        techniques=tuple(setting.name for setting in trial.recipe.techniques),
        status="failed",
        epochs=0,
        seconds=seconds,
        images_per_second=None,
        precision=compute.precision,
        failure=reason,
        versions=describe_versions(),
        machine=describe_machine(compute.device),
        finished=now(),
    )
    save_result(folder, result)
    remove_checkpoints(folder)
    callbacks.trial_ended(trial, result)
    return result


def remove_checkpoints(folder: Path) -> None:
    """Remove what a trial kept while it ran."""
    Checkpoints(folder / CHECKPOINTS, {}).remove()


def _result(trial: Trial, trained: TrainedNetwork, compute: Compute) -> TrialResult:
    untrained = EpochRecord(0, None, None, math.nan, 0.0, 0.0, None)
    last = trained.history[-1] if trained.history else untrained
    steps = [record.images_per_second for record in trained.history if record.images_per_second]
    return TrialResult(
        trial=trial.id,
        seed=trial.seed,
        techniques=tuple(setting.name for setting in trial.recipe.techniques),
        status="finished" if trained.failure is None else "failed",
        epochs=last.epoch,
        train_loss=_finite(last.train_loss),
        train_accuracy=last.train_accuracy if trained.history else None,
        val_loss=_finite(last.val_loss),
        val_accuracy=last.val_accuracy,
        val_score=last.val_score,
        selected_epoch=trained.selected_epoch if trained.failure is None else None,
        seconds=trained.seconds,
        # The harmonic mean: epochs have equal images, so this is images over time.
        images_per_second=len(steps) / sum(1 / rate for rate in steps) if steps else None,
        precision=compute.precision,
        failure=trained.failure,
        warnings=tuple(trained.warnings),
        versions=describe_versions() | engine_versions([trial.recipe], compute),
        machine=describe_machine(compute.device),
        finished=now(),
    )


def _finite(loss: float | None) -> float | None:
    """JSON has no NaN; a failed trial's history.csv keeps the figure as it was."""
    return loss if loss is not None and abs(loss) < float("inf") else None
