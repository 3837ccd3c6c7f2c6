"""The history that a command names in its result: a CSV with a row an epoch, whose columns are found by their names."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from stepladder.files import read_plain
from stepladder.studies.files.run_history import RunEpoch
from stepladder.studies.scores.naming import TRAINING_WORDS, VALIDATION_WORDS, key_of, parts_of
from stepladder.studies.scores.tables import number_of

#: Epochs of a history that are drawn, and bytes that it may have: of more, it is a log of steps.
MOST_EPOCHS, _MOST_BYTES = 10_000, 16_000_000

#: What people call the score that a study judges by, beside its own name.
_SCORE_WORDS = {"score", "metric"}
#: Names of one and the same score.
_ALIKE = {"acc": "accuracy", "top1": "accuracy"}


def read_history(out: Path, name: object, metric: str, *, share: bool, percent: bool) -> tuple[RunEpoch, ...] | str:
    """Return the epochs of the history that a run names, or why they cannot be drawn.

    ``epoch`` counts them, else the rows do. ``val_…`` and ``train_…`` say which images a figure is of; one that says
    nothing is of training images, as Keras writes it. What is measured on test images is left out: a curve of it would
    be watched. Several rows of an epoch, as Lightning writes them, are one.

    Args:
        out: the run's folder, which the file must be in.
        name: the value of ``history`` in the run's result.
        metric: of the study, whose own curve is looked for, beside the loss.
        share: whether that is a share, and so at most 1.
        percent: whether it is written in percent.
    """
    said = f"its history {str(name)[:100]}"
    if not isinstance(name, str) or not (out / name).resolve().is_relative_to(out.resolve()):
        return f"{said} is no file below {{out}}"
    try:
        text = read_plain(out / name, _MOST_BYTES, follow=False).decode("utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text), strict=True) if any(cell.strip() for cell in row)]
    except OSError as error:
        return f"{said} cannot be read ({error.strerror or error})"
    except (ValueError, csv.Error) as error:
        return f"{said} cannot be read ({error})"
    if len(rows) < 2 or any(len(row) != len(rows[0]) for row in rows):
        return f"{said} has not a header and as many cells in every row"
    if len(rows) > MOST_EPOCHS + 1:
        return f"{said} has {len(rows) - 1:,} rows, and at most {MOST_EPOCHS:,} are drawn; write a row an epoch"
    header = [cell.strip() for cell in rows[0]]
    places = _places(header, metric)
    if not places:
        return (
            f"{said} has none of the columns val_{metric}, train_{metric}, val_loss and train_loss, but "
            f"{', '.join(header)[:200]}"
        )
    epochs = _epochs(header, rows[1:])
    figures: dict[int, dict[str, float]] = {epoch: {} for epoch in epochs}
    for epoch, row in zip(epochs, rows[1:], strict=True):
        for column, place in places.items():
            value = number_of(row[place])
            if value is None:
                continue
            if column.endswith("_score"):
                value /= 100 if percent else 1
                if share and not 0 <= value <= 1:
                    unit = "above 100 percent or below 0" if percent else "no fraction of 1"
                    return f"{said} has {header[place]} {row[place].strip()}, which is {unit}"
            figures[epoch][column] = value
    # A row of nothing else, as of a test at the end, is no epoch.
    return tuple(RunEpoch(epoch, **found) for epoch, found in sorted(figures.items()) if found)


def _places(header: Sequence[str], metric: str) -> dict[str, int]:
    """Return the column of each figure of a :class:`RunEpoch`; the first one where several would do."""
    wanted = _score(metric)
    found: dict[str, int] = {}
    for place, name in enumerate(header):
        parts = set(parts_of(name))
        if "test" in parts:
            continue
        split = "val" if parts & VALIDATION_WORDS else "train"
        score = _score(name)
        if score == wanted or score <= _SCORE_WORDS:  # val alone is a score, as in a result
            figure = "score"
        elif "loss" in parts:
            figure = "loss"
        else:
            continue
        found.setdefault(f"{split}_{figure}", place)
    return found


def _score(name: str) -> set[str]:
    """Return the words of a name that say what is measured, without those that say of which images."""
    words = {part for part in parts_of(name)[1:] if part}
    return {_ALIKE.get(word, word) for word in words - VALIDATION_WORDS - TRAINING_WORDS}


def _epochs(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the epoch of each row: as its column says, else its number."""
    place = next((place for place, name in enumerate(header) if key_of(name) in ("epoch", "epochs")), None)
    numbers = [None if place is None else number_of(row[place]) for row in rows]
    if any(number is None or number < 0 or not number.is_integer() for number in numbers):
        return list(range(1, len(rows) + 1))
    return [int(number or 0) for number in numbers]
