"""Is a study what it says? Every checksum, every hash, and that what is derived follows from the trials."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stepladder.errors import StorageError, StudyError
from stepladder.files import json_text
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.checksums import find_changed_files
from stepladder.studies.files.integrity import find_edit
from stepladder.studies.files.records import TrialResult
from stepladder.studies.files.store import (
    CHECKPOINTS,
    load_study,
    planned_trials,
    read_readings,
    read_record,
    read_result,
    results_text,
    trial_folder,
)
from stepladder.studies.running.locks import locked, try_lock


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it should be.

    Attributes:
        kind: ``plan``, of the study as a whole, which only a copy can mend; ``trial``, which can be set aside and run
            again; ``derived``, which can be rebuilt; ``note``, which is no fault.
        place: the file or folder, as seen from the study's.
        what: the rest of the sentence.
    """

    kind: Literal["plan", "trial", "derived", "note"]
    place: str
    what: str

    @property
    def is_fault(self) -> bool:
        """Whether it is more than a note."""
        return self.kind != "note"


def check_study(study: Path) -> list[Fault]:
    """Return all that is wrong with the files of a study, but for its report; nothing where all is well.

    Raises:
        StudyError: there is no study.
    """
    try:
        record = read_record(study)
    except StorageError as error:
        return [Fault("plan", "study.json", str(error))]
    if record is None:
        raise StudyError(f"there is no study in {study} (no study.json)")
    faults = []
    planned = planned_trials(record)
    try:
        edit = find_edit(record, read_readings(study), _sound_results(study, planned))
    except StorageError as error:
        faults.append(Fault("plan", "test-readings.json", str(error)))
    else:
        if edit is not None:
            name, _, what = edit.partition(" ")
            faults.append(Fault("plan", name, what))
    for trial in planned:
        faults += _check_trial(study, trial)
    faults += _strangers(study, {trial.id for trial in planned})
    if not any(one.is_fault for one in faults):
        faults += check_derived(study, "results.csv", results_text(load_study(study)))
    return faults


def check_derived(study: Path, name: str, expected: str) -> list[Fault]:
    """Return whether a derived file of a study is what its trials give."""
    found, fault = _read_derived(study, name)
    return [fault] if fault else [] if found == expected else [_not_derived(name)]


#: Keys of a document that a later version works out by another rule.
_ANEW = ("version", "choice", "diagnosis", "shown", "answers", "test_set")


def check_document(study: Path, name: str, expected: Mapping[str, Any]) -> list[Fault]:
    """Return whether a derived JSON document is what the trials give.

    One that an older Stepladder wrote has fewer keys; what it says must be what is said now.
    """
    text, fault = _read_derived(study, name)
    if fault:
        return [fault]
    try:
        found = json.loads(text)
    except ValueError:
        return [_not_derived(name)]
    written = json.loads(json_text(expected))
    older = isinstance(found, dict) and found.get("version", 0) < written.get("version", 1)
    if older:
        # Up to version 4 it chose, and so showed a model, by half an image, diagnosed otherwise, told of other test
        # images without other seeds, and left intervals as long as they came.
        found = {key: value for key, value in found.items() if key not in _ANEW}
        for table in ("rungs", "effects"):
            _cut_intervals(found.get(table), written.get(table))
    return [] if found == written or (older and agrees_with(found, written)) else [_not_derived(name)]


def _cut_intervals(found: Any, expected: Any) -> None:
    """Cut the intervals of an older document to what is possible, as those of today are."""
    if not isinstance(found, list) or not isinstance(expected, list):
        return
    for one, now in zip(found, expected, strict=False):
        interval = one.get("interval") if isinstance(one, dict) else None
        if not isinstance(interval, list) or not now["interval"]:
            continue
        most = now.get("most", 1.0)  # of a rung's mean; a loss, which has no end, does not touch it
        least = -most if "most" in now and most is not None else 0.0
        low, high = now["interval"]
        one["interval"] = [least if low == least else interval[0], most if high == most else interval[1]]


def agrees_with(found: Any, expected: Any) -> bool:
    """Whether everything that ``found`` says is in ``expected``, which may say more in its tables."""
    if isinstance(found, dict) and isinstance(expected, dict):
        return all(key in expected and agrees_with(value, expected[key]) for key, value in found.items())
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(agrees_with, found, expected))
    return bool(found == expected)


def _read_derived(study: Path, name: str) -> tuple[str, Fault | None]:
    try:
        return (study / name).read_text(encoding="utf-8"), None
    except FileNotFoundError:
        return "", Fault("derived", name, "is not there")
    except (OSError, ValueError) as error:
        return "", Fault("derived", name, f"cannot be read ({error})")


def _not_derived(name: str) -> Fault:
    return Fault("derived", name, "does not follow from the trials")


def set_aside(study: Path, faults: Sequence[Fault]) -> list[str]:
    """Move broken trials out of the way, to be run again, and remove left-over checkpoints; return what was done.

    Nothing is deleted but checkpoints of trials that have ended.
    """
    done = []
    record = read_record(study)
    assert record is not None, study
    for trial in planned_trials(record):
        folder = trial_folder(study, trial)
        place = f"trials/{trial.id}"
        mine = [one for one in faults if one.place.startswith(place)]
        if any(one.kind == "trial" for one in mine):
            target = _free_name(folder)
            with locked(study):
                folder.rename(target)
            done.append(f"{place} was set aside as trials/{target.name}; the study's command runs it again")
    return done


def _sound_results(study: Path, planned: Sequence[Trial]) -> Iterator[TrialResult]:
    """The results that can be read; those that cannot are faults of their own."""
    for trial in planned:
        with suppress(StorageError):
            if (result := read_result(trial_folder(study, trial))) is not None:
                yield result


def _check_trial(study: Path, trial: Trial) -> list[Fault]:
    folder = trial_folder(study, trial)
    name, place = f"{trial.rung}, seed {trial.seed}", f"trials/{trial.id}"
    try:
        result = read_result(folder)
    except StorageError as error:
        return [Fault("trial", place, f"({name}): {error}")]
    if result is None:
        return [Fault("note", place, f"({name}) {_state(folder)}")]
    if result.trial != trial.id or result.seed != trial.seed:
        return [Fault("trial", place, f"({name}): result.json is that of another trial")]
    broken = find_changed_files(folder)
    if broken == ["there is no checksums.txt"]:
        return [Fault("note", place, f"({name}) has no checksums: an older Stepladder ran it")]
    unread = result.status == "finished" and result.test_loss is None
    if broken and unread and set(broken) <= _READING:
        return [Fault("note", place, f"({name}): the reading of its test images was broken off; run the study again")]
    return [Fault("trial", place, f"({name}): {phrase}") for phrase in broken]


#: What a reading of test that was broken off may leave.
_READING = {
    "result.json was changed",
    "model/config.json was changed",
    "predictions.safetensors was changed",
    "predictions.safetensors was added",
}


def _state(folder: Path) -> str:
    if not folder.exists():
        return "has not started"
    with try_lock(folder) as free:
        if not free:
            return "is running"
    return "is unfinished" + (", with a checkpoint" if (folder / CHECKPOINTS).is_dir() else "")


def _strangers(study: Path, planned: set[str]) -> list[Fault]:
    folder = study / "trials"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [Fault("note", f"trials/{name}", "is no trial of this plan") for name in names if name not in planned]


def _free_name(folder: Path) -> Path:
    number = 1
    while (target := folder.with_name(f"{folder.name}.broken-{number}")).exists():
        number += 1
    return target
