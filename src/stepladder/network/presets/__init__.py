"""Networks by name, one TOML file each."""

from __future__ import annotations

import tomllib
from importlib import resources

from stepladder.errors import RecipeError, unknown
from stepladder.network.spec import Network


def preset_names() -> list[str]:
    """Return the names of all presets, sorted."""
    return sorted(file.name.removesuffix(".toml") for file in _folder().iterdir() if file.name.endswith(".toml"))


def load_preset(name: str) -> Network:
    """Return the preset ``name``.

    Raises:
        RecipeError: there is none of that name.
    """
    if name not in preset_names():
        raise RecipeError(unknown("network", name, preset_names()))
    return Network.model_validate(tomllib.loads((_folder() / f"{name}.toml").read_text(encoding="utf-8")))


def _folder() -> resources.abc.Traversable:
    return resources.files(__name__)
