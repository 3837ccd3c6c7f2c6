"""A job that will take hours is said to, with what shortens it, before its first step."""

from __future__ import annotations

from stepladder.datasets import Splits
from stepladder.errors import StepladderError
from stepladder.network import trace_network
from stepladder.network.advice import LARGEST_FLATTENED
from stepladder.recipe import Recipe
from stepladder.studies.files.records import DataRecord
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.estimate import Work, estimate_seconds
from stepladder.training.assembly import trained_network
from stepladder.training.device import Compute

#: Seconds from which a job is long: half a working day.
LONG = 4 * 3600
#: Multiply-accumulates of a training, forward and backward, below which it is no question: a core at 7 GMAC/s, a tenth
#: of what was measured on two kinds of processor, takes four hours for so many.
_SHORT = 1e14


def say_hours(seconds: float, image_shape: tuple[int, int, int], callbacks: Callbacks) -> None:
    """Say so where a job will take hours.

    Args:
        seconds: of all of it, by the estimate.
        image_shape: height, width, channels.
    """
    if seconds < LONG:
        return
    smaller = f"`size={LARGEST_FLATTENED}`, " if max(image_shape[:2]) > LARGEST_FLATTENED else ""
    callbacks.message(
        f"This will take about {seconds / 3600:,.0f} hours: {smaller}fewer `epochs`, fewer `seeds` or a GPU shorten "
        "it. It can be stopped at any time, and the same call goes on."
    )


def say_hours_of_training(
    recipe: Recipe, splits: Splits, data: DataRecord, compute: Compute, callbacks: Callbacks
) -> None:
    """Say so where one training will take hours; only one of much work is measured for it."""
    classes, images = len(data.class_names), len(splits.train)
    try:
        network, shape = trained_network(recipe, splits.train, classes)
        macs = sum(cost.macs for cost in trace_network(network, shape, classes))
    except StepladderError:  # a network that does not fit the images, as its trial says better
        return
    if 3 * macs * images * recipe.epochs < _SHORT:
        return
    estimate = estimate_seconds({recipe.name: Work(recipe, images)}, splits, len(data.class_names), compute, callbacks)
    say_hours(estimate.study([recipe.name], 1).middle, data.image_shape, callbacks)
