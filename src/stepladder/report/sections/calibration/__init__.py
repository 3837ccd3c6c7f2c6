"""Whether the shown model is right as often as it is sure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stepladder.report.section import Section, TextTable
from stepladder.report.units import hundredths, percent
from stepladder.studies.files.records import TrialResult
from stepladder.studies.findings import Findings
from stepladder.studies.judging.answers import Bin, ModelAnswers


class CalibrationSection(Section[Findings]):
    """The reliability diagram."""

    key = "calibration"
    heading = "Calibration: is 90 % sure also 90 % right?"
    short = "Calibration"

    def chart(self, findings: Findings) -> dict[str, Any] | None:
        """Return the diagram's bins, in percent; None where no probabilities were saved."""
        answers = findings.answers
        if answers is None or answers.bins is None:
            return None
        return {
            "plain": _chart_bins(answers.bins),
            "scaled": None if answers.calibrated is None else _chart_bins(answers.calibrated),
        }

    def values(self, findings: Findings) -> dict[str, Any]:
        """Return the error in words, and the bins as a table."""
        if findings.answers is None or findings.answers.bins is None or findings.shown is None:
            return {"words": "", "table_of_bins": None}
        return {
            "words": describe_calibration(findings.shown.trial.result),
            "table_of_bins": calibration_table(findings.answers),
        }


def describe_calibration(result: TrialResult) -> str:
    """Return the calibration error of a trial, before and after temperature scaling."""
    if result.test_ece is None:
        return ""
    words = f"The calibration error is {percent(result.test_ece)}."
    if result.temperature is None or result.test_ece_calibrated is None:
        return words
    if result.temperature == 1:
        return f"{words} The best temperature on the validation images is 1.00, so there is nothing to correct."
    return (
        f"{words} It is {percent(result.test_ece_calibrated)} after dividing the logits by a temperature of "
        f"{result.temperature:.2f}, which was fitted on the validation images."
    )


def calibration_table(answers: ModelAnswers) -> TextTable:
    """Return the bins of the reliability diagram."""
    return TextTable(
        caption="Test images sorted by confidence and cut into bins of equal size; the interval is Wilson's, 95 %.",
        header=("probabilities", "images", "mean confidence, %", "right, %", "interval, %"),
        rows=tuple(
            (
                kind,
                f"{one.images:,}",
                hundredths(one.confidence),
                hundredths(one.right),
                f"[{hundredths(one.interval[0])}, {hundredths(one.interval[1])}]",
            )
            for kind, bins in (("as trained", answers.bins), ("calibrated", answers.calibrated))
            for one in bins or ()
        ),
        text_columns=1,
        title="The bins as a table",
    )


def _chart_bins(bins: Sequence[Bin]) -> list[dict[str, Any]]:
    return [
        {
            "sure": round(100 * one.confidence, 3),
            "right": round(100 * one.right, 3),
            "interval": [round(100 * end, 3) for end in one.interval],
            "n": one.images,
        }
        for one in bins
    ]
