from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import confusion_matrix, precision_score, recall_score
from statsmodels.stats.proportion import proportion_confint

from stepladder.studies.files.predictions import write_predictions
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.answers import Confusion, ModelAnswers, read_answers
from stepladder.training.calibration import calibration_error

Answers = Callable[..., ModelAnswers]
NAMES = ("cat", "dog", "cow", "owl")


@pytest.fixture
def answers(made_up: Callable[..., SavedStudy]) -> Answers:
    """Write what a model predicts, and read it as a report does."""

    def make(
        predicted: np.ndarray,
        labels: np.ndarray,
        probabilities: np.ndarray | None = None,
        temperature: float | None = None,
        names: tuple[str, ...] = NAMES,
    ) -> ModelAnswers:
        study = made_up({"rung": [0.5]})
        data = study.record.data.model_copy(update={"class_names": names})
        study = replace(study, record=study.record.model_copy(update={"data": data}))
        result = study.trials[0].result.model_copy(update={"temperature": temperature})
        trial = replace(study.trials[0], result=result)
        write_predictions(trial.folder, predicted, labels, len(names), probabilities)
        found = read_answers(study, trial)
        assert found is not None
        return found

    return make


def test_hand_worked_answers(answers: Answers) -> None:
    # Four cats, three dogs, one cow, no owl.
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 2])
    predicted = np.array([0, 1, 1, 3, 1, 1, 2, 2])
    found = answers(predicted, labels)
    assert found.matrix == ((1, 2, 0, 1), (0, 2, 1, 0), (0, 0, 1, 0), (0, 0, 0, 0))
    assert (found.images, found.wrong, found.accuracy) == (8, 4, 0.5)
    assert found.confusions == (
        Confusion("cat", "dog", 2, 0.5),
        Confusion("cat", "owl", 1, 0.25),
        Confusion("dog", "cow", 1, 1 / 3),
    )
    # Worst first; a class without test images has no row.
    assert [(one.name, one.images, one.accuracy, one.precision, one.rival) for one in found.classes] == [
        ("cat", 4, 0.25, 1.0, "dog"),
        ("dog", 3, 2 / 3, 0.5, "cow"),
        ("cow", 1, 1.0, 0.5, None),
    ]
    assert found.classes[0].interval == pytest.approx(proportion_confint(1, 4, 0.05, method="wilson"))
    assert (found.bins, found.calibrated) == (None, None)
    assert repr(found) == "<ModelAnswers: 4 of 8 test images right>"


def test_a_class_that_is_never_said_has_no_precision(answers: Answers) -> None:
    found = answers(np.array([0, 0]), np.array([0, 1]), names=("a", "b"))
    assert [(one.name, one.precision) for one in found.classes] == [("b", None), ("a", 0.5)]


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """300 images of three classes, and logits that are mostly right."""
    random = np.random.default_rng(1)
    labels = np.arange(300, dtype=np.int64) % 3
    logits = random.normal(0, 1, (300, 3))
    logits[np.arange(300), labels] += 1
    return logits, labels


def test_matrix_recall_and_precision_are_those_of_scikit_learn(
    answers: Answers, drawn: tuple[np.ndarray, np.ndarray]
) -> None:
    logits, labels = drawn
    predicted, names = logits.argmax(axis=1), ("a", "b", "c")
    found = answers(predicted, labels, names=names)
    assert found.matrix == tuple(map(tuple, confusion_matrix(labels, predicted).tolist()))
    recall = recall_score(labels, predicted, average=None)
    precision = precision_score(labels, predicted, average=None)
    assert [one.accuracy for one in found.classes] == pytest.approx(sorted(recall))
    assert {one.name: one.precision for one in found.classes} == pytest.approx(dict(zip(names, precision, strict=True)))


def test_the_bins_add_up_to_the_calibration_error(answers: Answers, drawn: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = drawn
    shares = softmax(logits, axis=1)

    def error(temperature: float | None, which: str) -> float:
        found = answers(logits.argmax(axis=1), labels, shares, temperature, ("a", "b", "c"))
        bins = getattr(found, which)
        assert [one.images for one in bins] == [20] * 15
        assert all(one.interval[0] <= one.right <= one.interval[1] for one in bins)
        return sum(one.images * abs(one.right - one.confidence) for one in bins) / 300

    # Probabilities are saved in float16, to a thousandth.
    assert error(None, "bins") == pytest.approx(calibration_error(logits, labels), abs=1e-3)
    assert error(2.5, "bins") == pytest.approx(calibration_error(logits, labels), abs=1e-3)
    assert error(2.5, "calibrated") == pytest.approx(calibration_error(logits, labels, 2.5), abs=2e-3)
    assert calibration_error(logits, labels, 2.5) > 1.5 * calibration_error(logits, labels)


def test_a_temperature_of_1_or_none_draws_nothing_twice(answers: Answers, drawn: tuple[np.ndarray, np.ndarray]) -> None:
    logits, labels = drawn
    for temperature in (None, 1.0):
        found = answers(logits.argmax(axis=1), labels, softmax(logits, axis=1), temperature, ("a", "b", "c"))
        assert found.bins is not None
        assert found.calibrated is None


def test_without_predictions_there_are_no_answers(made_up: Callable[..., SavedStudy], tmp_path: Path) -> None:
    study = made_up({"rung": [0.5]})
    assert read_answers(study, replace(study.trials[0], folder=tmp_path / "empty")) is None
