"""What the axes of curves are called and reach: of our own trials accuracy and nats, of a command what it measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stepladder.report.units import Scale, capital
from stepladder.studies.findings import Findings
from stepladder.studies.judging.curves import Measure
from stepladder.studies.judging.points import SweepFindings


@dataclass(frozen=True)
class CurveAxis:
    """One axis, upright.

    Attributes:
        noun: what is drawn: ``accuracy``, ``loss``.
        unit: behind a comma in the title; empty where nobody knows it.
        factor: what a value is multiplied by to stand on it.
        digits: of a value in a table or on the page.
        low, high: its ends.
    """

    noun: str
    unit: str
    factor: int
    digits: int
    low: float
    high: float

    @property
    def title(self) -> str:
        """What stands beside it."""
        return f"{self.noun}, {self.unit}" if self.unit else self.noun

    @property
    def share(self) -> bool:
        """Whether it goes from 0 to 100 %."""
        return self.unit == "%"

    def place(self, values: Sequence[float]) -> list[float]:
        """Return where values stand on it."""
        return [self.factor * value for value in values]

    def rounded(self, values: Sequence[float]) -> list[float]:
        """Return the same, with no more digits than are read."""
        return [round(value, self.digits) for value in self.place(values)]

    def written(self, value: float | None, unknown: str) -> str:
        """Write a value of the curves, without its unit."""
        return unknown if value is None else f"{self.factor * value:.{self.digits}f}"


def curve_axes(findings: Findings | SweepFindings) -> dict[Measure, CurveAxis]:
    """Return the axis of each measure that there are curves of, the score's first."""
    curves, metric, own = findings.curves, findings.metric, findings.study.record.scores
    axes: dict[Measure, CurveAxis] = {
        "accuracy": CurveAxis("accuracy", "%", 100, 2, 0.0, 100.0),
        "loss": CurveAxis("loss", "nats", 1, 4, 0.0, curves.loss_ceiling),
    }
    if own is not None:
        scale = Scale(metric.unit)
        low, high = (scale.factor * end for end in curves.score_range)
        unit, digits = ("%", 2) if metric.share else ("", 4)
        axes["accuracy"] = CurveAxis(metric.noun, unit, scale.factor, digits, low, high)
        axes["loss"] = CurveAxis("loss", "", 1, 4, curves.loss_floor, curves.loss_ceiling)
    return {measure: axes[measure] for measure in curves.measures}


def held_out_axes(findings: SweepFindings) -> dict[Measure, CurveAxis]:
    """Return the axes of what is drawn: curves of validation images, of which a command may tell nothing."""
    axes, curves = curve_axes(findings), findings.curves
    if findings.study.record.scores is None:
        return axes
    told = {measure for measure in axes for rung in curves.rungs if rung.mean.watched[measure].epochs}
    return {measure: axis for measure, axis in axes.items() if measure in told}


def title_of_curves(findings: Findings) -> str:
    """Return what a figure of all of them is called: "Accuracy and loss by epoch"."""
    return f"{capital(' and '.join(axis.noun for axis in curve_axes(findings).values()))} by epoch"
