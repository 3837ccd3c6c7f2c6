"""Seconds of training until a network first has an accuracy on the validation images, for whole recipes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stepladder.data import Splits
from stepladder.errors import StudyError
from stepladder.recipe import Recipe
from stepladder.training.device import Compute
from stepladder.training.history import EpochRecord
from stepladder.training.loop import Watched, train_network


@dataclass(frozen=True)
class Race:
    """One recipe trained whole, with one seed.

    Attributes:
        seconds: wall time of training and its evaluations until the first epoch that ended with the accuracy; None
            where none did.
        whole: seconds of all epochs.
        accuracy: on the validation images at the end, a fraction.
    """

    recipe: str
    seed: int
    seconds: float | None
    whole: float
    accuracy: float


def race(
    recipe: Recipe,
    splits: Splits,
    classes: int,
    seed: int,
    wanted: float,
    compute: Compute,
    on_epoch: Callable[[], None],
) -> Race:
    """Train ``recipe`` with all its techniques and note when validation accuracy reached ``wanted``, a fraction.

    Choosing the moment by validation images makes it a figure of speed and not of quality; test is not looked at.

    Raises:
        StudyError: there is no validation split.
    """
    history: list[EpochRecord] = []

    def note(record: EpochRecord) -> None:
        history.append(record)
        on_epoch()

    if splits.validation is None:
        raise StudyError("these images have no validation split, and without one there is no accuracy to reach")
    train_network(recipe, splits.train, Watched(splits.validation), classes, seed, compute, on_epoch=note)
    elapsed, reached = 0.0, None
    for record in history:
        elapsed += record.seconds if record.epoch else 0.0
        if reached is None and record.val_accuracy is not None and record.val_accuracy >= wanted:
            reached = elapsed
    return Race(recipe.name, seed, reached, elapsed, history[-1].val_accuracy or 0.0)
