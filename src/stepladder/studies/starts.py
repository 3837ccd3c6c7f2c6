"""Photographs can be learned from pretrained weights, or from scratch: how long each takes here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from stepladder.datasets import ImageSet, Split, Splits, make_splits
from stepladder.datasets.image_set import MAX_CHOSEN_SIDE
from stepladder.recipe import TRANSFER, default_recipe, transfer_preset
from stepladder.studies.design.recipes import RecipeOptions, choose_study
from stepladder.studies.design.rules import DEFAULT_SEEDS, Rules, Seeds, looks_for
from stepladder.studies.files.machine import memory_of
from stepladder.studies.prepare import settle_compute
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.dispatch import count_at_a_time, count_workers
from stepladder.studies.running.estimate import Work, estimate_seconds
from stepladder.studies.running.execution import Execution
from stepladder.studies.running.timing import Range

#: Of each split, images that stand for all where only their shape and number matter.
_STANDING_IN = 256


@dataclass(frozen=True)
class Start:
    """One of the two ways to begin on photographs.

    Attributes:
        recipe: its name.
        side: of the images that it reads, pixels.
        pretrained: whether it begins from weights that were trained on other images.
        seconds: of its ladder; None where those weights are not on this computer.
        seeds: trials a rung of that ladder.
    """

    recipe: str
    side: int
    pretrained: bool
    seconds: Range | None
    seeds: int

    def to_document(self) -> dict[str, Any]:
        """Return it as plain values for programs."""
        return asdict(self)


def forecast_starts(
    image_set: ImageSet,
    *,
    without: str | None = None,
    seeds: Seeds = DEFAULT_SEEDS,
    rules: Rules | None = None,
    execution: Execution | None = None,
) -> tuple[Start, ...]:
    """Return the ways to begin on ``image_set``, pretrained first; none where these are no photographs.

    Each is measured for about two seconds, on a few of the images in its own size; nothing is decoded anew.

    Args:
        without: a recipe that is forecast already.
        seeds: trials a rung; ``auto`` counts those of the first look.
    """
    if not image_set.are_photographs:
        return ()
    rules, execution = rules or Rules(), execution or Execution()
    count, preset = len(image_set.splits["train"]), transfer_preset()
    sides = {TRANSFER: preset.input_shape[1] if preset else 0, default_recipe(count): MAX_CHOSEN_SIDE}
    splits = make_splits(image_set, rules.validation)
    number = looks_for(seeds, rules)[0].seeds
    starts = []
    for recipe, side in sides.items():
        if recipe == without:
            continue
        seconds = _forecast(recipe, image_set, splits, side, seeds, rules, execution) if side else None
        starts.append(Start(recipe, side, recipe == TRANSFER, seconds, number))
    return tuple(starts)


def _forecast(
    recipe: str, image_set: ImageSet, splits: Splits, side: int, seeds: Seeds, rules: Rules, execution: Execution
) -> Range:
    """Return the seconds of the recipe's ladder on images like these of another size."""
    stand_in = replace(
        image_set, splits={name: _stand_in(split, side) for name, split in image_set.splits.items()}, notes=()
    )
    validation = None if splits.validation is None else _stand_in(splits.validation, side)
    parts = replace(
        splits, train=_stand_in(splits.train, side), validation=validation, test=_stand_in(splits.test, side)
    )
    chosen = choose_study("ladder", RecipeOptions(recipe), stand_in, seeds, rules)
    compute, _ = settle_compute(stand_in, chosen.recipe, replace(execution, threads=execution.threads or 1))
    work: Mapping[str, Work] = {rung.name: Work(rung.recipe, len(parts.train)) for rung in chosen.design.rungs}
    trials, memory = [*work] * looks_for(seeds, rules)[0].seeds, memory_of(compute.device)
    most = count_workers(execution, compute, len(trials), math.inf, memory)
    estimate = estimate_seconds(work, parts, image_set.num_classes, compute, Callbacks(), at_a_time=most)
    alone = sum(estimate.seconds[rung] for rung in trials)
    at_a_time = count_at_a_time(execution, compute, len(trials), alone, memory)
    return estimate.study(trials, at_a_time)


def _stand_in(split: Split, side: int) -> Split:
    """Return a split of as many images of ``side``, which are a few of its own, the nearest pixels of each."""
    few = split.first(_STANDING_IN).images
    rows, columns = (np.arange(side) * size // side for size in few.shape[1:3])
    small = np.ascontiguousarray(few[:, rows[:, None], columns[None, :]])
    return Split(small, split.labels, np.arange(len(split), dtype=np.int64) % len(small))
