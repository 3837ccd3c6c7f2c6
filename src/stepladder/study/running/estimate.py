"""How long trials will take, from a short measurement."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path

import numpy as np

from stepladder.data import Splits
from stepladder.recipe import Recipe
from stepladder.study.files.records import DataRecord
from stepladder.study.running.trial import watched_split
from stepladder.study.running.watch import Watch
from stepladder.training.device import Compute
from stepladder.training.history import TRAIN_SAMPLE, EpochRecord
from stepladder.training.loop import train_network

#: Batches of the short run behind the estimate.
_MEASURED_BATCHES = 6


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
    seconds: dict[str, float] = {}
    measured: dict[str, float] = {}
    for name, recipe in recipes.items():
        if alike[name] in measured:
            seconds[name] = measured[alike[name]]
            continue
        if limit is not None and any(setting.code for setting in recipe.techniques):
            seconds[name] = limit
            continue
        some = splits.train.take(np.arange(min(len(splits.train), _MEASURED_BATCHES * recipe.batch_size)))
        history: list[EpochRecord] = []
        with chdir(Path.cwd()):  # and back: a technique of the user's own may go elsewhere
            trained = train_network(
                _at_any_rate(recipe),
                some,
                watched_split(splits),
                len(data.class_names),
                0,
                compute,
                on_epoch=history.append,
                rehearsal=True,
            )
        last = history[-1] if history else None
        if last is None or last.images_per_second is None:
            seconds[name] = measured[alike[name]] = trained.seconds
            continue
        watched = len(watched_split(splits).split)
        evaluating = last.seconds - len(some) / last.images_per_second
        scale = (min(TRAIN_SAMPLE, len(splits.train)) + watched) / (min(TRAIN_SAMPLE, len(some)) + watched)
        seconds[name] = recipe.epochs * (len(splits.train) / last.images_per_second + evaluating * scale)
        measured[alike[name]] = seconds[name]
    return seconds


def _at_any_rate(recipe: Recipe) -> Recipe:
    """At hardly any learning rate: a loss that is not finite would end the measurement."""
    return recipe.model_copy(update={"optimizer": recipe.optimizer.model_copy(update={"lr": 1e-9})})
