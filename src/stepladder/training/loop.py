"""One trial from images to a trained network, top to bottom."""

from __future__ import annotations

import math
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from stepladder.data import Split
from stepladder.errors import StepladderError, for_want_of_memory
from stepladder.recipe import Recipe
from stepladder.techniques import Progress
from stepladder.techniques.guard import end_copy
from stepladder.training.assembly import Assembly, assemble, overriding
from stepladder.training.checkpoint import Checkpoints
from stepladder.training.clock import Clock
from stepladder.training.device import Compute, keep_freed_memory
from stepladder.training.evaluate import evaluate
from stepladder.training.history import EpochRecord
from stepladder.training.outcome import TrainedNetwork, describe_failure, odd_start
from stepladder.training.snapshot import Place, restore_snapshot, take_snapshot
from stepladder.training.step import make_step


@dataclass(frozen=True)
class Watched:
    """The split whose curve is drawn: validation, or test under the report's own protocol (no validation images)."""

    split: Split
    is_test: bool = False


def train_network(
    recipe: Recipe,
    train: Split,
    watched: Watched,
    num_classes: int,
    seed: int,
    compute: Compute,
    on_batch: Callable[[int], None] | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    rehearsal: bool = False,
    select_best: bool = False,
    checkpoints: Checkpoints | None = None,
) -> TrainedNetwork:
    """Train ``recipe`` on ``train`` with ``seed``. The watched split is only looked at, unless ``select_best``.

    Args:
        train: the training images; statistics are learned from them alone.
        num_classes: labels run from 0 to ``num_classes`` - 1.
        on_batch: called after every step with the number of its images.
        on_epoch: called with every finished epoch's record, epoch 0 among them.
        rehearsal: end after two epochs, to see how long they take, and do not ask whether the techniques fit: ``train``
            may be a handful of images.
        select_best: leave the weights of the epoch with the highest accuracy on the watched split, the earliest of
            several, instead of the last epoch's; not for a watched test split, which may choose nothing.

        checkpoints: where to go on from, if anything is there, and to keep the trial as it goes.

    Raises:
        RecipeError: the recipe does not fit the images, or a technique does not keep to the rules of its hooks.
        StudyError: a checkpoint was made under other conditions.
        StorageError: a checkpoint cannot be written.
        Stopped: it was asked for; the checkpoint has been written.
    """
    assert not (select_best and watched.is_test), "test chooses nothing"
    keep_freed_memory()
    owner = os.getpid()
    clock = Clock()
    assembly = assemble(
        recipe,
        train,
        watched.split,
        num_classes,
        seed,
        compute,
        has_validation=not watched.is_test,
        rehearsal=rehearsal,
    )
    # How many threads its steps take is known only now that the network is.
    conditions = {"threads": str(torch.get_num_threads())}
    saved = None if checkpoints is None else checkpoints.load(conditions)
    if saved is not None:
        place = restore_snapshot(saved, assembly)
        clock.go_on_from(place.seconds, place.epoch_seconds)
    else:
        place = Place(torch.zeros((), device=compute.device), assembly.streams["order"].get_state())
    run = _Run(
        recipe, assembly, place, clock, compute, watched.is_test, on_batch, on_epoch, checkpoints, conditions, owner
    )
    failure: str | None = None
    error_text, ran_out_of_memory = "", False
    try:
        if saved is None:
            untrained = run.record_epoch(0, None)
            place.warnings += assembly.warnings + odd_start(untrained, num_classes, assembly.data.labels)
        failure = run.train(min(2, recipe.epochs) if rehearsal else recipe.epochs, select_best)
    except StepladderError:
        raise
    except Exception as error:
        end_copy(owner)
        # Recorded as this trial's end: the other trials of a study must go on.
        failure, error_text = describe_failure(error, place.epoch), traceback.format_exc()
        ran_out_of_memory = for_want_of_memory(error)

    selected = place.history[-1].epoch if place.history else 0
    if place.best and failure is None:
        assembly.evaluated.load_state_dict(place.best)
        selected = place.best_epoch
    return TrainedNetwork(
        network=assembly.network,
        input_shape=assembly.input_shape,
        module=assembly.evaluated,
        techniques=assembly.techniques,
        history=place.history,
        warnings=place.warnings,
        failure=failure,
        error=error_text,
        ran_out_of_memory=ran_out_of_memory,
        selected_epoch=selected,
        seconds=clock.total,
    )


