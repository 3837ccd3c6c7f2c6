"""The folder of a study: files are the truth, and everything else is rebuilt from them."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stepladder.errors import DamagedError, RecipeError, StorageError, StudyError, printable, some_of
from stepladder.files import find_links, read_json, replace_json, replace_text, unreadable
from stepladder.recipe import parse_recipe
from stepladder.studies.design.trials import CommandTrial, Trial
from stepladder.studies.files.bag_files import bag_rows
from stepladder.studies.files.consistency import read_whole_history, wrong_with_result, wrong_with_study
from stepladder.studies.files.integrity import find_edit
from stepladder.studies.files.predictions import check_predictions
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
from stepladder.studies.files.run_history import read_run_history
from stepladder.training.history import EpochRecord

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


#: Columns after the accuracies that a study has where a metric decides that no trial is measured by unasked.
_RARE_COLUMNS = ("val_score", "test_score")
#: Those of runs of a command: without times, so that a study that was interrupted ends with the same file.
_COMMAND_COLUMNS = ("rung", "seed", "val_score", "test_score", "status", "trial")


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
    try:
        key = record.measured_by.key
    except StudyError as error:
        raise _damaged(Path("study.json"), str(error), "restore it from a copy") from error
    return tuple(
        Trial(rung.name, recipes[rung.name], seed, record.split_of(rung, seed), record.precision, record.select, key)
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
        record = StudyRecord.model_validate(document)
    except ValidationError as error:
        raise _damaged(study / "study.json", _first(error), "restore it from a copy") from error
    if (wrong := wrong_with_study(record)) is not None:
        raise _damaged(study / "study.json", wrong, "restore it from a copy")
    return record


def write_record(study: Path, record: StudyRecord) -> None:
    """Replace ``study.json``; one that an older Stepladder began is of this version from then on."""
    current = record.model_copy(update={"schema_version": SCHEMA_VERSION})
    replace_json(study / "study.json", current.model_dump(mode="json"))


def read_result(folder: Path) -> TrialResult | None:
    """Return the result of the trial in ``folder``; None where it has not ended.

    Raises:
        DamagedError: it is damaged.
        StorageError: it cannot be read, or is of another version.
    """
    path = folder / "result.json"
    document = _read_document(path)
    if document is None:
        return None
    try:
        result = TrialResult.model_validate(document)
    except ValidationError as error:
        raise _damaged(path, _first(error)) from error
    if (result.test_accuracy is None) != (result.test_loss is None):
        raise _damaged(path, "half of a test result")
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
        raise _damaged(path, _first(error), "restore it from a copy") from error


def write_readings(study: Path, readings: tuple[Reading, ...]) -> None:
    """Replace ``test-readings.json``."""
    replace_json(study / "test-readings.json", Readings(readings=readings).model_dump(mode="json"))


def load_study(study: Path | str) -> SavedStudy:
    """Return the study in a folder with every trial that has ended, rung by rung.

    Raises:
        StudyError: there is no study.
        StorageError: a file is damaged; every trial that is, is named.
    """
    study = Path(study)
    record = read_record(study)
    if record is None:
        raise StudyError(f"there is no study in {study} (no study.json); start one there with study(data, out=…)")
    if record.scores is not None:
        return _load_commands(study, record)
    saved, damaged = [], []
    for trial in planned_trials(record):
        try:
            one = read_trial(study, record, trial)
        except DamagedError as error:
            damaged.append(f"{trial.rung}, seed {trial.seed}: {error.what}")
        else:
            saved += [] if one is None else [one]
    _refuse_damaged(study, damaged)
    order = [rung.name for rung in record.rungs]
    saved.sort(key=lambda trial: (order.index(trial.rung), trial.seed))
    readings = read_readings(study)
    edited = find_edit(record, readings, (trial.result for trial in saved))
    return SavedStudy(study, record, tuple(saved), readings, edited)


def command_trials(record: StudyRecord) -> tuple[CommandTrial, ...]:
    """Return every run of a user's own command that there should be by now, seed by seed."""
    return tuple(
        CommandTrial(rung.name, rung.recipe, seed)
        for seed in record.seeds
        for rung in record.rungs
        if seed in record.seeds_of(rung.name)
    )


def _load_commands(study: Path, record: StudyRecord) -> SavedStudy:
    """Return a study of a user's own command with every run that has ended."""
    saved, damaged = [], []
    for trial in command_trials(record):
        folder = study / "trials" / trial.id
        try:
            result = read_result(folder)
            if result is None:
                continue
            if result.trial != trial.id or result.seed != trial.seed:
                raise _damaged(folder / "result.json", "it is that of another trial")
            saved.append(SavedTrial(trial.rung, trial.seed, folder, result, (), read_run_history(folder)))
        except DamagedError as error:
            damaged.append(f"{trial.rung}, seed {trial.seed}: {error.what}")
    _refuse_damaged(study, damaged)
    order = {rung.name: place for place, rung in enumerate(record.rungs)}
    saved.sort(key=lambda trial: (order[trial.rung], trial.seed))
    readings = read_readings(study)
    return SavedStudy(study, record, tuple(saved), readings, find_edit(record, readings))


