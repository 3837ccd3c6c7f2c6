"""The folder of a baseline without a network: ``baseline.json`` and a folder a seed; alone, or in that of a study.

DIR/                     or studies/<name>/baseline/
  baseline.json          settings, protocol, data, versions, hardware, command
  test-readings.json     when test was read
  seeds/<seed>/          result.json  model.safetensors  predictions.safetensors
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stepladder.baselines.settings import BagSettings
from stepladder.errors import StorageError
from stepladder.files import read_json
from stepladder.study.files.records import DataRecord, Machine, SavedStudy, Share

#: Raised with every change that an older Stepladder would misread.
BASELINE_SCHEMA = 1

#: What tables call it.
BASELINE_NAME = "bag of words"

_Model = TypeVar("_Model", bound="_Record")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BaselineRecord(_Record):
    """``baseline.json``: what is fitted, fixed before the first seed.

    Attributes:
        plan_hash: SHA-256 of settings, protocol and data; more seeds may be added.
        seeds: how many were asked for so far.
        validation: see ``make_splits``; at 0, C is chosen on a tenth of the training images.
    """

    schema_version: int = BASELINE_SCHEMA
    plan_hash: str
    settings: BagSettings
    seeds: Annotated[int, Field(ge=1)]
    validation: float
    data: DataRecord
    versions: dict[str, str]
    machine: Machine
    command: str
    created: str


class BaselineResult(_Record):
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

    schema_version: int = BASELINE_SCHEMA
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
class SavedBaseline:
    """A baseline as its folder holds it: the record, and the results of the seeds that have ended, by seed."""

    folder: Path
    record: BaselineRecord
    results: tuple[BaselineResult, ...]

    @property
    def parameters(self) -> int:
        """How many numbers each seed learned from the training images; the most where they differ."""
        return max(sum(result.parameters.values()) for result in self.results)


def baseline_folder(study: Path) -> Path:
    """Return where a study keeps its baseline."""
    return study / "baseline"


def seed_folder(folder: Path, seed: int) -> Path:
    """Return where one seed of the baseline in ``folder`` is kept."""
    return folder / "seeds" / str(seed)


def read_baseline_record(folder: Path) -> BaselineRecord | None:
    """Return the record in ``baseline.json``; None where there is none.

    Raises:
        StorageError: it is damaged, or of another version.
    """
    return _read(folder / "baseline.json", BaselineRecord, "restore it from a copy")


def read_baseline_result(folder: Path, seed: int) -> BaselineResult | None:
    """Return the result of one seed of the baseline in ``folder``; None where it has not ended.

    Raises:
        StorageError: it is damaged, or of another version.
    """
    place = seed_folder(folder, seed)
    return _read(place / "result.json", BaselineResult, f"remove {place} to fit it again")


def load_baseline(folder: Path) -> SavedBaseline | None:
    """Return the baseline in ``folder``; None where there is none, or no seed of it has ended.

    Raises:
        StorageError: a file is damaged.
    """
    record = read_baseline_record(folder)
    if record is None:
        return None
    found = [read_baseline_result(folder, seed) for seed in range(record.seeds)]
    results = tuple(result for result in found if result is not None)
    for result in results:
        if result.baseline != record.plan_hash:
            place = seed_folder(folder, result.seed)
            raise StorageError(f"{place} is of another baseline; remove it to fit it again")
    return SavedBaseline(folder, record, results) if results else None


def study_baseline(study: SavedStudy) -> SavedBaseline | None:
    """Return the baseline of a study; None where it has none.

    Raises:
        StorageError: a file is damaged, or the baseline was fitted on other images than the study trained on.
    """
    found = load_baseline(baseline_folder(study.folder))
    if found is not None and found.record.data.split != study.record.data.split:
        raise StorageError(
            f"{found.folder} was fitted on other images or splits than the study; remove it, and add it again with "
            "--with-baseline"
        )
    return found


def baseline_rows(study: SavedStudy) -> list[Mapping[str, Any]]:
    """Return what ``results.csv`` says of the study's baseline, a row a seed; no row where it has none."""
    found = study_baseline(study)
    if found is None:
        return []
    return [
        {
            **result.model_dump(include={"seed", "train_accuracy", "val_accuracy", "test_accuracy", "test_macro_f1"}),
            "rung": BASELINE_NAME,
            "seconds": result.seconds,
            "status": "finished",
            "trial": f"baseline/seeds/{result.seed}",
        }
        for result in found.results
    ]


def _read(path: Path, model: type[_Model], mend: str) -> _Model | None:
    try:
        if not path.exists():
            return None
    except OSError as error:
        raise StorageError(
            f"cannot read {path}: {error.strerror or error}; choose another folder with --out"
        ) from error
    document = read_json(path)
    found = document.get("schema_version") if isinstance(document, dict) else None
    if found != BASELINE_SCHEMA:
        raise StorageError(f"{path} has schema version {found}, not {BASELINE_SCHEMA}; {mend}")
    try:
        return model.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise StorageError(f"{path} is damaged ({where}: {first['msg']}); {mend}") from error
