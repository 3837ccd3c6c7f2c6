"""The shape of a set's images: what was asked of it, what is chosen, and what is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from stepladder.datasets.decode import WHITE
from stepladder.datasets.image_set import FITS, MAX_CHOSEN_SIDE, PHOTOGRAPH_SIDE, Fit, Span
from stepladder.errors import DataError, unknown

#: The largest side that images may be resized to, pixels.
MAX_SIDE = 1024

#: Unless somebody asks for it, the center is not cropped out where that takes more of the median image away.
MOST_CROPPED = 0.1
#: At the size of a pretrained network, which learned from crops, black borders cost more than that: photographs of 4:3
#: and 3:2 lose 1 to 4 points by them, images twice as high as wide none (docs/log.md, "Padding by default").
MOST_CROPPED_PRETRAINED = 0.45

# Shares of an image are kept as whole numbers of millionths.
_MILLION = 1_000_000

# Images of 16 bits that use less than this share of their values are told of: fewer than 64 gray levels are left.
_LITTLE = 0.25

_FITTED: dict[Fit, str] = {
    "crop": "the shorter side of each was resized to {side} pixels, antialiased, and the {side}×{side} center kept",
    "pad": "the longer side of each was resized to {side} pixels, antialiased, and black added up to {side}×{side}",
    "stretch": "each was resized to {side}×{side} pixels, antialiased, both sides by themselves",
}


@dataclass(frozen=True)
class DefaultSize:
    """The size to take where nobody asked for one: that of the images that a network was pretrained on.

    Attributes:
        side: of the squares, 1 to :data:`MAX_SIDE` pixels.
        photographs_only: whether it is for photographs alone, see :data:`PHOTOGRAPH_SIDE`.
        fit: how images of other proportions became these, of a model of one's own; None where these decide.
    """

    side: int
    photographs_only: bool = False
    fit: Fit | None = None


@dataclass(frozen=True)
class ShapeOptions:
    """What was asked of the shape of the images, and of their values; None leaves it to the data.

    Attributes:
        size: side in pixels of the squares that images are resized to, 1 to :data:`MAX_SIDE`.
        channels: 1 (gray) or 3 (RGB).
        fit: how an image becomes a square; see :data:`stepladder.datasets.image_set.FITS`. None crops, or pads where a
            crop would take more than :data:`MOST_CROPPED` of the median training image away; at the size of
            a pretrained network :data:`MOST_CROPPED_PRETRAINED`.
        default_size: the size to take where ``size`` is None; without, the rule for networks that learn from scratch.
            See :func:`common_shape`.
        stretch: whether gray images of more than 8 bits are spread: what the training images use of their values
            becomes black to white.
    """

    size: int | None = None
    channels: int | None = None
    fit: Fit | None = None
    default_size: DefaultSize | None = None
    stretch: bool = False

    @property
    def side(self) -> int | None:
        """Of the squares that images of any size become, pixels; None where it depends on them."""
        if self.size is None and self.default_size is not None and not self.default_size.photographs_only:
            return self.default_size.side
        return self.size

    def is_default_size(self, target: tuple[int, ...]) -> bool:
        """Whether images that become ``target`` get the size of a pretrained network, which nobody asked for."""
        return self.size is None and self.default_size is not None and target[0] == self.default_size.side

    def fit_of_default(self, target: tuple[int, ...]) -> Fit | None:
        """Return how the model that is begun from had its images brought to ``target``; None where there is none."""
        return self.default_size.fit if self.default_size is not None and self.is_default_size(target) else None

    def check(self) -> None:
        """Raise DataError where a value is not allowed."""
        default = None if self.default_size is None else self.default_size.side
        for name, side in (("size", self.size), ("default_size", default)):
            if side is not None and not 1 <= side <= MAX_SIDE:
                raise DataError(f"`{name}` is {side}; it must be 1 to {MAX_SIDE} pixels")
        if self.channels not in (None, 1, 3):
            raise DataError(f"`channels` is {self.channels}; it must be 1 (gray) or 3 (color), or be left out")
        if self.fit not in (None, *FITS):
            raise DataError(unknown("fit", str(self.fit), FITS))


@dataclass(frozen=True)
class Shapes:
    """What notes tell of the shapes that images had; plain values, which the cache keeps.

    Attributes:
        height, width: of all images in pixels; 0 where sizes differ.
        low, high: the shortest and the longest shorter side, pixels.
        gray, color: how many images of each there were.
        median: of the shorter sides, pixels; 0 where the cache was written before that was kept.
        lost: millionths of the median training image that a crop to a square takes away.
    """

    height: int
    width: int
    low: int
    high: int
    gray: int
    color: int
    median: int = 0
    lost: int = 0

    @classmethod
    def of(cls, shapes: np.ndarray, train: np.ndarray | None = None) -> Shapes:
        """Return what is told of ``shapes``, int64 (N, 3), N at least 1.

        Args:
            train: those of the training images; the same where left out.
        """
        sizes, gray = shapes[:, :2], int((shapes[:, 2] == 1).sum())
        height, width = sizes[0].tolist() if (sizes == sizes[0]).all() else (0, 0)
        shorter = sizes.min(axis=1)
        low, high, median = int(shorter.min()), int(shorter.max()), int(np.median(shorter))
        lost = lost_to_crop(shapes if train is None or not len(train) else train)
        return cls(height, width, low, high, gray, len(shapes) - gray, median, round(_MILLION * lost))

    def fit(self, target: tuple[int, ...], asked: ShapeOptions) -> Fit:
        """Return how such images become ``target``: height, width, channels."""
        if asked.fit is not None:
            return asked.fit
        if (own := asked.fit_of_default(target)) is not None:
            return own
        most = MOST_CROPPED_PRETRAINED if asked.is_default_size(target) else MOST_CROPPED
        return "pad" if self._resized(target) and self.lost > most * _MILLION else "crop"

    def cropped(self, target: tuple[int, ...], asked: ShapeOptions) -> float:
        """Return which share of the median training image a crop to ``target`` takes away; 0 without one."""
        return self.lost / _MILLION if self._resized(target) and self.fit(target, asked) == "crop" else 0.0

    def _resized(self, target: tuple[int, ...]) -> bool:
        return (self.height, self.width) != target[:2]

    def notes(self, target: tuple[int, ...], asked: ShapeOptions) -> tuple[str, ...]:
        """Return a sentence for each change where such images become ``target``: height, width, channels."""
        channels = target[2]
        changes = self._size_note(target, asked) if self._resized(target) else ""
        return tuple(note for note in (changes, self._channels_note(channels)) if note)

    def _size_note(self, target: tuple[int, ...], asked: ShapeOptions) -> str:
        side, fit = target[0], self.fit(target, asked)
        had = f"The images have {self.width}×{self.height} pixels"
        if not self.height:
            sides = f"{self.low}" if self.low == self.high else f"{self.low} to {self.high}"
            had = f"Image sizes differ (shorter side {sides} pixels)"
        why = ""
        if asked.size is None:
            why = (
                f" By default only images of one size up to {MAX_CHOSEN_SIDE} pixels keep it, and others get their "
                f"median side, at most {MAX_CHOSEN_SIDE}; `size=N` takes another."
            )
            if asked.is_default_size(target):
                alike = ", made so in the same way" if asked.fit_of_default(target) is not None else ""
                why = f" The network learned from images of {side}×{side}{alike}; `size=N` takes another."
        if fit == "crop" and asked.fit is None and self.lost > MOST_CROPPED * _MILLION:
            why = (
                f" That takes {100 * self.lost / _MILLION:.0f} % of the median image away, as where the network "
                f"learned; say `fit='pad'` to keep all of it.{why}"
            )
        if fit == "pad" and asked.fit is None and asked.fit_of_default(target) is None:
            # Before all else, as it is what a reader may not want.
            why = (
                f" A crop would take {100 * self.lost / _MILLION:.0f} % of the median image away, so images are "
                f"padded; say `fit='crop'` to crop.{why}"
            )
        return f"{had}: {_FITTED[fit].format(side=side)}.{why}"

    def _channels_note(self, depth: int) -> str:
        changed, count = (self.color if depth == 1 else self.gray), self.gray + self.color
        if not changed:
            return ""
        which = "All images are" if changed == count else f"{changed:,} of {count:,} images are"
        return (
            f"{which} color and were made gray." if depth == 1 else f"{which} gray and were given three equal channels."
        )


@dataclass(frozen=True)
class Depth:
    """What notes tell of gray images of more than 8 bits; plain values, which the cache keeps.

    Attributes:
        images: how many there are.
        low, high: the smallest and the largest value of the training images among them, 0 to 65,535.
        stretched: whether these became black and white.
    """

    images: int = 0
    low: int = 0
    high: int = WHITE
    stretched: bool = False

    @property
    def span(self) -> Span | None:
        """What became black and white, None where that is 0 and 65,535."""
        return (self.low, self.high) if self.stretched else None

    def notes(self) -> tuple[str, ...]:
        """Return a sentence where little of the 16 bits is used, or where that was stretched."""
        if not self.images:
            return ()
        have = "1 image has" if self.images == 1 else f"{self.images:,} images have"
        if self.stretched:
            return (
                f"{have} 16 bits a pixel: {self.low:,} to {self.high:,}, which the training images use of 0 to "
                f"{WHITE:,}, became black to white.",
            )
        if self.high - self.low >= _LITTLE * WHITE:
            return ()
        levels = round(self.high / 257) - round(self.low / 257) + 1
        return (
            f"{have} 16 bits a pixel, and the training images use {self.low:,} to {self.high:,} of 0 to {WHITE:,}: of "
            f"256 gray levels {levels} {'is' if levels == 1 else 'are'} left. `stretch=True` makes these values black "
            "to white.",
        )


@dataclass(frozen=True)
class Scans:
    """What notes tell of DICOM images; plain values, which the cache keeps.

    Attributes:
        images: how many there are.
        patients: how many of those.
        applied: of how many images what was done.
    """

    images: int = 0
    patients: int = 0
    applied: Mapping[str, int] = field(default_factory=dict)

    def notes(self, *, named: bool) -> tuple[str, ...]:
        """Return sentences on what was done, and on patients; none where there are none.

        Args:
            named: whether somebody said which images belong together.
        """
        if not self.images:
            return ()
        done = ", ".join(f"{what} ({count:,})" for what, count in self.applied.items())
        notes = [f"{self.images:,} {'image is' if self.images == 1 else 'images are'} DICOM: {done}."]
        if 1 < self.patients < self.images and not named:
            notes.append(
                f"The {self.images:,} DICOM images are of {self.patients:,} patients. A test that mixes the images of "
                "one measures memory; keep them apart with `group_patients=True`."
            )
        return tuple(notes)


def lost_to_crop(shapes: np.ndarray) -> float:
    """Return the share, 0 to 1, that a crop to a square takes of the median image of ``shapes``, int64 (N, 3)."""
    sizes = shapes[:, :2]
    return float(np.median(1 - sizes.min(axis=1) / sizes.max(axis=1)))


def common_shape(shapes: np.ndarray, asked: ShapeOptions) -> tuple[int, int, int]:
    """Choose (height, width, channels) for images of ``shapes``, int64 (N, 3).

    A size that is asked for always wins, then that of a pretrained network. Else images of one size up to
    :data:`MAX_CHOSEN_SIDE` pixels keep it, and all others become squares of their median shorter side; where that is
    larger, of that size or of the one for photographs.
    """
    sizes = shapes[:, :2]
    depth = asked.channels or int(shapes[:, 2].max())
    if asked.side is not None:
        return asked.side, asked.side, depth
    side = int(np.median(sizes.min(axis=1)))
    if asked.default_size is not None and side >= PHOTOGRAPH_SIDE:
        return asked.default_size.side, asked.default_size.side, depth
    if (sizes == sizes[0]).all() and sizes[0].max() <= MAX_CHOSEN_SIDE:
        return int(sizes[0, 0]), int(sizes[0, 1]), depth
    side = min(side, MAX_CHOSEN_SIDE)
    return side, side, depth
