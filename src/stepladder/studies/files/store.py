"""The folder of a study: files are the truth, and everything else is rebuilt from them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stepladder.errors import RecipeError, StorageError, StudyError
from stepladder.files import read_json, replace_json, replace_text
from stepladder.recipe import parse_recipe
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.bag_files import bag_rows
from stepladder.studies.files.integrity import find_edit
from stepladder.studies.files.records import (
    READABLE_VERSIONS,
    SCHEMA_VERSION,
    Reading,
    Readings,
    SavedStudy,
    SavedTrial,
    StudyRecord,
    TrialResult,
)
from stepladder.training.history import read_history

#: Where a trial keeps its checkpoints while it runs, in its folder.
CHECKPOINTS = "checkpoint"

_RESULT_COLUMNS = (
    "rung",
    "seed",
    "techniques",
    "train_accuracy",
    "val_accuracy",
    "test_accuracy",
    "test_macro_f1",
    "train_loss",
    "val_loss",
    "test_loss",
    "test_ece",
    "temperature",
    "test_nll_calibrated",
    "test_ece_calibrated",
    "epochs",
    "selected_epoch",
    "seconds",
    "images_per_second",
    "status",
    "trial",
)


def trial_folder(study: Path, trial: Trial) -> Path:
    """Return where ``trial`` is kept in the study's folder."""
    return study / "trials" / trial.id


def planned_trials(record: StudyRecord) -> tuple[Trial, ...]:
    """Return every trial that there should be by now, seed by seed: an unfinished study then has whole ladders."""
    try:
        recipes = {rung.name: parse_recipe(rung.recipe) for rung in record.rungs}
    except RecipeError as error:
        raise StorageError(
            f"study.json does not fit this Stepladder ({error}); if it was changed, restore it from a copy"
        ) from error
    return tuple(
        Trial(rung.name, recipes[rung.name], seed, record.split_of(rung, seed), record.precision, record.select)
        for seed in record.seeds
        for rung in record.rungs
        if seed in record.seeds_of(rung.name)
    )


def read_record(study: Path) -> StudyRecord | None:
    """Return the record in ``study.json``; None where there is no study.

    Raises:
        StorageError: it is damaged, or of a newer Stepladder.
    """
    document = _read_document(study / "study.json")
    if document is None:
        return None
    try:
        return StudyRecord.model_validate(document)
    except ValidationError as error:
        raise StorageError(f"{study / 'study.json'} is damaged ({_first(error)}); restore it from a copy") from error


def write_record(study: Path, record: StudyRecord) -> None:
    """Replace ``study.json``; one that an older Stepladder began is of this version from then on."""
    current = record.model_copy(update={"schema_version": SCHEMA_VERSION})
    replace_json(study / "study.json", current.model_dump(mode="json"))


def read_result(folder: Path) -> TrialResult | None:
    """Return the result of the trial in ``folder``; None where it has not ended.

    Raises:
        StorageError: it is damaged.
    """
    path = folder / "result.json"
    document = _read_document(path)
    if document is None:
        return None
    try:
        result = TrialResult.model_validate(document)
    except ValidationError as error:
        raise StorageError(f"{path} is damaged ({_first(error)}); remove it to run the trial again") from error
    if (result.test_accuracy is None) != (result.test_loss is None):
        raise StorageError(f"{path} is damaged (half of a test result); remove it to run the trial again")
    return result


def read_readings(study: Path) -> tuple[Reading, ...]:
    """Return the readings of the test images so far, in order.

    Raises:
        StorageError: the file is damaged, or of another version.
    """
    path = study / "test-readings.json"
    document = _read_document(path)
    if document is None:
        return ()
    try:
        return Readings.model_validate(document).readings
    except ValidationError as error:
        raise StorageError(f"{path} is damaged ({_first(error)}); restore it from a copy") from error


def write_readings(study: Path, readings: tuple[Reading, ...]) -> None:
    """Replace ``test-readings.json``."""
    replace_json(study / "test-readings.json", Readings(readings=readings).model_dump(mode="json"))


def load_study(study: Path | str) -> SavedStudy:
    """Return the study in a folder with every trial that has ended, rung by rung.

    Raises:
        StudyError: there is no study.
        StorageError: a file is damaged.
    """
    study = Path(study)
    record = read_record(study)
    if record is None:
        raise StudyError(f"there is no study in {study} (no study.json); start one there with study(data, out=…)")
    saved = []
    for trial in planned_trials(record):
        folder = trial_folder(study, trial)
        result = read_result(folder)
        if result is not None:
            saved.append(_saved_trial(trial, folder, result))
    order = [rung.name for rung in record.rungs]
    saved.sort(key=lambda trial: (order.index(trial.rung), trial.seed))
    readings = read_readings(study)
    edited = find_edit(record, readings, (trial.result for trial in saved))
    return SavedStudy(study, record, tuple(saved), readings, edited)


def _saved_trial(trial: Trial, folder: Path, result: TrialResult) -> SavedTrial:
    history = read_history(folder / "history.csv")
    if result.trial != trial.id or result.seed != trial.seed:
        raise StorageError(f"{folder / 'result.json'} is that of another trial; remove it to run this one again")
    # A trial that failed before its first evaluation has no epoch at all.
    whole = [record.epoch for record in history] == list(range(result.epochs + 1))
    if not whole and (history or result.status == "finished"):
        raise StorageError(f"{folder / 'history.csv'} lacks epochs; remove {folder} to run the trial again")
    return SavedTrial(trial.rung, trial.seed, folder, result, history)


def write_results(study: SavedStudy) -> None:
    """Rebuild ``results.csv``."""
    replace_text(study.folder / "results.csv", results_text(study))


def results_text(study: SavedStudy) -> str:
    """Return ``results.csv``: one row a trial that has ended, below them the study's bag of words."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_RESULT_COLUMNS)
    for row in result_rows(study):
        writer.writerow("" if row[name] is None else row[name] for name in _RESULT_COLUMNS)
    return text.getvalue()


def result_rows(study: SavedStudy) -> list[dict[str, Any]]:
    """Return the rows of ``results.csv`` as plain values by column; None where a figure is not defined."""
    rows: list[Mapping[str, Any]] = [
        {**trial.result.model_dump(), "rung": trial.rung, "techniques": " ".join(trial.result.techniques)}
        for trial in study.trials
    ]
    rows += bag_rows(study)
    return [{name: row.get(name) for name in _RESULT_COLUMNS} for row in rows]


def _read_document(path: Path) -> dict[str, Any] | None:
    """Return a saved JSON object of this version; None where there is no file."""
    try:
        if not path.exists():
            return None
    except OSError as error:  # a name too long, a folder that may not be entered
        raise StorageError(
            f"cannot read {path}: {error.strerror or error}; choose another folder with `out`"
        ) from error
    document = read_json(path)
    if not isinstance(document, dict):
        raise StorageError(f"{path} is damaged (it holds no JSON object); restore it from a copy")
    found = document.get("schema_version")
    if found not in READABLE_VERSIONS:
        raise StorageError(
            f"{path} has schema version {found}; this Stepladder reads versions {READABLE_VERSIONS[0]} to "
            f"{SCHEMA_VERSION}: use the version that wrote it, or run the study again in another folder"
        )
    return document


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
