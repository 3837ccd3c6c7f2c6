"""The folder of a bag of words: ``bag-of-words.json`` and a folder a seed; alone, or in that of a study.

DIR/                     or studies/<name>/bag-of-words/
  bag-of-words.json      settings, protocol, data, versions, hardware, command
  test-readings.json     when test was read
  seeds/<seed>/          result.json  model.safetensors  predictions.safetensors

Stepladder 0.1 called the folder ``baseline`` and the file ``baseline.json``; both are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stepladder.baselines.settings import BagSettings
from stepladder.errors import DamagedError, StorageError, printable
from stepladder.files import read_json
from stepladder.studies.design.rules import MOST_SEEDS
from stepladder.studies.files.consistency import wrong_with_data
from stepladder.studies.files.records import DataRecord, Machine, SavedStudy, Share

#: Raised with every change that an older Stepladder would misread.
BAG_SCHEMA = 1

#: The record's file, and what Stepladder 0.1 called it.
BAG_FILE, _OLD_FILE = "bag-of-words.json", "baseline.json"

#: What tables call it.
BAG_NAME = "bag of words"

_Model = TypeVar("_Model", bound="_Record")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BagRecord(_Record):
    """``bag-of-words.json``: what is fitted, fixed before the first seed.

    Attributes:
        plan_hash: SHA-256 of settings, protocol and data; more seeds may be added.
        seeds: how many were asked for so far.
        validation: see ``make_splits``; at 0, C is chosen on a tenth of the training images.
    """

    schema_version: int = BAG_SCHEMA
    plan_hash: str
    settings: BagSettings
    seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)]
    validation: float
    data: DataRecord
    versions: dict[str, str]
    machine: Machine
    command: str
    created: str


class BagResult(_Record):
    """``result.json`` of one seed. Accuracies are fractions.

    Attributes:
        words: size of the vocabulary that was fitted.
        cost: the SVM's C.
        tried: the validation accuracy of every C that was tried.
        parameters: numbers learned from the training images, by what they are for.
        test_...: on the test images, None until they are read: after all seeds have been fitted.
        seconds, cpu_seconds: wall and processor time of fitting, the choice of C included, reading test not.
        notes: what a reader should know.
    """

    schema_version: int = BAG_SCHEMA
    baseline: str
    seed: int
    words: int
    cost: float
    tried: tuple[tuple[float, Share], ...]
    parameters: dict[str, int]
    train_accuracy: Share
    val_accuracy: Share | None = None
    test_accuracy: Share | None = None
    test_macro_f1: Share | None = None
    seconds: float
    cpu_seconds: float
    notes: tuple[str, ...] = ()
    versions: dict[str, str]
    machine: Machine
    finished: str


@dataclass(frozen=True)
class SavedBag:
    """A bag of words as its folder holds it: the record, and the results of the seeds that have ended, by seed."""

    folder: Path
    record: BagRecord
    results: tuple[BagResult, ...]

    def __repr__(self) -> str:
        return printable(f"<SavedBag {str(self.folder)[-200:]}: {len(self.results)} of {self.record.seeds} seeds>")

    @property
    def parameters(self) -> int:
        """How many numbers each seed learned from the training images; the most where they differ."""
        return max(sum(result.parameters.values()) for result in self.results)


def bag_folder(study: Path) -> Path:
    """Return where a study keeps its bag of words."""
    folder, old = study / "bag-of-words", study / "baseline"
    return old if (old / _OLD_FILE).exists() and not folder.exists() else folder


def seed_folder(folder: Path, seed: int) -> Path:
    """Return where one seed of the bag of words in ``folder`` is kept."""
    return folder / "seeds" / str(seed)


def bag_files(folder: Path) -> list[str]:
    """Return the names of all files of the bag of words in ``folder``, checksums left out."""
    inner = ("result.json", "model.safetensors", "predictions.safetensors")
    seeds = [path.name for path in (folder / "seeds").glob("*") if path.name.isdecimal()]
    names = [BAG_FILE, _OLD_FILE, "test-readings.json", *(f"seeds/{seed}/{name}" for seed in seeds for name in inner)]
    return sorted(name for name in names if (folder / name).is_file())


def read_bag_record(folder: Path) -> BagRecord | None:
    """Return the record in ``bag-of-words.json``; None where there is none.

    Raises:
        StorageError: it is damaged, or of another version.
    """
    old = folder / _OLD_FILE
    path = folder / BAG_FILE
    place, mend = old if not path.exists() and old.exists() else path, "restore it from a copy"
    record = _read(place, BagRecord, mend)
    if record is not None and (wrong := wrong_with_data(record.data)) is not None:
        raise DamagedError(f"{place} is damaged ({wrong})", mend)
    return record


def read_bag_result(folder: Path, seed: int) -> BagResult | None:
    """Return the result of one seed of the bag of words in ``folder``; None where it has not ended.

    Raises:
        StorageError: it is damaged, or of another version.
    """
    place = seed_folder(folder, seed)
    mend = f"remove {place} to fit it again"
    result = _read(place / "result.json", BagResult, mend)
    if result is not None and result.seed != seed:
        raise DamagedError(f"{place / 'result.json'} is that of seed {result.seed}", mend)
    return result


def load_bag_folder(folder: Path) -> SavedBag | None:
    """Return the bag of words in ``folder``; None where there is none, or no seed of it has ended.

    Raises:
        StorageError: a file is damaged.
    """
    record = read_bag_record(folder)
    if record is None:
        return None
    found = [read_bag_result(folder, seed) for seed in range(record.seeds)]
    results = tuple(result for result in found if result is not None)
    for result in results:
        if result.baseline != record.plan_hash:
            place = seed_folder(folder, result.seed)
            raise StorageError(f"{place} is of another bag of words; remove it to fit it again")
    return SavedBag(folder, record, results) if results else None


def study_bag(study: SavedStudy) -> SavedBag | None:
    """Return the bag of words of a study; None where it has none.

    Raises:
        StorageError: a file is damaged, or it was fitted on other images than the study trained on.
    """
    found = load_bag_folder(bag_folder(study.folder))
    if found is not None and found.record.data.split != study.record.data.split:
        raise StorageError(
            f"{found.folder} was fitted on other images or splits than the study; remove it, and add it again"
        )
    return found


def bag_rows(study: SavedStudy) -> list[Mapping[str, Any]]:
    """Return what ``results.csv`` says of the study's bag of words, a row a seed; no row where it has none."""
    found = study_bag(study)
    if found is None:
        return []
    return [
        {
            **result.model_dump(include={"seed", "train_accuracy", "val_accuracy", "test_accuracy", "test_macro_f1"}),
            "rung": BAG_NAME,
            "seconds": result.seconds,
            "status": "finished",
            "trial": f"{found.folder.name}/seeds/{result.seed}",
        }
        for result in found.results
    ]


def _read(path: Path, model: type[_Model], mend: str) -> _Model | None:
    try:
        if not path.exists():
            return None
    except OSError as error:
        raise StorageError(
            f"cannot read {path}: {error.strerror or error}; choose another folder with `out`"
        ) from error
    document = read_json(path)
    found = document.get("schema_version") if isinstance(document, dict) else None
    if found != BAG_SCHEMA:
        raise StorageError(f"{path} has schema version {found}, not {BAG_SCHEMA}; {mend}")
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DamagedError(f"{path} is damaged ({where}: {first['msg']})", mend) from error
