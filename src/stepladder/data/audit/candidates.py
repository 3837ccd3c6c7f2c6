"""Which pairs of images could be copies: all pairs compared by a few numbers each, in blocks that stay in the cache."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stepladder.data.audit.pixels import box_means
from stepladder.data.audit.threads import in_threads
from stepladder.data.image_set import Split

#: Boxes a side of the thumbnail. Of 4, 5, 6 and 8, five let the fewest pairs of `cifar10-jpeg` through when 98 of 100
#: planted copies had to pass (1.4 an image of 50,000; six 1.3 with 44 % more numbers, eight 1.9).
_BOXES = 5

#: Rows and columns of a block: two float32 blocks of 2 MB stay in a second-level cache.
_ROWS, _COLUMNS = 256, 2048


@dataclass(frozen=True)
class Thumbnails:
    """What is compared of each image: box means of 5×5, without their mean, scaled to length 1.

    Split by left-right symmetry, so that one pass finds plain and mirrored copies: the cosine of two thumbnails is
    even·even' + odd·odd', and that of one and the other's mirror image even·even' − odd·odd'.

    Attributes:
        even: float32, shape (N, 15 C), the part that a mirror leaves as it is.
        odd: float32, shape (N, 10 C), the part whose sign it turns.
    """

    even: np.ndarray
    odd: np.ndarray

    def __len__(self) -> int:
        return len(self.even)

    def take(self, positions: np.ndarray) -> Thumbnails:
        """Return those at ``positions``."""
        return Thumbnails(self.even[positions], self.odd[positions])


def make_thumbnails(split: Split) -> Thumbnails:
    """Return the thumbnails of a split's images; a constant image gets zeros, which match nothing."""
    channels = split.image_shape[2]
    half, middle = _BOXES // 2, _BOXES // 2 + 1
    even = np.empty((len(split), _BOXES * middle * channels), np.float32)
    odd = np.empty((len(split), _BOXES * half * channels), np.float32)
    done = 0
    for images in split.chunks():
        part = slice(done, done := done + len(images))
        boxes = box_means(images, _BOXES, _BOXES)
        boxes -= boxes.mean(axis=(1, 2, 3), keepdims=True)
        length = np.sqrt(np.einsum("nhwc,nhwc->n", boxes, boxes))
        boxes /= np.maximum(length, 1e-3)[:, None, None, None]
        left, right = boxes[:, :, :half], boxes[:, :, :half:-1]
        center = boxes[:, :, half:middle]
        sums = np.concatenate([(left + right) * np.float32(np.sqrt(0.5)), center], axis=2)
        even[part] = sums.reshape(len(sums), -1)
        odd[part] = ((left - right) * np.float32(np.sqrt(0.5))).reshape(len(sums), -1)
    return Thumbnails(even, odd)


def find_candidates(
    first: Thumbnails, second: Thumbnails | None, at_least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all pairs whose thumbnails, plain or mirrored, have a cosine of ``at_least``.

    Args:
        first: rows.
        second: columns; None compares ``first`` with itself, each pair once.
        at_least: cosine, 0 to 1.

    Returns:
        positions in ``first`` and in ``second`` (int64, (P,)) and whether the mirror image matches (bool, (P,)); a pair
        may be there both ways.
    """
    inside = second is None
    other = first if second is None else second

    def compare(row: int) -> list[tuple[np.ndarray, np.ndarray]]:
        rows = slice(row, row + _ROWS)
        found = []
        for column in range(row if inside else 0, len(other), _COLUMNS):
            columns = slice(column, column + _COLUMNS)
            best = first.odd[rows] @ other.odd[columns].T
            np.abs(best, out=best)
            best += first.even[rows] @ other.even[columns].T
            hits = np.flatnonzero(best >= at_least)
            if len(hits):
                i, j = np.divmod(hits, best.shape[1])
                found.append((i + row, j + column))
        return found

    pairs = [pair for block in in_threads(compare, range(0, len(first), _ROWS)) for pair in block]
    if not pairs:
        empty = np.empty(0, np.int64)
        return empty, empty, np.empty(0, bool)
    i, j = (np.concatenate(side) for side in zip(*pairs, strict=True))
    if inside:
        i, j = i[i < j], j[i < j]
    even = np.einsum("pd,pd->p", first.even[i], other.even[j])
    odd = np.einsum("pd,pd->p", first.odd[i], other.odd[j])
    plain, mirrored = np.flatnonzero(even + odd >= at_least), np.flatnonzero(even - odd >= at_least)
    turned = np.repeat([False, True], [len(plain), len(mirrored)])
    either = np.concatenate([plain, mirrored])
    return i[either], j[either], turned
