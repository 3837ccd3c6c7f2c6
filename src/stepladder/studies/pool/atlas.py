"""The atlas as it comes with Stepladder: what each technique did on the image sets that we trained on.

``python -m benchmarks atlas --page`` writes ``atlas.json`` beside this file from the atlas's findings. Where it is not
there, no atlas has been made, and everything that would speak of it is silent. It decides nothing: no verdict and no
recipe reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import stepladder.studies.pool as pool
from stepladder.errors import DamagedError
from stepladder.files import read_json

if TYPE_CHECKING:
    from stepladder.studies.files.records import ContrastRecord, StudyRecord

#: The kind of a contrast that is told where there are several, as most people ask it (see ``designs.ContrastKind``,
#: whose module takes seconds to import).
_USUAL_KIND = "ladder"


@dataclass(frozen=True)
class AtlasEntry:
    """One pooled effect of the atlas, in fractions of 1.

    Attributes:
        techniques: that it is about, by name, sorted.
        kind: what the studies asked of them, as their plan calls it.
        network: that all its sets trained.
        beside: the techniques that all of its rungs have.
        sets, helped, hurt: image sets, and verdicts of their own studies.
        mean: over the sets.
        new_set: what a new set lies within, 95 %.
    """

    techniques: tuple[str, ...]
    kind: str
    network: str
    beside: tuple[str, ...]
    sets: int
    helped: int
    hurt: int
    mean: float
    new_set: tuple[float, float]

    @classmethod
    def of_table(cls, table: dict[str, Any]) -> AtlasEntry:
        """Return the entry of plain values. Raises KeyError, TypeError or ValueError where they are none."""
        low, high = (float(end) for end in table["new_set"])
        entry = cls(
            tuple(map(str, table["techniques"])), str(table["kind"]), str(table["network"]),
            tuple(map(str, table["beside"])), int(table["sets"]), int(table["helped"]), int(table["hurt"]),
            float(table["mean"]), (low, high),
        )  # fmt: skip
        if not (-1 <= low <= entry.mean <= high <= 1 and 0 <= entry.helped + entry.hurt <= entry.sets):
            raise ValueError("no pooled effect")
        return entry


@dataclass(frozen=True)
class Atlas:
    """All of them.

    Attributes:
        sets: image sets of the atlas.
        entries: those of most sets first.
    """

    sets: int
    entries: tuple[AtlasEntry, ...]

    def to_table(self) -> dict[str, Any]:
        """Return plain values that :func:`read_atlas` reads back."""
        return asdict(self)

    def find(self, techniques: Iterable[str], network: str | None = None) -> AtlasEntry | None:
        """Return what there is of these techniques together.

        Of several that of ``network``, then that of most sets, then that of the ladder: never the one that did best.
        """
        asked = tuple(sorted(techniques))
        found = [one for one in self.entries if one.techniques == asked]
        return max(
            found,
            key=lambda one: (one.network == network, one.sets, one.kind == _USUAL_KIND, one.kind, one.beside),
            default=None,
        )


def read_atlas() -> Atlas | None:
    """Return the atlas; None where there is none.

    Raises:
        DamagedError: the file is damaged.
    """
    return _read(pool.ATLAS_FILE) if pool.ATLAS_FILE.is_file() else None


@cache
def _read(path: Path) -> Atlas:
    try:
        table = read_json(path)
        return Atlas(int(table["sets"]), tuple(map(AtlasEntry.of_table, table["entries"])))
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{path} is damaged ({error})", "install Stepladder again") from error


def techniques_of(record: StudyRecord, contrast: ContrastRecord) -> tuple[str, ...]:
    """Return the names of the techniques that a contrast of a study is about: those that some of its rungs lack."""
    rungs = {rung.name: rung.recipe.get("techniques", ()) for rung in record.rungs}
    each = [{str(one["name"]) for one in rungs[name]} for name in contrast.weights]
    listed: set[str] = set().union(*each)
    return tuple(sorted(name for name in listed if not all(name in names for names in each)))
