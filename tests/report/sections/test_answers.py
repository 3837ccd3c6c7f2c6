"""The four parts on one model's answers: confusion, gallery, classes and calibration."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepladder.report.sections.calibration import CalibrationSection, calibration_table, describe_calibration
from stepladder.report.sections.classes import ClassesSection, classes_table
from stepladder.report.sections.confusion import (
    ConfusionSection,
    confusion_table,
    describe_confusion,
    describe_shown,
)
from stepladder.report.sections.gallery import show_image
from stepladder.studies.files.gallery import GalleryImage
from stepladder.studies.findings import Findings, ShownModel, ShownReason, make_findings
from stepladder.studies.judging.answers import Bin, ClassResult, Confusion, ModelAnswers
from stepladder.training.metrics import find_metric


@pytest.fixture
def findings(complete_study, tmp_path: Path) -> Findings:
    return make_findings(complete_study(tmp_path, rungs=2, seeds=2, epochs=1))


def many(classes: int) -> ModelAnswers:
    """Two images of each class; of the first class one is taken for the eighth, of the second both."""
    names = tuple(f"c{place}" for place in range(classes))
    matrix = [[2 * (row == column) for column in range(classes)] for row in range(classes)]
    matrix[0][0], matrix[0][7] = 1, 1
    matrix[1][1], matrix[1][7] = 0, 2
    return ModelAnswers(
        names=names,
        matrix=tuple(map(tuple, matrix)),
        images=2 * classes,
        wrong=3,
        confusions=(Confusion("c1", "c7", 2, 1.0), Confusion("c0", "c7", 1, 0.5)),
        classes=tuple(
            ClassResult(name, 2, matrix[place][place] / 2, (0.1, 0.9), 1.0, "c7" if place < 2 else None)
            for place, name in enumerate(names)
        ),
        bins=None,
        calibrated=None,
    )


def test_charts_and_tables_have_the_answers(findings):
    answers = findings.answers
    assert answers is not None
    assert ConfusionSection().chart(findings)["counts"] == [list(row) for row in answers.matrix]
    assert confusion_table(answers).header == ("true class", *answers.names)
    rows = ClassesSection().chart(findings)["rows"]
    assert [row["accuracy"] for row in rows] == sorted(row["accuracy"] for row in rows)
    assert [f"{row['accuracy']:.2f}" for row in rows] == [row[3] for row in classes_table(answers).rows]
    bins = CalibrationSection().chart(findings)["plain"]
    assert sum(one["n"] for one in bins) == answers.images
    assert [row[0] for row in calibration_table(answers).rows] == ["as trained"] * len(bins)


def test_the_words_count_what_is_wrong():
    assert describe_confusion(many(10)) == (
        "17 of 20 test images are classified correctly (85.00 %). The most frequent mistakes: c1 taken for c7 (2); c0 "
        "taken for c7 (1)."
    )


def test_many_classes_are_listed_and_not_drawn(findings):
    shown = Findings(
        **{**{name: getattr(findings, name) for name in findings.__dataclass_fields__}, "answers": many(100)}
    )
    assert ConfusionSection().chart(shown) is None
    assert list(confusion_table(many(100)).rows) == [
        ("c1", "c7", "2", "100.00"),
        ("c0", "c7", "1", "50.00"),
    ]
    assert ClassesSection().chart(shown)["left_out"] == 40
    assert CalibrationSection().chart(shown) is None


def test_the_model_shown_is_explained(findings):
    trial = findings.shown.trial
    for reason, seeds, best, words in (
        (ShownReason.CHOSEN, 3, None, "has the highest validation accuracy; of its 3 seeds, this one is the best"),
        (ShownReason.CHOSEN, 1, None, "Its rung has the highest validation accuracy."),
        (
            ShownReason.CHOSEN,
            1,
            "b",
            "simplest of those whose validation accuracy lies within noise of the highest (b).",
        ),
        (ShownReason.NO_VALIDATION, 1, None, "no recommendation: without validation images nothing may choose."),
        (ShownReason.ALL_FAILED, 1, None, "no recommendation: in every rung a trial failed."),
    ):
        assert words in describe_shown(ShownModel(trial, reason, seeds, best), find_metric("accuracy"))


def test_calibration_in_words(findings):
    result = findings.shown.trial.result.model_copy(update={"test_ece": 0.0123})
    assert describe_calibration(result) == "The calibration error is 1.23 %."
    same = result.model_copy(update={"temperature": 1.0, "test_ece_calibrated": 0.0123})
    assert describe_calibration(same).endswith(" is 1.00, so there is nothing to correct.")
    scaled = result.model_copy(update={"temperature": 1.5, "test_ece_calibrated": 0.004})
    assert describe_calibration(scaled) == (
        "The calibration error is 1.23 %. It is 0.40 % after dividing the logits by a temperature of 1.50, which was "
        "fitted on the validation images."
    )


def test_both_kinds_of_bins_are_told_apart():
    plain, scaled = Bin(10, 0.9, 0.8, (0.5, 0.95)), Bin(10, 0.8, 0.8, (0.5, 0.95))
    answers = ModelAnswers(("a",), ((10,),), 10, 0, (), (), (plain,), (scaled,))
    assert calibration_table(answers).rows == (
        ("as trained", "10", "90.00", "80.00", "[50.00, 95.00]"),
        ("calibrated", "10", "80.00", "80.00", "[50.00, 95.00]"),
    )


def test_names_stand_for_positions():
    image = GalleryImage(position=7, label=1, predicted=0, top=((0, 0.75), (1, 0.2)), png="AA==")
    shown = show_image(image, ("cat", "dog"))
    assert (shown.label, shown.predicted, shown.right) == ("dog", "cat", False)
    assert shown.bars == (("cat", 75.0, False), ("dog", 20.0, True))
    assert shown.alt == "Test image 7 of the class dog, taken for cat"
