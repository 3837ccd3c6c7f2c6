"""The sets of the atlas, a TOML file each, and their images."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from stepladder.datasets import ImageSet, Labelled, load_image_set
from stepladder.datasets.load import as_image_set
from stepladder.recipe import TRANSFER
from stepladder.schema import check
from stepladder.studies.design.recipes import RecipeOptions

_FOLDER = Path(__file__).parent / "sets"

#: How a set is trained: the atlas's own ladder from scratch, or the recipe for photographs.
Kind = Literal["scratch", "transfer"]

#: Pixels a side of images that are trained from scratch, at most: more would be another network.
SCRATCH_SIDE = 32


class AtlasSet(BaseModel):
    """One set.

    Attributes:
        name: of its file.
        data: its path below the folder of data, or a name where it comes with Stepladder.
        index, label_column: the table of the labels and its column, as ``--index`` and ``--label-column`` take them.
        may_be_flipped: whether a mirrored image is still of its class.
        runs: how it is trained.
        same_images_as: another set with the same images and other labels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    data: str
    comes_with_stepladder: bool = False
    index: str | None = None
    label_column: str | None = None
    may_be_flipped: bool
    runs: Annotated[tuple[Kind, ...], Field(min_length=1)]
    same_images_as: str | None = None


@dataclass(frozen=True)
class PlacedSet:
    """A set whose images are on this computer.

    Attributes:
        source: a name, or the path of its images.
    """

    config: AtlasSet
    source: str

    @property
    def name(self) -> str:
        """Of the set."""
        return self.config.name

    def load(self, kind: Kind, limit: int | None = None) -> ImageSet:
        """Return the images as a run has them.

        Args:
            limit: only the first so many of each class in each split.
        """
        config = self.config
        images: object = self.source
        if config.index is not None:
            images = Labelled(self.source, index=config.index, label_column=config.label_column)
        size = RecipeOptions(TRANSFER).default_size() if kind == "transfer" else None
        loaded = load_image_set(images, limit=limit, size=size)
        if kind == "scratch" and max(loaded.image_shape[:2]) > SCRATCH_SIDE:
            loaded = load_image_set(images, limit=limit, size=SCRATCH_SIDE)
        return as_image_set(loaded, name=self.name)


def read_sets(folder: Path = _FOLDER) -> tuple[AtlasSet, ...]:
    """Return all sets, by name.

    Raises:
        RecipeError: a file does not fit.
    """
    return tuple(
        check(
            AtlasSet, {"name": path.stem, **tomllib.loads(path.read_text(encoding="utf-8"))}, path.name, whole=path.name
        )
        for path in sorted(folder.glob("*.toml"))
    )


def available(sets: Sequence[AtlasSet], root: Path | None) -> tuple[list[PlacedSet], list[AtlasSet]]:
    """Return the sets that are here, and those that are not."""
    there, missing = [], []
    for one in sets:
        path = None if root is None else root / one.data
        if one.comes_with_stepladder:
            there.append(PlacedSet(one, one.data))
        elif path is not None and path.exists():
            there.append(PlacedSet(one, str(path)))
        else:
            missing.append(one)
    return there, missing
