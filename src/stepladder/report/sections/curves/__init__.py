"""The curves: accuracy and loss by epoch, mean and range over the seeds, failed trials apart."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from stepladder.report.section import Picture, Section, TextTable
from stepladder.report.sections.curves.axes import CurveAxis, curve_axes, title_of_curves
from stepladder.report.units import UNDEFINED, count, percent
from stepladder.studies.findings import Findings
from stepladder.studies.judging.curves import MeanCurve, Measure, SplitCurves

#: Rows a rung in the table of the curves; more would be scrolled past.
_ROWS = 11


class CurvesSection(Section[Findings]):
    """Accuracy and loss by epoch of every rung; of a user's own command, the score and the loss that it tells."""

    key = "curves"
    heading = "Curves"

    def applies(self, findings: Findings) -> bool:
        """Whether there are any: a command need not tell."""
        return bool(findings.curves.measures)

    def pictures(self, findings: Findings) -> tuple[Picture, ...]:
        """Return the figure with a panel a rung."""
        from stepladder.report.sections.curves.figure import draw_curves

        return (Picture("curves", partial(draw_curves, findings), describe_curves(findings)),)

    def chart(self, findings: Findings) -> dict[str, Any] | None:
        """Return accuracy, in percent, and loss, in nats, by epoch of every rung; None before any trial has ended."""
        if not findings.study.trials:
            return None
        curves, axes = findings.curves, curve_axes(findings)
        rungs = []
        for rung, summary in zip(curves.rungs, findings.rungs, strict=True):
            few = rung.finished < summary.planned
            rungs.append(
                {
                    "name": rung.rung,
                    "note": f"{rung.finished} of {count(summary.planned, 'seed')} finished" if few else "",
                    "n": rung.finished,
                    **_both(rung.mean, axes),
                    "failed": [{"seed": seed, **_both(found, axes)} for seed, found in rung.failed.items()],
                }
            )
        return {
            "rungs": rungs,
            "other": curves.watched,
            "axes": [
                {
                    "measure": measure,
                    "title": axis.title,
                    "unit": axis.unit,
                    "share": axis.share,
                    "range": [round(axis.low, 4), round(axis.high, 4)],
                }
                for measure, axis in axes.items()
            ],
            "epochs": max(curves.last_epoch, 1),
        }

    def values(self, findings: Findings) -> dict[str, Any]:
        """Return the curves as a table, and whether somebody else measured them."""
        own = findings.study.record.scores is None
        return {"table_of_curves": curve_table(findings), "measured_here": own}


def describe_curves(findings: Findings) -> str:
    """Return what the figure shows, for those who cannot see it."""
    watched = findings.curves.watched
    if findings.study.record.scores is not None:
        told = [rung.rung for rung in findings.curves.rungs if rung.finished]
        return f"{title_of_curves(findings)}, a panel a rung, as the command told it: {', '.join(told) or 'none yet'}."
    each = []
    for rung, summary in zip(findings.curves.rungs, findings.rungs, strict=True):
        ends = rung.mean.watched["accuracy"].mean
        last = summary.val_accuracy if watched == "validation" else ends[-1] if ends else None
        if summary.train is None or last is None:
            each.append(f"{rung.rung} has no finished trial")
        else:
            each.append(f"{rung.rung} ends at {percent(summary.train)} on train and {percent(last)} on {watched}")
    return f"Accuracy and loss against epoch, a panel a rung, on training and {watched} images: {'; '.join(each)}."


def curve_table(findings: Findings) -> TextTable:
    """Return the mean curves as a table, some epochs a rung, for those who cannot see or touch them."""
    watched, axes = findings.curves.watched, curve_axes(findings)
    rows = []
    for rung in findings.curves.rungs:
        splits = (rung.mean.train, rung.mean.watched)
        epochs = sorted({epoch for curves in splits for measure in axes for epoch in curves[measure].epochs})
        for place in _spread(len(epochs)):
            epoch = epochs[place]
            figures = [
                axis.written(curves[measure].at(epoch), UNDEFINED)
                for measure, axis in axes.items()
                for curves in splits
            ]
            rows.append((rung.rung, str(epoch), *figures))
    heads = [
        f"{split}{'' if axis.share else f' {axis.noun}'}{f', {axis.unit}' if axis.unit else ''}"
        for axis in axes.values()
        for split in ("train", watched)
    ]
    return TextTable(
        caption="Means over the finished seeds, some of the epochs; history.csv in each trial's folder has all.",
        header=("rung", "epoch", *heads),
        rows=tuple(rows),
        text_columns=1,
        title="The curves as a table",
    )


def _spread(length: int) -> list[int]:
    """Return positions spread evenly, the first and the last among them."""
    if length <= _ROWS:
        return list(range(length))
    return [round(step * (length - 1) / (_ROWS - 1)) for step in range(_ROWS)]


def _both(curves: SplitCurves, axes: Mapping[Measure, CurveAxis]) -> dict[str, Any]:
    return {"train": _placed(curves.train, axes), "other": _placed(curves.watched, axes)}


def _placed(curves: Mapping[Measure, MeanCurve], axes: Mapping[Measure, CurveAxis]) -> dict[str, Any]:
    return {
        measure: {
            "x": curves[measure].epochs,
            "mean": axis.rounded(curves[measure].mean),
            "low": axis.rounded(curves[measure].low),
            "high": axis.rounded(curves[measure].high),
        }
        for measure, axis in axes.items()
    }
