"""How long trials will take, from a short measurement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import chdir
from dataclasses import replace
from pathlib import Path

from stepladder.data import Splits
from stepladder.recipe import Recipe
from stepladder.study.files.records import DataRecord
from stepladder.study.running.trial import watched_split
from stepladder.study.running.watch import Watch
from stepladder.training.device import Compute
from stepladder.training.history import TRAIN_SAMPLE, EpochRecord
from stepladder.training.loop import train_network

#: Batches of the short run behind the estimate, and images of the watched split that it evaluates, three times.
_MEASURED_BATCHES, _MEASURED_WATCHED = 6, 1000


def estimate_seconds(
    recipes: Mapping[str, Recipe],
    splits: Splits,
    data: DataRecord,
    compute: Compute,
    watch: Watch,
    limit: float | None = None,
) -> dict[str, float]:
    """Return the seconds that one trial of each recipe will probably take, from two short epochs of each.

    The trials themselves are not touched: no random stream is shared with them. A recipe whose short run fails takes as
    long as that did: its trials will probably fail there too, and are recorded.

    Args:
        limit: seconds that a trial may take. Techniques of the user's own are then not tried here, where nobody would
            end them, and their trials are said to take so long.
    """
    # Points of a sweep often differ by their rate alone, and take as long.
    alike = {name: _at_any_rate(recipe).fingerprint for name, recipe in recipes.items()}
    watch.measuring(len(set(alike.values())))
    measured: dict[str, Callable[[int], float]] = {}
    for name, recipe in recipes.items():
        if alike[name] not in measured:
            measured[alike[name]] = _measure(recipe, splits, data, compute, limit)
    return {name: measured[alike[name]](len(splits.train)) for name in recipes}


def estimate_sizes(
    recipe: Recipe,
    splits: Splits,
    sizes: Sequence[int],
    data: DataRecord,
    compute: Compute,
    watch: Watch,
    limit: float | None = None,
) -> list[float]:
    """Return the seconds that a trial on so many of the training images will probably take, for each of ``sizes``.

    One measurement serves for all; see :func:`estimate_seconds`.
    """
    watch.measuring(1)
    seconds = _measure(recipe, splits, data, compute, limit)
    return [seconds(images) for images in sizes]


def _measure(
    recipe: Recipe, splits: Splits, data: DataRecord, compute: Compute, limit: float | None
) -> Callable[[int], float]:
    """Return what tells a trial's seconds by its training images, from two short epochs."""
    if limit is not None and any(setting.code for setting in recipe.techniques):
        return lambda _: limit
    some = splits.train.first(_MEASURED_BATCHES * recipe.batch_size)
    watched = watched_split(splits)
    some_watched = replace(watched, split=watched.split.first(_MEASURED_WATCHED))
    history: list[EpochRecord] = []
    with chdir(Path.cwd()):  # and back: a technique of the user's own may go elsewhere
        trained = train_network(
            _at_any_rate(recipe),
            some,
            some_watched,
            len(data.class_names),
            0,
            compute,
            on_epoch=history.append,
            rehearsal=True,
        )
    speed = history[-1].images_per_second if history else None
    if speed is None:
        return lambda _: trained.seconds
    evaluating = history[-1].seconds - len(some) / speed
    evaluated = min(TRAIN_SAMPLE, len(some)) + len(some_watched.split)

    def seconds(images: int) -> float:
        share = (min(TRAIN_SAMPLE, images) + len(watched.split)) / evaluated
        return recipe.epochs * (images / speed + evaluating * share)

    return seconds


def _at_any_rate(recipe: Recipe) -> Recipe:
    """At hardly any learning rate: a loss that is not finite would end the measurement."""
    return recipe.model_copy(update={"optimizer": recipe.optimizer.model_copy(update={"lr": 1e-9})})
