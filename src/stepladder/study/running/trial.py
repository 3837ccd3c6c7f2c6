"""One trial carried out and saved: train, and write the folder. Test is read later; see ``reading``."""

from __future__ import annotations

import math
from contextlib import chdir
from pathlib import Path

from stepladder.data import ImageSet, Splits, make_splits
from stepladder.data.audit import look_first
from stepladder.errors import StudyError
from stepladder.files import remove_parts, replace_text
from stepladder.model import save_model
from stepladder.model.card import render_card
from stepladder.recipe import Recipe
from stepladder.study.design.plan import Trial
from stepladder.study.files.machine import describe_machine, describe_versions, now
from stepladder.study.files.records import DataRecord, TrialResult
from stepladder.study.files.seal import seal_trial
from stepladder.study.files.store import read_result
from stepladder.study.running.energy import EnergyMeter
from stepladder.study.running.execution import Execution
from stepladder.study.running.ownership import own_if_free
from stepladder.study.running.reading import card_facts, read_test
from stepladder.study.running.watch import Watch
from stepladder.training.checkpoint import Checkpoints
from stepladder.training.device import Compute
from stepladder.training.history import EpochRecord, write_history
from stepladder.training.loop import Watched, train_network
from stepladder.training.outcome import TrainedNetwork

#: Where a trial keeps its checkpoints while it runs.
CHECKPOINTS = "checkpoint"


def describe_data(image_set: ImageSet, splits: Splits) -> DataRecord:
    """Return what the study's record keeps of its images."""
    counts = {"train": len(splits.train), "test": len(splits.test)}
    if splits.validation is not None:
        counts = {"train": len(splits.train), "validation": len(splits.validation), "test": len(splits.test)}
    return DataRecord(
        name=image_set.name,
        fingerprint=image_set.fingerprint,
        split=splits.fingerprint,
        class_names=image_set.class_names,
        image_shape=image_set.image_shape,
        counts=counts,
        notes=(*image_set.notes, *splits.notes),
    )


def watched_split(splits: Splits) -> Watched:
    """Return what the curves show: validation, or test where no image was left for validation."""
    return Watched(splits.test, is_test=True) if splits.validation is None else Watched(splits.validation)


def run_trial(
    trial: Trial,
    splits: Splits,
    data: DataRecord,
    folder: Path,
    compute: Compute,
    watch: Watch,
    execution: Execution | None = None,
) -> TrialResult:
    """Train ``trial`` and write ``folder``: ``recipe.toml``, ``history.csv``, ``model/``, and last ``result.json``.

    A folder without ``result.json`` is an unfinished trial, which goes on from its newest checkpoint. The test images
    are not read here, except where ``splits`` has no validation images: then their curve is drawn.

    Raises:
        MemoryError: it ran out of memory beside other trials of this process, and is left unfinished: alone it may end.
        RecipeError, StudyError, StorageError, Stopped: see ``loop.train_network``.
    """
    execution = execution or Execution()
    folder = folder.absolute()  # a technique of the user's own may go to another folder
    watch.trial_started(trial)
    remove_parts(folder)
    replace_text(folder / "recipe.toml", trial.recipe.to_toml())
    checkpoints = Checkpoints(
        folder / CHECKPOINTS,
        {"trial": trial.id, **describe_versions(), "processor": describe_machine(compute.device).processor},
        every_seconds=execution.checkpoint_seconds,
        stop=execution.stop,
        accept_different_bits=execution.accept_different_bits,
        tell=watch.told,
    )
    energy = EnergyMeter()

    def epoch_ended(record: EpochRecord) -> None:
        energy.add()
        watch.epoch_ended(trial, record)

    with execution.stop.observing():
        trained = train_network(
            trial.recipe,
            splits.train,
            watched_split(splits),
            len(data.class_names),
            trial.seed,
            compute,
            on_batch=lambda images: watch.batch_ended(trial, images),
            on_epoch=epoch_ended,
            select_best=trial.select == "best-val",
            checkpoints=checkpoints,
        )
    if trained.ran_out_of_memory and execution.at_once > 1:
        raise MemoryError(trained.failure)
    if not folder.is_dir():
        raise StudyError(f"{folder} was removed while the trial ran; run the same command to start it again")
    write_history(folder / "history.csv", trained.history)
    # The counters are the whole processor's: other trials at the same time, or a part before a stop, make them wrong.
    alone = execution.workers <= 1 and execution.at_once == 1 and not checkpoints.loaded
    result = _result(trial, trained, compute).model_copy(update={"energy_joules": energy.joules() if alone else None})
    if result.status == "finished":
        card = render_card(card_facts(result, trial.recipe.name, data))
        save_model(folder / "model", trained, data.class_names, data.image_shape, compute, card)
    elif trained.error:
        replace_text(folder / "failure.txt", trained.error)
    seal_trial(folder, result)
    checkpoints.remove()
    watch.trial_ended(trial, result)
    return result


