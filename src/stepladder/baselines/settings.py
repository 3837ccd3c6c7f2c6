"""What a bag of words is made with: by default what did best on validation images (docs/bag-of-words.md)."""

from __future__ import annotations

from typing import Literal, cast

from pydantic import BaseModel, ConfigDict

from stepladder.errors import DataError, StudyError, unknown

DESCRIPTORS = ("patches", "sift")

#: Words where the user names no number.
_WORDS = {"patches": 800, "sift": 400}

#: Fewest and most words that may be asked for.
FEWEST_WORDS, MOST_WORDS = 2, 20_000

#: The shortest side of images that still hold something to describe, pixels.
_SMALLEST = {"patches": 4, "sift": 8}


class BagSettings(BaseModel):
    """Everything that decides a bag of words, beside the images and the seed.

    Attributes:
        descriptor: ``patches`` or ``sift``.
        words: the size of the vocabulary.
        fewer: whether fewer words will do where the training images have few different descriptors.
        side: the shorter side that images are resized to first, pixels.
        window: width of what a descriptor covers, pixels.
        step: pixels from one descriptor to the next.
        divisions: cells a side of each level of the pyramid.
        samples: descriptors of training images that the vocabulary is fitted on, at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    descriptor: Literal["patches", "sift"]
    words: int
    fewer: bool
    side: int
    window: int
    step: int
    divisions: tuple[int, ...]
    samples: int = 200_000


def check_settings(descriptor: str, words: int | None) -> Literal["patches", "sift"]:
    """Return the descriptor, once it and the number of words are fine.

    Raises:
        StudyError: there is no such descriptor, or the number of words is out of range.
    """
    if descriptor not in DESCRIPTORS:
        raise StudyError(unknown("descriptor", descriptor, DESCRIPTORS))
    if words is not None and not FEWEST_WORDS <= words <= MOST_WORDS:
        raise StudyError(f"`words` is {words:,}; it must be {FEWEST_WORDS} to {MOST_WORDS:,}")
    return cast(Literal["patches", "sift"], descriptor)


def settle(descriptor: str, height: int, width: int, words: int | None = None) -> BagSettings:
    """Return the settings for images of ``height`` × ``width`` pixels.

    Args:
        descriptor: a name in :data:`DESCRIPTORS`.
        words: size of the vocabulary; 800 patches or 400 SIFT by default.

    Raises:
        StudyError: there is no such descriptor, or the number of words is out of range.
        DataError: the images are too small.
    """
    name = check_settings(descriptor, words)
    shorter = min(height, width)
    if shorter < _SMALLEST[name]:
        raise DataError(
            f'the images have {width}×{height} pixels, too few for `descriptor="{name}"`, which takes '
            f"{_SMALLEST[name]} or more a side; enlarge them with `size={_SMALLEST[name]}`"
        )
    count = words or _WORDS[name]
    if name == "sift":
        # Small images are enlarged: a descriptor of 4 × 4 cells says little of a few pixels.
        side = min(max(shorter, 64), 128)
        return BagSettings(
            descriptor=name, words=count, fewer=words is None, side=side, window=24, step=side // 16, divisions=(1, 2)
        )
    side = min(shorter, 64)
    # The paper's 6 × 6 patches; half the image where it is hardly larger. Every pixel in small images, which are fast.
    return BagSettings(
        descriptor=name,
        words=count,
        fewer=words is None,
        side=side,
        window=min(6, side // 2),
        step=1 if side < 24 else 2,
        divisions=(2,),
    )
