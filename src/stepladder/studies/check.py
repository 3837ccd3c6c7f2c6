"""Is a folder of results what it says? Every checksum and hash, and that what is derived follows from the trials."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from stepladder.errors import DamagedError, StorageError, StudyError
from stepladder.files import find_links, json_text, parse_json, read_plain
from stepladder.studies.design.trials import CommandTrial, Trial
from stepladder.studies.files.bag_files import BAG_FILE, bag_files, bag_folder, load_bag_folder, read_bag_record
from stepladder.studies.files.checksums import (
    CHECKSUMS,
    find_changed_files,
    find_changed_of,
    forget_files,
    noted_files,
)
from stepladder.studies.files.integrity import find_edit
from stepladder.studies.files.records import StudyRecord, TrialResult
from stepladder.studies.files.store import (
    CHECKPOINTS,
    command_trials,
    load_study,
    move_aside,
    planned_trials,
    read_readings,
    read_record,
    read_result,
    read_trial,
    results_text,
    trial_folder,
)
from stepladder.studies.running.locks import locked, try_lock


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it should be.

    Attributes:
        kind: ``plan``, of what nothing can rebuild, so that only a copy can mend it; ``trial``, which can be set aside
            and run again; ``derived``, which can be rebuilt; ``note``, which is no fault.
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
        if record is not None and record.scores is not None:
            return _check_commands(study, record)
        planned = () if record is None else planned_trials(record)
    except StorageError as error:
        return [Fault("plan", "study.json", str(error))]
    if record is None:
        raise StudyError(f"there is no study in {study} (no study.json)")
    if (study / "trials").is_symlink():
        return [Fault("plan", "trials", "is a link, and none is followed; put the folder itself there")]
    faults = []
    try:
        edit = find_edit(record, read_readings(study), _sound_results(study, planned))
    except StorageError as error:
        faults.append(Fault("plan", "test-readings.json", str(error)))
    else:
        if edit is not None:
            name, _, what = edit.partition(" ")
            faults.append(Fault("plan", name, what))
    for trial in planned:
        faults += _check_trial(study, record, trial)
    faults += _strangers(study, {trial.id for trial in planned})
    faults += _check_files(study, {one.place for one in faults}, planned)
    bag = bag_folder(study)
    if bag.is_dir():
        faults += [replace(one, place=f"{bag.name}/{one.place}") for one in check_bag(bag)]
    if not any(one.is_fault for one in faults):
        faults += check_derived(study, "results.csv", results_text(load_study(study)))
    return faults


def _check_commands(study: Path, record: StudyRecord) -> list[Fault]:
    """Return what is wrong with a study of a user's own command: its plan, every file that a run left, and the rest."""
    if (study / "trials").is_symlink():
        return [Fault("plan", "trials", "is a link, and none is followed; put the folder itself there")]
    planned = command_trials(record)
    faults = []
    try:
        edit = find_edit(record, read_readings(study))
    except StorageError as error:
        faults.append(Fault("plan", "test-readings.json", str(error)))
    else:
        if edit is not None:
            name, _, what = edit.partition(" ")
            faults.append(Fault("plan", name, what))
    for trial in planned:
        faults += _check_run(study, trial)
    faults += _strangers(study, {trial.id for trial in planned})
    faults += _check_files(study, {one.place for one in faults}, planned)
    if not any(one.is_fault for one in faults):
        faults += check_derived(study, "results.csv", results_text(load_study(study)))
    return faults


def _check_run(study: Path, trial: CommandTrial) -> list[Fault]:
    """Return what is not as it was when a run of a command ended; its checkpoints, which come and go, are left out."""
    folder = study / "trials" / trial.id
    name, place = f"{trial.rung}, seed {trial.seed}", f"trials/{trial.id}"
    try:
        result = read_result(folder)
    except StorageError as error:
        return [Fault("trial", place, f"({name}): {error}")]
    if result is None:
        return [Fault("note", place, f"({name}) {'has not started' if not folder.exists() else 'is unfinished'}")]
    broken = find_changed_files(folder)
    if broken == [f"there is no {CHECKSUMS}"]:
        return [Fault("note", place, f"({name}) has no {CHECKSUMS}: an older Stepladder ran it")]
    return [Fault("trial", place, f"({name}): {phrase}") for phrase in broken]


#: Files of a study that no other file tells, so that only a copy can mend them.
_KEPT = ("study.json", "test-readings.json", "images.safetensors", "gallery.json")
#: Files that may be there beside those whose checksums are noted.
_BESIDE = (*_KEPT, "results.csv", CHECKSUMS, ".lock")


