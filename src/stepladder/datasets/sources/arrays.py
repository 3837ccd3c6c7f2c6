"""Pairs of arrays that a program holds, images and labels, by split; and what counts as an image or a label there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stepladder.datasets.image_set import ImageSet, Split, exceeds_one
from stepladder.datasets.labels import match_classes, named_labels
from stepladder.errors import DataError


def read_arrays(pairs: Mapping[str, tuple[object, object]], name: str) -> ImageSet:
    """Return pairs (images, labels) by split as an image set; pixels are not copied where their order allows.

    Raises:
        DataError: shapes, types or classes do not fit; one sentence says which, and how to mend it.
    """
    pixels, pixel_notes = _pixels({split: x for split, (x, _) in pairs.items()})
    texts = {split: _texts(f"the {split} labels", y) for split, (_, y) in pairs.items()}
    for split, images in pixels.items():
        if len(images) != len(texts[split]):
            raise DataError(f"{split} has {len(images):,} images and {len(texts[split]):,} labels; give each image one")
        if images.shape[1:] != pixels["train"].shape[1:]:
            raise DataError(
                f"the {split} images are {_said(images.shape[1:])} and the train images "
                f"{_said(pixels['train'].shape[1:])}; bring them to one shape"
            )
    named = {split: named_labels(values) for split, values in texts.items()}
    class_names, labels, notes = match_classes(name, named)
    splits = {split: Split(pixels[split], labels[split]) for split in pixels}
    return ImageSet(name, class_names, splits, (*notes, *pixel_notes))


@dataclass(frozen=True)
class Values:
    """What the pixels of one split hold, before they are images.

    Attributes:
        what: they are, for messages.
        dtype: theirs.
        low, high: the smallest and the largest; of bytes that are more than 0 and 1, 0 and 255.
        whole: whether there are whole numbers alone.
    """

    what: str
    dtype: np.dtype[np.generic]
    low: float
    high: float
    whole: bool = True

    def __str__(self) -> str:
        return f"{self.what} from {self.low:g} to {self.high:g} ({self.dtype})"


def choose_scale(splits: Mapping[str, Values]) -> tuple[int, tuple[str, ...]]:
    """Return what the pixels of all splits are multiplied by, 1 or 255, and what must be said about it.

    Numbers from 0 to 1 become 0 to 255, be they fractions or masks of 0 and 1 of any type. All splits must have one
    range, or a network would learn of other images than it is tested on; what is black throughout has any.

    Raises:
        DataError: they do not; the sentence names both.
    """
    large = [one for one in splits.values() if one.high > 1]
    if not large:
        return 255, ()
    unit = [one for one in splits.values() if one.high <= 1]
    if wrong := [one for one in unit if one.high > 0]:
        mask = f", as {wrong[0].what} times 255, which are 0 and 1 alone" if wrong[0].whole else ""
        raise DataError(f"the splits have different ranges: {wrong[0]}, and {large[0]}; bring all of them to one{mask}")
    return 1, tuple(f"In {one.what} there is 0 alone: all of these are black." for one in unit)


def _pixels(given: Mapping[str, object]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return images as uint8 (N, H, W, C), the user's own memory where it lies in that order; and notes."""
    arrays = {split: as_array(f"the {split} images", values) for split, values in given.items()}
    values = {split: _values(f"the {split} images", images) for split, images in arrays.items()}
    if any(one is None for one in values.values()):  # which is then said
        return {split: checked_pixels(f"the {split} images", images) for split, images in arrays.items()}, ()
    factor, notes = choose_scale({split: one for split, one in values.items() if one is not None})
    if factor == 1:
        pixels = {split: checked_pixels(f"the {split} images", images) for split, images in arrays.items()}
        return {split: np.ascontiguousarray(images) for split, images in pixels.items()}, notes
    kind = arrays["train"].dtype
    masks = {
        split: checked_pixels(f"the {split} images", images.astype(np.uint8) * np.uint8(255))
        for split, images in arrays.items()
    }
    note = f"The pixels are {kind} from 0 to 1: they are taken as 0 to 1 and were multiplied by 255."
    return {split: np.ascontiguousarray(images) for split, images in masks.items()}, (*notes, note)


