"""What one model gets right and wrong on the test images: confusion, classes, calibration; charts and their tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from stepladder.report.text_table import TextTable
from stepladder.report.units import UNDEFINED, hundredths, percent
from stepladder.study.design.metrics import ECE_BINS, equal_bins
from stepladder.study.files.predictions import read_confidence, read_predictions
from stepladder.study.files.records import SavedStudy, SavedTrial
from stepladder.study.judging.statistics import CONFIDENCE

#: A matrix of more classes is unreadable; the pairs that are confused most are listed in its place.
MOST_IN_MATRIX = 60
#: A table of the whole matrix goes up to so many classes; of more, its largest entries.
_MOST_IN_TABLE, _PAIRS = 20, 30
#: Classes in the chart of accuracies, the worst ones.
MOST_CLASSES = 60


@dataclass(frozen=True)
class ModelResults:
    """A model's answers to the test images: positions among ``names``, and how sure it was, where that was saved.

    Attributes:
        matrix: (classes, classes) counts, a row a true class, a column a predicted one.
        confidence: (N,) probability of the predicted class; ``calibrated`` the same after temperature scaling.
    """

    names: tuple[str, ...]
    predicted: np.ndarray
    labels: np.ndarray
    matrix: np.ndarray
    confidence: np.ndarray | None
    calibrated: np.ndarray | None

    @property
    def wrong(self) -> int:
        """How many images it gets wrong."""
        return int((self.predicted != self.labels).sum())


def read_results(study: SavedStudy, trial: SavedTrial) -> ModelResults | None:
    """Return what was saved of a trial's predictions; None where nothing was.

    Raises:
        StorageError: the file is damaged.
    """
    found = read_predictions(trial.folder)
    if found is None or study.unread:
        return None
    names = study.record.data.class_names
    predicted, labels = (array.astype(np.int64) for array in found)
    matrix = np.zeros((len(names), len(names)), np.int64)
    np.add.at(matrix, (labels, predicted), 1)
    temperature = trial.result.temperature
    # A temperature of 1 changes nothing: the same points twice would hide one another.
    calibrated = None if temperature in (None, 1.0) else read_confidence(trial.folder, temperature)
    return ModelResults(names, predicted, labels, matrix, read_confidence(trial.folder), calibrated)


def confusion_chart(results: ModelResults) -> dict[str, Any] | None:
    """Return names and counts of the matrix; None where it has too many classes to be read."""
    if len(results.names) > MOST_IN_MATRIX:
        return None
    return {"names": list(results.names), "counts": results.matrix.tolist()}


def confusion_words(results: ModelResults) -> str:
    """Return what the matrix shows: how many are wrong, and which classes are confused most."""
    total = len(results.labels)
    right = total - results.wrong
    sentence = f"{right:,} of {total:,} test images are classified rightly ({percent(right / total)})"
    worst = _pairs(results)[:3]
    if not worst:
        return f"{sentence}; none is wrong."
    each = [f"{results.names[true]} taken for {results.names[seen]} ({number:,})" for true, seen, number in worst]
    return f"{sentence}. The most frequent mistakes: {'; '.join(each)}."


def confusion_table(results: ModelResults) -> TextTable:
    """Return the matrix itself where it is small, else its largest entries off the diagonal."""
    names = results.names
    if len(names) <= _MOST_IN_TABLE:
        return TextTable(
            caption="A row a true class, a column what the model said; test images.",
            header=("true class", *names),
            rows=tuple(
                (name, *(f"{number:,}" for number in row)) for name, row in zip(names, results.matrix, strict=True)
            ),
            text_columns=1,
        )
    rows = tuple(
        (names[true], names[seen], f"{number:,}", hundredths(number / results.matrix[true].sum()))
        for true, seen, number in _pairs(results)[:_PAIRS]
    )
    return TextTable(
        caption=f"The {_PAIRS} most frequent mistakes; the share is of the true class's test images.",
        header=("true class", "taken for", "images", "share, %"),
        rows=rows,
        text_columns=2,
    )


def classes_chart(results: ModelResults) -> dict[str, Any]:
    """Return each class's accuracy with its 95 % interval, the worst first and no more than can be read."""
    rows = _classes(results)
    return {
        "rows": [
            {"name": name, "accuracy": round(100 * share, 3), "interval": [round(100 * end, 3) for end in ends], "n": n}
            for name, share, ends, n, _ in rows[:MOST_CLASSES]
        ],
        "left_out": max(0, len(rows) - MOST_CLASSES),
        "overall": round(100 * (1 - results.wrong / len(results.labels)), 3),
    }


