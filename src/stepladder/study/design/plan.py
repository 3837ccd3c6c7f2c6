"""Rungs and trials: what a study trains, and what identifies each training run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from stepladder.errors import StudyError, unknown
from stepladder.recipe import Recipe, TechniqueSetting

#: The rung below all techniques.
BASE_RUNG = "baseline"


@dataclass(frozen=True)
class Rung:
    """One named recipe of a study.

    Attributes:
        adds: the techniques that it adds to the rung below it; where rungs are no ladder, to none at all.
        lacks: the techniques that it leaves out of all of them.
    """

    name: str
    adds: tuple[str, ...]
    recipe: Recipe
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """One recipe, one seed, one image set: one training run.

    Attributes:
        split: fingerprint of the data and of which images are in which split.
        precision: part of the identity, because it changes every weight.
        select: which epoch's weights are kept, ``last`` or ``best-val``.
    """

    rung: str
    recipe: Recipe
    seed: int
    split: str
    precision: str
    select: str = "last"

    @property
    def id(self) -> str:
        """Name of the trial's folder: the same whatever plan the trial is part of, so that plans share trials."""
        identity = {
            "recipe": self.recipe.fingerprint,
            "seed": self.seed,
            "split": self.split,
            "precision": self.precision,
        }
        if self.select != "last":
            identity["select"] = self.select
        # 64 of 256 bits: a folder name that can be read out, and no collision in any study that can be run.
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def ladder(recipe: Recipe) -> tuple[Rung, ...]:
    """Return the prefixes of the recipe's techniques: nothing, then each rung's techniques added to all before it."""
    rungs = [Rung(BASE_RUNG, (), recipe.with_techniques(()))]
    for position, setting in enumerate(recipe.techniques):
        following = recipe.techniques[position + 1 : position + 2]
        if following and following[0].rung == setting.rung:
            continue  # the rung is not complete yet
        upto = recipe.techniques[: position + 1]
        adds = tuple(technique.name for technique in upto if technique.rung == setting.rung)
        rungs.append(Rung(setting.rung, adds, recipe.with_techniques(upto)))
    names = [rung.name for rung in rungs]
    for name in names:
        if names.count(name) > 1:
            raise StudyError(f"two rungs are called '{name}'; list the techniques of a rung one after another")
    return tuple(rungs)


def find_rung(recipe: Recipe, name: str) -> Rung:
    """Return the rung of the recipe's ladder called ``name``.

    Raises:
        StudyError: there is none of that name.
    """
    rungs = {rung.name: rung for rung in ladder(recipe)}
    if name not in rungs:
        raise StudyError(unknown("rung", name, rungs))
    return rungs[name]


def group_techniques(recipe: Recipe) -> dict[str, tuple[TechniqueSetting, ...]]:
    """Return the recipe's techniques by rung, in its order: what comes together is one thing to compare."""
    groups: dict[str, tuple[TechniqueSetting, ...]] = {}
    for setting in recipe.techniques:
        groups[setting.rung] = (*groups.get(setting.rung, ()), setting)
    return groups
