"""A study's files and its report: whether all is as it should be, and what can be mended."""

from __future__ import annotations

from pathlib import Path

from stepladder.errors import StorageError
from stepladder.files import json_text
from stepladder.report.document import build_verdicts
from stepladder.report.page import write_report
from stepladder.study.check import Finding, check_derived, check_study, set_aside
from stepladder.study.files.store import load_study, write_results


def check_folder(study: Path) -> list[Finding]:
    """Return all that is wrong with a study's folder; see ``study.check``.

    Raises:
        StudyError: there is no study.
    """
    findings = check_study(study)
    if any(one.kind in ("plan", "trial") for one in findings):
        return findings
    loaded = load_study(study)
    if loaded.missing or loaded.unread:
        return findings
    findings += check_derived(study, "verdicts.json", json_text(build_verdicts(loaded)))
    for name in ("report.md", "report.html"):
        findings += [] if (study / name).exists() else [Finding("derived", name, "is not there")]
    return findings


def repair_folder(study: Path, findings: list[Finding]) -> list[str]:
    """Set broken trials aside and rebuild what is derived; return what was done, a sentence each.

    A broken plan is not touched: nothing says what it was.

    Raises:
        StorageError: a file cannot be written.
    """
    if any(one.kind == "plan" for one in findings):
        raise StorageError(f"{study}: the plan itself is broken, which nothing can rebuild; restore it from a copy")
    done = set_aside(study, findings)
    loaded = load_study(study)
    write_results(loaded)
    written = write_report(loaded)
    return [*done, f"results.csv and {len(written)} files of the report were rebuilt from the trials"]
