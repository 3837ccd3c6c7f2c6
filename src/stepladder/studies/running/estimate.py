"""How long trials will take, from a short measurement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from stepladder.datasets import Splits
from stepladder.recipe import Recipe
from stepladder.studies.files.records import DataRecord
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.trial import training_data
from stepladder.training.assembly import TrainingData
from stepladder.training.device import Compute
from stepladder.training.history import TRAIN_SAMPLE, EpochRecord
from stepladder.training.loop import TrainingCallbacks, train_network

#: Batches of the short run behind the estimate, and images of the watched split that it evaluates, three times.
_MEASURED_BATCHES, _MEASURED_WATCHED = 6, 1000


@dataclass(frozen=True)
class Work:
    """One trial to estimate: its recipe, and how many images it trains on."""

    recipe: Recipe
    images: int


def estimate_seconds(
    work: Mapping[str, Work],
    splits: Splits,
    data: DataRecord,
    compute: Compute,
    callbacks: Callbacks,
    limit: float | None = None,
) -> dict[str, float]:
    """Return the seconds that each trial of ``work`` will probably take, from two short epochs of each recipe.

    The trials themselves are not touched: no random stream is shared with them. A recipe whose short run fails takes as
    long as that did: its trials will probably fail there too, and are recorded.

    Args:
        splits: of all training images; one measurement serves for all sizes.
        limit: seconds that a trial may take. Techniques of the user's own are then not tried here, where nobody would
            end them, and their trials are said to take so long.
    """
    # Points of a sweep often differ by their rate alone, and take as long.
    alike = {name: _at_any_rate(one.recipe).fingerprint for name, one in work.items()}
    callbacks.measuring(len(set(alike.values())))
    measured: dict[str, Callable[[int], float]] = {}
    for name, one in work.items():
        if alike[name] not in measured:
            measured[alike[name]] = _measure(one.recipe, splits, len(data.class_names), compute, limit)
    return {name: measured[alike[name]](one.images) for name, one in work.items()}


def _measure(
    recipe: Recipe, splits: Splits, num_classes: int, compute: Compute, limit: float | None
) -> Callable[[int], float]:
    """Return what tells a trial's seconds by its training images, from two short epochs."""
    if limit is not None and any(setting.code for setting in recipe.techniques):
        return lambda _: limit
    whole = training_data(splits, num_classes)
    some, some_watched = (
        splits.train.first(_MEASURED_BATCHES * recipe.batch_size),
        whole.watched.first(_MEASURED_WATCHED),
    )
    history: list[EpochRecord] = []
    with chdir(Path.cwd()):  # and back: a technique of the user's own may go elsewhere
        trained = train_network(
            _at_any_rate(recipe),
            TrainingData(some, some_watched, num_classes, whole.watches_test),
            0,
            compute,
            TrainingCallbacks(on_epoch=history.append),
            rehearsal=True,
        )
    speed = history[-1].images_per_second if history else None
    if speed is None:
        return lambda _: trained.seconds
    evaluating = history[-1].seconds - len(some) / speed
    evaluated = min(TRAIN_SAMPLE, len(some)) + len(some_watched)

    def seconds(images: int) -> float:
        share = (min(TRAIN_SAMPLE, images) + len(whole.watched)) / evaluated
        return recipe.epochs * (images / speed + evaluating * share)

    return seconds


def _at_any_rate(recipe: Recipe) -> Recipe:
    """At hardly any learning rate: a loss that is not finite would end the measurement."""
    return recipe.model_copy(update={"optimizer": recipe.optimizer.model_copy(update={"lr": 1e-9})})
