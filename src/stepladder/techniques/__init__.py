"""The catalogue: one home a technique. This table is the only place that lists them."""

from __future__ import annotations

from stepladder.errors import RecipeError, unknown
from stepladder.techniques.base import Progress, Technique
from stepladder.techniques.batch_norm import BatchNorm
from stepladder.techniques.dropout import Dropout
from stepladder.techniques.exponential_lr import ExponentialLR
from stepladder.techniques.horizontal_flip import HorizontalFlip
from stepladder.techniques.random_crop import RandomCrop
from stepladder.techniques.standardize import Standardize

__all__ = ["TECHNIQUES", "Progress", "Technique", "find_technique"]

#: Every technique by name, in the order of the groups that the list shows.
TECHNIQUES: dict[str, type[Technique]] = {
    technique.name: technique
    for technique in (Standardize, RandomCrop, HorizontalFlip, ExponentialLR, Dropout, BatchNorm)
}


def find_technique(name: str) -> type[Technique]:
    """Return the technique called ``name``.

    Raises:
        RecipeError: there is none of that name.
    """
    if name not in TECHNIQUES:
        raise RecipeError(unknown("technique", name, TECHNIQUES))
    return TECHNIQUES[name]
