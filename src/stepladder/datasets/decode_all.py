"""Every image of a set to pixels of one shape: in threads, once, with all damaged images collected."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import PIL

from stepladder.datasets.cache import Allocate, Decoded, allocate_pixels, decode_once
from stepladder.datasets.decode import (
    AS_IT_IS,
    JPEG_START,
    WHITE,
    Wide,
    decode_fitted,
    decode_image,
    fit_image,
    image_shape,
    with_channels,
)
from stepladder.datasets.encoded import CHUNK_BYTES, Content, Encoded, Item, Reader, content_of
from stepladder.datasets.image_set import (
    FITS,
    MAX_CHOSEN_SIDE,
    PHOTOGRAPH_SIDE,
    SPLIT_NAMES,
    Fit,
    ImageSet,
    Span,
    Split,
)
from stepladder.datasets.mapped import FEWEST_RELEASED, release
from stepladder.datasets.splits import outside_test
from stepladder.datasets.threads import available_cores, in_threads
from stepladder.errors import DamagedImagesError, DataError, some_of, unknown

#: The largest side that images may be resized to, pixels.
MAX_SIDE = 1024

NOTHING_TO_STRETCH = (
    "`stretch` spreads gray images of more than 8 bits, and no training image is one; leave `stretch` out"
)

#: Called with (images done, images in all). Where sizes differ the count may start over once, for the second pass.
Progress = Callable[[int, int], None]

# Raised with every change after which the same bytes become other pixels, or other facts.
_DECODER = 5
# The interpreter lock is held between images; more threads than this only wait for it.
_MAX_THREADS = 16

# Images of 16 bits that use less than this share of their values are told of: fewer than 64 gray levels are left.
_LITTLE = 0.25

# Pixels that come in another shape are brought to theirs so many images at a time.
_RESHAPED = 1024

# Bytes of images that may wait for a thread, beside one chunk: decoded ones that a program gives, or encoded ones.
_MOST_WAITING = 200_000_000


@dataclass(frozen=True)
class DefaultSize:
    """The size to take where nobody asked for one: that of the images that a network was pretrained on.

    Attributes:
        side: of the squares, 1 to :data:`MAX_SIDE` pixels.
        photographs_only: whether it is for photographs alone, see :data:`PHOTOGRAPH_SIDE`.
    """

    side: int
    photographs_only: bool = False


@dataclass(frozen=True)
class ShapeOptions:
    """What was asked of the shape of the images, and of their values; None leaves it to the data.

    Attributes:
        size: side in pixels of the squares that images are resized to, 1 to :data:`MAX_SIDE`.
        channels: 1 (gray) or 3 (RGB).
        fit: how an image becomes a square; see :data:`stepladder.datasets.image_set.FITS`.
        default_size: the size to take where ``size`` is None; without, the rule for networks that learn from scratch.
            See :func:`common_shape`.
        stretch: whether gray images of more than 8 bits are spread: what the training images use of their values
            becomes black to white.
    """

    size: int | None = None
    channels: int | None = None
    fit: Fit = "crop"
    default_size: DefaultSize | None = None
    stretch: bool = False

    @property
    def side(self) -> int | None:
        """Of the squares that images of any size become, pixels; None where it depends on them."""
        if self.size is None and self.default_size is not None and not self.default_size.photographs_only:
            return self.default_size.side
        return self.size

    def check(self) -> None:
        """Raise DataError where a value is not allowed."""
        default = None if self.default_size is None else self.default_size.side
        for name, side in (("size", self.size), ("default_size", default)):
            if side is not None and not 1 <= side <= MAX_SIDE:
                raise DataError(f"`{name}` is {side}; it must be 1 to {MAX_SIDE} pixels")
        if self.channels not in (None, 1, 3):
            raise DataError(f"`channels` is {self.channels}; it must be 1 (gray) or 3 (color), or be left out")
        if self.fit not in FITS:
            raise DataError(unknown("fit", str(self.fit), FITS))


@dataclass(frozen=True)
class Shapes:
    """What notes tell of the shapes that images had; plain values, which the cache keeps.

    Attributes:
        height, width: of all images in pixels; 0 where sizes differ.
        low, high: the shortest and the longest shorter side, pixels.
        gray, color: how many images of each there were.
        median: of the shorter sides, pixels; 0 where the cache was written before that was kept.
    """

    height: int
    width: int
    low: int
    high: int
    gray: int
    color: int
    median: int = 0

    @classmethod
    def of(cls, shapes: np.ndarray) -> Shapes:
        """Return what is told of ``shapes``, int64 (N, 3), N at least 1."""
        sizes, gray = shapes[:, :2], int((shapes[:, 2] == 1).sum())
        height, width = sizes[0].tolist() if (sizes == sizes[0]).all() else (0, 0)
        shorter = sizes.min(axis=1)
        low, high, median = int(shorter.min()), int(shorter.max()), int(np.median(shorter))
        return cls(height, width, low, high, gray, len(shapes) - gray, median)

    def notes(self, target: tuple[int, ...], asked: ShapeOptions) -> tuple[str, ...]:
        """Return a sentence for each change where such images become ``target``: height, width, channels."""
        height, width, channels = target
        changes = self._size_note(height, asked) if (self.height, self.width) != (height, width) else ""
        return tuple(note for note in (changes, self._channels_note(channels)) if note)

    def _size_note(self, side: int, asked: ShapeOptions) -> str:
        had = f"The images have {self.width}×{self.height} pixels"
        if not self.height:
            had = f"Image sizes differ (shorter side {self.low} to {self.high} pixels)"
        why = ""
        if asked.size is None:
            why = (
                f" By default only images of one size up to {MAX_CHOSEN_SIDE} pixels keep it, and others get their "
                f"median side, at most {MAX_CHOSEN_SIDE}; `size=N` takes another."
            )
            if asked.default_size is not None and side == asked.default_size.side:
                why = f" The network learned from images of {side}×{side}; `size=N` takes another."
        return f"{had}: {_FITTED[asked.fit].format(side=side)}.{why}"

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


class DecodedSplits(NamedTuple):
    """What encoded images came to.

    Attributes:
        notes: what a reader of results must know.
        original_side: median shorter side of the images before they were brought to one size, pixels.
        span: see :class:`stepladder.datasets.image_set.ImageSet`.
        kept: by split, which of its images could be decoded, int64; None where all could.
    """

    splits: dict[str, Split]
    notes: tuple[str, ...]
    original_side: int
    span: Span | None
    kept: dict[str, np.ndarray | None]

    def image_set(self, name: str, class_names: tuple[str, ...], notes: Sequence[str]) -> ImageSet:
        """Return them as an image set; ``notes`` tell what was found before decoding."""
        return ImageSet(
            name,
            class_names,
            self.splits,
            (*notes, *self.notes),
            original_side=self.original_side,
            span=self.span,
        )


_FITTED: dict[Fit, str] = {
    "crop": "the shorter side of each was resized to {side} pixels, antialiased, and the {side}×{side} center kept",
    "pad": "the longer side of each was resized to {side} pixels, antialiased, and black added up to {side}×{side}",
    "stretch": "each was resized to {side}×{side} pixels, antialiased, both sides by themselves",
}


def decode_splits(
    splits: Mapping[str, Encoded],
    *,
    shape: ShapeOptions = ShapeOptions(),
    skip_damaged: bool = False,
    on_progress: Progress | None = None,
) -> DecodedSplits:
    """Decode all splits to one common shape, into one array of which each split is a part.

    Gray if all images are gray, else RGB; for their size see :func:`common_shape`. ``shape`` overrules both. What was
    decoded before comes mapped from the cache.

    Raises:
        DamagedImagesError: images cannot be decoded and ``skip_damaged`` is off; all of them are listed.
        DataError: no image is left, or the decoded images do not fit into memory.
    """
    ordered = {name: splits[name] for name in SPLIT_NAMES if name in splits}
    starts = np.cumsum([0, *(len(split.labels) for split in ordered.values())])
    parts = list(ordered.values())

    def read() -> Iterator[Sequence[Item]]:
        for part in parts:
            yield from part.read()

    def place(position: int) -> str:
        part = int(np.searchsorted(starts, position, side="right")) - 1
        return parts[part].place(position - int(starts[part]))

    count = int(starts[-1])

    training = _Training(ordered["train"].labels, ordered["train"].groups, own_test="test" in ordered)

    def decode(allocate: Allocate) -> Decoded:
        pixels, damaged, shapes, depth = _decode(read, count, shape, allocate, on_progress, training)
        facts = {"damaged": sorted(damaged.items()), "shapes": shapes and asdict(shapes), "depth": asdict(depth)}
        return Decoded(pixels, facts, keep=skip_damaged or not damaged)

    decoded = decode_once(_cache_key(ordered, shape), count, decode, _read_facts)
    pixels = decoded.pixels
    had, damaged, depth = _read_facts(decoded.facts, count)
    notes = (*(had.notes(pixels.shape[1:], shape) if had else ()), *depth.notes())
    if damaged and not skip_damaged:
        raise DamagedImagesError((place(position), damaged[position]) for position in sorted(damaged))
    if len(damaged) == len(pixels):
        raise DataError(f"none of the {len(pixels)} images can be decoded; the first: {place(0)}: {damaged[0]}")
    if damaged:
        left_out = some_of([place(position) for position in sorted(damaged)])
        were = "image was" if len(damaged) == 1 else "images were"
        notes = (*notes, f"{len(damaged)} damaged {were} left out: {left_out}.")

    sound = np.ones(count, dtype=bool)
    sound[list(damaged)] = False
    parts_of: dict[str, Split] = {}
    all_kept: dict[str, np.ndarray | None] = {}
    for start, (name, part) in zip(starts[:-1], ordered.items(), strict=True):
        whole = Split(pixels[start : start + len(part.labels)], part.labels, groups=part.groups)
        kept = np.flatnonzero(sound[start : start + len(part.labels)])
        parts_of[name] = whole if len(kept) == len(whole) else whole.take(kept)
        all_kept[name] = None if len(kept) == len(whole) else kept
    return DecodedSplits(parts_of, notes, (had.median or had.low) if had else 0, depth.span, all_kept)


def _read_facts(facts: Mapping[str, Any], count: int) -> tuple[Shapes | None, dict[int, str], Depth]:
    """Return the shapes that ``count`` images had, why some could not be decoded, and what those of 16 bits use.

    Raises:
        KeyError, TypeError, ValueError: what was kept is something else.
    """
    damaged = {position: reason for position, reason in facts["damaged"]}  # noqa: C416 (dict() takes what is no pair)
    if not all(type(at) is int and 0 <= at < count and isinstance(why, str) for at, why in damaged.items()):
        raise ValueError("no positions of images")
    shapes = facts["shapes"]
    if shapes is not None and not all(type(value) is int and value >= 0 for value in shapes.values()):
        raise ValueError("no shapes of images")
    depth = Depth(**facts.get("depth", {}))
    if not all(
        type(value) is int and 0 <= value <= max(count, WHITE) for value in (depth.images, depth.low, depth.high)
    ):
        raise ValueError("no depth of images")
    return Shapes(**shapes) if shapes else None, damaged, depth


def reshaped(image_set: ImageSet, shape: ShapeOptions, *, keeps_size: bool = False) -> ImageSet:
    """Return ``image_set`` with images of the shape that ``shape`` says, and notes of what was changed.

    For sets that come as pixels; encoded images are brought to it while they are decoded, and return as they are.

    Args:
        keeps_size: change the channels alone.

    Raises:
        DataError: there is no room for the new images.
    """
    height, width, channels = image_set.image_shape
    target = common_shape(np.array([image_set.image_shape]), shape)
    if keeps_size:
        target = height, width, target[2]
    if target == (height, width, channels):
        return image_set
    splits = {
        name: Split(_reshaped(split, target, shape.fit), split.labels, groups=split.groups)
        for name, split in image_set.splits.items()
    }
    count = sum(map(len, splits.values()))
    had = replace(
        Shapes.of(np.array([image_set.image_shape])),
        gray=count if channels == 1 else 0,
        color=count if channels == 3 else 0,
    )
    side = image_set.original_side or min(height, width)
    return replace(image_set, splits=splits, notes=(*image_set.notes, *had.notes(target, shape)), original_side=side)


def _cache_key(splits: Mapping[str, Encoded], shape: ShapeOptions) -> str | None:
    """Return what the pixels depend on: the encoded bytes, the shape asked for, and what decodes and resizes them."""
    if any(split.fingerprint is None for split in splits.values()):
        return None
    parts = {name: (len(split.labels), split.fingerprint) for name, split in splits.items()}
    versions = (_DECODER, PIL.__version__, version("simplejpeg"))
    # Whoever asked for the size gets the same pixels.
    undecided = shape.default_size if shape.side is None else None
    asked: tuple[object, ...] = (shape.side, shape.channels, shape.fit, *([undecided] if undecided else []))
    if shape.stretch:
        groups = splits["train"].groups  # which images are set aside as test depends on them
        asked = (*asked, "stretch", *([] if groups is None else [hashlib.sha256(groups.tobytes()).hexdigest()]))
    return hashlib.sha256(repr((versions, parts, *asked)).encode()).hexdigest()


@dataclass(frozen=True)
class _Training:
    """Which of all images train: the first ones, in the order of the splits.

    Attributes:
        labels: of the training split.
        groups: likewise, if it has any.
        own_test: whether there is a test split beside it; else one is set aside of it.
    """

    labels: np.ndarray
    groups: np.ndarray | None
    own_test: bool

    def rows(self, damaged: Mapping[int, str]) -> np.ndarray:
        """Return the positions of the images that train and are no test images, int64, without the damaged ones."""
        sound = np.ones(len(self.labels), dtype=bool)
        sound[[position for position in damaged if position < len(sound)]] = False
        rows = np.flatnonzero(sound)
        if self.own_test:
            return rows
        groups = None if self.groups is None else self.groups[rows]
        outside: np.ndarray = rows[outside_test(self.labels[rows], groups)]
        return outside


class _Values:
    """Collects what gray images of more than 8 bits use of their values, a row an image; -1 for all others.

    Args:
        count: images of all splits.
        span: see :class:`stepladder.datasets.decode.Wide`.
    """

    def __init__(self, count: int, span: Span | None = None) -> None:
        self.ranges = np.full((count, 2), -1, dtype=np.int32)
        self._span = span

    def of(self, position: int, content: Content) -> Wide:
        """Return what becomes of the image ``content`` at ``position``."""
        if not isinstance(content, bytes) or content.startswith(JPEG_START):
            return AS_IT_IS

        def seen(low: int, high: int) -> None:
            self.ranges[position] = low, high

        return Wide(self._span, seen)

    def depth(self, train: np.ndarray, *, stretched: bool = False) -> Depth:
        """Return what is told of them; ``train`` are the positions of the training images."""
        images = int((self.ranges[:, 0] >= 0).sum())
        used = self.ranges[train]
        used = used[used[:, 0] >= 0]
        if not len(used):
            return Depth(images)
        return Depth(images, int(used[:, 0].min()), int(used[:, 1].max()), stretched)


def _decode(
    read: Reader,
    count: int,
    shape: ShapeOptions,
    allocate: Allocate,
    on_progress: Progress | None,
    training: _Training,
) -> tuple[np.ndarray, dict[int, str], Shapes | None, Depth]:
    # The first pass decodes straight into the shape that the first image lets expect, which nearly always is right.
    # From an image on that contradicts it reads headers only; then all shapes are known and a second pass decodes.
    # Where values are stretched, one before all looks for what the training images use.
    stretched = _find_span(read, count, on_progress, training) if shape.stretch else None
    values = _Values(count, None if stretched is None else stretched.span)
    pixels, shapes, damaged = _decode_as_expected(read, count, shape, allocate, on_progress, values)
    sound = shapes[shapes[:, 0] > 0]
    if not len(sound):
        return allocate((count, 1, 1, 1)), damaged, None, Depth()
    height, width, channels = common_shape(sound, shape)
    found = Shapes.of(sound)
    if pixels is None or pixels.shape[1:] != (height, width, channels):
        pixels = None  # so that its memory is free for the next
        kept = (found.height, found.width) == (height, width)
        fitted = allocate((count, height, width, channels))

        def decode_and_fit(position: int, content: Content) -> None:
            if not kept:
                fitted[position] = _fitted(content, height, channels, shape.fit, values.of(position, content))
                return
            image = with_channels(_pixels_of(content, values, position), channels)
            if image.shape[:2] != (height, width):
                size = f"{image.shape[1]}×{image.shape[0]}"
                raise DataError(f"damaged: the header says {width}×{height} pixels, it holds {size}")
            fitted[position] = image

        damaged |= _for_each(read, count, decode_and_fit, on_progress, fitted)
        pixels = fitted
    depth = values.depth(np.arange(len(training.labels))) if stretched is None else stretched
    return pixels, damaged, found, depth


def _find_span(read: Reader, count: int, on_progress: Progress | None, training: _Training) -> Depth:
    """Return what gray training images of more than 8 bits use of their values.

    Raises:
        DataError: there are none, or they have one value alone.
    """
    values = _Values(count)

    def look(position: int, content: Content) -> None:
        _pixels_of(content, values, position)

    damaged = _for_each(read, count, look, on_progress, np.empty((0, 1), dtype=np.uint8))
    depth = values.depth(training.rows(damaged), stretched=True)
    if not depth.stretched:
        raise DataError(NOTHING_TO_STRETCH)
    if depth.low == depth.high:
        raise DataError(
            f"`stretch` spreads values, and all training images of 16 bits hold {depth.low:,} alone; leave it out"
        )
    return depth


def _decode_as_expected(
    read: Reader,
    count: int,
    shape: ShapeOptions,
    allocate: Allocate,
    on_progress: Progress | None,
    values: _Values,
) -> tuple[np.ndarray | None, np.ndarray, dict[int, str]]:
    """Decode images to the shape that they will have if all are like the first one.

    Returns:
        the pixels, or None when an image contradicts; every image's shape as its header has it (int64, (N, 3), zeros
        where damaged); what is damaged.
    """
    first = _first_shape(read)
    target = common_shape(np.array([first]), shape)
    keeps = shape.side is None and target[:2] == first[:2]
    pixels = allocate((count, *target))
    shapes = np.zeros((count, 3), dtype=np.int64)
    differ = threading.Event()

    def decode(position: int, content: Content) -> None:
        if differ.is_set():
            shapes[position] = _shape_of(content)
            return
        if keeps:
            image = _pixels_of(content, values, position)
            shapes[position] = image.shape
        else:
            shapes[position] = _shape_of(content)
            image = _fitted(content, target[0], shape.channels, shape.fit, values.of(position, content))
        if shape.channels is not None:
            image = with_channels(image, shape.channels)
        if image.shape[:2] == target[:2] and image.shape[2] <= target[2]:
            pixels[position] = image
        else:
            differ.set()

    damaged = _for_each(read, count, decode, on_progress, pixels)
    for position in damaged:
        shapes[position] = 0
    return None if differ.is_set() else pixels, shapes, damaged


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


def _shape_of(content: Content) -> tuple[int, ...]:
    return image_shape(content) if isinstance(content, bytes) else content.shape


def _pixels_of(content: Content, values: _Values, position: int) -> np.ndarray:
    return decode_image(content, wide=values.of(position, content)) if isinstance(content, bytes) else content


def _fitted(content: Content, side: int, channels: int | None, fit: Fit, wide: Wide) -> np.ndarray:
    if isinstance(content, bytes):
        return decode_fitted(content, side, side, channels, fit, wide)
    return fit_image(content if channels is None else with_channels(content, channels), side, side, fit)


def _first_shape(read: Reader) -> tuple[int, ...]:
    for chunk in read():
        for item in chunk:
            try:
                return _shape_of(content_of(item))
            except DataError:
                continue
    return 1, 1, 1  # nothing can be decoded, which the full pass then reports image by image


def _for_each(
    read: Reader,
    count: int,
    work: Callable[[int, Content], None],
    on_progress: Progress | None,
    pixels: np.ndarray,
) -> dict[int, str]:
    """Call ``work(position, content)`` on every image, in threads; return the reasons of what failed, by position.

    Args:
        pixels: what the work fills; where they are mapped and large, their memory is given back on the way.
    """

    def run(start: int, chunk: Sequence[Item]) -> tuple[int, dict[int, str]]:
        failed = {}
        for position, item in enumerate(chunk, start):
            try:
                work(position, content_of(item))
            except DataError as error:
                failed[position] = str(error)
        return len(chunk), failed

    threads = min(_MAX_THREADS, available_cores())
    pending: deque[tuple[Future[tuple[int, dict[int, str]]], int]] = deque()
    failures: dict[int, str] = {}
    done = started = waiting = released = 0
    step = FEWEST_RELEASED // max(1, pixels[:1].nbytes)
    # So much that threads never wait for chunks of usual images; a few huge ones fill it.
    most_waiting = max(_MOST_WAITING, 2 * threads * CHUNK_BYTES)

    def finish_one() -> None:
        nonlocal done, waiting, released
        future, size = pending.popleft()
        length, failed = future.result()
        failures.update(failed)
        done += length
        waiting -= size
        if done - released >= step:
            release(pixels[released:done])
            released = done
        if on_progress is not None:
            on_progress(done, count)

    # Pillow warns about odd metadata. The filter is set here, around the threads, because it is not safe inside one.
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.filterwarnings("ignore", module="PIL")
        for chunk in read():
            size = sum(len(item) if isinstance(item, bytes) else getattr(item, "nbytes", 0) for item in chunk)
            pending.append((pool.submit(run, started, chunk), size))
            started += len(chunk)
            waiting += size
            while len(pending) > 2 * threads or (waiting > most_waiting and pending):
                finish_one()
        while pending:
            finish_one()
    assert started == count, (started, count)
    return failures


def _reshaped(split: Split, target: tuple[int, int, int], fit: Fit) -> np.ndarray:
    height, width, channels = target
    reshaped = allocate_pixels((len(split), *target))

    def work(start: int) -> None:
        for position in range(start, min(start + _RESHAPED, len(split))):
            image = split.pixels[position if split.rows is None else split.rows[position]]
            reshaped[position] = fit_image(with_channels(image, channels), height, width, fit)

    for _ in in_threads(work, range(0, len(split), _RESHAPED)):
        pass
    return reshaped
