"""Pairs of arrays that a program holds, images and labels, by split; and what counts as an image or a label there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stepladder.datasets.image_set import ImageSet, Split
from stepladder.datasets.labels import match_classes, named_labels
from stepladder.errors import DataError


def read_arrays(pairs: Mapping[str, tuple[object, object]], name: str) -> ImageSet:
    """Return pairs (images, labels) by split as an image set; pixels are not copied where their order allows.

    Raises:
        DataError: shapes, types or classes do not fit; one sentence says which, and how to mend it.
    """
    pixels = {split: _pixels(f"the {split} images", x) for split, (x, _) in pairs.items()}
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
    return ImageSet(name, class_names, {split: Split(pixels[split], labels[split]) for split in pixels}, notes)


def _pixels(what: str, values: object) -> np.ndarray:
    """Return images as uint8 (N, H, W, C): the user's own memory where it lies in that order."""
    return np.ascontiguousarray(checked_pixels(what, as_array(what, values)))


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
