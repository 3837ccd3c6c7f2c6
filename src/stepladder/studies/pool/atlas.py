"""The atlas as it comes with Stepladder: what each technique did on the image sets that we trained on.

``python -m benchmarks atlas --page`` writes ``atlas.json`` beside this file from the atlas's findings. Where it is not
there, no atlas has been made, and everything that would speak of it is silent. It decides nothing: no verdict and no
recipe reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

import stepladder.studies.pool as pool
from stepladder.errors import DamagedError
from stepladder.files import read_json

if TYPE_CHECKING:
    from stepladder.studies.files.records import ContrastRecord, StudyRecord


class AtlasEntry(BaseModel):
    """One pooled effect of the atlas, in fractions of 1.

    Attributes:
        techniques: that it is about, by name, sorted.
        network: that all its sets trained.
        beside: the techniques that all of its rungs have.
        sets, helped, hurt: image sets, and verdicts of their own studies.
        mean: over the sets.
        new_set: what a new set lies within, 95 %.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    techniques: tuple[str, ...]
    network: str
    beside: tuple[str, ...]
    sets: int
    helped: int
    hurt: int
    mean: float
    new_set: tuple[float, float]


class Atlas(BaseModel):
    """All of them.

    Attributes:
        sets: image sets of the atlas.
        entries: those of most sets first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sets: int
    entries: tuple[AtlasEntry, ...]

    def find(self, techniques: Iterable[str], network: str | None = None) -> AtlasEntry | None:
        """Return what there is of these techniques together: on this network, or on any; of several, of most sets."""
        asked = tuple(sorted(techniques))
        found = [one for one in self.entries if one.techniques == asked and network in (None, one.network)]
        return max(found, key=lambda one: one.sets, default=None)


def read_atlas() -> Atlas | None:
    """Return the atlas; None where there is none.

    Raises:
        DamagedError: the file is damaged.
    """
    return _read(pool.ATLAS_FILE) if pool.ATLAS_FILE.is_file() else None


@cache
def _read(path: Path) -> Atlas:
    try:
        return Atlas.model_validate(read_json(path))
    except ValidationError as error:
        raise DamagedError(f"{path} is damaged ({error.errors()[0]['msg']})", "install Stepladder again") from error


def techniques_of(record: StudyRecord, contrast: ContrastRecord) -> tuple[str, ...]:
    """Return the names of the techniques that a contrast of a study is about: those that some of its rungs lack."""
    rungs = {rung.name: rung.recipe.get("techniques", ()) for rung in record.rungs}
    each = [{str(one["name"]) for one in rungs[name]} for name in contrast.weights]
    listed: set[str] = set().union(*each)
    return tuple(sorted(name for name in listed if not all(name in names for names in each)))
