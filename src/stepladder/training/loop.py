"""One trial from images to a trained network, top to bottom: the trial, its epochs, the step, what it leaves."""

from __future__ import annotations

import math
import os
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepladder.errors import StepladderError, described, for_want_of_memory
from stepladder.network import Network
from stepladder.recipe import Recipe
from stepladder.techniques import Progress, Technique
from stepladder.techniques.guard import end_copy, raised_in_hook
from stepladder.training.assembly import Assembly, TrainingData, assemble, overriding
from stepladder.training.checkpoint import Checkpoints
from stepladder.training.cuda_graphs import StepRecorder
from stepladder.training.device import Compute, keep_freed_memory
from stepladder.training.evaluate import evaluate, prepare_images
from stepladder.training.frozen import FeatureSplit
from stepladder.training.history import EpochRecord
from stepladder.training.optimizer import takes_rate_as_tensor
from stepladder.training.snapshot import Place, restore_snapshot, take_snapshot


@dataclass(frozen=True)
class TrainingCallbacks:
    """What is called while a trial trains.

    Attributes:
        on_batch: called after every step with the number of its images.
        on_epoch: called with every finished epoch's record, epoch 0 among them.
        on_features: called while the features of frozen layers are worked out, with images done and in all.
        on_start: called once with all that was settled before the first step; who keeps it sees the weights change.
    """

    on_batch: Callable[[int], None] | None = None
    on_epoch: Callable[[EpochRecord], None] | None = None
    on_features: Callable[[int, int], None] | None = None
    on_start: Callable[[Assembly], None] | None = None


