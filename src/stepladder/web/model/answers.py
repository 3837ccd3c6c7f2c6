"""What the server of a model answers with; the schema of OpenAPI is made of it.

The keys are those of ``predict --json``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from stepladder.model.classifier import Doubts, Predictions
from stepladder.model.document import classes_document, doubts_document, promises_document

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Asked:
    """An image of a request.

    Attributes:
        name: as the sender calls the file; None where it has none.
        wrong: why it cannot be read, a sentence; None where it can.
    """

    name: str | None = None
    wrong: str | None = None


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class OneClass(_Answer):
    """A class, and how probable it is."""

    class_name: Annotated[str, Field(alias="class")]
    probability: Annotated[Share, Field(description="A fraction of 1.")]


class OneImage(_Answer):
    """What the model says of one image."""

    name: Annotated[str | None, Field(description="As the sender calls the file.")] = None
    top: Annotated[list[OneClass], Field(description="The likeliest classes, likeliest first.")]
    answered: Annotated[
        bool | None, Field(description="Whether the model is sure enough for the risk in `abstain`; where asked for.")
    ] = None
    set: Annotated[
        list[str] | None,
        Field(description="The classes of which the right one is among in the share `sets`; where asked for."),
    ] = None
    unlikeness: Annotated[
        float | None, Field(description="In nats, above 0 for an image unlike the training images; where it is told.")
    ] = None
    unlike: Annotated[bool | None, Field(description="Whether it is: do not trust the class then.")] = None


class UnreadImage(_Answer):
    """An image of several that cannot be read; the others are answered."""

    name: Annotated[str | None, Field(description="As the sender calls the file.")] = None
    error: Annotated[str, Field(description="Why, in one sentence.")]


class Answers(_Answer):
    """What the model says of the images of a request, in their order."""

    model: Annotated[str, Field(description="Its name on this server.")]
    calibrated: Annotated[
        bool, Field(description="Whether the probabilities were calibrated on images held out for validation.")
    ]
    images: list[OneImage | UnreadImage]
    abstain: Annotated[
        dict[str, Any] | None, Field(description="What is promised of images that are answered; where asked for.")
    ] = None
    sets: Annotated[dict[str, Any] | None, Field(description="What is promised of the sets; where asked for.")] = None
    unlike: Annotated[
        dict[str, Any] | None, Field(description="How seldom images like its own are called unlike; where asked for.")
    ] = None


class Explained(_Answer):
    """What in an image speaks for a class."""

    class_name: Annotated[str, Field(alias="class")]
    probability: Share
    image: Annotated[str, Field(description="The image as the model was given it: a data URL of a PNG.")]
    grad_cam: Annotated[str, Field(description="Where its last maps speak for the class, to be laid over the image.")]
    occlusion: Annotated[str, Field(description="Where covering lowers (red) or raises (blue) it; likewise.")]


class AboutModel(_Answer):
    """The model that answers, and what may be asked of it."""

    name: str
    classes: list[str]
    image_shape: Annotated[list[int], Field(description="Height, width and channels that images are brought to.")]
    calibrated: bool
    tells_unlikeness: Annotated[bool, Field(description="Whether it says how unlike the training images one is.")]
    promises: Annotated[bool, Field(description="Whether `abstain` and `sets` can be asked for.")]
    why_unexplained: Annotated[str | None, Field(description="Why /explain has no answer; null where it has one.")]
    most_bytes: Annotated[int, Field(description="Of one request.")]
    most_images: Annotated[int, Field(description="Of one request.")]
    most_pixels: Annotated[int, Field(description="Of one image, before it is scaled.")]


class Health(_Answer):
    """Whether the server lives, or takes requests."""

    status: str


class Failure(_Answer):
    """What is wrong, and what to do."""

    error: Annotated[str, Field(description="One sentence.")]


def answers_document(
    model: str, calibrated: bool, asked: Sequence[Asked], said: Predictions, top: int, doubts: Doubts
) -> dict[str, Any]:
    """Return :class:`Answers` as plain values: what was not asked for is left out.

    Args:
        said: of those that could be read, in their order.
    """
    answers = zip(said.top(top), said, strict=True)
    images: list[dict[str, Any]] = []
    for one in asked:
        told: dict[str, Any] = {} if one.name is None else {"name": one.name}
        if one.wrong is not None:
            images.append(told | {"error": one.wrong})
        else:
            likeliest, doubted = next(answers)
            images.append(told | {"top": classes_document(likeliest)} | doubts_document(doubted))
    return {"model": model, "calibrated": calibrated, "images": images} | promises_document(doubts)
