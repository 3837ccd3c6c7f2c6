"""The images that a report shows: ``gallery.json`` in the study's folder, so that a report needs no image set."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stepladder.datasets import Split, Splits
from stepladder.datasets.audit.sheet import to_picture
from stepladder.errors import DamagedError
from stepladder.files import read_json, replace_json

_NAME = "gallery.json"

#: How many images are kept of each kind, training images of a class, and classes of which there are any.
MISTAKES, UNCERTAIN, SAMPLES, SAMPLED_CLASSES = 18, 12, 6, 12
#: Probabilities kept of each image, the largest ones.
_TOP = 3
#: Pixels of the longer side; a larger image is made smaller, a smaller one kept as it is.
_SIDE, _SAMPLE_SIDE = 64, 32

Probability = Annotated[float, Field(ge=0, le=1)]
Position = Annotated[int, Field(ge=0)]
Png = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$")]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GalleryImage(_Record):
    """One test image and what the model says of it.

    Attributes:
        position: among the test images, from 0.
        label, predicted: positions among the class names.
        top: the largest probabilities, (class, probability), largest first; the label's own is the last one where it
            is not among them.
        png: the image, base64.
    """

    position: Position
    label: Position
    predicted: Position
    top: tuple[tuple[Position, Probability], ...]
    png: Png

    def __repr__(self) -> str:
        return f"<GalleryImage {self.position}: class {self.label}, taken for {self.predicted}>"


class Gallery(_Record):
    """``gallery.json``.

    Attributes:
        trial: the id of the trial whose model was asked.
        mistakes: wrong predictions with the highest probability, worst first.
        uncertain: the images, right or wrong, whose largest probability is smallest, least certain first.
        train_counts: training images of each class.
        samples: of the first classes: evenly spaced training images, each a PNG in base64.
    """

    schema_version: Literal[1] = 1
    trial: str
    mistakes: tuple[GalleryImage, ...]
    uncertain: tuple[GalleryImage, ...]
    train_counts: tuple[Position, ...]
    samples: tuple[tuple[Png, ...], ...]

    def __repr__(self) -> str:
        return f"<Gallery of trial {self.trial}: {len(self.mistakes)} mistakes, {len(self.uncertain)} doubtful images>"


def write_gallery(folder: Path, trial: str, probabilities: np.ndarray, splits: Splits, num_classes: int) -> Gallery:
    """Choose the images of ``splits.test`` that are worth looking at and write them into the study's ``folder``.

    Args:
        trial: whose model gave the probabilities.
        probabilities: (N, classes), a row a test image.

    Raises:
        StorageError: the file cannot be written.
    """
    labels = splits.test.labels
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1).astype(np.float64)
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES]
    least = np.argsort(confidence, kind="stable")[:UNCERTAIN]
    counts = np.bincount(splits.train.labels, minlength=num_classes)
    gallery = Gallery(
        trial=trial,
        mistakes=tuple(_image(splits.test, int(position), probabilities) for position in worst),
        uncertain=tuple(_image(splits.test, int(position), probabilities) for position in least),
        train_counts=tuple(int(count) for count in counts),
        samples=tuple(_samples(splits.train, label) for label in range(min(num_classes, SAMPLED_CLASSES))),
    )
    replace_json(folder / _NAME, gallery.model_dump(mode="json"))
    return gallery


def read_gallery(folder: Path, num_classes: int) -> Gallery | None:
    """Return the study's gallery; None where none was written, as in studies of an older Stepladder.

    Raises:
        StorageError: the file is damaged, or of other classes.
    """
    path = folder / _NAME
    if not path.exists():
        return None
    try:
        gallery = Gallery.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        raise _damaged(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    shown = [*gallery.mistakes, *gallery.uncertain]
    named = [index for image in shown for index in (image.label, image.predicted, *(index for index, _ in image.top))]
    if max(named, default=0) >= num_classes or max(len(gallery.train_counts), len(gallery.samples)) > num_classes:
        raise _damaged(path, f"it shows more than the {num_classes:,} classes that there are")
    return gallery


def _damaged(path: Path, what: str) -> DamagedError:
    return DamagedError(f"{path} is damaged ({what})", "remove it to get the report without these images")


def _image(test: Split, position: int, probabilities: np.ndarray) -> GalleryImage:
    row = probabilities[position].astype(np.float64)
    label = int(test.labels[position])
    order = [int(index) for index in np.argsort(-row, kind="stable")[:_TOP]]
    if label not in order:
        order[-1] = label
    return GalleryImage(
        position=position,
        label=label,
        predicted=int(row.argmax()),
        top=tuple((index, min(1.0, round(float(row[index]), 6))) for index in order),
        png=_png(_thumbnail(test.take(np.array([position])).images[0], _SIDE)),
    )


def _samples(train: Split, label: int) -> tuple[str, ...]:
    positions = np.flatnonzero(train.labels == label)
    spread = np.unique(np.linspace(0, len(positions) - 1, min(SAMPLES, len(positions))).astype(np.int64))
    return tuple(_png(_thumbnail(image, _SAMPLE_SIDE)) for image in train.take(positions[spread]).images)


def _thumbnail(image: np.ndarray, side: int) -> Image.Image:
    picture = to_picture(image)
    if max(picture.size) > side:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture


def _png(picture: Image.Image) -> str:
    file = io.BytesIO()
    colors = picture.getchannel(0) if _is_gray(picture) else picture
    colors.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _is_gray(picture: Image.Image) -> bool:
    red, green, blue = picture.split()
    return red.tobytes() == green.tobytes() == blue.tobytes()