def _check_files(study: Path, told: set[str], planned: Sequence[Trial | CommandTrial]) -> list[Fault]:
    """What is wrong with the files of a study that no trial has, but for those that were told of already."""
    ended = {trial.id for trial in planned if (study / "trials" / trial.id / "result.json").exists()}
    changed = find_changed_of(study)
    if changed is None:
        if len(ended) < len(planned):
            return []
        what = "is not there: an older Stepladder ran this study, or its end was broken off"
        return [Fault("note", CHECKSUMS, what)]
    faults = []
    for name, what in changed:
        trial = name.split("/")[1] if name.startswith("trials/") else None
        if name in told or (trial is not None and trial not in ended):
            continue
        kind: Literal["plan", "derived"] = "plan" if name in (*_KEPT, CHECKSUMS) else "derived"
        faults.append(Fault(kind, name, "is not there" if what == "is gone" else what))
    known = {*noted_files(study), *_BESIDE}
    return faults + _added(study, known, ("trials", bag_folder(study).name))


def _added(folder: Path, known: set[str], apart: Sequence[str] = ()) -> list[Fault]:
    """Name the files of ``folder`` that do not belong to it; folders that it knows nothing of are named whole."""
    inner = {name.split("/")[0] for name in known if "/" in name}
    found: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and path.name in inner - set(apart):
            found += [one.relative_to(folder).as_posix() for one in sorted(path.rglob("*")) if one.is_file()]
        elif not path.is_dir() or path.name not in apart:
            found.append(path.name)
    return [Fault("note", name, "does not belong to it") for name in found if name not in known]


def check_bag(folder: Path) -> list[Fault]:
    """Return all that is wrong with a bag of words: its record, and the files of each seed."""
    try:
        record = read_bag_record(folder)
        if record is not None:
            load_bag_folder(folder)
    except StorageError as error:
        return [Fault("plan", BAG_FILE, str(error))]
    changed = find_changed_of(folder)
    if changed is None:
        return [Fault("note", CHECKSUMS, "is not there: an older Stepladder fitted this, or it was broken off")]
    broken = {"/".join(name.split("/")[:2]) for name, _ in changed if name.startswith("seeds/")}
    faults = [Fault("trial" if name.startswith("seeds/") else "plan", name, what) for name, what in changed]
    return faults + [one for one in _added(folder, {*bag_files(folder), CHECKSUMS}) if one.place not in broken]


def check_training(folder: Path) -> list[Fault]:
    """Return all that is wrong with the folder of a single training."""
    broken = find_changed_files(folder)
    if broken == [f"there is no {CHECKSUMS}"]:
        return [Fault("note", CHECKSUMS, "is not there: an older Stepladder trained this")]
    return [Fault("plan", *phrase.split(" ", 1)) for phrase in broken]


def check_lr_range(folder: Path) -> list[Fault]:
    """Return all that is wrong with the folder of a learning-rate range test."""
    changed = find_changed_of(folder)
    if changed is None:
        return [Fault("note", CHECKSUMS, "is not there: an older Stepladder ran this test")]
    return [Fault("plan", name, what) for name, what in changed] + _added(folder, {*noted_files(folder), CHECKSUMS})


def check_derived(study: Path, name: str, expected: str) -> list[Fault]:
    """Return whether a derived file of a study is what its trials give."""
    found, fault = _read_derived(study, name)
    return [fault] if fault else [] if found == expected else [_not_derived(name)]


#: Keys of a document that a later version works out by another rule.
_ANEW = ("version", "choice", "diagnosis", "shown", "answers", "test_set", "power_law")


#: Keys that depend on what a failed trial counts as.
_WITH_FAILED = ("limits", "effects", "order", "gain")


def check_document(study: Path, name: str, expected: Mapping[str, Any]) -> list[Fault]:
    """Return whether a derived JSON document is what the trials give.

    One that an older Stepladder wrote has fewer keys; what it says must be what is said now.
    """
    text, fault = _read_derived(study, name)
    if fault:
        return [fault]
    try:
        found = parse_json(text)
    except ValueError:
        return [_not_derived(name)]
    written = json.loads(json_text(expected))
    version = found.get("version", 0) if isinstance(found, dict) else None
    older = isinstance(version, int) and version < written.get("version", 1)
    if older:
        # Up to version 4 it chose, and so showed a model, by half an image, diagnosed otherwise, told of other test
        # images without other seeds, left intervals as long as they came, and fitted a curve by least squares.
        found = {key: value for key, value in found.items() if key not in _ANEW}
        if isinstance(found.get("limits"), dict) and found["limits"].get("failed"):
            # What failed for want of time or memory counted as guessing, and guessing was one of the classes.
            found = {key: value for key, value in found.items() if key not in _WITH_FAILED}
        for table in ("rungs", "effects"):
            _cut_intervals(found.get(table), written.get(table))
    return [] if found == written or (older and agrees_with(found, written)) else [_not_derived(name)]