@dataclass
class _Run:
    """The steps of one trial, from its place to its end."""

    recipe: Recipe
    assembly: Assembly
    place: Place
    clock: Clock
    compute: Compute
    watches_test: bool
    on_batch: Callable[[int], None] | None
    on_epoch: Callable[[EpochRecord], None] | None
    checkpoints: Checkpoints | None
    conditions: dict[str, str]
    owner: int

    def train(self, epochs: int, select_best: bool) -> str | None:
        """Take all steps up to ``epochs`` epochs; return why not, where a loss was not finite."""
        recipe, assembly, place, clock, checkpoints = (
            self.recipe,
            self.assembly,
            self.place,
            self.clock,
            self.checkpoints,
        )
        module, data, order_stream = assembly.module, assembly.data, assembly.streams["order"]
        watched_by = overriding(assembly.techniques, "epoch_ended")
        take_step = make_step(assembly, recipe.optimizer.lr, self.compute, place.loss_sum, recipe.batch_size)
        steps_per_epoch = assembly.steps_per_epoch

        for epoch in range(place.epoch, epochs + 1):
            if place.batch == 0:
                clock.start_epoch()
                place.loss_sum.zero_()
                place.order_state = order_stream.get_state()
            else:
                order_stream.set_state(place.order_state)  # the same order is drawn again
            module.train()
            order = torch.randperm(len(data), generator=order_stream).to(data.labels.device)
            for positions in _batches(order, recipe.batch_size)[place.batch :]:
                place.lr = take_step(positions, Progress(place.step, steps_per_epoch, recipe.epochs))
                place.step, place.batch = place.step + 1, place.batch + 1
                end_copy(self.owner)
                if self.on_batch:
                    self.on_batch(len(positions))
                if checkpoints is not None and checkpoints.due():
                    self.keep()

            running = float(place.loss_sum) / len(data)
            place.warnings += [one for one in take_step.warnings if one not in place.warnings]
            if not math.isfinite(running):
                return f"the training loss was not finite in epoch {epoch}; a lower optimizer.lr may help"
            record = self.record_epoch(epoch, running)
            if not math.isfinite(record.train_loss):
                return (
                    f"the loss on plain training images was not finite after epoch {epoch}; a lower optimizer.lr may "
                    "help"
                )
            for technique in watched_by:
                if record.val_loss is not None:
                    technique.epoch_ended(record.val_loss)
            if select_best and record.val_accuracy is not None and record.val_accuracy > place.best_accuracy:
                place.best_accuracy, place.best_epoch = record.val_accuracy, epoch
                place.best = {name: value.clone() for name, value in assembly.evaluated.state_dict().items()}
            place.epoch, place.batch = epoch + 1, 0
            if checkpoints is not None and checkpoints.due(epoch_ended=True):
                self.keep()
        return None

    def record_epoch(self, epoch: int, running: float | None) -> EpochRecord:
        """Evaluate, and write down the epoch; ``running`` is the mean loss of its batches, None before the first."""
        seconds, assembly = self.clock.epoch, self.assembly
        on_train = evaluate(assembly.evaluated, assembly.techniques, assembly.sample, self.compute)
        on_watched = evaluate(assembly.evaluated, assembly.techniques, assembly.watched, self.compute)
        name = "test" if self.watches_test else "val"
        curve = {f"{name}_loss": on_watched.loss, f"{name}_accuracy": on_watched.accuracy}
        record = EpochRecord(
            epoch=epoch,
            lr=self.place.lr,
            train_loss_running=running,
            train_loss=on_train.loss,
            train_accuracy=on_train.accuracy,
            seconds=self.clock.epoch,
            images_per_second=None if running is None else len(assembly.data) / seconds,
            **curve,
        )
        self.place.history.append(record)
        if self.on_epoch:
            self.on_epoch(record)
        return record

    def keep(self) -> None:
        """Write a checkpoint of this place, and leave if that was asked for."""
        if self.checkpoints is not None:
            self.place.epoch_seconds, self.place.seconds = self.clock.epoch, self.clock.total
            self.checkpoints.save(self.place.step, take_snapshot(self.assembly, self.place), self.conditions)
            self.checkpoints.stop.raise_if_wanted()


def _batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """Split ``order`` into batches; a lone last image joins the batch before it: one image has no batch statistics."""
    batches = list(order.split(batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
