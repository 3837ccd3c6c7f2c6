"""Trials: what identifies each training run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from stepladder.recipe import Recipe


class _Same:
    """A recipe as a key: the very same object, which is frozen.

    To see whether another one has equal content takes as long as to make its fingerprint.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def __hash__(self) -> int:
        return id(self.recipe)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.recipe is other.recipe


@lru_cache(maxsize=1024)  # the seeds of a rung share its recipe; a quarter of a millisecond each
def _fingerprint_of(same: _Same) -> str:
    return same.recipe.fingerprint


@dataclass(frozen=True)
class Trial:
    """One recipe, one seed, one image set: one training run.

    Attributes:
        split: fingerprint of the data and of which images are in which split.
        precision: part of the identity, because it changes every weight.
        select: which epoch's weights are kept, ``last`` or ``best-val``.
        metric: the key of what chooses that epoch; of weights that nothing chooses it is no part of the identity.
    """

    rung: str
    recipe: Recipe
    seed: int
    split: str
    precision: str
    select: str = "last"
    metric: str = "accuracy"

    @cached_property  # half a millisecond, and asked for again and again
    def id(self) -> str:
        """Name of the trial's folder: the same whatever plan the trial is part of, so that plans share trials."""
        identity = {
            "recipe": _fingerprint_of(_Same(self.recipe)),
            "seed": self.seed,
            "split": self.split,
            "precision": self.precision,
        }
        if self.select != "last":
            identity["select"] = self.select
            if self.metric != "accuracy":
                identity["metric"] = self.metric
        # 64 of 256 bits: a folder name that can be read out, and no collision in any study that can be run.
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class CommandTrial:
    """One run of a user's own command: a rung's arguments and a seed.

    Attributes:
        recipe: what the rung's record keeps of the command: its words, and those of the rung.
    """

    rung: str
    recipe: Mapping[str, Any]
    seed: int

    @property
    def id(self) -> str:
        """Name of the trial's folder: the same for the same command, arguments and seed."""
        identity = {"command": self.recipe, "seed": self.seed}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