def refuse_damaged_predictions(study: SavedStudy) -> None:
    """Refuse a study that has a trial whose predictions are damaged, or are not those of its images.

    They are not read with the study, as they are large; whoever judges it asks first.

    Raises:
        StorageError: there is one; every such trial is named.
    """
    damaged = []
    for one in study.trials:
        try:
            _check_predictions(one, study.record)
        except DamagedError as error:
            damaged.append(f"{one.rung}, seed {one.seed}: {error.what}")
    _refuse_damaged(study.folder, damaged)


def _refuse_damaged(study: Path, damaged: Sequence[str]) -> None:
    if damaged:
        it, trials = ("it", "a damaged trial") if len(damaged) == 1 else ("them", f"{len(damaged)} damaged trials")
        raise StorageError(
            f"{study} has {trials}: {some_of(damaged)}; run the study again, which sets {it} aside and trains {it} anew"
        )


def _check_predictions(trial: SavedTrial, record: StudyRecord) -> None:
    if trial.result.test_accuracy is None:
        return
    for split in ("test", "validation"):
        images = None if record.resplit else record.data.counts.get(split)
        check_predictions(trial.folder, images, len(record.data.class_names), split)


def read_trial(study: Path, record: StudyRecord, trial: Trial) -> SavedTrial | None:
    """Return one trial of a study as its folder holds it; None where it has not ended.

    Raises:
        DamagedError: a file of it is damaged, or does not fit the others.
        StorageError: a file cannot be read, or is of another version.
    """
    folder = trial_folder(study, trial)
    result = read_result(folder)
    if result is None:
        return None
    if (wrong := wrong_with_result(result, trial, record)) is not None:
        raise _damaged(folder / "result.json", wrong)
    return SavedTrial(trial.rung, trial.seed, folder, result, read_epochs(folder, result))


def read_epochs(folder: Path, result: TrialResult) -> tuple[EpochRecord, ...]:
    """Return the history of a trial that has ended with ``result``.

    Raises:
        DamagedError: it is damaged, or is not that of the result.
        StorageError: it cannot be read.
    """
    path = folder / "history.csv"
    try:
        return read_whole_history(path, result)
    except FileNotFoundError as error:
        raise _damaged(path, "it is gone") from error
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise _damaged(path, str(error)) from error


def find_damaged(study: Path, record: StudyRecord) -> list[tuple[Trial, str]]:
    """Return the trials that have ended and whose files cannot be what was written, with what is wrong.

    Raises:
        StorageError: a file cannot be read, or is of another version.
    """
    found = []
    for trial in planned_trials(record):
        folder = trial_folder(study, trial)
        try:
            link = next(find_links(folder), None)
        except OSError as error:
            raise unreadable(folder, error) from error
        if link is not None:
            found.append((trial, f"{link} is a link, and none is followed"))
            continue
        try:
            saved = read_trial(study, record, trial)
            if saved is not None:
                _check_predictions(saved, record)
        except DamagedError as error:
            found.append((trial, error.what))
    return found


def move_aside(folder: Path) -> Path:
    """Rename a damaged folder, so that another can take its place; return where it is now."""
    number = 1
    while os.path.lexists(target := folder.with_name(f"{folder.name}.broken-{number}")):
        number += 1
    return folder.rename(target)


def write_results(study: SavedStudy) -> None:
    """Rebuild ``results.csv``."""
    replace_text(study.folder / "results.csv", results_text(study))


def results_text(study: SavedStudy) -> str:
    """Return ``results.csv``: one row a trial that has ended, below them the study's bag of words."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = result_rows(study)
    columns = tuple(rows[0]) if rows else _RESULT_COLUMNS
    writer.writerow(columns)
    for row in rows:
        values = (row[name] for name in columns)
        writer.writerow("" if one is None else printable(one) if isinstance(one, str) else one for one in values)
    return text.getvalue()


def result_rows(study: SavedStudy) -> list[dict[str, Any]]:
    """Return the rows of ``results.csv`` as plain values by column; None where a figure is not defined."""
    rows: list[Mapping[str, Any]] = [
        {**trial.result.model_dump(), "rung": trial.rung, "techniques": " ".join(trial.result.techniques)}
        for trial in study.trials
    ]
    if study.record.scores is not None:
        return [{name: row.get(name) for name in _COMMAND_COLUMNS} for row in rows]
    rows += bag_rows(study)
    rare = [name for name in _RARE_COLUMNS if any(row.get(name) is not None for row in rows)]
    after = _RESULT_COLUMNS.index("train_loss")
    columns = (*_RESULT_COLUMNS[:after], *rare, *_RESULT_COLUMNS[after:])
    return [{name: row.get(name) for name in columns} for row in rows]


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
        raise _damaged(path, "it holds no JSON object", "restore it from a copy or remove it")
    found = document.get("schema_version")
    if type(found) is not int:
        raise _damaged(path, "it has no schema version", "restore it from a copy or remove it")
    if found not in READABLE_VERSIONS:
        raise StorageError(
            f"{path} has schema version {found}; this Stepladder reads versions {READABLE_VERSIONS[0]} to "
            f"{SCHEMA_VERSION}: use the version that wrote it, or run the study again in another folder"
        )
    return document


def _damaged(path: Path, what: str, fix: str = "remove it to run the trial again") -> DamagedError:
    return DamagedError(f"{path} is damaged ({what})", fix)


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