def train_network(
    recipe: Recipe,
    images: TrainingData,
    seed: int,
    compute: Compute,
    callbacks: TrainingCallbacks | None = None,
    *,
    rehearsal: bool = False,
    select_best: bool = False,
    checkpoints: Checkpoints | None = None,
) -> TrainedNetwork:
    """Train ``recipe`` on ``images.train`` with ``seed``; the watched split is only looked at, unless ``select_best``.

    Args:
        seed: decides initial weights, order of the images and augmentation; any integer.
        rehearsal: end after two epochs, to see how long they take, and do not ask whether the techniques fit: there may
            be only a handful of training images.
        select_best: leave the weights of the epoch that is best on the watched split by what decides, the earliest of
            several, instead of the last epoch's; not for a watched test split, which may choose nothing.
        checkpoints: where to go on from, if anything is there, and to keep the trial as it goes.

    Raises:
        RecipeError: the recipe does not fit the images, or a technique does not keep to the rules of its hooks.
        StudyError: a checkpoint was made under other conditions.
        StorageError: a checkpoint cannot be written.
        Stopped: it was asked for; the checkpoint has been written.
    """
    assert not (select_best and images.watches_test), "test chooses nothing"
    keep_freed_memory()
    owner = os.getpid()
    clock = _Clock()
    callbacks = callbacks or TrainingCallbacks()
    assembly = assemble(recipe, images, seed, compute, rehearsal=rehearsal, tell=callbacks.on_features)
    if callbacks.on_start:
        callbacks.on_start(assembly)
    # How many threads its steps take is known only now that the network is.
    conditions = {"threads": str(torch.get_num_threads())}
    saved = None if checkpoints is None else checkpoints.load(conditions)
    if saved is not None:
        place = restore_snapshot(saved, assembly)
        clock.go_on_from(place.seconds, place.epoch_seconds)
    else:
        place = Place(torch.zeros((), device=compute.device), assembly.streams["order"].get_state())
    run = _Run(
        recipe,
        assembly,
        place,
        clock,
        compute,
        images,
        callbacks,
        checkpoints,
        conditions,
        owner,
    )
    failure: str | None = None
    error_text, ran_out_of_memory = "", False
    try:
        if saved is None:
            untrained = run.record_epoch(0, None)
            place.warnings += assembly.warnings
            # One that begins from what another has learned is no untrained one.
            if not any(technique.begins_from_weights for technique in assembly.techniques):
                place.warnings += _odd_start(untrained, images.num_classes, assembly.data.labels)
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
        module=assembly.trained,
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
    """The epochs of one trial, from its place to its end."""

    recipe: Recipe
    assembly: Assembly
    place: Place
    clock: _Clock
    compute: Compute
    images: TrainingData
    callbacks: TrainingCallbacks
    checkpoints: Checkpoints | None
    conditions: dict[str, str]
    owner: int

    def train(self, epochs: int, select_best: bool) -> str | None:
        """Take all steps up to ``epochs`` epochs; return why not, where a loss was not finite."""
        recipe, assembly, place, checkpoints = self.recipe, self.assembly, self.place, self.checkpoints
        module, data, order_stream = assembly.module, assembly.data, assembly.streams["order"]
        on_batch = self.callbacks.on_batch
        watched_by = overriding(assembly.techniques, "epoch_ended")
        take_step = make_step(assembly, recipe.optimizer.lr, self.compute, place.loss_sum, recipe.batch_size)
        steps_per_epoch = assembly.steps_per_epoch
        weights = image_weights(assembly.techniques, data.labels.cpu())

        for epoch in range(place.epoch, epochs + 1):
            if place.batch == 0:
                self.clock.start_epoch()
                place.loss_sum.zero_()
                place.order_state = order_stream.get_state()
            else:
                order_stream.set_state(place.order_state)  # the same order is drawn again
            module.train()
            order = draw_order(len(data), weights, order_stream).to(data.labels.device)
            for positions in _batches(order, recipe.batch_size)[place.batch :]:
                place.lr = take_step(positions, Progress(place.step, steps_per_epoch, recipe.epochs))
                place.step, place.batch = place.step + 1, place.batch + 1
                end_copy(self.owner)
                if on_batch:
                    on_batch(len(positions))
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
            score = self.score_of(record)
            if select_best and score is not None and (place.best_score is None or score > place.best_score):
                place.best_score, place.best_epoch = score, epoch
                place.best = {name: value.clone() for name, value in assembly.evaluated.state_dict().items()}
            place.epoch, place.batch = epoch + 1, 0
            if checkpoints is not None and checkpoints.due(epoch_ended=True):
                self.keep()
        return None

    def score_of(self, record: EpochRecord) -> float | None:
        """Return an epoch's figure on validation by what decides, turned so that higher is better; None without one."""
        metric = self.images.metric
        if metric is None:
            return record.val_accuracy
        value = metric.on_validation(record)
        return None if value is None or math.isnan(value) else metric.sign * value

    def record_epoch(self, epoch: int, running: float | None) -> EpochRecord:
        """Evaluate, and write down the epoch; ``running`` is the mean loss of its batches, None before the first."""
        seconds, assembly = self.clock.epoch, self.assembly
        on_train = evaluate(assembly.evaluated, assembly.techniques, assembly.sample, self.compute)
        metric, watches_test = self.images.metric, self.images.watches_test
        measure = None if metric is None or metric.is_usual or watches_test else metric.measure
        curve: dict[str, float] = {}
        if assembly.watched is not None:
            on_watched = evaluate(assembly.evaluated, assembly.techniques, assembly.watched, self.compute, measure)
            name = "test" if watches_test else "val"
            curve = {f"{name}_loss": on_watched.loss, f"{name}_accuracy": on_watched.accuracy}
            if on_watched.metric is not None:
                curve["val_score"] = on_watched.metric
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
        if self.callbacks.on_epoch:
            self.callbacks.on_epoch(record)
        return record

    def keep(self) -> None:
        """Write a checkpoint of this place, and leave if that was asked for."""
        if self.checkpoints is not None:
            self.place.epoch_seconds, self.place.seconds = self.clock.epoch, self.clock.total
            self.checkpoints.save(self.place.step, take_snapshot(self.assembly, self.place), self.conditions)
            self.checkpoints.stop.raise_if_wanted()


