"""What one model answers to the test images: which classes it confuses, how well each is found, how sure it may be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stepladder.studies.files.predictions import read_confidence, read_predictions
from stepladder.studies.files.records import SavedStudy, SavedTrial
from stepladder.studies.judging.distributions import wilson_interval
from stepladder.studies.judging.statistics import CONFIDENCE
from stepladder.training.calibration import ECE_BINS, equal_bins


@dataclass(frozen=True)
class Confusion:
    """A class taken for another one, so many times; ``share`` is of the true class's test images."""

    true: str
    predicted: str
    images: int
    share: float


@dataclass(frozen=True)
class ClassResult:
    """One class on the test images.

    Attributes:
        accuracy: the share of its own images that is found (its recall), with its 95 % interval (Wilson).
        precision: of the images said to be of the class, the share that is; None where none is said to be.
        rival: the class that it is most often taken for; None where it never is.
    """

    name: str
    images: int
    accuracy: float
    interval: tuple[float, float]
    precision: float | None
    rival: str | None


@dataclass(frozen=True)
class Bin:
    """Test images of like confidence: their number, mean confidence, and the share that is right with its interval."""

    images: int
    confidence: float
    right: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class ModelAnswers:
    """One model's answers to the test images; shares are fractions of 1.

    Attributes:
        names: of the classes.
        matrix: counts, a row a true class, a column a predicted one.
        confusions: every mistake that was made, the most frequent first.
        classes: every class that has test images, the worst first.
        bins: of equal size, from the least confident on; None where no probabilities were saved.
        calibrated: the same after temperature scaling; None where that changes nothing or is not known.
    """

    names: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]
    images: int
    wrong: int
    confusions: tuple[Confusion, ...]
    classes: tuple[ClassResult, ...]
    bins: tuple[Bin, ...] | None
    calibrated: tuple[Bin, ...] | None

    def __repr__(self) -> str:
        return f"<ModelAnswers: {self.images - self.wrong:,} of {self.images:,} test images right>"

    @property
    def accuracy(self) -> float:
        """The share that is right."""
        return 1 - self.wrong / self.images


def read_answers(study: SavedStudy, trial: SavedTrial) -> ModelAnswers | None:
    """Return what was saved of a trial's predictions; None where nothing was.

    Raises:
        StorageError: the file is damaged.
    """
    return answers_of(trial.folder, study.record.data.class_names, trial.result.temperature)


def answers_of(folder: Path, names: tuple[str, ...], temperature: float | None) -> ModelAnswers | None:
    """Return what was saved of the predictions of the trial in ``folder``; None where nothing was.

    Args:
        temperature: that was fitted on its validation images; None where none was.

    Raises:
        StorageError: the file is damaged.
    """
    found = read_predictions(folder)
    if found is None:
        return None
    predicted, labels = (array.astype(np.int64) for array in found)
    matrix = np.zeros((len(names), len(names)), np.int64)
    np.add.at(matrix, (labels, predicted), 1)
    right = predicted == labels
    confidence = read_confidence(folder)
    # A temperature of 1 changes nothing: the same points twice would hide one another.
    scaled = None if temperature in (None, 1.0) else read_confidence(folder, temperature)
    return ModelAnswers(
        names=names,
        matrix=tuple(tuple(int(number) for number in row) for row in matrix),
        images=len(labels),
        wrong=int((~right).sum()),
        confusions=tuple(_confusions(matrix, names)),
        classes=tuple(_classes(matrix, names)),
        bins=None if confidence is None else tuple(_bins(right, confidence)),
        calibrated=None if scaled is None else tuple(_bins(right, scaled)),
    )


def _confusions(matrix: np.ndarray, names: tuple[str, ...]) -> list[Confusion]:
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    places = np.argwhere(wrong)
    numbers = wrong[places[:, 0], places[:, 1]]
    totals = matrix.sum(axis=1)
    return [
        Confusion(names[true], names[seen], int(wrong[true, seen]), float(wrong[true, seen] / totals[true]))
        for true, seen in places[np.argsort(-numbers, kind="stable")]
    ]


def _classes(matrix: np.ndarray, names: tuple[str, ...]) -> list[ClassResult]:
    said = matrix.sum(axis=0)
    found = []
    for index, name in enumerate(names):
        images, right = int(matrix[index].sum()), int(matrix[index, index])
        if not images:
            continue
        others = matrix[index].copy()
        others[index] = 0
        precision = float(right / said[index]) if said[index] else None
        rival = names[int(others.argmax())] if others.any() else None
        found.append(
            ClassResult(name, images, right / images, wilson_interval(right, images, CONFIDENCE), precision, rival)
        )
    return sorted(found, key=lambda one: one.accuracy)  # stable: of equals, the one that comes first among the names


def _bins(right: np.ndarray, confidence: np.ndarray) -> list[Bin]:
    return [
        Bin(
            images=len(part),
            confidence=float(confidence[part].mean()),
            right=int(right[part].sum()) / len(part),
            interval=wilson_interval(int(right[part].sum()), len(part), CONFIDENCE),
        )
        for part in equal_bins(confidence, ECE_BINS)
    ]
