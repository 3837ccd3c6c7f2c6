"""Everything of a trial that is settled before its first step: techniques fitted, network built, optimizer made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from stepladder.datasets import Split
from stepladder.errors import RecipeError
from stepladder.network import Network, trace_network
from stepladder.network.build import build_network
from stepladder.network.layers import SeededDropout
from stepladder.network.own_random import SeededModules
from stepladder.network.spec import walk
from stepladder.recipe import Recipe
from stepladder.techniques import Context, Progress, Technique
from stepladder.techniques.guard import check_initialized, check_learned, guarded, watch_batches
from stepladder.techniques.requirements import begin_techniques, check_techniques, techniques_without_effect
from stepladder.training.device import Compute, choose_threads
from stepladder.training.evaluate import DeviceSplit, Examples, prepare_images
from stepladder.training.frozen import (
    FeatureSplit,
    FrozenLayers,
    Tell,
    divided,
    find_frozen,
    freeze_layers,
    keeps_features,
)
from stepladder.training.history import TRAIN_SAMPLE
from stepladder.training.metrics import Metric
from stepladder.training.optimizer import Steps, make_optimizer
from stepladder.training.rng import Streams

_Kind = TypeVar("_Kind", DeviceSplit, FeatureSplit)


@dataclass(frozen=True, repr=False)
class TrainingData:
    """The images of a trial.

    Attributes:
        train: the training images; statistics are learned from them alone.
        watched: the images whose curve is drawn: validation, or test under the report's own protocol (no validation
            images). They are only looked at, unless validation chooses the epoch. None where every image trains.
        num_classes: labels run from 0 to ``num_classes`` - 1.
        watches_test: whether ``watched`` is the test split, which may choose nothing and which no technique may read.
        metric: what decides, where that is not accuracy: the watched images are measured by it after each epoch.
    """

    train: Split
    watched: Split | None
    num_classes: int
    watches_test: bool = False
    metric: Metric | None = None

    def __repr__(self) -> str:
        name = "test" if self.watches_test else "validation"
        watched = "no other" if self.watched is None else f"{len(self.watched):,} {name}"
        return f"TrainingData({len(self.train):,} training and {watched} images, {self.num_classes} classes)"


@dataclass(frozen=True, repr=False)
class Assembly:
    """A trial before its first step; the same recipe, data and seed always give the same one.

    Attributes:
        data: the training images, on the device; or what the frozen layers make of them.
        sample: those of them on which training accuracy and loss are measured.
        watched: the images whose curve is drawn.
        network: the layer list after the techniques' rewriting.
        input_shape: (C, H, W) of what the network reads, after the techniques' ``prepare``.
        module: the network that the steps change: the layers behind the frozen ones, where these are worked out once.
        averaged: its average, evaluated and saved in its place; None where no technique averages.
        trained: the whole network that is saved; it shares its layers with ``averaged`` or ``module``.
        techniques: fitted, in recipe order.
        parameters: those of ``module`` that learn.
        streams: every generator that the steps draw from: ``order``, ``augment/<technique>``, ``dropout/<layer>``,
            ``random/own/<device>``.
        steps_per_epoch: steps in one pass over the training images.
        warnings: what a reader of the result should know, a sentence each.
    """

    data: Examples
    sample: Examples
    watched: Examples | None
    network: Network
    input_shape: tuple[int, int, int]
    module: nn.Sequential
    averaged: nn.Sequential | None
    trained: nn.Sequential
    techniques: list[Technique]
    optimizer: Steps
    parameters: list[Tensor]
    streams: dict[str, torch.Generator]
    steps_per_epoch: int
    warnings: list[str]

    def __repr__(self) -> str:
        names = ", ".join(technique.name for technique in self.techniques[:10]) or "none"
        weights = sum(parameter.numel() for parameter in self.parameters)
        return f"Assembly({len(self.data):,} training images, {weights:,} weights, techniques: {names})"

    @property
    def evaluated(self) -> nn.Sequential:
        """The network that is evaluated: ``trained``, or its layers behind the frozen ones."""
        return self.module if self.averaged is None else self.averaged


def assemble(
    recipe: Recipe,
    images: TrainingData,
    seed: int,
    compute: Compute,
    *,
    rehearsal: bool = False,
    tell: Tell | None = None,
) -> Assembly:
    """Settle everything about a trial, and take no step.

    Args:
        rehearsal: do not ask whether the techniques fit: there may be only a handful of training images.
        tell: called while the features of frozen layers are worked out, with images done and in all.

    Raises:
        RecipeError: the recipe does not fit the images, or a technique does not keep to the rules of its hooks.
    """
    device = compute.device
    num_classes, streams = images.num_classes, Streams(seed)
    data = DeviceSplit.load(images.train, device)
    sample = _fixed_sample(data)

    # What techniques learn, rewrite and prepare is settled before the network is built.
    techniques = recipe.make_techniques()
    context = make_context(
        recipe, images.train, num_classes, has_validation=images.watched is not None and not images.watches_test
    )
    network, input_shape = begin_techniques(techniques, context)
    warnings = [] if rehearsal else check_techniques(techniques)
    for technique in techniques:
        with guarded(technique, "fit"):
            learned = technique.fit(watch_batches(technique, "fit", data.batches))
        technique.restore(check_learned(technique, learned), device)
    # Tried before anything is built: a hook that breaks its rules is named here.
    first_images, first_targets = data.take(torch.arange(min(recipe.batch_size, len(data)), device=device))
    idle = techniques_without_effect(
        techniques, recipe.network, first_images, first_targets, Progress(0, context.steps_per_epoch, recipe.epochs)
    )
    warnings += [f"{name} is switched on and changed nothing when tried on one batch" for name in idle]

    frozen = find_frozen(techniques, network)
    # Layers whose features are worked out beforehand are no part of a step.
    apart = {layer.name for _, layer in walk(network.layers[: frozen.layers])} if keeps_features(techniques) else set()
    costs = trace_network(network, input_shape, num_classes)
    macs = sum(cost.macs for cost in costs if cost.layer.name not in apart)
    choose_threads(recipe.batch_size * macs, compute.threads)
    module = build_network(network, input_shape, num_classes, streams, device)
    averaged: nn.Sequential | None = None
    if overriding(techniques, "weights"):
        averaged = build_network(network, input_shape, num_classes, streams, device)
    for technique in overriding(techniques, "initialize"):
        inputs = (prepare_images(batch, techniques) for batch in sample.batches)
        # Of tensors that are put in place of others only the old ones would tell.
        before = {name: value.detach() for name, value in module.state_dict().items()}
        with torch.no_grad(), guarded(technique, "initialize"):
            technique.initialize(module, streams, inputs)
        check_initialized(technique, before, module.state_dict())
    freeze_layers(module, frozen.layers)
    if averaged is not None:
        averaged.load_state_dict(module.state_dict())
        freeze_layers(averaged, frozen.layers)

    scales = {name: factor for one in techniques for name, factor in one.lr_scales(network).items()}
    own_streams = {"order": streams("order")}
    own_streams |= {f"augment/{one.name}": streams(f"augment/{one.name}", device) for one in techniques}
    trained = module if averaged is None else averaged
    watched = None if images.watched is None else DeviceSplit.load(images.watched, device)
    examples: tuple[Examples, Examples, Examples | None] = (data, sample, watched)
    if apart:
        own_streams["views"] = streams("views")
        below, module = divided(module, frozen.layers)
        layers = FrozenLayers(below, techniques, compute, tell)
        features = layers.split(data, images.train.fingerprint, frozen.views, own_streams["views"])
        seen = None
        if watched is not None and images.watched is not None:
            seen = layers.split(watched, images.watched.fingerprint)
        examples = (features, _fixed_sample(features), seen)
        averaged = None if averaged is None else divided(averaged, frozen.layers)[1]
    elif frozen.layers:
        mixing = next(technique.name for technique in techniques if technique.mixes_targets)
        warnings.append(f"{mixing} mixes images, so that the frozen layers are worked out anew in every step")
    return Assembly(
        *examples,
        network,
        input_shape,
        module,
        averaged,
        trained,
        techniques,
        make_optimizer(recipe.optimizer, module, scales),
        [parameter for parameter in module.parameters() if parameter.requires_grad],
        own_streams | _layer_streams(module),
        context.steps_per_epoch,
        warnings,
    )


def count_steps(images: int, batch_size: int) -> int:
    """Return the batches of one pass over ``images``; a lone last image joins the batch before it."""
    full, rest = divmod(images, batch_size)
    return max(1, full + (rest > 1))


def make_context(recipe: Recipe, train: Split, num_classes: int, has_validation: bool) -> Context:
    """Return what the trial of ``recipe`` on ``train`` is."""
    height, width, channels = train.image_shape
    return Context(
        image_shape=(channels, height, width),
        class_counts=tuple(np.bincount(train.labels, minlength=num_classes).tolist()),
        network=recipe.network,
        epochs=recipe.epochs,
        steps_per_epoch=count_steps(len(train), recipe.batch_size),
        has_validation=has_validation,
    )


def check_recipe(recipe: Recipe, train: Split, num_classes: int, has_validation: bool) -> list[str]:
    """Return warnings of the techniques of ``recipe`` on those images, without training.

    Raises:
        RecipeError: one of them cannot work there, or two exclude one another.
    """
    techniques = recipe.make_techniques()
    begin_techniques(techniques, make_context(recipe, train, num_classes, has_validation))
    return check_techniques(techniques)


def trained_network(recipe: Recipe, train: Split, num_classes: int) -> tuple[Network, tuple[int, int, int]]:
    """Return the network that ``recipe`` trains on those images, and the (C, H, W) that it reads.

    Techniques of the user's own are left out: this is asked for a guess, and they may take any time, or raise what the
    trial says better.
    """
    known = recipe.with_techniques(setting for setting in recipe.techniques if not setting.code)
    context = make_context(known, train, num_classes, has_validation=True)
    try:
        return begin_techniques(known.make_techniques(), context)
    except RecipeError:  # two that exclude one another, as the trial will say
        return recipe.network, context.image_shape


def frozen_layers(recipe: Recipe, train: Split, num_classes: int) -> int:
    """Return how many of its first layers ``recipe`` never changes on those images; see ``Technique.frozen``."""
    techniques = recipe.make_techniques()
    if not overriding(techniques, "frozen"):
        return 0
    network, _ = begin_techniques(techniques, make_context(recipe, train, num_classes, has_validation=True))
    return find_frozen(techniques, network).layers


def overriding(techniques: Sequence[Technique], hook: str) -> list[Technique]:
    """Return the techniques that do something at ``hook``."""
    return [technique for technique in techniques if technique.overrides(hook)]


def _layer_streams(module: nn.Module) -> dict[str, torch.Generator]:
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, SeededDropout)}
    streams = {f"dropout/{name}": layer.generator for name, layer in layers.items()}
    return streams | (module.streams if isinstance(module, SeededModules) else {})


def _fixed_sample(data: _Kind) -> _Kind:
    """Evenly spaced training images: the same in every trial, and spread over whatever order the files had."""
    if len(data) <= TRAIN_SAMPLE:
        return data
    positions = torch.arange(TRAIN_SAMPLE, device=data.labels.device) * len(data) // TRAIN_SAMPLE
    return data.select(positions)
