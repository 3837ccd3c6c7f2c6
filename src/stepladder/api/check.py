"""Is a folder what it says, its report included, and what of it can be mended?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stepladder.errors import StorageError
from stepladder.report.write import REPORT_PAGE, derived_documents, write_report
from stepladder.studies.check import Fault, check_document, check_study, set_aside
from stepladder.studies.files.store import load_study, write_results
from stepladder.studies.findings import work_out


@dataclass(frozen=True)
class Check:
    """What was found in a folder.

    Attributes:
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
        return f"<Check of {self.folder}: {'all holds' if self.holds else f'{count} faults{first}'}>"


def check_folder(folder: Path, *, repair: bool = False) -> Check:
    """Verify a study's folder, and mend what can be mended where that is asked for.

    Raises:
        StudyError: there is no study.
        StorageError: the plan itself is broken and was to be repaired, or a file cannot be written.
    """
    faults = _find_faults(folder)
    if not repair or not any(one.is_fault for one in faults):
        return Check(folder, tuple(faults))
    if any(one.kind == "plan" for one in faults):
        raise StorageError(f"{folder}: the plan itself is broken, which nothing can rebuild; restore it from a copy")
    done = set_aside(folder, faults)
    study = load_study(folder)
    write_results(study)
    written = write_report(work_out(study))
    done.append(f"results.csv and {len(written)} files of the report were rebuilt from the trials")
    return Check(folder, tuple(faults), tuple(done))


def _find_faults(folder: Path) -> list[Fault]:
    faults = check_study(folder)
    if any(one.kind in ("plan", "trial") for one in faults):
        return faults
    study = load_study(folder)
    if study.missing or study.unread:
        return faults
    for name, document in derived_documents(work_out(study)).items():
        faults += check_document(folder, name, document)
    for name in ("report.md", REPORT_PAGE):
        faults += [] if (folder / name).exists() else [Fault("derived", name, "is not there")]
    return faults
