"""``stepladder predict``: what a trained model says of image files."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter
from rich.console import Console

from stepladder.cli.console import (
    AsJson,
    OwnNetwork,
    OwnTechniques,
    Quiet,
    make_aside,
    make_console,
    print_json,
    register_own,
)
from stepladder.cli.quick import without_collection
from stepladder.datasets import filesystem
from stepladder.datasets.archives import OpenArchives
from stepladder.datasets.threads import available_cores
from stepladder.datasets.walk import is_image_name
from stepladder.errors import DataError, printable
from stepladder.model.classifier import Classifier, Doubts, Prediction
from stepladder.model.document import classes_document, doubts_document, promises_document
from stepladder.model.find import load_model
from stepladder.model.images import FoundImages, ImageFile, find_images, read_pixels
from stepladder.model.limits import FALSE_ALARMS, MISS
from stepladder.model.onnx_file import OnnxModel
from stepladder.report.units import percent

if TYPE_CHECKING:
    from stepladder.datasets.sources.rows import Table

_BATCH = 256

#: Nothing is said of it.
_USUAL = "float32 by PyTorch"

NOT_CALIBRATED = "The probabilities are not calibrated; the model's card says why. The plain softmax is often too sure."


@dataclass(frozen=True)
class _Answer:
    """One file: the likeliest classes with their probabilities, or why there are none."""

    file: ImageFile
    top: list[tuple[str, float]]
    damage: str | None = None
    doubted: Prediction | None = None

    @property
    def notes(self) -> list[str]:
        """What is to be known of the answer, where that was asked for."""
        if self.doubted is None:
            return []
        found = ["not sure enough"] if self.doubted.answered is False else []
        found += ["one of " + ", ".join(self.doubted.classes)] if self.doubted.classes else []
        if self.doubted.unlikeness is not None:
            unlike = "unlike the training images" if self.doubted.unlikeness > 0 else "like them"
            found.append(f"{self.doubted.unlikeness:+.1f} {unlike}")
        return found


def predict(
    model: Annotated[Path, Parameter(help="Model folder of a trial, or an exported .onnx file.")],
    images: Annotated[
        list[str],
        Parameter(
            negative="",
            allow_leading_hyphen=True,
            help="Image files, folders, archives, patterns in quotes, - for a list on standard input; or one table of "
            "paths.",
        ),
    ],
    /,
    *,
    top: Annotated[int, Parameter(help="How many classes to show of each image.")] = 1,
    as_csv: Annotated[
        bool,
        Parameter(
            name="--csv",
            negative="",
            show_default=False,
            help="Print a row an image and class as CSV; of a table its own rows.",
        ),
    ] = False,
    path_column: Annotated[
        str | None, Parameter(help="Column of a table with the paths; found by name or cells by default.")
    ] = None,
    images_in: Annotated[
        Path | None,
        Parameter(
            name="--images", help="Folder that the paths of a table start from; by default its own, or one in it."
        ),
    ] = None,
    abstain: Annotated[
        float | None,
        Parameter(
            show_default=False,
            help="Answer only where the model is so sure that at most this share of its answers is wrong, as 0.05.",
        ),
    ] = None,
    sets: Annotated[
        float | None,
        Parameter(
            show_default=False,
            help="Show the classes of which this share of the images, as 0.9, has the right one among them.",
        ),
    ] = None,
    unlike: Annotated[
        bool,
        Parameter(negative="", show_default=False, help="Say how unlike the training images each image is."),
    ] = False,
    precision: Annotated[
        str,
        Parameter(
            help="auto, float32 or bfloat16; auto takes that of the training, and float32 where this machine does not "
            "multiply bfloat16, for many images by onnxruntime if that names the same classes."
        ),
    ] = "auto",
    technique: OwnTechniques = (),
    network: OwnNetwork = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> int:
    """Say what is on images: the likeliest classes with their probabilities."""
    if top < 1:
        raise DataError(f"--top is {top}; it must be at least 1")
    if as_csv and as_json:
        raise DataError("--csv and --json exclude each other; give one")
    register_own(technique)
    with without_collection():
        classifier = load_model(model, precision=precision, network=network)
    doubts = classifier.doubts(abstain, sets, unlike)
    console = make_console(as_json or as_csv)
    aside = make_aside(console, quiet=quiet)
    with OpenArchives() as archives:
        table, found = _asked_about(images, classifier, path_column, images_in, archives)
        answers = list(_shown(aside, _answers(classifier, found.files, top, doubts), len(found.files)))
    if as_json:
        document = _document(model, classifier, answers) | {"notes": list(found.notes)} | promises_document(doubts)
        print_json(document)
    elif as_csv:
        _write_table(table, answers, doubts) if table is not None else _write_csv(answers, doubts)
    else:
        width = max(len(name) for answer in answers for name, _ in [*answer.top, ("", 0)])
        for answer in answers:
            if answer.top:
                shown = "   ".join(f"{name:<{width}} {100 * probability:5.1f} %" for name, probability in answer.top)
                shown = "   ".join([shown, *answer.notes])
                console.print(f"{shown}   {answer.file.path}", markup=False, soft_wrap=True)
    damaged = [answer for answer in answers if answer.damage]
    right, labelled = _score(classifier, answers)
    if labelled:
        console.print(
            f"{right:,} of {labelled:,} in folders named after their class are right: {percent(right / labelled)}."
        )
    for sentence in _said(doubts, answers):
        console.print(sentence, markup=False, soft_wrap=True)
    if not classifier.calibrated:
        console.print(NOT_CALIBRATED, style="dim", soft_wrap=True)
    if not isinstance(classifier, OnnxModel) and classifier.arithmetic != _USUAL:
        aside.print(f"Computed in {classifier.arithmetic}.", style="dim")
    for note in found.notes:
        aside.print(note, style="dim", markup=False, soft_wrap=True)
    for answer in damaged:
        console.print(f"Left out: {answer.damage}", markup=False, soft_wrap=True)
    return 1 if damaged else 0


def _asked_about(
    images: Sequence[str],
    classifier: Classifier,
    path_column: str | None,
    folder: Path | None,
    archives: OpenArchives,
) -> tuple[Table | None, FoundImages]:
    """Return the files to look at; where they stand in a table, that table too, and its files in its order."""
    alone = Path(images[0]).expanduser() if len(images) == 1 else None
    if alone is not None:
        archives.open(alone)
    if alone is not None and filesystem.is_file(alone) and not is_image_name(alone.name):
        from stepladder.datasets.sources.table import files_listed, is_table_name  # which takes a while

        if is_table_name(alone.name):
            table, files = files_listed(alone, path_column, folder)
            blank = next((row for row, file in enumerate(files) if file.endswith(("/", os.sep))), None)
            if blank is not None:
                place = f"{table.where}, {table.place(blank)}"
                raise DataError(f"{place}, has a blank path; fill it in, or remove the {table.unit}")
            counted = "1 file, as {} lists it." if len(files) == 1 else f"{len(files):,} files, as {{}} lists them."
            notes = (counted.format(alone.name), *table.notes)
            return table, FoundImages(tuple(ImageFile(Path(file)) for file in files), notes)
    for name, value in (("path_column", path_column), ("images", folder)):
        if value is not None:
            raise DataError(f"`{name}` is for a table of paths, and {images[0]} is none; leave it out")
    return None, find_images(images, classifier.class_names, sys.stdin if "-" in images else (), archives)


def _shown(console: Console, answers: Iterator[_Answer], total: int) -> Iterator[_Answer]:
    """Pass ``answers`` on, with a bar where somebody waits for many."""
    if not console.is_terminal or total <= _BATCH:
        yield from answers
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("Predicting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield from progress.track(answers, total=total)


def _answers(classifier: Classifier, files: Sequence[ImageFile], top: int, doubts: Doubts) -> Iterator[_Answer]:
    """Decode in threads, a batch ahead of the model's."""

    def read(file: ImageFile) -> np.ndarray | str:
        try:
            pixels: np.ndarray = read_pixels(file.path, classifier.image_shape, classifier.fit, classifier.span)[0]
            return pixels
        except DataError as error:
            return str(error)

    batches = [files[start : start + _BATCH] for start in range(0, len(files), _BATCH)]
    with ThreadPoolExecutor(available_cores()) as pool:
        ahead = [pool.map(read, batch) for batch in batches[:1]]
        for number, batch in enumerate(batches):
            contents = list(ahead.pop())
            ahead += [pool.map(read, following) for following in batches[number + 1 : number + 2]]
            sound = [content for content in contents if isinstance(content, np.ndarray)]
            said = classifier.answer(np.stack(sound), doubts) if sound else None
            each = iter([] if said is None else zip(said.top(top), said, strict=True))
            for file, content in zip(batch, contents, strict=True):
                if isinstance(content, str):
                    yield _Answer(file, [], content)
                else:
                    likeliest, one = next(each)
                    yield _Answer(file, likeliest, None, one)


