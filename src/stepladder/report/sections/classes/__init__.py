"""How well the shown model finds each class."""

from __future__ import annotations

from typing import Any

from stepladder.report.section import Section, TextTable
from stepladder.report.units import UNDEFINED, hundredths
from stepladder.studies.findings import Findings
from stepladder.studies.judging.answers import ModelAnswers

#: Classes in the chart, the worst ones.
MOST_CLASSES = 60


class ClassesSection(Section[Findings]):
    """Accuracy and precision of every class, the worst first."""

    key = "classes"
    heading = "Class by class"

    def chart(self, findings: Findings) -> dict[str, Any] | None:
        """Return each class's accuracy with its 95 % interval, in percent, no more than can be read."""
        answers = findings.answers
        if answers is None:
            return None
        return {
            "rows": [
                {
                    "name": one.name,
                    "accuracy": round(100 * one.accuracy, 3),
                    "interval": [round(100 * end, 3) for end in one.interval],
                    "n": one.images,
                }
                for one in answers.classes[:MOST_CLASSES]
            ],
            "left_out": max(0, len(answers.classes) - MOST_CLASSES),
            "overall": round(100 * answers.accuracy, 3),
        }

    def values(self, findings: Findings) -> dict[str, Any]:
        """Return the classes as a table."""
        return {"table_of_classes": None if findings.answers is None else classes_table(findings.answers)}


def classes_table(answers: ModelAnswers) -> TextTable:
    """Return every class with what is found of it and what it is mistaken for."""
    return TextTable(
        caption=(
            "Worst first. Accuracy: of a class's own test images, the share found (its recall), with its 95 % interval "
            "(Wilson) over other test images of the class. Precision: of the images said to be of the class, the share "
            "that is."
        ),
        header=("class", "most often taken for", "images", "accuracy, %", "interval, %", "precision, %"),
        rows=tuple(
            (
                one.name,
                one.rival or UNDEFINED,
                f"{one.images:,}",
                hundredths(one.accuracy),
                f"[{hundredths(one.interval[0])}, {hundredths(one.interval[1])}]",
                hundredths(one.precision),
            )
            for one in answers.classes
        ),
        text_columns=2,
        title="The classes as a table",
    )
