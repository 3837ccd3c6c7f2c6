"""What a pool keeps of a study: ``findings.json``, a record a study, with no image, no file's name and no path in it.

Our own atlas and the one that a laboratory keeps have the same format, so that one reader does for both; the record of
a study that lies in its own folder is made when it is pooled (:mod:`stepladder.studies.pool.sets`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stepladder.errors import DamagedError, StorageError, StudyError, printable
from stepladder.files import read_json, replace_json
from stepladder.network.presets import preset_names
from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.files.records import Machine
from stepladder.studies.judging.verdicts import Verdict
from stepladder.training.unit import Unit

#: Raised with every change that an older Stepladder would misread.
POOL_VERSION = 1

#: The file of a folder of findings.
FINDINGS_FILE = "findings.json"

#: Of several parts, so many digits of a weight tell two contrasts apart: those of Shapley values are fractions.
_WEIGHT_DIGITS = 9


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NetworkRecord(_Record):
    """A network: what it is called, and the SHA-256, hex, of its layers; the layers themselves are not kept."""

    label: str
    fingerprint: str


class PartRecord(_Record):
    """A rung of a contrast.

    Attributes:
        weight: its weight in the contrast; a comparison of two rungs has 1 and -1.
        techniques: all that it has, each with every option, in their order.
        mean: its mean over the seeds, in the metric's unit.
    """

    weight: float
    techniques: tuple[dict[str, Any], ...]
    mean: float


class EffectRecord(_Record):
    """One contrast of one study; figures are in the metric's unit, plus is better.

    Attributes:
        name: what the study calls it; where names are removed, the techniques that it switches.
        network, optimizer: of its rungs, the optimizer by name.
        epochs, batch_size, lr: of its rungs; these may differ between the sets of a pool.
        differences: by seed.
        n, mean, interval, verdict: as the study has them, its interval adjusted for its own comparisons.
        error: standard error of the mean over seeds, above 0.
        log_odds, log_odds_error: the contrast of the logits of the rungs' means, and its standard error; None where the
            metric is no share of which more is better.
    """

    name: str
    kind: ContrastKind
    parts: Annotated[tuple[PartRecord, ...], Field(min_length=2)]
    network: NetworkRecord
    optimizer: str
    epochs: int
    batch_size: int
    lr: float
    differences: dict[int, float]
    n: Annotated[int, Field(ge=2)]
    mean: float
    error: Annotated[float, Field(gt=0)]
    interval: tuple[float, float] | None
    verdict: Verdict | None
    log_odds: float | None = None
    log_odds_error: Annotated[float, Field(gt=0)] | None = None

    @property
    def around(self) -> tuple[dict[str, Any], ...]:
        """The techniques that all of its rungs have."""
        first = self.parts[0].techniques
        return tuple(one for one in first if all(one in part.techniques for part in self.parts))

    @property
    def switched(self) -> tuple[dict[str, Any], ...]:
        """The techniques that some of its rungs lack, each once, in order: what the contrast is about."""
        around, found = self.around, []
        for part in self.parts:
            found += [one for one in part.techniques if one not in around and one not in found]
        return tuple(found)

    @property
    def without(self) -> float | None:
        """The mean of the rung without what is switched, of a comparison of two; None of others."""
        return self.parts[1].mean if [part.weight for part in self.parts] == [1.0, -1.0] else None

    def __repr__(self) -> str:
        return printable(f"<EffectRecord {self.name[:60]}: {self.mean:.4g} ± {self.error:.2g}, n = {self.n}>")


class RungScores(_Record):
    """A rung of a study: its techniques, and its means over the seeds on validation and on test, in the metric's unit.

    Attributes:
        validation, test: None where no seed of it has any.
    """

    techniques: tuple[dict[str, Any], ...]
    validation: float | None
    test: float | None


class SetRecord(_Record):
    """What one study said of one image set.

    Attributes:
        name: of the image set; ``set 1`` and so on where names are removed.
        study: the hash of its plan, by which a newer record of the same study takes the place of an older one.
        fingerprint: of images and labels: the same one is the same set, which a pool counts once.
        image_shape: height, width, channels.
        images: counts a split.
        may_be_flipped: whether a mirrored image is still of its class; None where nobody said so.
        rungs: of the study, in its order; none of one whose techniques are not known.
    """

    name: str
    study: str
    fingerprint: str
    image_shape: tuple[int, int, int]
    classes: int
    images: dict[str, int]
    may_be_flipped: bool | None = None
    metric: str
    metric_key: str
    unit: Unit
    higher_is_better: bool
    smallest_effect: float
    alpha: float
    plan: str
    seeds: int
    versions: dict[str, str]
    machine: Machine
    precision: str
    effects: tuple[EffectRecord, ...]
    rungs: tuple[RungScores, ...] = ()

    @model_validator(mode="after")
    def _has_images(self) -> SetRecord:
        if not all(count > 0 for count in (*self.image_shape, self.classes, self.images.get("train", 0))):
            raise ValueError("image_shape, classes and images.train must be above 0")
        return self

    def __repr__(self) -> str:
        return printable(f"<SetRecord {self.name[:60]}: {self.plan}, {len(self.effects)} effects, seeds: {self.seeds}>")


class PoolFile(_Record):
    """``findings.json``: studies of image sets, in the order in which they were added.

    Attributes:
        command: what makes it again; empty where it grew study by study.
        notes: what a reader must know, a sentence each.
    """

    pool_version: Literal[1] = 1
    command: str = ""
    notes: tuple[str, ...] = ()
    studies: Annotated[tuple[SetRecord, ...], Field(min_length=1)]

    def __repr__(self) -> str:
        return f"<PoolFile of {len(self.studies)} studies>"


def read_pool(path: Path) -> PoolFile:
    """Read a folder of findings, or its file.

    Raises:
        StorageError: it is missing, damaged, or of a newer Stepladder.
    """
    file = path / FINDINGS_FILE if path.is_dir() else path
    document = read_json(file)
    version = document.get("pool_version") if isinstance(document, dict) else None
    if version != POOL_VERSION and isinstance(version, int):
        raise StorageError(
            f"{file} has version {version}, and this Stepladder reads version {POOL_VERSION}; use the version that "
            "wrote it"
        )
    try:
        return PoolFile.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise DamagedError(
            f"{file} is damaged ({place}: {first['msg']})", "restore it from a copy, or save its studies again"
        ) from error


def write_pool(folder: Path, records: Sequence[SetRecord], *, keep_names: bool) -> PoolFile:
    """Add records to the folder's findings and return all of them; the newer record of a study takes the older's place.

    Args:
        keep_names: keep the names of image sets and rungs; without, sets are numbered and rungs are called by their
            techniques. Names are never put back.

    Raises:
        StudyError: ``folder`` is a file, or holds a study.
        StorageError: the file cannot be read or written; it is replaced whole or left as it was.
    """
    if folder.is_file() or (folder / "study.json").exists():
        what = "is a file" if folder.is_file() else "holds a study"
        raise StudyError(f"`save` is {folder}, which {what}; choose another folder")
    path = folder / FINDINGS_FILE
    before = read_pool(path) if path.exists() else None
    kept = list(before.studies) if before else []
    for record in records:
        saved = record if keep_names else _without_names(record, kept)
        places = [place for place, one in enumerate(kept) if one.study == record.study]
        if places:
            kept[places[0]] = saved
        else:
            kept.append(saved)
    found = PoolFile(studies=tuple(kept)) if before is None else before.model_copy(update={"studies": tuple(kept)})
    replace_json(path, found.model_dump(mode="json"), within=folder)
    return found


def technique_names(settings: Iterable[dict[str, Any]]) -> str:
    """Return techniques by name: ``random_crop + horizontal_flip``."""
    return " + ".join(str(setting["name"]) for setting in settings)


def rounded_weight(weight: float) -> float:
    """Return a weight as contrasts are compared by it."""
    return round(weight, _WEIGHT_DIGITS)


def _without_names(record: SetRecord, others: Sequence[SetRecord]) -> SetRecord:
    same = next((one.name for one in others if one.fingerprint == record.fingerprint), None)
    taken = {one.name for one in others}
    number = next(number for number in range(1, len(others) + 2) if f"set {number}" not in taken)
    effects = tuple(
        effect.model_copy(
            update={
                "name": technique_names(effect.switched) or "no technique",
                "network": effect.network.model_copy(update={"label": _network_label(effect.network)}),
            }
        )
        for effect in record.effects
    )
    return record.model_copy(update={"name": same or f"set {number}", "effects": effects})


def _network_label(network: NetworkRecord) -> str:
    return network.label if network.label in preset_names() else "own network"
