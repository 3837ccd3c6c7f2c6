"""A study, sweep or curve as one JSON document, for programs."""

from __future__ import annotations

from typing import Any

from stepladder.report.bag_of_words import bag_document
from stepladder.report.terminal import sentences_of
from stepladder.report.write import derived_documents
from stepladder.studies.findings import AnyFindings, Findings


def build_document(findings: AnyFindings) -> dict[str, Any]:
    """Return record, trials, readings, findings and sentences as plain values; accuracies are fractions of 1."""
    study = findings.study
    document: dict[str, Any] = {
        "folder": str(study.folder),
        "unfinished_trials": study.missing,
        "study": study.record.model_dump(mode="json"),
        "trials": [
            {"rung": trial.rung, "folder": str(trial.folder), **trial.result.model_dump(mode="json")}
            for trial in study.trials
        ],
        "readings": [reading.model_dump(mode="json") for reading in study.readings],
    }
    for derived in derived_documents(findings).values():
        document |= derived
    document["summary"] = sentences_of(findings)
    if isinstance(findings, Findings) and findings.bag is not None:
        document["bag_of_words"] |= bag_document(findings.bag.saved)
    return document
