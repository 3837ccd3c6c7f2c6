"""``stepladder predict``: what a trained model says of image files."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from rich.console import Console

from stepladder.cli.console import AsJson, OwnNetwork, OwnTechniques, make_console, print_json, register_own
from stepladder.cli.quick import without_collection
from stepladder.errors import DataError, printable
from stepladder.model.classifier import Classifier
from stepladder.model.find import find_model
from stepladder.model.images import ImageFile, find_images, read_pixels
from stepladder.report.units import percent

_BATCH = 256

NOT_CALIBRATED = "The probabilities are not calibrated: the validation images gave no reliable temperature."


@dataclass(frozen=True)
class _Answer:
    """One file: the likeliest classes with their probabilities, or why there are none."""

    file: ImageFile
    top: list[tuple[str, float]]
    damage: str | None = None


def predict(
    model: Annotated[Path, Parameter(help="Model folder of a trial, or an exported .onnx file.")],
    images: Annotated[
        list[str],
        Parameter(
            negative="",
            allow_leading_hyphen=True,
            help="Image files, folders, patterns in quotes, or - for a list on standard input.",
        ),
    ],
    *,
    top: Annotated[int, Parameter(help="How many classes to show of each image.")] = 1,
    as_csv: Annotated[
        bool,
        Parameter(name="--csv", negative="", show_default=False, help="Print a row an image and class as CSV."),
    ] = False,
    precision: Annotated[
        str,
        Parameter(
            help="auto, float32 or bfloat16; auto takes that of the training, and float32 where this machine does not "
            "multiply bfloat16."
        ),
    ] = "auto",
    technique: OwnTechniques = (),
    network: OwnNetwork = None,
    as_json: AsJson = False,
) -> int:
    """Say what is on images: the likeliest classes with their probabilities."""
    if top < 1:
        raise DataError(f"--top is {top}; it must be at least 1")
    if as_csv and as_json:
        raise DataError("--csv and --json exclude each other; give one")
    register_own(technique)
    with without_collection():
        classifier = find_model(model, network, precision)
    found = find_images(images, classifier.class_names, sys.stdin if "-" in images else ())
    console = make_console(as_json or as_csv)
    answers = list(_shown(console, _answers(classifier, found.files, top), len(found.files)))
    if as_json:
        document = _document(model, classifier, answers) | {"notes": list(found.notes)}
        print_json(document)
    elif as_csv:
        _write_csv(answers)
    else:
        width = max(len(name) for answer in answers for name, _ in [*answer.top, ("", 0)])
        for answer in answers:
            if answer.top:
                shown = "   ".join(f"{name:<{width}} {100 * probability:5.1f} %" for name, probability in answer.top)
                console.print(f"{shown}   {answer.file.path}", markup=False, soft_wrap=True)
    damaged = [answer for answer in answers if answer.damage]
    right, labelled = _score(classifier, answers)
    if labelled:
        console.print(
            f"{right:,} of {labelled:,} in folders named after their class are right: {percent(right / labelled)}."
        )
    if not classifier.calibrated:
        console.print(NOT_CALIBRATED, style="dim", soft_wrap=True)
    for note in found.notes:
        console.print(note, style="dim", markup=False, soft_wrap=True)
    for answer in damaged:
        console.print(f"Left out: {answer.damage}", markup=False, soft_wrap=True)
    return 1 if damaged else 0


def _shown(console: Console, answers: Iterator[_Answer], total: int) -> Iterator[_Answer]:
    """Pass ``answers`` on, with a bar where somebody waits for many."""
    if not console.is_terminal or total <= _BATCH:
        yield from answers
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("Predicting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(answers, total=total)


def _answers(classifier: Classifier, files: Sequence[ImageFile], top: int) -> Iterator[_Answer]:
    """Decode in threads, a batch ahead of the model."""

    def read(file: ImageFile) -> np.ndarray | str:
        try:
            pixels: np.ndarray = read_pixels(file.path, classifier.image_shape, classifier.fit, classifier.span)[0]
            return pixels
        except DataError as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(files), _BATCH):
            batch = files[start : start + _BATCH]
            contents = list(pool.map(read, batch))
            sound = [content for content in contents if isinstance(content, np.ndarray)]
            tops = iter(classifier.predict(np.stack(sound)).top(top) if sound else [])
            for file, content in zip(batch, contents, strict=True):
                yield _Answer(file, [], content) if isinstance(content, str) else _Answer(file, next(tops))


def _score(classifier: Classifier, answers: Sequence[_Answer]) -> tuple[int, int]:
    """Return how many labelled images are classified rightly, and how many there are."""
    labelled = [answer for answer in answers if answer.top and answer.file.label is not None]
    right = sum(answer.top[0][0] == classifier.class_names[answer.file.label or 0] for answer in labelled)
    return right, len(labelled)


def _document(model: Path, classifier: Classifier, answers: Sequence[_Answer]) -> dict[str, Any]:
    right, labelled = _score(classifier, answers)
    return {
        "model": str(model),
        "calibrated": classifier.calibrated,
        "images": [
            {
                "path": str(answer.file.path),
                "label": None if answer.file.label is None else classifier.class_names[answer.file.label],
                "top": [{"class": name, "probability": probability} for name, probability in answer.top],
                "damage": answer.damage,
            }
            for answer in answers
        ],
        "labelled": labelled,
        "accuracy": right / labelled if labelled else None,
    }


def _write_csv(answers: Sequence[_Answer]) -> None:
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["path", "rank", "class", "probability", "damage"])
    for answer in answers:
        if answer.damage is not None:
            rows.writerow([printable(str(answer.file.path)), "", "", "", printable(answer.damage)])
        for rank, (name, probability) in enumerate(answer.top, start=1):
            rows.writerow([printable(str(answer.file.path)), rank, printable(name), f"{probability:.6f}", ""])