def classes_table(results: ModelResults) -> TextTable:
    """Return every class with what is found of it and what it is mistaken for."""
    said = results.matrix.sum(axis=0)
    rows = []
    for name, share, (low, high), n, index in _classes(results):
        row = results.matrix[index].copy()
        row[index] = 0
        precision = hundredths(results.matrix[index, index] / said[index]) if said[index] else UNDEFINED
        rival = results.names[int(row.argmax())] if row.any() else UNDEFINED
        rows.append((name, rival, f"{n:,}", hundredths(share), f"[{hundredths(low)}, {hundredths(high)}]", precision))
    return TextTable(
        caption=(
            "Worst first. Accuracy: of a class's own test images, the share found (its recall), with its 95 % interval "
            "(Wilson) had other images been drawn. Precision: of the images said to be of the class, the share that is."
        ),
        header=("class", "most often taken for", "images", "accuracy, %", "interval, %", "precision, %"),
        rows=tuple(rows),
        text_columns=2,
    )


def calibration_chart(results: ModelResults) -> dict[str, Any] | None:
    """Return the reliability diagram's bins; None where no probabilities were saved."""
    if results.confidence is None:
        return None
    return {
        "plain": _bins(results, results.confidence),
        "scaled": None if results.calibrated is None else _bins(results, results.calibrated),
    }


def calibration_table(results: ModelResults) -> TextTable:
    """Return the bins of the reliability diagram."""
    assert results.confidence is not None
    rows = []
    for kind, confidence in (("as trained", results.confidence), ("calibrated", results.calibrated)):
        for one in [] if confidence is None else _bins(results, confidence):
            low, high = one["interval"]
            rows.append(
                (kind, f"{one['n']:,}", f"{one['sure']:.2f}", f"{one['right']:.2f}", f"[{low:.2f}, {high:.2f}]")
            )
    return TextTable(
        caption="Test images sorted by confidence and cut into bins of equal size; the interval is Wilson's, 95 %.",
        header=("probabilities", "images", "mean confidence, %", "right, %", "interval, %"),
        rows=tuple(rows),
        text_columns=1,
    )


def _bins(results: ModelResults, confidence: np.ndarray) -> list[dict[str, Any]]:
    correct = results.predicted == results.labels
    bins = []
    for part in equal_bins(confidence, ECE_BINS):
        right = int(correct[part].sum())
        bins.append(
            {
                "sure": round(100 * float(confidence[part].mean()), 3),
                "right": round(100 * right / len(part), 3),
                "interval": [round(100 * end, 3) for end in _wilson(right, len(part))],
                "n": len(part),
            }
        )
    return bins


def _classes(results: ModelResults) -> list[tuple[str, float, tuple[float, float], int, int]]:
    """Return (name, accuracy, interval, images, position) of every class that has test images, the worst first."""
    found = []
    for index, name in enumerate(results.names):
        n, right = int(results.matrix[index].sum()), int(results.matrix[index, index])
        if n:
            found.append((name, right / n, _wilson(right, n), n, index))
    return sorted(found, key=lambda row: (row[1], row[4]))


def _pairs(results: ModelResults) -> list[tuple[int, int, int]]:
    """Return (true, predicted, images) of every mistake that was made, the most frequent first."""
    wrong = results.matrix.copy()
    np.fill_diagonal(wrong, 0)
    places = np.argwhere(wrong)
    numbers = wrong[places[:, 0], places[:, 1]]
    order = np.argsort(-numbers, kind="stable")
    return [(int(places[at, 0]), int(places[at, 1]), int(numbers[at])) for at in order]


def _wilson(right: int, n: int) -> tuple[float, float]:
    low, high = proportion_confint(right, n, 1 - CONFIDENCE, method="wilson")
    return float(low), float(high)
