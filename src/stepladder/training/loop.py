"""One trial from images to a trained network, top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepladder.data import Split
from stepladder.network import Network, trace_network
from stepladder.network.build import build_network
from stepladder.recipe import Recipe
from stepladder.techniques import Progress, Technique
from stepladder.techniques.effect import techniques_without_effect
from stepladder.techniques.guard import check_learned, guarded
from stepladder.techniques.requirements import begin_techniques, check_techniques
from stepladder.training.context import make_context
from stepladder.training.device import Compute, choose_threads, keep_freed_memory
from stepladder.training.evaluate import DeviceSplit, evaluate, prepare_images
from stepladder.training.history import TRAIN_SAMPLE, EpochRecord
from stepladder.training.optimizer import make_optimizer
from stepladder.training.rng import Streams


@dataclass
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
        selected_epoch: whose weights ``module`` has: the last one's, or those of the epoch that validation chose.
    """

    network: Network
    input_shape: tuple[int, int, int]
    module: nn.Sequential
    techniques: list[Technique]
    history: list[EpochRecord] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failure: str | None = None
    selected_epoch: int = 0


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

    Raises:
        RecipeError: the recipe does not fit the images, or a technique does not keep to the rules of its hooks.
    """
    assert not (select_best and watched.is_test), "test chooses nothing"
    started = perf_counter()
    keep_freed_memory()
    device = compute.device
    streams = Streams(seed)
    data = DeviceSplit.load(train, device)
    watched_data = DeviceSplit.load(watched.split, device)
    sample = _fixed_sample(data)

    # What techniques learn, rewrite and prepare is settled before the network is built.
    techniques = recipe.make_techniques()
    context = make_context(recipe, train, num_classes, has_validation=not watched.is_test)
    network = begin_techniques(techniques, context)
    warnings = [] if rehearsal else check_techniques(techniques, context, network)
    for technique in techniques:
        with guarded(technique, "fit"):
            learned = technique.fit(data.batches)
        technique.restore(check_learned(technique, learned), device)
    # Tried before anything is built: a hook that breaks its rules is named here.
    first_images, first_targets = data.take(torch.arange(min(recipe.batch_size, len(data)), device=device))
    idle = techniques_without_effect(
        techniques, recipe.network, first_images, first_targets, Progress(0, context.steps_per_epoch, recipe.epochs)
    )
    warnings += [f"{name} is switched on and changed nothing when tried on one batch" for name in idle]

    channels, height, width = prepare_images(next(iter(data.batches))[:1], techniques).shape[1:]
    input_shape = (channels, height, width)
    costs = trace_network(network, input_shape, num_classes)
    choose_threads(recipe.batch_size * sum(cost.macs for cost in costs))
    module = build_network(network, input_shape, num_classes, streams, device)
    averaged: nn.Sequential | None = None
    averaging = _overriding(techniques, "weights")
    if averaging:
        averaged = build_network(network, input_shape, num_classes, streams, device)
    for technique in _overriding(techniques, "initialize"):
        inputs = (prepare_images(images, techniques) for images in sample.batches)
        with torch.no_grad(), guarded(technique, "initialize"):
            technique.initialize(module, streams, inputs)
    if averaged is not None:
        averaged.load_state_dict(module.state_dict())
    trained = TrainedNetwork(network, input_shape, module if averaged is None else averaged, techniques)
    trained.warnings += warnings

    optimizer = make_optimizer(recipe.optimizer, module)
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    started_by, augmented_by, scheduled_by, before_by, after_by, watched_by = (
        _overriding(techniques, hook)
        for hook in ("batch_started", "augment", "lr_factor", "before_step", "after_step", "epoch_ended")
    )
    compute_loss = _training_loss(techniques)
    order_stream = streams("order")
    augment_streams = {technique.name: streams(f"augment/{technique.name}", device) for technique in techniques}
    steps_per_epoch = context.steps_per_epoch

    def record_epoch(epoch: int, lr: float | None, running: float | None, train_seconds: float | None) -> EpochRecord:
        """Evaluate, and write down the epoch."""
        on_train = evaluate(trained.module, techniques, sample, compute)
        on_watched = evaluate(trained.module, techniques, watched_data, compute)
        name = "test" if watched.is_test else "val"
        curve = {f"{name}_loss": on_watched.loss, f"{name}_accuracy": on_watched.accuracy}
        record = EpochRecord(
            epoch=epoch,
            lr=lr,
            train_loss_running=running,
            train_loss=on_train.loss,
            train_accuracy=on_train.accuracy,
            seconds=perf_counter() - started,
            images_per_second=len(data) / train_seconds if train_seconds else None,
            **curve,
        )
        trained.history.append(record)
        if on_epoch:
            on_epoch(record)
        return record

    best: dict[str, Tensor] = {}
    best_epoch, best_accuracy = 0, -1.0
    untrained = record_epoch(0, None, None, None)
    trained.warnings += _odd_start(untrained, num_classes, data.labels)

    step = 0
    for epoch in range(1, (min(2, recipe.epochs) if rehearsal else recipe.epochs) + 1):
        started = perf_counter()
        module.train()
        # Summed on the device: reading a number off it in every step would make the device wait for Python.
        loss_sum = torch.zeros((), device=device)
        order = torch.randperm(len(data), generator=order_stream).to(device)
        for positions in _batches(order, recipe.batch_size):
            progress = Progress(step, steps_per_epoch, recipe.epochs)
            lr = recipe.optimizer.lr * math.prod(technique.lr_factor(progress) for technique in scheduled_by)
            for group in optimizer.param_groups:
                group["lr"] = lr * group.get("lr_scale", 1)

            images, targets = data.take(positions)
            for technique in started_by:
                technique.batch_started(positions, progress)
            for technique in augmented_by:
                images, targets = technique.augment(images, targets, augment_streams[technique.name])

            with compute.autocast():
                logits = module(prepare_images(images, techniques))
                loss = compute_loss(logits, targets)
            loss.backward()
            with torch.no_grad():
                for technique in before_by:
                    technique.before_step(parameters, lr)
            optimizer.step()
            optimizer.zero_grad()

            step += 1
            with torch.no_grad():
                for technique in after_by:
                    technique.after_step(parameters, Progress(step, steps_per_epoch, recipe.epochs))
                if averaged is not None:
                    current, average = module.state_dict(), averaged.state_dict()
                    for technique in averaging:
                        technique.weights(current, average, Progress(step, steps_per_epoch, recipe.epochs))
            loss_sum += loss.detach() * len(positions)
            if on_batch:
                on_batch(len(positions))

        running = float(loss_sum) / len(data)
        if not math.isfinite(running):
            trained.failure = f"the training loss was not finite in epoch {epoch}; a lower optimizer.lr may help"
            break
        record = record_epoch(epoch, lr, running, perf_counter() - started)
        trained.selected_epoch = epoch
        if not math.isfinite(record.train_loss):
            trained.failure = (
                f"the loss on plain training images was not finite after epoch {epoch}; a lower optimizer.lr may help"
            )
            break
        for technique in watched_by:
            if record.val_loss is not None:
                technique.epoch_ended(record.val_loss)
        if select_best and record.val_accuracy is not None and record.val_accuracy > best_accuracy:
            best_accuracy, best_epoch = record.val_accuracy, epoch
            best = {name: value.clone() for name, value in trained.module.state_dict().items()}
    if best and trained.failure is None:
        trained.module.load_state_dict(best)
        trained.selected_epoch = best_epoch
    return trained


def _batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """Split ``order`` into batches; a lone last image joins the batch before it: one image has no batch statistics."""
    batches = list(order.split(batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _overriding(techniques: Sequence[Technique], hook: str) -> list[Technique]:
    return [technique for technique in techniques if technique.overrides(hook)]


def _training_loss(techniques: Sequence[Technique]) -> Callable[[Tensor, Tensor], Tensor]:
    replacing = _overriding(techniques, "loss")
    return replacing[0].loss if replacing else F.cross_entropy


def _fixed_sample(data: DeviceSplit) -> DeviceSplit:
    """Evenly spaced training images: the same in every trial, and spread over whatever order the files had."""
    if len(data) <= TRAIN_SAMPLE:
        return data
    positions = torch.arange(TRAIN_SAMPLE, device=data.labels.device) * len(data) // TRAIN_SAMPLE
    return data.select(positions)


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
            f"the untrained network is right on {untrained.train_accuracy:.0%} of the training images, far more than "
            f"the {majority:.0%} of the largest class; look at the labels"
        )
    return warnings