def record_failure(
    trial: Trial, folder: Path, reason: str, error: str, compute: Compute, watch: Watch, seconds: float = 0.0
) -> TrialResult:
    """Record that a trial ended without leaving a figure: it raised before its first step, hung, or its process died.

    Args:
        reason: one sentence.
        error: the traceback, if there is one.
    """
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
        failure=reason,
        versions=describe_versions(),
        machine=describe_machine(compute.device),
        finished=now(),
    )
    seal_trial(folder, result)
    remove_checkpoints(folder)
    watch.trial_ended(trial, result)
    return result


def remove_checkpoints(folder: Path) -> None:
    """Remove what a trial kept while it ran."""
    Checkpoints(folder / CHECKPOINTS, {}).remove()


def train_model(
    image_set: ImageSet,
    recipe: Recipe,
    out: Path | str,
    compute: Compute,
    *,
    seed: int = 0,
    validation: float = 0.1,
    drop_leaks: bool = False,
    test: bool = True,
    watch: Watch | None = None,
    execution: Execution | None = None,
) -> TrialResult:
    """Train one recipe with one seed into the folder ``out`` and read test; the same call again only reads the result.

    Args:
        out: the folder of the result.
        seed: decides initial weights, order of the images and augmentation.
        validation: share of the training images held out for the curves; 0 trains on all.
        drop_leaks: take training images that are copies of held-out ones out, instead of only saying so.
        test: whether to read test; a model that was trained without is read by a call with it.
        execution: how it is carried out; a stopped training goes on from its checkpoint.

    Raises:
        StudyError: ``out`` holds something else, or test was to stay unread without images left for validation.
        DataError: the images do not fit the splits.
        RecipeError: the recipe does not fit the images.
        StorageError: ``out`` cannot be written.
    """
    out, watch = Path(out), watch or Watch()
    splits = make_splits(image_set, validation)
    if splits.validation is None and not test:
        raise StudyError("without images for validation the test curve is drawn, so --no-test cannot be; hold some out")
    splits, look = look_first(splits, image_set.class_names, drop_leaks=drop_leaks)
    watch.looked(look)
    data = describe_data(image_set, splits)
    trial = Trial(recipe.name, recipe, seed, data.split, compute.precision)
    found = read_result(out)
    if found is not None and found.trial == trial.id:
        if test and found.status == "finished" and found.test_accuracy is None:  # not wanted then, or stopped before
            return read_test(out, found, splits, data, card_facts(found, recipe.name, data), compute)
        return found
    if found is not None or (out / "study.json").exists():
        raise StudyError(f"{out} holds another result, which would be lost; choose another folder with --out")
    with own_if_free(out) as owned:
        if not owned:
            raise StudyError(f"another process trains in {out}; wait for it, or choose another folder with --out")
        with chdir(Path.cwd()):  # and back: a technique of the user's own may go elsewhere
            result = run_trial(trial, splits, data, out, compute, watch, execution)
    if result.status == "failed" or not test:
        return result
    complete = read_test(out, result, splits, data, card_facts(result, recipe.name, data), compute)
    watch.test_read(trial, complete)
    return complete


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
        selected_epoch=trained.selected_epoch if trained.failure is None else None,
        seconds=trained.seconds,
        # The harmonic mean: epochs have equal images, so this is images over time.
        images_per_second=len(steps) / sum(1 / rate for rate in steps) if steps else None,
        failure=trained.failure,
        warnings=tuple(trained.warnings),
        versions=describe_versions(),
        machine=describe_machine(compute.device),
        finished=now(),
    )


def _finite(loss: float | None) -> float | None:
    """JSON has no NaN; a failed trial's history.csv keeps the figure as it was."""
    return loss if loss is not None and abs(loss) < float("inf") else None
