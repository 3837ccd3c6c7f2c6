"""Networks by name, one TOML file each, with the paper, the weight count that it gives, and published weights."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from stepladder.citations import Citation, cite, written
from stepladder.errors import RecipeError, unknown
from stepladder.network.arithmetic import parse_input
from stepladder.network.line import network_of_table
from stepladder.network.spec import Network

if TYPE_CHECKING:
    from stepladder.datasets.download import Published


@dataclass(frozen=True)
class PublishedWeights:
    """Trained weights of a preset, as their authors publish them.

    Attributes:
        name: what they were trained on, as ``imagenet``.
        source: whose they are, their license and their accuracy.
        sha256: of the file, hex.
        resize: pixels of the shorter side of an image before its center is cut out to the preset's size.
        mean, scale: of each channel, in levels 0 to 255: the network reads (level − mean) / scale.
        tensors: the authors' names of the layers with weights, in the order of the layer list.
        package: an installed package that holds the file; empty where none does.
        file: where in the package it is, or what it is called once fetched; empty for the last part of ``url``.
        url: where it can be fetched, when asked; empty where a package holds it.
        size: of what can be fetched, bytes.
    """

    name: str
    source: str
    sha256: str
    resize: int
    mean: tuple[float, float, float]
    scale: tuple[float, float, float]
    tensors: tuple[str, ...]
    package: str = ""
    file: str = ""
    url: str = ""
    size: int = 0

    @property
    def published(self) -> Published:
        """The file as it can be fetched; there is a ``url``."""
        from stepladder.datasets.download import Published  # what asks a model needs none of it

        return Published(self.file or self.url.rpartition("/")[2], (self.url,), self.size, self.sha256)


@dataclass(frozen=True)
class Preset:
    """A published network.

    Attributes:
        name: of the file, and what users type.
        network: the layer list.
        papers: where it comes from, with sections; empty where nothing is published.
        origin: where it comes from, where nothing is published.
        published: its weight count as published for ``input_shape`` and ``classes``, as ``61,706`` or ``0.27 M``.
        input_shape: (C, H, W) of the images that it was published for.
        classes: how many classes it was published for.
        weights: trained weights, by name.
    """

    name: str
    network: Network
    papers: tuple[Citation, ...]
    origin: str
    published: str
    input_shape: tuple[int, int, int]
    classes: int
    weights: dict[str, PublishedWeights]

    @property
    def paper(self) -> str:
        """Where it comes from, as one line."""
        return written(self.papers) or self.origin

    @property
    def paper_in_brief(self) -> str:
        """The same for a narrow column: authors, year and section."""
        return "; ".join(paper.brief for paper in self.papers) or self.origin


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
    return _read(name)


@cache
def _read(name: str) -> Preset:
    table = tomllib.loads((_folder() / f"{name}.toml").read_text(encoding="utf-8"))
    papers = tuple(cite(key, where) for key, where in table.pop("papers", ()))
    origin, published, size = table.pop("paper", ""), table.pop("published"), table.pop("input")
    classes, weights, tensors = table.pop("classes", 10), {}, ""
    for key, entry in table.pop("weights", {}).items():
        tensors = entry.pop("tensors", tensors)  # others of the same network have the same names
        entry |= {"mean": tuple(entry["mean"]), "scale": tuple(entry["scale"])}
        weights[key] = PublishedWeights(name=key, tensors=tuple(tensors.split()), **entry)
    network = network_of_table(table)
    return Preset(name, network, papers, origin, published, parse_input(size), classes, weights)


def load_preset(name: str) -> Network:
    """Return the network of the preset ``name``.

    Raises:
        RecipeError: there is none of that name.
    """
    return read_preset(name).network


def preset_of(network: Network) -> Preset | None:
    """Return the preset whose layer list ``network`` is, or None."""
    return next((preset for name in preset_names() if (preset := _read(name)).network == network), None)


def _folder() -> resources.abc.Traversable:
    return resources.files(__name__)
