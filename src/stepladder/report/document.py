"""A study as one JSON document, for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from stepladder.report.baseline import study_baseline_document
from stepladder.report.words import describe
from stepladder.study.files.records import SavedStudy
from stepladder.study.judging.diagnosis import diagnose
from stepladder.study.judging.statistics import summarize_rungs, weigh_effects


def build_document(study: SavedStudy) -> dict[str, Any]:
    """Return record, trials, summaries and verdicts as plain values; accuracies are fractions of 1."""
    return {
        "folder": str(study.folder),
        "unfinished_trials": study.missing,
        "study": study.record.model_dump(mode="json"),
        "trials": [
            {"rung": trial.rung, "folder": str(trial.folder), **trial.result.model_dump(mode="json")}
            for trial in study.trials
        ],
        "readings": [reading.model_dump(mode="json") for reading in study.readings],
        "edited": study.edited,
        "rungs": [asdict(summary) for summary in summarize_rungs(study)],
        "effects": [asdict(effect) for effect in weigh_effects(study)],
        "diagnosis": [asdict(diagnosis) for diagnosis in diagnose(study)],
        "summary": describe(study),
        "baseline": study_baseline_document(study),
    }


def build_verdicts(study: SavedStudy) -> dict[str, Any]:
    """Return ``verdicts.json``: every contrast with its figures, and the rules that judged it."""
    record = study.record
    return {
        "plan": record.plan,
        "plan_hash": record.plan_hash,
        "edited": study.edited,
        "metric": record.metric,
        "alpha": record.alpha,
        "smallest_effect": record.smallest_effect,
        "effects": [asdict(effect) for effect in weigh_effects(study)],
    }
