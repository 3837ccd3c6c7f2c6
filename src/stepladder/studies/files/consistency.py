"""Does a record hold together? What a form cannot say: names that must be known, sizes that must fit, no thing twice.

Each function returns what is wrong, the rest of a sentence, or None. What an older Stepladder wrote passes.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from stepladder.files import read_plain
from stepladder.studies.design.rules import MOST_SEEDS, SELECTIONS
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import DataRecord, StudyRecord, TrialResult
from stepladder.training.history import EpochRecord, parse_history

#: Seeds of the largest look that a study of :data:`MOST_SEEDS` may come to.
_LARGEST_LOOK = 2 * MOST_SEEDS

_PRECISIONS, _DEVICES = ("float32", "bfloat16"), ("cpu", "cuda", "mps")

#: Figures of an epoch that may be infinite or undefined though training goes on: those on images that train nothing.
_MAY_OVERFLOW = ("val_loss", "val_score", "test_loss")


def wrong_with_study(record: StudyRecord) -> str | None:
    """Say what in ``study.json`` cannot be."""
    names = [rung.name for rung in record.rungs]
    for what, found in (
        ("rung", names),
        ("seed", record.seeds),
        ("contrast", [(one.design, one.name) for one in record.contrasts]),
    ):
        if (twice := _twice(found)) is not None:
            return f"it has the {what} {twice} twice"
    for what, named in (
        ("a contrast", [name for contrast in record.contrasts for name in contrast.weights]),
        ("the list reached", list(record.reached)),
        ("the list pruned", [] if record.sweep is None or record.sweep.search is None else record.sweep.search.pruned),
    ):
        if strangers := set(named) - set(names):
            return f"{what} names {min(strangers)}, which is no rung"
    if not all(contrast.weights for contrast in record.contrasts):
        return "a contrast has no weights"
    sizes = [look.seeds for look in record.looks]
    if sizes != sorted(set(sizes)) or sizes[-1] > _LARGEST_LOOK:
        return f"its looks are at {sizes} seeds"
    if not all(0 <= seed < _LARGEST_LOOK for seed in record.seeds):
        return f"its seeds are not 0 to {_LARGEST_LOOK - 1}"
    if not all(1 <= reached <= len(record.seeds) for reached in record.reached.values()):
        return "the list reached is beyond its seeds"
    for name, value, fits in (
        ("precision", record.precision, record.precision in _PRECISIONS),
        ("device", record.device, record.device in _DEVICES),
        ("select", record.select, record.select in SELECTIONS),
        ("alpha", record.alpha, 0 < record.alpha <= 0.5),
        ("smallest_effect", record.smallest_effect, record.smallest_effect >= 0),
        ("validation", record.validation, 0 <= record.validation <= 0.9),
        ("threads", record.threads, record.threads is None or record.threads >= 1),
    ):
        if not fits:
            return f"{name} is {value}"
    if record.scores is not None:  # of no images
        return None
    return wrong_with_data(record.data) or _wrong_with_images(record) or _wrong_with_sweep(record)


def wrong_with_data(data: DataRecord) -> str | None:
    """Say what in the record of an image set cannot be."""
    if not data.class_names:
        return "its images have no classes"
    if min(data.image_shape) < 1:
        return f"its images are {data.image_shape}"
    if not {"train", "test"} <= set(data.counts) <= {"train", "validation", "test"} or min(data.counts.values()) < 1:
        return f"its images are counted as {data.counts}"
    return None


def _wrong_with_images(record: StudyRecord) -> str | None:
    if record.validation > 0 and "validation" not in record.data.counts:
        return "it holds images out for validation, and counts none"
    sizes = [rung.images for rung in record.rungs if rung.images is not None]  # of a curve, that of every rung
    if sizes and (len(sizes) < len(record.rungs) or min(sizes) < 1 or max(sizes) > record.data.counts["train"]):
        return f"its rungs train on {sizes} of {record.data.counts['train']:,} images"
    return None


def _wrong_with_sweep(record: StudyRecord) -> str | None:
    sweep = record.sweep
    if sweep is None:
        return None
    if (twice := _twice([axis.key for axis in sweep.axes])) is not None:
        return f"it sweeps {twice} twice"
    if len(sweep.points) != len(record.rungs):
        return f"it has {len(sweep.points)} points and {len(record.rungs)} rungs"
    if not sweep.axes or any(len(point) != len(sweep.axes) for point in sweep.points):
        return "a point has not a value for every key"
    if not 0 <= sweep.guess <= 1:
        return f"guess is {sweep.guess}"
    return None


def wrong_with_result(result: TrialResult, trial: Trial, record: StudyRecord | None = None) -> str | None:
    """Say what in the ``result.json`` of a trial cannot be.

    Args:
        record: of its study.
    """
    if result.trial != trial.id or result.seed != trial.seed:
        return "it is that of another trial"
    if result.techniques != tuple(setting.name for setting in trial.recipe.techniques):
        return "it names other techniques than the trial's recipe"
    if not 0 <= result.epochs <= trial.recipe.epochs:
        return f"it tells of {result.epochs:,} epochs, and the recipe has {trial.recipe.epochs:,}"
    if result.selected_epoch is not None and not 0 <= result.selected_epoch <= result.epochs:
        return f"it selected epoch {result.selected_epoch:,} of {result.epochs:,}"
    if (result.status == "failed") != (result.failure is not None):
        return "it does not say whether the trial failed"
    if (result.test_accuracy is None) != (result.test_loss is None):
        return "it holds half of a test result"
    if result.status == "failed" and result.test_accuracy is not None:
        return "the trial failed, and has a test result"
    if result.seconds < 0 or (result.images_per_second is not None and result.images_per_second <= 0):
        return "it took no time"
    if any(one is not None and one <= 0 for one in (result.temperature, result.model_temperature)):
        return "its temperature is not above 0"
    if record is not None and record.sweep is not None and result.test_accuracy is not None:
        return "it has a test result, and a sweep reads no test"
    return None


def read_whole_history(path: Path, result: TrialResult) -> tuple[EpochRecord, ...]:
    """Return the epochs of a trial that has ended, and nothing but all of them, to the last letter.

    Raises:
        ValueError: the file is no such history, or not that of ``result``.
        OSError: it cannot be read.
    """
    text = read_plain(path, follow=False).decode()
    try:
        rows = list(csv.reader(text.split("\n")[:-1], strict=True)) if text.endswith("\n") and "\r" not in text else []
    except csv.Error as error:
        raise ValueError(f"it is no CSV: {error}") from error
    if not rows or not all(rows):
        raise ValueError("its last line is cut")
    header, *lines = rows
    if _twice(header) is not None or any(len(line) != len(header) for line in lines):
        raise ValueError("a line has not a value for every column")
    for name, *values in zip(header, *lines, strict=True):
        if not all(map(_is_written, values)):
            raise ValueError(f"{name} holds something that is no number as they are written there")
    try:
        history = parse_history(text)
    except (TypeError, KeyError) as error:
        raise ValueError(f"it has not the columns of a history ({error})") from error
    if (wrong := _wrong_with_history(history, result)) is not None:
        raise ValueError(wrong)
    return history


def _is_written(value: str) -> bool:
    """Whether a value is a number as :func:`~stepladder.training.history.history_text` writes it, or empty."""
    return not value or value == repr(float(value)) or (value.isdecimal() and value == repr(int(value)))


def _wrong_with_history(history: Sequence[EpochRecord], result: TrialResult) -> str | None:
    # A trial that failed before its first evaluation has no epoch at all.
    if len(history) != result.epochs + 1 and (history or result.status == "finished"):
        return f"it lacks epochs: it has {len(history):,} rows, and result.json tells of {result.epochs + 1:,}"
    for number, record in enumerate(history):
        figures: Mapping[str, float | None] = vars(record)
        if record.epoch != number:
            return f"its row {number + 1:,} is epoch {record.epoch:,}"
        for name, value in figures.items():
            if name.endswith("_accuracy") and value is not None and not 0 <= value <= 1:
                return f"{name} of epoch {number:,} is {value}"
            may_overflow = result.status == "failed" or name in _MAY_OVERFLOW
            if value is None or (may_overflow and name.endswith(("_loss", "_running", "_score"))):
                continue
            if not math.isfinite(value):
                return f"{name} of epoch {number:,} is {value}"
        if record.seconds < 0:
            return f"epoch {number:,} took {record.seconds} s"
    rates = [record.images_per_second for record in history if record.images_per_second]
    rate = len(rates) / sum(1 / one for one in rates) if rates and min(rates) > 0 else None
    told = result.images_per_second
    if rate is not None and told is not None and not math.isclose(rate, told, rel_tol=1e-9):
        return f"its epochs had {rate:,.1f} images a second, and result.json tells of {told:,.1f}"
    for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
        told, measured = getattr(result, name), getattr(history[-1], name) if history else None
        if told is not None and measured is not None and told != measured:
            return f"its last {name} is {measured}, and that of result.json is {told}"
    return None


def _twice(values: Iterable[object]) -> object | None:
    """Return the first value that comes again, None where each is there once."""
    seen: set[object] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