def _values(what: str, images: np.ndarray) -> Values | None:
    """Return what an array of bytes, or a mask, holds; None for all others."""
    if images.dtype.kind not in "uib" or not images.size or images.ndim not in (3, 4):
        return None
    if exceeds_one(images):
        return Values(what, images.dtype, 0, 255) if images.dtype == np.uint8 else None
    low, high = float(images.min()), float(images.max())
    return Values(what, images.dtype, low, high) if low >= 0 else None


def checked_pixels(what: str, images: np.ndarray) -> np.ndarray:
    """Return a view of ``images`` as (N, H, W, C).

    Args:
        what: for the message, as ``the train images``.
        images: (N, H, W), (N, H, W, C) or (N, C, H, W), C 1 or 3.

    Raises:
        DataError: they are not uint8, of another shape, or their channels could stand first as well as last.
    """
    shape = images.shape
    if images.ndim not in (3, 4) or 0 in shape:
        raise DataError(f"{what} have the shape {_said(shape)}; give (N, H, W), (N, H, W, C) or (N, C, H, W)")
    if images.dtype != np.uint8:
        raise DataError(f"{what} are {images.dtype}; {_how_to_convert(images)}")
    if images.ndim == 3:
        return images[..., None]
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    if first and last:
        raise DataError(
            f"{what} have the shape {_said(shape)}, whose channels may stand first or last; write it so that only one "
            "of the two is 1 or 3"
        )
    if not first and not last:
        raise DataError(f"{what} have the shape {_said(shape)}; the channels, first or last, must be 1 or 3")
    return images if last else np.moveaxis(images, 1, 3)


def _how_to_convert(images: np.ndarray) -> str:
    wanted = "images are uint8, 0 to 255"
    if images.dtype.kind not in "uifb":
        return f"{wanted}, all of one size"
    low, high = float(images.min()), float(images.max())
    if images.dtype.kind in "fb" and 0 <= low <= high <= 1:
        return f"{wanted}: convert them with numpy.rint(255 * x).astype('uint8')"
    if 0 <= low <= high <= 255:
        return f"{wanted}: convert them with numpy.rint(x).astype('uint8')"
    return f"{wanted}, and these go from {low:g} to {high:g}: give them as they were before they were normalized"


def _texts(what: str, values: object) -> list[str]:
    """Return one label an image as text."""
    labels = as_array(what, values)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        hint = "; a column a class becomes numbers by y.argmax(axis=1)" if labels.ndim == 2 else ""
        raise DataError(f"{what} have the shape {_said(labels.shape)}; give one label an image, (N,){hint}")
    if labels.dtype.kind == "f":
        raise DataError(f"{what} are {labels.dtype}; labels are whole numbers or texts: convert with y.astype('int64')")
    return [label_text(f"{what}, position {position}", label) for position, label in enumerate(labels.tolist())]


def label_text(where: str, label: object) -> str:
    """Return a label as text.

    Args:
        where: for the message.
        label: a text, or a whole number of any library.

    Raises:
        DataError: it is neither.
    """
    if isinstance(label, str):
        return label
    if isinstance(label, bytes):
        return label.decode("utf-8", "backslashreplace")
    try:
        return str(label.__index__())  # type: ignore[attr-defined]
    except (AttributeError, TypeError, ValueError):
        shown = " ".join(repr(label).split())
        raise DataError(f"{where}: the label is {shown[:60]}; it must be one whole number or text") from None


def as_array(what: str, values: object) -> np.ndarray:
    """Return ``values`` as an array, without a copy where they are one.

    Raises:
        DataError: they are none.
    """
    try:
        return np.asarray(values)
    # TypeError: a tensor on a GPU; RuntimeError: one that learns; ValueError: images of several sizes.
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{what} are no array ({' '.join(str(error).split())[:200]})") from error


def _said(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "of a single value"
