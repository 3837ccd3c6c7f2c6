"""The images, and what went wrong with the trials on them: notes, failed trials, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stepladder.report.markdown import escape, render_list, render_table
from stepladder.report.section import Section, TextTable
from stepladder.report.units import count, listing
from stepladder.studies.files.records import DataRecord, SavedStudy
from stepladder.studies.findings import AnyFindings, Findings
from stepladder.studies.judging.trial_facts import FailedTrial, TrialFacts

#: Names beyond these are counted in the Markdown, not listed: a report of 1,000 classes is still read.
_CLASSES_LISTED = 20


class DataSection(Section[AnyFindings]):
    """The image set with its training images, failed trials and warnings."""

    key = "data"
    heading = "The data"

    def values(self, findings: AnyFindings) -> dict[str, Any]:
        """Return the facts and the training images of each class."""
        data = findings.study.record.data
        gallery = findings.gallery if isinstance(findings, Findings) else None
        splits = ", ".join(f"{images:,} {split}" for split, images in data.counts.items() if images)
        return {
            "data": data,
            "facts": [
                ("Name", data.name),
                ("Images", describe_images(data)),
                ("Classes", f"{len(data.class_names):,}"),
                ("Splits", splits),
                ("Fingerprint", data.fingerprint),
            ],
            "samples": list(zip(data.class_names, gallery.train_counts, gallery.samples, strict=False))
            if gallery
            else [],
            "cautions": cautions(findings.study, findings.facts),
        }

    def markdown(self, findings: AnyFindings) -> str:
        """Return the classes, the notes, the failed trials and the warnings."""
        data = findings.study.record.data
        names = [escape(name) for name in data.class_names[:_CLASSES_LISTED]]
        more = len(data.class_names) - len(names)
        parts = [f"Classes: {', '.join(names)}{f' and {more:,} more' if more else ''}."]
        if data.notes:
            parts.append(render_list(data.notes))
        if findings.facts.failed:
            parts.append(render_table(failed_table(findings.facts.failed)))
        if found := cautions(findings.study, findings.facts):
            parts += ["### Warnings", render_list(found)]
        return "\n\n".join(parts)


def describe_images(data: DataRecord) -> str:
    """Return the size and the colors of the images."""
    height, width, channels = data.image_shape
    color = {1: "gray", 3: "color"}.get(channels, count(channels, "channel"))
    return f"{height} × {width} pixels, {color}"


def failed_table(failed: Sequence[FailedTrial]) -> TextTable:
    """Return every failed trial with what it says of itself."""
    rows = tuple((one.rung, str(one.seed), one.reason, str(one.epochs)) for one in failed)
    return TextTable("", ("rung", "seed", "reason", "epochs finished"), rows, 3, "Failed trials")


def cautions(study: SavedStudy, facts: TrialFacts) -> list[str]:
    """Return what the trials warn of, each warning once with how often it came, and where trials are not alike."""
    total = count(len(study.trials), "trial")
    found = [f"{warning} ({times} of {total})" for warning, times in facts.warnings]
    found += study.record.notes
    for kind, seen in (("versions", facts.versions), ("machines", facts.machines)):
        if seen:
            each = [f"{value} ({count(times, 'trial')})" for value, times in seen]
            found.append(f"The trials ran on different {kind}, which alone can change their results: {listing(each)}")
    return found
