"""The size and channels that images are brought to: what the user may ask for, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from stepladder.data.decode import fit_square, with_channels
from stepladder.data.image_set import ImageSet, Split
from stepladder.errors import DataError

#: The largest side that images may be resized to, pixels.
MAX_SIDE = 1024

_CHUNK = 1024


@dataclass(frozen=True)
class ShapeOptions:
    """What the user asked of the shape of the images; None leaves it to the data.

    Attributes:
        size: side in pixels of the squares that images are resized to, 1 to :data:`MAX_SIDE`.
        channels: 1 (grey) or 3 (RGB).
    """

    size: int | None = None
    channels: int | None = None

    def check(self) -> None:
        """Raise DataError where a value is not allowed."""
        if self.size is not None and not 1 <= self.size <= MAX_SIDE:
            raise DataError(f"--size is {self.size}; it must be 1 to {MAX_SIDE} pixels")
        if self.channels not in (None, 1, 3):
            raise DataError(f"--channels is {self.channels}; it must be 1 (grey), 3 (color) or auto")


def reshaped(image_set: ImageSet, shape: ShapeOptions) -> ImageSet:
    """Return ``image_set`` with images of the shape that was asked for, and notes that say what was changed.

    For sets that come as pixels; encoded images are brought to it while they are decoded, and return as they are.
    """
    height, width, channels = image_set.image_shape
    side = shape.size if shape.size is not None and (height, width) != (shape.size, shape.size) else None
    depth = shape.channels if shape.channels is not None and channels != shape.channels else None
    if side is None and depth is None:
        return image_set
    splits = {
        name: Split(_reshaped(split.images, side, depth), split.labels) for name, split in image_set.splits.items()
    }
    notes: tuple[str, ...] = ()
    if side is not None:
        notes += resized_note(np.array([[height, width]]), side, chosen=True)
    if depth is not None:
        notes += channels_note(np.array([channels]), depth, chosen=True)
    return replace(image_set, splits=splits, notes=(*image_set.notes, *notes))


def resized_note(sizes: np.ndarray, side: int, *, chosen: bool) -> tuple[str, ...]:
    """Return the note about images of ``sizes`` (int64, (N, 2)) that become squares of ``side``, if any changes."""
    if (sizes == (side if chosen else sizes[0])).all():
        return ()
    shorter = sizes.min(axis=1)
    low, high = int(shorter.min()), int(shorter.max())
    how = f"the shorter side of each was resized to {side} pixels, antialiased, and the {side}×{side} center kept"
    if (sizes == sizes[0]).all():
        height, width = sizes[0]
        return (f"The images have {width}×{height} pixels: {how} (--size).",)
    option = "--size" if chosen else "--size N takes another"
    return (f"Image sizes differ (shorter side {low} to {high} pixels): {how} ({option}).",)


def channels_note(channels: np.ndarray, depth: int, *, chosen: bool) -> tuple[str, ...]:
    """Return the note about images of ``channels`` (int64, (N,)) that get ``depth`` channels; none if none changes."""
    changed = int((channels != depth).sum())
    if not changed:
        return ()
    which = "All images are" if changed == len(channels) else f"{changed:,} of {len(channels):,} images are"
    if depth == 1:
        return (f"{which} color and were made grey (--channels 1).",)
    option = "--channels 3" if chosen else "--channels 1 would make all grey"
    return (f"{which} grey and were given three equal channels ({option}).",)


def _reshaped(images: np.ndarray, side: int | None, channels: int | None) -> np.ndarray:
    count, height, width, depth = images.shape
    target = np.empty((count, side or height, side or width, channels or depth), dtype=np.uint8)

    def work(start: int) -> None:
        for position in range(start, min(start + _CHUNK, count)):
            image = images[position]
            if channels is not None:
                image = with_channels(image, channels)
            target[position] = image if side is None else fit_square(image, side)

    _in_threads(work, range(0, count, _CHUNK))
    return target


def _in_threads(work: Callable[[int], None], starts: range) -> None:
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(work, starts):
            pass
