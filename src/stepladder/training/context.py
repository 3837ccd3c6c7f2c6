"""What techniques are told of a trial before it starts."""

from __future__ import annotations

import numpy as np

from stepladder.data import Split
from stepladder.errors import RecipeError
from stepladder.network import Network
from stepladder.recipe import Recipe
from stepladder.techniques import Context
from stepladder.techniques.requirements import begin_techniques, check_techniques


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
