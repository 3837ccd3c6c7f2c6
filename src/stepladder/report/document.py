"""A study as one JSON document, for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from stepladder.report.words import describe
from stepladder.study.records import SavedStudy
from stepladder.study.statistics import CONFIDENCE, compare_with_below, summarize_rungs


def build_document(study: SavedStudy) -> dict[str, Any]:
    """Return record, trials, summaries and paired differences as plain values; accuracies are fractions of 1."""
    summaries = summarize_rungs(study)
    return {
        "folder": str(study.folder),
        "unfinished_trials": study.missing,
        "study": study.record.model_dump(mode="json"),
        "trials": [
            {"rung": trial.rung, "folder": str(trial.folder), **trial.result.model_dump(mode="json")}
            for trial in study.trials
        ],
        "rungs": [asdict(summary) for summary in summaries],
        "comparisons": [asdict(comparison) for comparison in compare_with_below(summaries)],
        "confidence": CONFIDENCE,
        "summary": describe(study),
    }
