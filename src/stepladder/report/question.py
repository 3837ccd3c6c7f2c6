"""The question that a report answers, in plain words: its first line, for a reader who knows no word of ours."""

from __future__ import annotations

from typing import assert_never

from stepladder.report.units import count
from stepladder.studies.files.records import StudyRecord
from stepladder.studies.findings import AnyFindings, Findings
from stepladder.studies.judging.points import SweepFindings
from stepladder.studies.judging.sizes import CurveFindings


def describe_question(findings: AnyFindings) -> str:
    """Return what was asked and how it was tried, two sentences."""
    record = findings.study.record
    match findings:
        case Findings():
            if record.scores is not None:
                return f"Does it help? {count(len(record.rungs), 'variant')} are compared by {findings.metric.label}."
            return (
                f"Which training technique helps? {count(len(record.rungs), 'recipe').capitalize()} "
                f"{_trained(record)}, and compared on {_images(record, 'test')}."
            )
        case SweepFindings():
            if record.scores is not None:
                return (
                    f"Which settings are best? {_plural(record).capitalize()} were each run "
                    f"{_times(len(record.seeds))} and compared by {findings.metric.validation_label}. Test plays no "
                    "part."
                )
            return (
                f"Which settings are best? {_plural(record).capitalize()} {_trained(record)}, and compared on "
                f"{_images(record, 'validation')}. The test images were not read."
            )
        case CurveFindings():
            if findings.of_command:
                return (
                    f"Would more images help? The same command was run on {count(len(record.rungs), 'size')} of its "
                    f"training set, {_times(len(record.seeds))} each, and measured by {findings.metric.label}."
                )
            return (
                f"Would more images help? The same recipe was trained on {count(len(record.rungs), 'size')} of the "
                f"training set of {record.data.name}, {_times(len(record.seeds))} each, and measured on "
                f"{_images(record, 'test')}."
            )
        case _:
            assert_never(findings)


def _trained(record: StudyRecord) -> str:
    were = "was" if len(record.rungs) == 1 else "were each"
    images, classes = record.data.counts.get("train", 0), len(record.data.class_names)
    of = f"{images:,} images of {record.data.name}, {classes:,} classes"
    return f"{were} trained {_times(len(record.seeds))} on {of}"


def _plural(record: StudyRecord) -> str:
    return count(len(record.rungs), "combination")


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _images(record: StudyRecord, split: str) -> str:
    return count(record.data.counts.get(split, 0), f"{split} image")
