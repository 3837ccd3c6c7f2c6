"""The curves: accuracy and loss by epoch, mean and range over the seeds, failed trials apart."""

from __future__ import annotations

from functools import partial
from typing import Any

from stepladder.report.section import Picture, Section, TextTable
from stepladder.report.units import UNDEFINED, count, hundredths, percent
from stepladder.studies.findings import Findings
from stepladder.studies.judging.curves import MeanCurve, Measure, SplitCurves

#: Rows a rung in the table of the curves; more would be scrolled past.
_ROWS = 11


class CurvesSection(Section[Findings]):
    """Accuracy and loss by epoch of every rung."""

    key = "curves"
    heading = "Curves"

    def pictures(self, findings: Findings) -> tuple[Picture, ...]:
        """Return the figure with a panel a rung."""
        from stepladder.report.sections.curves.figure import draw_curves

        return (Picture("curves", partial(draw_curves, findings), describe_curves(findings)),)

    def chart(self, findings: Findings) -> dict[str, Any] | None:
        """Return accuracy, in percent, and loss, in nats, by epoch of every rung; None before any trial has ended."""
        if not findings.study.trials:
            return None
        curves = findings.curves
        rungs = []
        for rung, summary in zip(curves.rungs, findings.rungs, strict=True):
            few = rung.finished < summary.planned
            rungs.append(
                {
                    "name": rung.rung,
                    "note": f"{rung.finished} of {count(summary.planned, 'seed')} finished" if few else "",
                    "n": rung.finished,
                    **_both(rung.mean),
                    "failed": [{"seed": seed, **_both(found)} for seed, found in rung.failed.items()],
                }
            )
        return {
            "rungs": rungs,
            "other": curves.watched,
            "ceiling": round(curves.loss_ceiling, 4),
            "epochs": max(curves.last_epoch, 1),
        }

    def values(self, findings: Findings) -> dict[str, Any]:
        """Return the curves as a table."""
        return {"table_of_curves": curve_table(findings)}


def describe_curves(findings: Findings) -> str:
    """Return what the figure shows, for those who cannot see it."""
    watched = findings.curves.watched
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
    watched = findings.curves.watched
    rows = []
    for rung in findings.curves.rungs:
        train, other = rung.mean.train, rung.mean.watched
        epochs = train["accuracy"].epochs
        for place in _spread(len(epochs)):
            epoch = epochs[place]
            shares = [hundredths(curve.at(epoch)) for curve in (train["accuracy"], other["accuracy"])]
            losses = [_loss(curve.at(epoch)) for curve in (train["loss"], other["loss"])]
            rows.append((rung.rung, str(epoch), *shares, *losses))
    return TextTable(
        caption="Means over the finished seeds, some of the epochs; history.csv in each trial's folder has all.",
        header=("rung", "epoch", "train, %", f"{watched}, %", "train loss, nats", f"{watched} loss, nats"),
        rows=tuple(rows),
        text_columns=1,
        title="The curves as a table",
    )


def _spread(length: int) -> list[int]:
    """Return positions spread evenly, the first and the last among them."""
    if length <= _ROWS:
        return list(range(length))
    return [round(step * (length - 1) / (_ROWS - 1)) for step in range(_ROWS)]


def _loss(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.4f}"


def _both(curves: SplitCurves) -> dict[str, Any]:
    return {"train": _axes(curves.train), "other": _axes(curves.watched)}


def _axes(curves: dict[Measure, MeanCurve]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for measure, curve in curves.items():
        factor, digits = (100, 2) if measure == "accuracy" else (1, 4)
        found[measure] = {
            "x": curve.epochs,
            "mean": [round(factor * value, digits) for value in curve.mean],
            "low": [round(factor * value, digits) for value in curve.low],
            "high": [round(factor * value, digits) for value in curve.high],
        }
    return found
