"""Is a folder what it says, its report included, and what of it can be mended?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stepladder.errors import RecipeError, StepladderError, StorageError, StudyError, printable
from stepladder.files import replace_text
from stepladder.model.card import render_card
from stepladder.model.folder import load_folder
from stepladder.model.onnx_file import has_its_checksum
from stepladder.report.write import REPORT_PAGE, derived_documents, write_report
from stepladder.studies.check import (
    Fault,
    check_bag,
    check_document,
    check_lr_range,
    check_study,
    check_training,
    set_aside,
    set_seeds_aside,
)
from stepladder.studies.files.checksums import note_files, noted_files
from stepladder.studies.files.store import load_study, write_results
from stepladder.studies.findings import work_out
from stepladder.studies.running.reading import trial_card


@dataclass(frozen=True)
class Check:
    """What was found in a folder.

    Attributes:
        folder: of a study, sweep, search or curve, a bag of words, a training, a learning-rate range test or a model;
            or an exported file.
        faults: that were found, in the order of the files; notes, which are no faults, among them.
        repaired: what was done about them, a sentence each.
    """

    folder: Path
    faults: tuple[Fault, ...]
    repaired: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every checksum and hash holds and the results follow from the trials."""
        return not any(one.is_fault for one in self.faults)

    def __repr__(self) -> str:
        count = sum(one.is_fault for one in self.faults)
        first = next((f": {one.place} {one.what}"[:300] for one in self.faults if one.is_fault), "")
        return printable(f"<Check of {self.folder}: {'all holds' if self.holds else f'{count} faults{first}'}>")


def check_folder(folder: Path, *, repair: bool = False) -> Check:
    """Verify a folder of results or an exported file, and mend what can be mended where that is asked for.

    Raises:
        StudyError: there is nothing to check.
        StorageError: what only a copy can mend is broken and was to be repaired, or a file cannot be written.
    """
    kind = _kind(folder)
    faults = _CHECKS[kind](folder)
    if not repair or not any(one.is_fault for one in faults):
        return Check(folder, tuple(faults))
    if lost := [one.place for one in faults if one.kind == "plan"]:
        whose = "the plan itself is broken" if "study.json" in lost else f"{lost[0]} is broken"
        raise StorageError(f"{folder}: {whose}, which nothing can rebuild; restore it from a copy")
    done = set_seeds_aside(folder, faults) if kind == "bag of words" else _mend_study(folder, faults)
    return Check(folder, tuple(faults), tuple(done))


#: By which file a folder is known, whether it is there or its checksum is.
_KINDS = {
    "study.json": "study",
    "bag-of-words.json": "bag of words",
    "baseline.json": "bag of words",
    "lr-range.json": "lr-range",
    "result.json": "training",
    "config.json": "model",
}


def _kind(folder: Path) -> str:
    if folder.suffix == ".onnx" and folder.is_file():
        return "exported"
    noted = noted_files(folder) if folder.is_dir() else frozenset()
    for name, kind in _KINDS.items():
        if (folder / name).exists() or name in noted:
            return kind
    *others, last = (name for name in _KINDS if name not in ("study.json", "baseline.json"))
    raise StudyError(
        f"there is no study in {folder} (no study.json), and nothing else to check (no {', '.join(others)} or {last})"
    )


def _mend_study(folder: Path, faults: list[Fault]) -> list[str]:
    done = set_aside(folder, faults)
    study = load_study(folder)
    cards = {one.place for one in faults if one.kind == "derived" and one.place.startswith("trials/")}
    for trial in study.trials:
        path = trial.folder / "model" / "README.md"
        if (name := path.relative_to(folder).as_posix()) in cards:
            replace_text(path, render_card(trial_card(trial, study)), within=folder)
            note_files(folder, (name,))
            done.append(f"{name} was rebuilt")
    write_results(study)
    written = write_report(work_out(study))
    done.append(f"results.csv and {len(written)} files of the report were rebuilt from the trials")
    return done


def _check_study(folder: Path) -> list[Fault]:
    if not (folder / "study.json").exists():
        return [Fault("plan", "study.json", "is not there")]
    faults = check_study(folder)
    if any(one.kind in ("plan", "trial") for one in faults):
        return faults
    study = load_study(folder)
    if study.missing or study.unread:
        return faults
    for name, document in derived_documents(work_out(study)).items():
        # What it says is looked at as well: that tells more than its checksum does.
        if found := check_document(folder, name, document):
            faults = [*(one for one in faults if one.place != name), *found]
    told = {one.place for one in faults}
    for name in ("report.md", REPORT_PAGE):
        if name not in told and not (folder / name).exists():
            faults.append(Fault("derived", name, "is not there"))
    return faults


def _check_model(folder: Path) -> list[Fault]:
    """A model that belongs to a training has its checksums there; of another, that it can be loaded is all there is."""
    above = folder.absolute().parent
    if (above / "result.json").exists():
        inside = f"{folder.name}/"
        mine = [one for one in check_training(above) if one.place.startswith(inside)]
        return [Fault(one.kind, one.place.removeprefix(inside), one.what) for one in mine]
    try:
        load_folder(folder)
    except RecipeError as error:
        return [Fault("note", "config.json", f"cannot be tried here: {error}")]
    except StepladderError as error:
        return [Fault("plan", "model.safetensors", f"cannot be loaded ({error})")]
    return [Fault("note", "model.safetensors", "can be loaded; a model without its training has no checksums")]


def _check_exported(path: Path) -> list[Fault]:
    holds = has_its_checksum(path)
    if holds is None:
        return [Fault("note", path.name, "has no checksum: an older Stepladder exported it, or another program")]
    return [] if holds else [Fault("plan", path.name, "was changed")]


_CHECKS: dict[str, Callable[[Path], list[Fault]]] = {
    "study": _check_study,
    "bag of words": check_bag,
    "lr-range": check_lr_range,
    "training": check_training,
    "model": _check_model,
    "exported": _check_exported,
}