def _score(classifier: Classifier, answers: Sequence[_Answer]) -> tuple[int, int]:
    """Return how many labelled images are classified rightly, and how many there are."""
    labelled = [answer for answer in answers if answer.top and answer.file.label is not None]
    right = sum(answer.top[0][0] == classifier.class_names[answer.file.label or 0] for answer in labelled)
    return right, len(labelled)


def _said(doubts: Doubts, answers: Sequence[_Answer]) -> Iterator[str]:
    """Say what the model gave beside its classes, and what it promises."""
    seen = [answer.doubted for answer in answers if answer.doubted is not None]
    if doubts.answered is not None:
        sure = sum(bool(one.answered) for one in seen)
        surer = f", those surer than {percent(doubts.answered.above)}" if doubts.answered.above >= 0 else ""
        yield (
            f"{sure:,} of {len(seen):,} are answered{surer}. Of such answers at most {percent(doubts.risk or 0)} are "
            f"wrong, with {percent(1 - MISS)} confidence, on images like those held out for validation "
            f"({doubts.answered.wrong:,} of {doubts.answered.images:,} were)."
        )
    if doubts.inside is not None:
        sizes = [len(one.classes or ()) for one in seen]
        yield (
            f"The right class is in at least {percent(doubts.coverage or 0)} of the sets, over images like those held "
            f"out for validation; a set has {sum(sizes) / max(1, len(sizes)):.2f} classes on average."
        )
    if doubts.unlike:
        unlike = sum((one.unlikeness or 0) > 0 for one in seen)
        yield (
            f"{unlike:,} of {len(seen):,} are unlike the training images: do not trust the class of these. At most "
            f"{percent(FALSE_ALARMS)} of images like those held out for validation are called so, with "
            f"{percent(1 - MISS)} confidence."
        )


