"""Networks by name, one TOML file each, with the paper and the weight count that it gives."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources

from stepladder.errors import RecipeError, unknown
from stepladder.network.arithmetic import parse_input
from stepladder.network.line import network_of_table
from stepladder.network.spec import Network


@dataclass(frozen=True)
class Preset:
    """A published network.

    Attributes:
        name: of the file, and what users type.
        network: the layer list.
        paper: where it comes from, with section.
        published: its weight count as published for ``input_shape`` and ten classes, as ``61,706`` or ``0.27 M``.
        input_shape: (C, H, W) of the images that it was published for.
    """

    name: str
    network: Network
    paper: str
    published: str
    input_shape: tuple[int, int, int]


def preset_names() -> list[str]:
    """Return the names of all presets, sorted."""
    return sorted(file.name.removesuffix(".toml") for file in _folder().iterdir() if file.name.endswith(".toml"))


def read_preset(name: str) -> Preset:
    """Return the preset ``name`` with what its file says of it.

    Raises:
        RecipeError: there is none of that name.
    """
    if name not in preset_names():
        raise RecipeError(unknown("network", name, preset_names()))
    table = tomllib.loads((_folder() / f"{name}.toml").read_text(encoding="utf-8"))
    paper, published, size = (table.pop(key) for key in ("paper", "published", "input"))
    return Preset(name, network_of_table(table), paper, published, parse_input(size))


def load_preset(name: str) -> Network:
    """Return the network of the preset ``name``.

    Raises:
        RecipeError: there is none of that name.
    """
    return read_preset(name).network


def _folder() -> resources.abc.Traversable:
    return resources.files(__name__)
