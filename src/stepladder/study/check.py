"""Is a study what it says? Every checksum, every hash, and that what is derived follows from the trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stepladder.errors import StorageError, StudyError
from stepladder.study.design.plan import Trial
from stepladder.study.files.integrity import find_edit
from stepladder.study.files.seal import broken_seals
from stepladder.study.files.store import (
    load_study,
    planned_trials,
    read_readings,
    read_record,
    read_result,
    results_text,
    trial_folder,
)
from stepladder.study.running.ownership import own, own_if_free
from stepladder.study.running.trial import CHECKPOINTS


@dataclass(frozen=True)
class Finding:
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
    def fault(self) -> bool:
        """Whether it is more than a note."""
        return self.kind != "note"


def check_study(study: Path) -> list[Finding]:
    """Return all that is wrong with the files of a study, but for its report; nothing where all is well.

    Raises:
        StudyError: there is no study.
    """
    try:
        record = read_record(study)
    except StorageError as error:
        return [Finding("plan", "study.json", str(error))]
    if record is None:
        raise StudyError(f"there is no study in {study} (no study.json)")
    findings = []
    try:
        edit = find_edit(record, read_readings(study))
    except StorageError as error:
        findings.append(Finding("plan", "test-readings.json", str(error)))
    else:
        findings += [] if edit is None else [Finding("plan", "study.json", edit)]
    planned = planned_trials(record)
    for trial in planned:
        findings += _check_trial(study, trial)
    findings += _strangers(study, {trial.id for trial in planned})
    if not any(one.fault for one in findings):
        findings += check_derived(study, "results.csv", results_text(load_study(study)))
    return findings


def check_derived(study: Path, name: str, expected: str) -> list[Finding]:
    """Return whether a derived file of a study is what its trials give."""
    try:
        found = (study / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return [Finding("derived", name, "is not there")]
    except (OSError, ValueError) as error:
        return [Finding("derived", name, f"cannot be read ({error})")]
    return [] if found == expected else [Finding("derived", name, "does not follow from the trials")]


def set_aside(study: Path, findings: Sequence[Finding]) -> list[str]:
    """Move broken trials out of the way, to be run again, and remove left-over checkpoints; return what was done.

    Nothing is deleted but checkpoints of trials that have ended.
    """
    done = []
    record = read_record(study)
    assert record is not None, study
    for trial in planned_trials(record):
        folder = trial_folder(study, trial)
        place = f"trials/{trial.id}"
        mine = [one for one in findings if one.place.startswith(place)]
        if any(one.kind == "trial" for one in mine):
            target = _free_name(folder)
            with own(study):
                folder.rename(target)
            done.append(f"{place} was set aside as trials/{target.name}; the study's command runs it again")
    return done


def _check_trial(study: Path, trial: Trial) -> list[Finding]:
    folder = trial_folder(study, trial)
    name, place = f"{trial.rung}, seed {trial.seed}", f"trials/{trial.id}"
    try:
        result = read_result(folder)
    except StorageError as error:
        return [Finding("trial", place, f"({name}): {error}")]
    if result is None:
        return [Finding("note", place, f"({name}) {_state(folder)}")]
    if result.trial != trial.id or result.seed != trial.seed:
        return [Finding("trial", place, f"({name}): result.json is that of another trial")]
    broken = broken_seals(folder)
    if broken == ["there is no checksums.txt"]:
        return [Finding("note", place, f"({name}) has no checksums: an older Stepladder ran it")]
    unread = result.status == "finished" and result.test_loss is None
    if broken and unread and set(broken) <= _READING:
        return [Finding("note", place, f"({name}): the reading of its test images was broken off; run the study again")]
    return [Finding("trial", place, f"({name}): {phrase}") for phrase in broken]


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
    with own_if_free(folder) as free:
        if not free:
            return "is running"
    return "is unfinished" + (", with a checkpoint" if (folder / CHECKPOINTS).is_dir() else "")


def _strangers(study: Path, planned: set[str]) -> list[Finding]:
    folder = study / "trials"
    names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [Finding("note", f"trials/{name}", "is no trial of this plan") for name in names if name not in planned]


def _free_name(folder: Path) -> Path:
    number = 1
    while (target := folder.with_name(f"{folder.name}.broken-{number}")).exists():
        number += 1
    return target