def _document(model: Path, classifier: Classifier, answers: Sequence[_Answer]) -> dict[str, Any]:
    right, labelled = _score(classifier, answers)
    return {
        "model": str(model),
        "calibrated": classifier.calibrated,
        "arithmetic": classifier.arithmetic,
        "images": [
            {
                "path": str(answer.file.path),
                "label": None if answer.file.label is None else classifier.class_names[answer.file.label],
                "top": classes_document(answer.top),
                "damage": answer.damage,
            }
            | doubts_document(answer.doubted)
            for answer in answers
        ],
        "labelled": labelled,
        "accuracy": right / labelled if labelled else None,
    }


def _write_csv(answers: Sequence[_Answer], doubts: Doubts) -> None:
    further = _further(doubts)
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["path", "rank", "class", "probability", "damage", *further])
    for answer in answers:
        path, told = printable(str(answer.file.path)), doubts_document(answer.doubted)
        if answer.damage is not None:
            rows.writerow([path, "", "", "", printable(answer.damage), *("" for _ in further)])
        last = [_cell(told[name]) for name in further if name in told]
        for rank, (name, probability) in enumerate(answer.top, start=1):
            rows.writerow([path, rank, printable(name), f"{probability:.6f}", "", *last])


def _write_table(table: Table, answers: Sequence[_Answer], doubts: Doubts) -> None:
    """Write a table with what was found of each of its rows, in their order.

    A name that it has already gets the first number that none has: ``predicted_2``.
    """
    count = max((len(answer.top) for answer in answers), default=1) or 1
    ranks = [""] + [f"_{rank}" for rank in range(2, count + 1)]
    new = [f"{what}{rank}" for rank in ranks for what in ("predicted", "probability")]
    new += ["damage", *_further(doubts)]
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(printable(name) for name in (*table.names, *_new_names(table.names, new)))
    for position, answer in enumerate(answers):
        found = [text for name, probability in answer.top for text in (printable(name), f"{probability:.6f}")]
        found += [""] * (2 * count - len(found))
        told = doubts_document(answer.doubted)
        last = [_cell(told[name]) if name in told else "" for name in _further(doubts)]
        rows.writerow([*map(printable, table.row(position)), *found, printable(answer.damage or ""), *last])


def _new_names(taken: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return the ``wanted`` names of columns, with numbers behind those that a table has, in any case."""
    known, names = {name.casefold() for name in taken}, []
    for name in wanted:
        own, number = name, 2
        while own.casefold() in known or (own != name and own in wanted):
            own, number = f"{name}_{number}", number + 1
        known.add(own.casefold())
        names.append(own)
    return names


def _further(doubts: Doubts) -> list[str]:
    """The columns of what was asked for beside the classes."""
    asked = {"answered": doubts.answered is not None, "set": doubts.inside is not None, "unlikeness": doubts.unlike}
    asked["unlike"] = doubts.unlike
    return [name for name, wanted in asked.items() if wanted]


def _cell(value: bool | float | list[str]) -> str:
    if isinstance(value, list):
        return printable(" | ".join(value))
    return str(value).lower() if isinstance(value, bool) else f"{value:.4f}"
