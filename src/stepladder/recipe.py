"""The recipe: everything that defines one training run except data and seed."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, model_validator

from stepladder.errors import LineError, RecipeError, some_of, unknown
from stepladder.files import read_plain
from stepladder.network import Network, load_network
from stepladder.network.line import format_line, network_of_table
from stepladder.network.own import is_reference, register_network
from stepladder.network.presets import Preset, preset_of
from stepladder.network.pretrained import locate_weights
from stepladder.network.spec import LAYER_KINDS
from stepladder.optimizer import OPTIMIZERS, Optimizer, change_optimizer
from stepladder.schema import check
from stepladder.techniques import Technique, code_of, find_technique

#: Names are printed and become folder names: words, with no control characters or markup.
Name = Annotated[str, Field(pattern=r"^[\w .+-]+$")]
#: Bytes that the file of a recipe or of rungs may have; a ResNet-152 takes a tenth of it.
MOST_RECIPE_BYTES = 1_000_000
#: What a tensor's sizes can count to.
_LARGEST = 2**31 - 1


class TechniqueSetting(BaseModel):
    """A technique by name, with every one of its options spelled out, and the rung that brings it in.

    Attributes:
        rung: name of the rung in a plan, by default the technique's own; techniques of one rung come together.
        code: what identifies the code of a user's own technique, so that results of another version are not taken for
            its; empty for the catalogue's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    rung: Name
    options: dict[str, Any]
    code: str = ""

    def make(self) -> Technique:
        """Return a fresh technique that has learned nothing yet."""
        return find_technique(self.name)(**self.options)

    @model_validator(mode="before")
    @classmethod
    def _from_table(cls, table: Any) -> Any:
        """Read the flat table of a recipe file, check the options and fill in their defaults."""
        if not isinstance(table, Mapping) or not isinstance(table.get("name"), str):
            raise RecipeError(
                f'a technique is a table with a name, such as {{ name = "dropout", p = 0.5 }}; got {table!r}'
            )
        name = table["name"]
        options = {key: value for key, value in table.items() if key not in ("name", "rung", "code")}
        found = find_technique(name)
        technique = check(found, options, name)
        code = table.get("code", code_of(found))
        defaults = {key: found.model_fields[key].default for key in found.quiet}
        options = {
            key: value for key, value in technique.model_dump().items() if key not in defaults or value != defaults[key]
        }
        return {"name": name, "rung": table.get("rung", name), "options": options, "code": code}

    def to_table(self) -> dict[str, Any]:
        """Return the flat table of a recipe file; TOML has no null, so None is left to the default."""
        options = {key: value for key, value in self.options.items() if value is not None}
        return {"name": self.name, "rung": self.rung, **({"code": self.code} if self.code else {}), **options}


class Recipe(BaseModel):
    """A network, an optimizer, a budget, and an ordered list of techniques; plain values, frozen.

    Attributes:
        epochs: passes over the training images.
        batch_size: images a step.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    network: Network
    optimizer: Optimizer = Optimizer(lr=0.1)
    epochs: Annotated[int, Field(ge=1, le=_LARGEST, strict=True)] = 20
    batch_size: Annotated[int, Field(ge=2, le=_LARGEST, strict=True)] = 128
    techniques: tuple[TechniqueSetting, ...] = ()

    def __repr__(self) -> str:
        names = some_of([setting.name for setting in self.techniques], 8) or "none"
        return (
            f"Recipe({self.name[:60]}: {shorten(format_line(self.network), 100, placeholder=' …')}; {self.epochs} "
            f"epochs, batches of {self.batch_size}, {self.optimizer.name} at {self.optimizer.lr:g}; techniques: "
            f"{names[:200]})"
        )

    def __str__(self) -> str:
        return repr(self)

    @model_validator(mode="before")
    @classmethod
    def _load_network(cls, table: Any) -> Any:
        network = table.get("network") if isinstance(table, Mapping) else None
        if isinstance(network, str) or (isinstance(network, Mapping) and "line" in network):
            try:
                if isinstance(network, Mapping):
                    return {**table, "network": network_of_table(network)}
                # A record may come from anybody: what it says runs no code.
                return {**table, "network": load_network(network, run_code=False)}
            except LineError as error:  # a recipe's messages are one line, and have no room for a caret
                raise RecipeError(f"network, column {error.column}: {error.sentence}") from error
        return table

    @model_validator(mode="after")
    def _each_technique_once(self) -> Recipe:
        names = [setting.name for setting in self.techniques]
        for name in names:
            if names.count(name) > 1:
                raise RecipeError(f"recipe '{self.name}' lists the technique '{name}' twice; keep one")
        return self

    def make_techniques(self) -> list[Technique]:
        """Return fresh techniques in the recipe's order."""
        return [setting.make() for setting in self.techniques]

    def with_techniques(self, techniques: Iterable[TechniqueSetting]) -> Recipe:
        """Return the same recipe with other techniques."""
        return self.model_copy(update={"techniques": tuple(techniques)})

    def to_table(self) -> dict[str, Any]:
        """Return plain values that :func:`parse_recipe` reads back to an equal recipe."""
        table = self.model_dump(mode="json")
        return {**table, "techniques": [setting.to_table() for setting in self.techniques]}

    def to_toml(self) -> str:
        """Return the recipe as a TOML file."""
        return tomli_w.dumps(self.to_table())

    def to_file(self, *comments: str) -> str:
        """Return a TOML file for people, which :func:`load_recipe` reads back to an equal recipe.

        The network stands there by its name, or as one line. One that a user's own file builds stands there whole, and
        its code is run only where the file is named again.

        Args:
            comments: what to say above it, a line each.
        """
        table = self.to_table()
        if self.network.own is None:
            preset = preset_of(self.network)
            table["network"] = format_line(self.network) if preset is None else preset.name
        lines = [" ".join(comment.split()) for comment in comments]
        return "".join(f"# {line}\n" for line in lines) + "\n" * bool(lines) + tomli_w.dumps(table)

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of all that influences training. Names of the recipe and of its rungs do not."""
        table = self.model_dump(mode="json", exclude={"name": True, "techniques": {"__all__": {"rung"}}})
        for layer, written in zip(self.network.layers, table["network"]["layers"], strict=True):
            for key in layer.aside & set(written):
                del written[key]
        for technique in table["techniques"]:
            if not technique["code"]:
                del technique["code"]  # the catalogue's has none
        return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


#: Below this many training images, batches of the reference study's size would leave too few steps.
SMALL_SET = 5000


def default_recipe(training_images: int) -> str:
    """Return the recipe for users who name none: ``report``, or ``small`` below :data:`SMALL_SET` training images."""
    return "report" if training_images >= SMALL_SET else "small"


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with Stepladder, sorted."""
    return sorted(file.name.removesuffix(".toml") for file in _folder().iterdir() if file.name.endswith(".toml"))