class TrainingStep:
    """One training step: from the positions of a batch to changed weights.

    Args:
        base_lr: the recipe's learning rate, which techniques scale.
        loss_sum: float32 (), the losses of all images since it was last set to zero; each step adds to it in place.
        recorder: takes what a GPU does in a step by replaying a recording of it; None launches kernel after kernel.
    """

    def __init__(
        self,
        assembly: Assembly,
        base_lr: float,
        compute: Compute,
        loss_sum: Tensor,
        recorder: StepRecorder | None = None,
    ) -> None:
        self._assembly, self._base_lr, self._compute = assembly, base_lr, compute
        self._loss_sum, self._recorder = loss_sum, recorder
        self._compute_loss = training_loss(assembly.techniques)
        # Views of frozen layers' features were augmented before.
        image_hooks = () if isinstance(assembly.data, FeatureSplit) else ("augment",)
        self._weights: tuple[dict[str, Tensor], dict[str, Tensor]] | None = None
        self._hooks = {
            hook: overriding(assembly.techniques, hook)
            for hook in ("batch_started", *image_hooks, "lr_factor", "before_step", "after_step", "weights")
        }

    @property
    def warnings(self) -> list[str]:
        """What a reader of the result should know of how the steps were taken."""
        return [] if self._recorder is None else self._recorder.warnings

    def __call__(self, positions: Tensor, progress: Progress) -> float:
        """Train on the images at ``positions`` (int64 (B,), on the device) and return the learning rate."""
        lr = self._base_lr * math.prod(technique.lr_factor(progress) for technique in self._hooks["lr_factor"])
        if self._recorder is None:
            for group in self._assembly.optimizer.param_groups:
                group["lr"] = lr * group.get("lr_scale", 1)
        else:
            positions = self._recorder.load(positions, lr)
        for technique in self._hooks["batch_started"]:
            technique.batch_started(positions, progress)
        if self._recorder is None:
            self.train_on(positions, lr)
        else:
            self._recorder.run(self.train_on, positions)
        self._follow_weights(Progress(progress.step + 1, progress.steps_per_epoch, progress.epochs))
        return lr

    def train_on(self, positions: Tensor, lr: float | Tensor) -> None:
        """Forward, backward, optimizer: all that a device does in a step.

        Nothing here waits for the device, or asks Python about the step at hand, so that it can be recorded.
        """
        assembly = self._assembly
        images, targets = assembly.data.take(positions)
        for technique in self._hooks.get("augment", ()):
            images, targets = technique.augment(images, targets, assembly.streams[f"augment/{technique.name}"])
        with self._compute.autocast():
            logits = assembly.module(prepare_images(images, assembly.techniques))
            loss = self._compute_loss(logits, targets)
        loss.backward()
        with torch.no_grad():
            for technique in self._hooks["before_step"]:
                technique.before_step(assembly.parameters, lr)
        assembly.optimizer.step()
        assembly.optimizer.zero_grad()
        # Summed on the device: reading a number off it in every step would make the device wait for Python.
        self._loss_sum += loss.detach() * len(positions)

    @torch.no_grad()
    def _follow_weights(self, after: Progress) -> None:
        assembly = self._assembly
        for technique in self._hooks["after_step"]:
            technique.after_step(assembly.parameters, after)
        if assembly.averaged is not None:
            # Views of the weights, made once: every change of them is in place.
            self._weights = self._weights or (assembly.module.state_dict(), assembly.averaged.state_dict())
            for technique in self._hooks["weights"]:
                technique.weights(*self._weights, after)


def make_step(assembly: Assembly, base_lr: float, compute: Compute, loss_sum: Tensor, batch_size: int) -> TrainingStep:
    """Return the step that is fastest on the device: recorded on a CUDA GPU, where the optimizer lets it be."""
    recorder = None
    # Features are drawn by a generator on the CPU, which no recording repeats; without their layers a step is short.
    recordable = takes_rate_as_tensor(assembly.optimizer) and not isinstance(assembly.data, FeatureSplit)
    if compute.replay and compute.device.type == "cuda" and recordable:
        recorder = StepRecorder(assembly, compute, batch_size)
    return TrainingStep(assembly, base_lr, compute, loss_sum, recorder)


def image_weights(techniques: Sequence[Technique], labels: Tensor) -> Tensor | None:
    """Return how often each training image is drawn, float64 (N,); None where each is drawn once an epoch."""
    weights: Tensor | None = None
    for technique in overriding(techniques, "image_weights"):
        found = technique.image_weights(labels)
        if found is not None:
            weights = found if weights is None else weights * found
    return weights


def draw_order(images: int, weights: Tensor | None, stream: torch.Generator) -> Tensor:
    """Return the positions of the images of one epoch, int64 (N,): each once, or drawn by ``weights``."""
    if weights is None:
        return torch.randperm(images, generator=stream)
    # By the inverse of the cumulated weights: torch.multinomial takes no more than 2²⁴ categories.
    cumulated = weights.cumsum(0)
    drawn = torch.rand(images, generator=stream, dtype=torch.float64) * cumulated[-1]
    return torch.searchsorted(cumulated, drawn, right=True).clamp(max=images - 1)