def _cut_intervals(found: Any, expected: Any) -> None:
    """Cut the intervals of an older document to what is possible, as those of today are."""
    if not isinstance(found, list) or not isinstance(expected, list):
        return
    for one, now in zip(found, expected, strict=False):
        interval = one.get("interval") if isinstance(one, dict) else None
        if not isinstance(interval, list) or len(interval) != 2 or not now["interval"]:
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
        return read_plain(study / name, follow=False).decode(), None
    except FileNotFoundError:
        return "", Fault("derived", name, "is not there")
    except OSError as error:
        return "", Fault("derived", name, "is a link" if error.errno == errno.ELOOP else f"cannot be read ({error})")
    except ValueError as error:
        return "", Fault("derived", name, f"cannot be read ({error})")


def _not_derived(name: str) -> Fault:
    return Fault("derived", name, "does not follow from the trials")


def set_aside(study: Path, faults: Sequence[Fault]) -> list[str]:
    """Move broken trials out of the way, to be run again, and remove left-over checkpoints; return what was done.

    Nothing is deleted but checkpoints of trials that have ended.
    """
    done = _set_bag_aside(study, faults)
    record = read_record(study)
    assert record is not None, study
    planned = planned_trials(record) if record.scores is None else command_trials(record)
    for trial in planned:
        folder = study / "trials" / trial.id
        place = f"trials/{trial.id}"
        mine = [one for one in faults if one.place.startswith(place)]
        if any(one.kind == "trial" for one in mine):
            with locked(study):
                target = move_aside(folder)
            done.append(f"{place} was set aside as trials/{target.name}; the study's command runs it again")
    return done


def set_seeds_aside(bag: Path, faults: Sequence[Fault]) -> list[str]:
    """Move broken seeds of a bag of words out of the way, to be fitted again; return what was done."""
    done = []
    for place in sorted({"/".join(one.place.split("/")[:2]) for one in faults if one.kind == "trial"}):
        folder = bag / place
        if folder.is_dir():
            target = move_aside(folder)
            done.append(f"{place} was set aside as seeds/{target.name}; the same command fits it again")
    forget_files(bag)
    return done


def _set_bag_aside(study: Path, faults: Sequence[Fault]) -> list[str]:
    bag = bag_folder(study)
    inner = [
        replace(one, place=one.place.removeprefix(f"{bag.name}/"))
        for one in faults
        if one.kind == "trial" and one.place.startswith(f"{bag.name}/")
    ]
    return set_seeds_aside(bag, inner) if inner else []


def _sound_results(study: Path, planned: Sequence[Trial]) -> Iterator[TrialResult]:
    """The results that can be read; those that cannot are faults of their own."""
    for trial in planned:
        with suppress(StorageError):
            if (result := read_result(trial_folder(study, trial))) is not None:
                yield result


def _check_trial(study: Path, record: StudyRecord, trial: Trial) -> list[Fault]:
    folder = trial_folder(study, trial)
    name, place = f"{trial.rung}, seed {trial.seed}", f"trials/{trial.id}"
    if (link := next(find_links(folder), None)) is not None:
        return [
            Fault("trial", place, f"({name}): {link.relative_to(study).as_posix()} is a link, and none is followed")
        ]
    try:
        result = read_result(folder)
    except StorageError as error:
        return [Fault("trial", place, f"({name}): {error}")]
    if result is None:
        return [Fault("note", place, f"({name}) {_state(folder)}")]
    broken = find_changed_files(folder)
    unlisted = broken == [f"there is no {CHECKSUMS}"]
    if unlisted or not broken:
        try:
            read_trial(study, record, trial)
        except DamagedError as error:
            return [Fault("trial", place, f"({name}): {error.what}")]
    if unlisted:
        return [Fault("note", place, f"({name}) has no {CHECKSUMS}: an older Stepladder ran it")]
    unread = record.sweep is None and result.status == "finished" and result.test_loss is None
    if broken and unread and set(broken) <= _READING:
        return [Fault("note", place, f"({name}): the reading of its test images was broken off; run the study again")]
    return [Fault("trial", place, f"({name}): {phrase}") for phrase in broken]


#: What a reading of test that was broken off may leave.
_READING = {
    "result.json was changed",
    "model/config.json was changed",
    "predictions.safetensors was changed",
    "predictions.safetensors was added",
    "validation.safetensors was changed",
    "validation.safetensors was added",
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