def load_recipe(name: str) -> Recipe:
    """Return the recipe called ``name``, or the one in the TOML file of that path.

    A file with ``base = "report"`` states only what differs from that recipe; the path of a base is relative to the
    file that names it. ``network = "net.py:build"`` runs that file's code, as whoever names the recipe names it too.

    Raises:
        RecipeError: there is none, or it does not fit.
    """
    table = _load_table(name, ())
    try:
        if isinstance(table.get("network"), str) and is_reference(table["network"]):
            register_network(table["network"])
        return parse_recipe(table)
    except RecipeError as error:
        raise RecipeError(f"{name}: {error}") from error


def _load_table(name: str, above: tuple[str, ...]) -> dict[str, Any]:
    """Return the table of a recipe with those of its bases filled in; ``above`` are the recipes that build on it."""
    if name in above:
        raise RecipeError(f"the recipes {', '.join(above)} build on one another in a circle; remove a base")
    path = Path(name)
    if name in recipe_names():
        text = (_folder() / f"{name}.toml").read_text(encoding="utf-8")
    elif path.suffix == ".toml":
        try:
            text = read_plain(path, MOST_RECIPE_BYTES).decode("utf-8-sig")  # editors on Windows put such a mark first
        except (OSError, ValueError) as error:
            raise RecipeError(f"cannot read the recipe {name}: {getattr(error, 'strerror', None) or error}") from error
    else:
        raise RecipeError(f"{unknown('recipe', name, recipe_names())}; or the path of a .toml file")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers of more digits than Python reads are no TOML errors
        raise RecipeError(f"{name} is not valid TOML: {error}") from error
    if "base" not in table:
        return table
    base = table.pop("base")
    if not isinstance(base, str):
        raise RecipeError(f"base is {base!r} in {name}; it must be the name or path of one recipe")
    found = _load_table(str(path.parent / base) if base.endswith(".toml") else base, (*above, name))
    if isinstance(table.get("optimizer"), dict) and isinstance(found.get("optimizer"), dict):
        table["optimizer"] = change_optimizer(found["optimizer"], table["optimizer"])
    return {**found, **table}


def parse_recipe(table: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a table as a TOML file holds it.

    Raises:
        RecipeError: an unknown key or technique, or a value out of range.
    """
    return check(Recipe, dict(table), "", {"optimizer": Optimizer, "network": Network, **LAYER_KINDS})


def change_settings(recipe: Recipe, changes: Mapping[str, str]) -> Recipe:
    """Return ``recipe`` with settings changed by dotted name: ``epochs``, ``optimizer.lr``, ``dropout.p``.

    Args:
        changes: values as they would stand in a TOML file.

    Raises:
        RecipeError: an unknown name or a value out of range.
    """
    table = recipe.to_table()
    techniques = {setting["name"]: setting for setting in table["techniques"]}
    if "optimizer.name" in changes:
        table["optimizer"] = change_optimizer(table["optimizer"], {"name": read_value(changes["optimizer.name"])})
    for key, text in changes.items():
        first, _, option = key.partition(".")
        if first in techniques and option:
            if option in ("name", "rung", "code"):
                raise RecipeError(f"{key} cannot be set; write a recipe file to change which techniques there are")
            target, name = techniques[first], option
        elif first == "optimizer" and option:
            target, name = table["optimizer"], option
        elif not option and first in ("name", "network", "epochs", "batch_size"):
            target, name = table, first
        else:
            optimizer = [f"optimizer.{field}" for field in ("name", *OPTIMIZERS[recipe.optimizer.name])]
            options = [
                f"{setting.name}.{option}"
                for setting in recipe.techniques
                for option in find_technique(setting.name).model_fields
            ]
            raise RecipeError(unknown("setting", key, ["network", "epochs", "batch_size", *optimizer, *options]))
        target[name] = read_value(text)
    return parse_recipe(table)


def read_value(text: str) -> Any:
    """Return the value that ``text`` would be in a TOML file; a bare word is a text."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # numbers of more digits than Python reads are no TOML errors
        return text  # a bare word is a name, as in network=report
    return table["value"] if len(table) == 1 else text


def _folder() -> resources.abc.Traversable:
    return resources.files("stepladder") / "recipes"


#: The recipe for photographs.
TRANSFER = "transfer"


def transfer_preset() -> Preset | None:
    """Return the network of the recipe for photographs, where its weights are on this computer."""
    preset = preset_of(load_recipe(TRANSFER).network)
    assert preset is not None
    try:
        locate_weights(preset, next(iter(preset.weights.values())))
    except RecipeError:
        return None
    return preset