def training_loss(techniques: Sequence[Technique]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return what training minimizes: a technique's loss, or the mean cross-entropy of logits and targets."""
    replacing = overriding(techniques, "loss")
    return replacing[0].loss if replacing else F.cross_entropy


@dataclass(repr=False)
class TrainedNetwork:
    """What a trial leaves: the network with all that prediction needs, and the record of its training.

    Attributes:
        network: the layer list after the techniques' rewriting.
        input_shape: (C, H, W) of what the network reads, after the techniques' ``prepare``.
        module: its trained form, from float32 (N, C, H, W) to logits (N, classes).
        techniques: fitted, in recipe order.
        history: epoch 0 (untrained) and every epoch finished.
        warnings: what a reader of the result should know, a sentence each.
        failure: why training stopped early; None when it did not.
        error: the traceback of what was raised, where that was why.
        ran_out_of_memory: whether that was for want of memory, which other trials may have taken.
        selected_epoch: whose weights ``module`` has: the last one's, or those of the epoch that validation chose.
        seconds: wall time of the training with its evaluations, over all the times that it was stopped and went on.
    """

    network: Network
    input_shape: tuple[int, int, int]
    module: nn.Sequential
    techniques: list[Technique]
    history: list[EpochRecord] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failure: str | None = None
    error: str = ""
    ran_out_of_memory: bool = False
    selected_epoch: int = 0
    seconds: float = 0.0

    def __repr__(self) -> str:
        if self.failure is not None:
            return f"TrainedNetwork(failed: {self.failure[:300]})"
        told = f"epoch {self.selected_epoch} of {len(self.history) - 1}, {self.seconds:.1f} s"
        if self.history:
            told += f", training accuracy {100 * self.history[-1].train_accuracy:.1f} %"
        return f"TrainedNetwork({told})"


def describe_failure(error: Exception, epoch: int) -> str:
    """Return why a trial ended early in ``epoch``, one sentence with a fix where there is one."""
    if for_want_of_memory(error):
        return (
            f"out of memory in epoch {epoch}; the batch size was not changed, since that would be another recipe: use "
            "a smaller batch size or a smaller network"
        )
    return f"{raised_in_hook(error) or described(error)} in epoch {epoch}"


def _odd_start(untrained: EpochRecord, num_classes: int, labels: Tensor) -> list[str]:
    """Warn where an untrained network does not behave like one: loss ln(classes), accuracy no better than one class."""
    warnings = []
    expected = math.log(num_classes)
    if not abs(untrained.train_loss - expected) <= 0.25 * expected:
        warnings.append(
            f"the untrained loss is {untrained.train_loss:.2f} nats where ln({num_classes}) = {expected:.2f} is "
            f"expected; look at the scale of the images and of the initial weights"
        )
    majority = int(labels.bincount().max()) / len(labels)
    if untrained.train_accuracy > majority + 0.25:
        warnings.append(
            f"the untrained network is right on {100 * untrained.train_accuracy:.0f} % of the training images, far "
            f"more than the {100 * majority:.0f} % of the largest class; look at the labels"
        )
    return warnings


def _batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """Split ``order`` into batches; a lone last image joins the batch before it: one image has no batch statistics."""
    batches = list(order.split(batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


class _Clock:
    """Wall time of a trial and of its epoch, over all the times that it was stopped and went on.

    Counts from when it is made, by a clock that never goes back.
    """

    def __init__(self) -> None:
        self._started = self._epoch_started = perf_counter()

    def go_on_from(self, total: float, epoch: float) -> None:
        """Count what ran before as well: ``total`` seconds of the trial, ``epoch`` of the epoch under way."""
        self._started -= total
        self._epoch_started = perf_counter() - epoch

    def start_epoch(self) -> None:
        """An epoch starts."""
        self._epoch_started = perf_counter()

    @property
    def epoch(self) -> float:
        """Seconds of the epoch so far."""
        return perf_counter() - self._epoch_started

    @property
    def total(self) -> float:
        """Seconds of the trial so far."""
        return perf_counter() - self._started
