from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from stepladder.studies.design import metrics
from stepladder.studies.files.predictions import write_predictions
from stepladder.studies.judging.answers import ModelAnswers, read_answers

IMAGES, NAMES = 300, ("a", "b", "c")


@pytest.fixture
def logits() -> np.ndarray:
    random = np.random.default_rng(1)
    found = random.normal(0, 1, (IMAGES, len(NAMES)))
    found[np.arange(IMAGES), LABELS] += 1
    return found


LABELS = np.arange(IMAGES, dtype=np.int64) % len(NAMES)


def shares(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.fixture
def answers_of(made_up: Any, tmp_path: Path) -> Any:
    """Save what a model says of test images and return what is read of it."""

    def make(
        predicted: np.ndarray,
        labels: np.ndarray,
        names: tuple[str, ...],
        probabilities: Any = None,
        temperature: Any = None,
    ) -> ModelAnswers | None:
        study = made_up({"low": [0.5], "high": [0.6]})
        data = study.record.data.model_copy(update={"class_names": names})
        study = replace(study, record=study.record.model_copy(update={"data": data}))
        trial = study.trials[0]
        trial = replace(
            trial, folder=tmp_path / "trial", result=trial.result.model_copy(update={"temperature": temperature})
        )
        trial.folder.mkdir()
        write_predictions(trial.folder, predicted, labels, len(names), probabilities)
        return read_answers(study, trial)

    return make


def test_the_matrix_is_that_of_scikit_learn(answers_of: Any, logits: np.ndarray) -> None:
    predicted = logits.argmax(axis=1)
    found = answers_of(predicted, LABELS, NAMES)
    expected = confusion_matrix(LABELS, predicted)
    assert [list(row) for row in found.matrix] == expected.tolist()
    assert found.wrong == (predicted != LABELS).sum()
    assert found.accuracy == pytest.approx((predicted == LABELS).mean())
    worst = max((expected[i, j], i, j) for i in range(3) for j in range(3) if i != j)
    first = found.confusions[0]
    assert first.images == worst[0]
    assert first.share == pytest.approx(first.images / expected[NAMES.index(first.true)].sum())
    assert sum(one.images for one in found.confusions) == found.wrong


def test_classes_are_worst_first_with_recall_and_precision(answers_of: Any, logits: np.ndarray) -> None:
    predicted = logits.argmax(axis=1)
    classes = answers_of(predicted, LABELS, NAMES).classes
    recall = recall_score(LABELS, predicted, average=None)
    precision = precision_score(LABELS, predicted, average=None)
    assert [one.accuracy for one in classes] == pytest.approx(sorted(recall))
    for one in classes:
        place = NAMES.index(one.name)
        assert (one.accuracy, one.precision) == pytest.approx((recall[place], precision[place]))
        assert one.interval[0] < one.accuracy < one.interval[1]
        assert one.images == (place == LABELS).sum()


def test_the_bins_add_up_to_the_calibration_error(answers_of: Any, logits: np.ndarray) -> None:
    found = answers_of(logits.argmax(axis=1), LABELS, NAMES, shares(logits))
    error = sum(one.images * abs(one.right - one.confidence) for one in found.bins) / IMAGES
    assert error == pytest.approx(metrics.calibration_error(logits, LABELS), abs=1e-3)  # probabilities are float16
    assert found.calibrated is None


def test_a_temperature_moves_the_confidence_and_not_the_answers(answers_of: Any, logits: np.ndarray) -> None:
    found = answers_of(logits.argmax(axis=1), LABELS, NAMES, shares(logits), 2.0)
    error = sum(one.images * abs(one.right - one.confidence) for one in found.calibrated) / IMAGES
    assert error == pytest.approx(metrics.calibration_error(logits, LABELS, 2.0), abs=2e-3)
    right = [sum(one.images * one.right for one in bins) for bins in (found.bins, found.calibrated)]
    assert right[0] == pytest.approx(right[1])


def test_a_temperature_of_one_is_not_shown_twice(answers_of: Any, logits: np.ndarray) -> None:
    assert answers_of(logits.argmax(axis=1), LABELS, NAMES, shares(logits), 1.0).calibrated is None


def test_a_class_that_is_never_said_has_no_precision(answers_of: Any) -> None:
    found = answers_of(np.array([0, 0, 0]), np.array([0, 0, 1]), ("a", "b", "empty"))
    assert [(one.name, one.accuracy, one.precision, one.rival) for one in found.classes] == [
        ("b", 0.0, None, "a"),
        ("a", 1.0, 2 / 3, None),
    ]
    assert found.bins is None


def test_a_trial_without_predictions_has_none(made_up: Any) -> None:
    study = made_up({"low": [0.5], "high": [0.6]})
    assert read_answers(study, study.trials[0]) is None
