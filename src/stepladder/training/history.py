"""What one training run measured, a record an epoch, to and from ``history.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepladder.errors import StorageError
from stepladder.files import replace_text


@dataclass(frozen=True)
class EpochRecord:
    """One row of ``history.csv``. Epoch 0 is the untrained network. A figure that was not measured is None.

    Attributes:
        epoch: full passes over the training images so far.
        lr: learning rate of the epoch's last step.
        train_loss_running: mean cross-entropy over the epoch's batches, in nats an image, as the optimizer saw them:
            augmented images, dropout on, weights changing.
        train_loss: mean cross-entropy on a fixed sample of plain training images in evaluation mode, in nats an image.
        train_accuracy: on the same sample, a fraction of 1.
        seconds: wall time of the epoch with its evaluation.
        images_per_second: training images a second, the evaluation's time left out.
        val_loss: mean cross-entropy on the validation images, in nats an image.
        val_accuracy: on the validation images, a fraction of 1.
        test_loss: mean cross-entropy on the test images; only where no image was left for validation.
        test_accuracy: on the test images, a fraction of 1; only where no image was left for validation.
        val_score: by the metric that decides, on the validation images; only where that is neither accuracy nor loss.
    """

    epoch: int
    lr: float | None
    train_loss_running: float | None
    train_loss: float
    train_accuracy: float
    seconds: float
    images_per_second: float | None
    val_loss: float | None = None
    val_accuracy: float | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    val_score: float | None = None


#: Training accuracy and loss are measured on this many training images, the same ones in every epoch and trial.
TRAIN_SAMPLE = 5000

_COLUMNS = (
    "epoch",
    "lr",
    "train_loss_running",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "seconds",
    "images_per_second",
)
#: Columns that few runs have: by a metric that nobody measures unasked, and without validation images.
_RARE_COLUMNS = ("val_score", "test_loss", "test_accuracy")


def write_history(path: Path, records: Iterable[EpochRecord]) -> None:
    """Replace ``path`` by :func:`history_text` of ``records``."""
    replace_text(path, history_text(records))


def history_text(records: Iterable[EpochRecord]) -> str:
    """Return a CSV with one row a record; floats keep every digit, an unmeasured figure is empty."""
    rows = list(records)
    rare = [name for name in _RARE_COLUMNS if any(getattr(row, name) is not None for row in rows)]
    names = (*_COLUMNS, *rare)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow("" if (value := getattr(row, name)) is None else repr(value) for name in names)
    return text.getvalue()


def read_history(path: Path) -> tuple[EpochRecord, ...]:
    """Read what :func:`write_history` wrote.

    Raises:
        StorageError: the file is missing or damaged.
    """
    try:
        return parse_history(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StorageError(f"cannot read {path} ({error}); remove its folder and run the study again") from error


def parse_history(text: str) -> tuple[EpochRecord, ...]:
    """Return the records of what :func:`history_text` wrote.

    Raises:
        ValueError, TypeError, KeyError: it is something else.
    """
    return tuple(_parse(row) for row in csv.DictReader(io.StringIO(text)))


def _parse(row: dict[str, str]) -> EpochRecord:
    figures: dict[str, Any] = {name: float(text) if text else None for name, text in row.items()}
    return EpochRecord(**{**figures, "epoch": int(row["epoch"])})
