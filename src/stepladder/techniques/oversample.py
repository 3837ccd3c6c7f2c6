"""Rare classes are seen more often."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.techniques.base import Context, Technique


class Oversample(Technique):
    """Draw each image of an epoch with a chance of (N / n_c) to the power ``power``, n_c being the images of its class.

    Buda, Maki and Mazurowski 2018, section 2.1: with power 1 every class is drawn as often; 0.5 is the square root of
    Mahajan et al. (Exploring the Limits of Weakly Supervised Pretraining, 2018). Images are drawn with
    replacement, as many as there are, so an epoch leaves some of the frequent classes out.
    """

    name = "oversample"
    group = "loss and weights"
    summary = "draw images of rare classes more often"
    plain = (
        "Show images of rare classes more often than those of frequent ones. The network then practices all "
        "classes alike, though it sees the few rare images again and again."
    )
    papers = (
        cite("buda2018systematic", "section 2.1"),
        cite("mahajan2018exploring"),
    )
    differs = (
        "all images are drawn with replacement, as many as there are; the paper keeps every image and repeats "
        "those of rare classes"
    )
    caveat = "the few images of a rare class are seen again and again, and learned by heart without augmentation"
    cost = "0.1 ms an epoch of 10,000 images"
    interactions = "with class_weights, rare classes count twice; augmentation makes copies differ"

    power: Annotated[float, Field(ge=0, le=1, description="0 draws every image once, 1 all classes as often")] = 1.0

    def check(self, context: Context) -> list[str]:
        """Refuse a single class."""
        if context.num_classes < 2:
            raise RecipeError("oversample needs two classes or more, and the images have one; leave it out")
        return []

    def image_weights(self, labels: Tensor) -> Tensor | None:
        """Return how often each image is drawn; None where every class is drawn as often anyway."""
        counts = labels.bincount()
        if self.power == 0 or len(counts[counts > 0].unique()) == 1:
            return None
        # A class without images is never looked up.
        return (len(labels) / counts.clamp(min=1).double()).pow(self.power)[labels]
