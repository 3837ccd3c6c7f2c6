"""Rungs: the ladder of a recipe, and rungs as a user writes them, ``+mixup:mixup`` or a study file in TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from stepladder.errors import RecipeError, StudyError, unknown
from stepladder.files import read_plain
from stepladder.recipe import MOST_RECIPE_BYTES, Name, Recipe, TechniqueSetting, change_settings
from stepladder.schema import check

#: The rung below all techniques.
BASE_RUNG = "baseline"


@dataclass(frozen=True)
class Rung:
    """One named recipe of a study.

    Attributes:
        adds: the techniques that it adds to the rung below it; where rungs are no ladder, to none at all.
        lacks: the techniques that it leaves out of all of them.
        share: of the training images that it trains on, above 0 and at most 1; below 1 for the sizes of a curve.
        equal_steps: whether it takes as many steps as on all of them, and so more epochs; for the sizes of a curve.
    """

    name: str
    adds: tuple[str, ...]
    recipe: Recipe
    lacks: tuple[str, ...] = ()
    share: float = 1.0
    equal_steps: bool = False


def ladder(recipe: Recipe) -> tuple[Rung, ...]:
    """Return the prefixes of the recipe's techniques, each rung's added to all before it.

    The lowest rung has none, or those that the recipe puts on a rung called ``baseline``.
    """
    base = base_techniques(recipe)
    rungs = [Rung(BASE_RUNG, tuple(setting.name for setting in base), recipe.with_techniques(base))]
    for position, setting in enumerate(recipe.techniques[len(base) :], start=len(base)):
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


def base_techniques(recipe: Recipe) -> tuple[TechniqueSetting, ...]:
    """Return the techniques that every rung has: those that the recipe lists first, on a rung called ``baseline``."""
    return tuple(takewhile(lambda setting: setting.rung == BASE_RUNG, recipe.techniques))


def group_techniques(recipe: Recipe) -> dict[str, tuple[TechniqueSetting, ...]]:
    """Return the recipe's techniques by rung, in its order: what comes together is one thing to compare.

    Those of the baseline are none of them.
    """
    groups: dict[str, tuple[TechniqueSetting, ...]] = {}
    for setting in recipe.techniques[len(base_techniques(recipe)) :]:
        groups[setting.rung] = (*groups.get(setting.rung, ()), setting)
    return groups


@dataclass(frozen=True)
class RungSpec:
    """One rung as it was written.

    Attributes:
        adds: whether it has the techniques of the rung below it too.
        techniques: its own, in order.
    """

    name: str
    adds: bool
    techniques: tuple[TechniqueSetting, ...]


@dataclass(frozen=True)
class StudyFile:
    """What a study file says. ``settings`` are values by dotted name, as ``optimizer.lr``."""

    rungs: tuple[RungSpec, ...]
    recipe: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


def parse_rung(text: str, recipe: Recipe) -> RungSpec:
    """Read ``NAME:technique,technique``, with a + before the name to add to the rung below.

    Techniques that the recipe lists have its options, others their defaults.

    Raises:
        StudyError: it is not written so.
        RecipeError: an unknown technique.
    """
    name, colon, listed = text.partition(":")
    adds = name.startswith("+")
    name = name.removeprefix("+").strip()
    if not colon or not re.fullmatch(r"[\w .+-]+", name):
        raise StudyError(
            f"`rung` is {text}; write NAME:technique,technique, as base: and then +mixup:mixup, where a + adds to the "
            "rung below"
        )
    words = [word.strip() for word in listed.split(",") if word.strip()]
    return RungSpec(name, adds, tuple(_setting(word, name, recipe) for word in words))


def make_rungs(specs: Sequence[RungSpec], recipe: Recipe, changes: Mapping[str, str]) -> tuple[Rung, ...]:
    """Return the rungs of ``specs`` on the network, optimizer and budget of ``recipe``, with settings changed.

    Args:
        changes: values by dotted name; those of a technique go to every rung that has it.

    Raises:
        StudyError: fewer than two rungs, two of one name, or the same techniques twice.
        RecipeError: a setting that no rung has.
    """
    if len(specs) < 2:
        raise StudyError("a study compares rungs, and one is given; add another")
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise StudyError(f"two rungs are called '{name}'; give each a name of its own")
    every = {setting.name for spec in specs for setting in spec.techniques}
    rungs: list[Rung] = []
    for spec in specs:
        below = rungs[-1].recipe.techniques if spec.adds and rungs else ()
        own = [setting.model_copy(update={"rung": spec.name}) for setting in spec.techniques]
        listed = Recipe.model_validate({**dict(recipe), "techniques": (*below, *own)})
        there = {setting.name for setting in listed.techniques}
        fitting = {
            key: value
            for key, value in changes.items()
            if (first := key.partition(".")[0]) in there or first not in every
        }
        rungs.append(Rung(spec.name, tuple(setting.name for setting in own), change_settings(listed, fitting)))
    for position, rung in enumerate(rungs):
        for other in rungs[:position]:
            if rung.recipe.fingerprint == other.recipe.fingerprint:
                raise StudyError(f"the rungs '{other.name}' and '{rung.name}' are the same recipe; change one")
    return tuple(rungs)


def add_techniques(recipe: Recipe, names: Iterable[str]) -> Recipe:
    """Return ``recipe`` with the techniques of ``names`` that it lacks, each on a rung of its own on top."""
    listed = {setting.name for setting in recipe.techniques}
    new = [TechniqueSetting.model_validate({"name": name}) for name in names if name not in listed]
    return recipe.with_techniques((*recipe.techniques, *new))


class _RungTable(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Name
    adds: list[str | dict[str, Any]] | None = None
    techniques: list[str | dict[str, Any]] | None = None


class _StudyTable(BaseModel):
    model_config = ConfigDict(extra="forbid")

    recipe: str | None = None
    set: dict[str, Any] = {}
    rungs: Annotated[list[dict[str, Any]], Field(min_length=1)]


def read_study_file(path: Path) -> StudyFile:
    """Read a study file.

    .. code-block:: toml

        recipe = "small"            # by default, the recipe asked for
        set = { epochs = 10 }

        [[rungs]]
        name = "base"
        techniques = []             # these and no others

        [[rungs]]
        name = "mixup"
        adds = [{ name = "mixup", alpha = 0.4 }, "cosine_lr"]   # to those of the rung below

    Raises:
        StudyError: it cannot be read.
        RecipeError: it does not fit.
    """
    try:
        table = tomllib.loads(read_plain(path, MOST_RECIPE_BYTES).decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise StudyError(f"{path} is not valid TOML: {error}") from error
    except (OSError, ValueError) as error:
        raise StudyError(f"cannot read the study file {path}: {getattr(error, 'strerror', None) or error}") from error
    try:
        found = check(_StudyTable, table, "", whole="the study file")
        return StudyFile(
            rungs=tuple(_read_rung(entry, number) for number, entry in enumerate(found.rungs, start=1)),
            recipe=found.recipe,
            settings={key: _as_text(value) for key, value in _flat(found.set)},
        )
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error


def _read_rung(table: dict[str, Any], number: int) -> RungSpec:
    rung = check(_RungTable, table, f"rung {table.get('name', number)}")
    if (rung.adds is None) == (rung.techniques is None):
        raise RecipeError(
            f"rung {rung.name} needs one of adds (to the techniques of the rung below) and techniques (these and no "
            f"others); an empty list is allowed"
        )
    listed = rung.techniques if rung.adds is None else rung.adds
    assert listed is not None
    tables = [{"name": entry} if isinstance(entry, str) else entry for entry in listed]
    settings = tuple(TechniqueSetting.model_validate({**entry, "rung": rung.name}) for entry in tables)
    return RungSpec(rung.name, rung.adds is not None, settings)


def _setting(word: str, rung: str, recipe: Recipe) -> TechniqueSetting:
    for setting in recipe.techniques:
        if setting.name == word:
            return setting
    try:
        return TechniqueSetting.model_validate({"name": word})
    except RecipeError as error:
        raise RecipeError(f"rung {rung}: {error}") from error


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
