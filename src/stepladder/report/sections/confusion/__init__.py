"""What one model takes for what: the confusion matrix, or of many classes its largest entries."""

from __future__ import annotations

from typing import Any, assert_never

from stepladder.report.section import Section, TextTable
from stepladder.report.units import hundredths, percent
from stepladder.studies.findings import Findings, ShownModel, ShownReason
from stepladder.studies.judging.answers import ModelAnswers
from stepladder.training.metrics import Metric

#: A matrix of more classes is unreadable; the pairs that are confused most are listed in its place.
MOST_IN_MATRIX = 60
#: A table of the whole matrix goes up to so many classes; of more, its largest entries.
_MOST_IN_TABLE, _PAIRS = 20, 30


class ConfusionSection(Section[Findings]):
    """The first of the parts on one model's answers, which also says which model that is."""

    key = "confusion"
    heading = "What is taken for what"
    short = "Confusion"

    def chart(self, findings: Findings) -> dict[str, Any] | None:
        """Return names and counts of the matrix; None where it has too many classes to be read."""
        answers = findings.answers
        if answers is None or len(answers.names) > MOST_IN_MATRIX:
            return None
        return {"names": list(answers.names), "counts": [list(row) for row in answers.matrix]}

    def values(self, findings: Findings) -> dict[str, Any]:
        """Return which model it is, and its answers in words and as a table."""
        if findings.answers is None or findings.shown is None:
            return {"words": "", "table_of_counts": None}
        return {
            "label": f"{findings.shown.trial.rung}, seed {findings.shown.trial.seed}",
            "why": describe_shown(findings.shown, findings.metric),
            "words": describe_confusion(findings.answers),
            "table_of_counts": confusion_table(findings.answers),
        }


def describe_shown(shown: ShownModel, metric: Metric) -> str:
    """Return how the model was found whose mistakes are shown."""
    match shown.reason:
        case ShownReason.NO_VALIDATION:
            return (
                "It is the first seed of the highest rung and no recommendation: without validation images nothing may "
                "choose."
            )
        case ShownReason.ALL_FAILED:
            return "It is the first seed of the highest rung and no recommendation: in every rung a trial failed."
        case ShownReason.CHOSEN:
            best = f"; of its {shown.seeds} seeds, this one is the best on validation" if shown.seeds > 1 else ""
            extreme = "highest" if metric.higher_is_better else "lowest"
            why = f"Its rung has the {extreme} {metric.validation_label}"
            if shown.best is not None:
                why = (
                    f"Its rung is the simplest of those whose {metric.validation_label} lies within noise of the "
                    f"{extreme} ({shown.best})"
                )
            return f"{why}{best}."
        case _:
            assert_never(shown.reason)


def describe_confusion(answers: ModelAnswers) -> str:
    """Return what the matrix shows: how many are wrong, and which classes are confused most."""
    right = answers.images - answers.wrong
    sentence = f"{right:,} of {answers.images:,} test images are classified correctly ({percent(answers.accuracy)})"
    if not answers.confusions:
        return f"{sentence}; none is wrong."
    each = [f"{one.true} taken for {one.predicted} ({one.images:,})" for one in answers.confusions[:3]]
    return f"{sentence}. The most frequent mistakes: {'; '.join(each)}."


def confusion_table(answers: ModelAnswers) -> TextTable:
    """Return the matrix itself where it is small, else its largest entries off the diagonal."""
    title = "The confusion matrix as a table"
    if len(answers.names) <= _MOST_IN_TABLE:
        return TextTable(
            caption="A row a true class, a column what the model said; test images.",
            header=("true class", *answers.names),
            rows=tuple(
                (name, *(f"{number:,}" for number in row))
                for name, row in zip(answers.names, answers.matrix, strict=True)
            ),
            text_columns=1,
            title=title,
        )
    return TextTable(
        caption=f"The {_PAIRS} most frequent mistakes; the share is of the true class's test images.",
        header=("true class", "taken for", "images", "share, %"),
        rows=tuple(
            (one.true, one.predicted, f"{one.images:,}", hundredths(one.share)) for one in answers.confusions[:_PAIRS]
        ),
        text_columns=2,
        title=title,
    )
