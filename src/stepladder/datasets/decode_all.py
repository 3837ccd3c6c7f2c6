"""Every image of a set to pixels of one shape: in threads, once, with all damaged images collected."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import PIL

from stepladder.datasets.bursts import Taken, from_plain, look_for_times, to_plain
from stepladder.datasets.cache import Allocate, Decoded, allocate_pixels, decode_once
from stepladder.datasets.decode import (
    AS_IT_IS,
    JPEG_START,
    NEEDS_AVIF,
    NEEDS_HEIC,
    WHITE,
    Wide,
    decode_fitted,
    decode_image,
    fit_image,
    image_shape,
    is_png_of_8_bits,
    with_channels,
)
from stepladder.datasets.dicom import NEEDS_DICOM
from stepladder.datasets.encoded import CHUNK_BYTES, Content, Encoded, Item, Reader, content_of
from stepladder.datasets.image_set import SPLIT_NAMES, Fit, ImageSet, Span, Split, exceeds_one
from stepladder.datasets.mapped import FEWEST_RELEASED, release
from stepladder.datasets.shapes import Depth, Scans, ShapeOptions, Shapes, common_shape
from stepladder.datasets.splits import outside_test
from stepladder.datasets.threads import available_cores, in_threads
from stepladder.errors import DamagedImagesError, DataError, some_of

NOTHING_TO_STRETCH = (
    "`stretch` spreads gray images of more than 8 bits, and no training image is one; leave `stretch` out"
)

#: Called with (images done, images in all). Where sizes differ the count may start over once, for the second pass.
Progress = Callable[[int, int], None]

# Raised with every change after which the same bytes become other pixels, or other facts.
_DECODER = 6
# The interpreter lock is held between images; more threads than this only wait for it.
_MAX_THREADS = 16

_AS_THEY_ARE = ShapeOptions()

# Why images cannot be read that are sound.
_NEEDS = (NEEDS_HEIC, NEEDS_AVIF, NEEDS_DICOM)

# Images that let expect whether a crop would take much of them away.
_FIRST = 16

# Pixels that come in another shape are brought to theirs so many images at a time.
_RESHAPED = 1024

# Bytes of images that may wait for a thread, beside one chunk: decoded ones that a program gives, or encoded ones.
_MOST_WAITING = 200_000_000


class DecodedSplits(NamedTuple):
    """What encoded images came to.

    Attributes:
        notes: what a reader of results must know.
        original_side: median shorter side of the images before they were brought to one size, pixels.
        span, fit, cropped: see :class:`stepladder.datasets.image_set.ImageSet`.
        kept: by split, which of its images could be decoded, int64; None where all could.
        taken: by split, when its first images that could be were taken, where they are files that say it.
    """

    splits: dict[str, Split]
    notes: tuple[str, ...]
    original_side: int
    span: Span | None
    kept: dict[str, np.ndarray | None]
    fit: Fit = "crop"
    cropped: float = 0.0
    taken: Mapping[str, Sequence[Taken | None]] = MappingProxyType({})

    def image_set(self, name: str, class_names: tuple[str, ...], notes: Sequence[str]) -> ImageSet:
        """Return them as an image set; ``notes`` tell what was found before decoding."""
        return ImageSet(
            name,
            class_names,
            self.splits,
            (*notes, *self.notes),
            fit=self.fit,
            original_side=self.original_side,
            cropped=self.cropped,
            span=self.span,
        )


def decode_splits(
    splits: Mapping[str, Encoded],
    *,
    shape: ShapeOptions = _AS_THEY_ARE,
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
        pixels, found = _decode(read, count, shape, allocate, on_progress, training)
        if all(part.fingerprint is not None for part in parts):
            found = found._replace(taken=look_for_times(read, count))
        # What could not be read because an extra is not installed is read once it is.
        keep = not found.damaged or (skip_damaged and not set(found.damaged.values()) & set(_NEEDS))
        return Decoded(pixels, found.to_plain(), keep=keep)

    decoded = decode_once(_cache_key(ordered, shape), count, decode, _read_facts)
    pixels = decoded.pixels
    had, damaged, depth, scans, taken, color = _read_facts(decoded.facts, count)
    named = ordered["train"].groups is not None
    notes = (
        *(had.notes(pixels.shape[1:], shape) if had else ()),
        *depth.notes(),
        *_color_notes(color),
        *scans.notes(named=named),
    )
    if damaged and not skip_damaged:
        for needs in _NEEDS:
            if lacking := sum(reason == needs for reason in damaged.values()):
                raise DataError(f"{lacking:,} of {count:,} images cannot be read: {needs}")
        raise DamagedImagesError((place(position), damaged[position]) for position in sorted(damaged))
    if len(damaged) == len(pixels):
        raise DataError(f"none of the {len(pixels)} images can be decoded; the first: {place(0)}: {damaged[0]}")
    if damaged:
        left_out = some_of([place(position) for position in sorted(damaged)])
        were = "image was" if len(damaged) == 1 else "images were"
        notes = (*notes, f"{len(damaged)} damaged {were} left out: {left_out}.")

    of_splits = {name: pixels[slice(*rows)] for name, rows in zip(ordered, pairwise(starts.tolist()), strict=True)}
    notes = (*notes, *_dark_notes(of_splits))
    sound = np.ones(count, dtype=bool)
    sound[list(damaged)] = False
    parts_of: dict[str, Split] = {}
    all_kept: dict[str, np.ndarray | None] = {}
    all_taken = {}
    for start, (name, part) in zip(starts[:-1], ordered.items(), strict=True):
        whole = Split(pixels[start : start + len(part.labels)], part.labels, groups=part.groups)
        kept = np.flatnonzero(sound[start : start + len(part.labels)])
        parts_of[name] = whole if len(kept) == len(whole) else whole.take(kept)
        all_kept[name] = None if len(kept) == len(whole) else kept
        of_part = taken[start : start + len(part.labels)]
        all_taken[name] = [of_part[row] for row in kept.tolist() if row < len(of_part)]
    if had is None:
        return DecodedSplits(parts_of, notes, 0, depth.span, all_kept, shape.fit or "crop")
    target = pixels.shape[1:]
    fit, cropped = had.fit(target, shape), had.cropped(target, shape)
    return DecodedSplits(parts_of, notes, had.median or had.low, depth.span, all_kept, fit, cropped, all_taken)


def _dark_notes(splits: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Return a note on splits whose pixels, uint8, are 0 and 1 alone; none where there are none."""
    dark = [name for name, pixels in splits.items() if not exceeds_one(pixels) and pixels.any()]
    if not dark:
        return ()
    which = "images" if len(dark) == len(splits) else f"{' and '.join(dark)} images"
    return (
        f"The {which} hold the values 0 and 1 alone, of 0 to 255, and are nearly black: if they are masks, save them "
        "with 0 and 255.",
    )


def _color_notes(depth: Depth) -> tuple[str, ...]:
    """Return a note on color images of more than 8 bits that use few of their values; none where there are none."""
    if not depth.notes():  # as of gray ones
        return ()
    have = "1 color image has" if depth.images == 1 else f"{depth.images:,} color images have"
    levels = depth.high // 256 - depth.low // 256 + 1
    return (
        f"{have} 16 bits a channel, and the training images use {depth.low:,} to {depth.high:,} of 0 to {WHITE:,}: of "
        f"256 levels {levels} {'is' if levels == 1 else 'are'} left. `stretch` is for gray; spread the values when you "
        "save the images as 8 bits.",
    )


class _Facts(NamedTuple):
    """What is known of images once they are decoded, and kept with them.

    Attributes:
        shapes: that they had; None where none could be decoded.
        damaged: why some could not be, by position.
        taken: when the first of them were taken, where they are files that say it.
        color: of color images of more than 8 bits, what is told of gray ones.
    """

    shapes: Shapes | None
    damaged: dict[int, str]
    depth: Depth
    scans: Scans
    taken: Sequence[Taken | None] = ()
    color: Depth = Depth()

    def to_plain(self) -> dict[str, Any]:
        """Return them as plain values; what a set has nothing of is left out."""
        facts: dict[str, Any] = {
            "damaged": sorted(self.damaged.items()),
            "shapes": self.shapes and asdict(self.shapes),
            "depth": asdict(self.depth),
        }
        if self.color.images:
            facts["color"] = asdict(self.color)
        if self.scans.images:
            facts["scans"] = asdict(self.scans)
        if self.taken:
            facts["taken"] = to_plain(self.taken)
        return facts


def _read_facts(facts: Mapping[str, Any], count: int) -> _Facts:
    """Return what :meth:`_Facts.to_plain` gave of ``count`` images.

    Raises:
        KeyError, TypeError, ValueError: what was kept is something else.
    """
    damaged = {position: reason for position, reason in facts["damaged"]}  # noqa: C416 (dict() takes what is no pair)
    if not all(type(at) is int and 0 <= at < count and isinstance(why, str) for at, why in damaged.items()):
        raise ValueError("no positions of images")
    shapes = facts["shapes"]
    if shapes is not None and not all(type(value) is int and value >= 0 for value in shapes.values()):
        raise ValueError("no shapes of images")
    depth, color = (Depth(**facts.get(name, {})) for name in ("depth", "color"))
    told = (value for one in (depth, color) for value in (one.images, one.low, one.high))
    if not all(type(value) is int and 0 <= value <= max(count, WHITE) for value in told):
        raise ValueError("no depth of images")
    taken = from_plain(facts.get("taken", []))
    if len(taken) > count:
        raise ValueError("no times of images")
    scans = Scans(**facts.get("scans", {}))
    numbers = (scans.images, scans.patients, *scans.applied.values())
    if not all(type(number) is int and 0 <= number <= count for number in numbers):
        raise ValueError("no scans of images")
    return _Facts(Shapes(**shapes) if shapes else None, damaged, depth, scans, taken, color)


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
    count = sum(map(len, image_set.splits.values()))
    had = replace(
        Shapes.of(np.array([image_set.image_shape])),
        gray=count if channels == 1 else 0,
        color=count if channels == 3 else 0,
    )
    fit = had.fit(target, shape)
    splits = {
        name: Split(_reshaped(split, target, fit), split.labels, groups=split.groups)
        for name, split in image_set.splits.items()
    }
    return replace(
        image_set,
        splits=splits,
        notes=(*image_set.notes, *had.notes(target, shape)),
        fit=fit,
        original_side=image_set.original_side or min(height, width),
        cropped=max(image_set.cropped, had.cropped(target, shape)),
    )


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

    And what was done to DICOM images.

    Args:
        count: images of all splits.
        span: see :class:`stepladder.datasets.decode.Wide`.
    """

    def __init__(self, count: int, span: Span | None = None) -> None:
        self.ranges = np.full((count, 2), -1, dtype=np.int32)
        self.color_ranges: dict[int, tuple[int, int]] = {}
        self.scans: dict[int, tuple[tuple[str, ...], str]] = {}
        self._span = span

    def of(self, position: int, content: Content) -> Wide:
        """Return what becomes of the image ``content`` at ``position``."""
        # Nothing becomes of most images, for which making what follows would cost as much as reading them.
        if not isinstance(content, bytes) or content.startswith(JPEG_START) or is_png_of_8_bits(content):
            return AS_IT_IS

        def seen(low: int, high: int) -> None:
            self.ranges[position] = low, high

        def color_seen(low: int, high: int) -> None:
            self.color_ranges[position] = low, high

        def scan_seen(applied: tuple[str, ...], patient: str) -> None:
            self.scans[position] = applied, patient

        return Wide(self._span, seen, scan_seen, color_seen)

    def depth(self, train: np.ndarray, *, stretched: bool = False) -> Depth:
        """Return what is told of them; ``train`` are the positions of the training images."""
        images = int((self.ranges[:, 0] >= 0).sum())
        used = self.ranges[train]
        used = used[used[:, 0] >= 0]
        if not len(used):
            return Depth(images)
        return Depth(images, int(used[:, 0].min()), int(used[:, 1].max()), stretched)

    def color_depth(self, train: int) -> Depth:
        """Return what is told of color images, the first ``train`` of which are training images."""
        used = [range_ for position, range_ in self.color_ranges.items() if position < train]
        if not used:
            return Depth(len(self.color_ranges))
        return Depth(len(self.color_ranges), min(low for low, _ in used), max(high for _, high in used))

    def of_scans(self) -> Scans:
        """Return what is told of DICOM images."""
        found = [self.scans[position] for position in sorted(self.scans)]
        applied = Counter(one for of_image, _ in found for one in of_image)
        return Scans(len(found), len({patient for _, patient in found if patient}), dict(applied))


def _decode(
    read: Reader,
    count: int,
    shape: ShapeOptions,
    allocate: Allocate,
    on_progress: Progress | None,
    training: _Training,
) -> tuple[np.ndarray, _Facts]:
    # The first pass decodes straight into the shape that the first image lets expect, which nearly always is right.
    # From an image on that contradicts it reads headers only; then all shapes are known and a second pass decodes.
    # Where nobody says how images become squares, the first ones let expect that, too.
    # Where values are stretched, one before all looks for what the training images use.
    stretched = _find_span(read, count, on_progress, training) if shape.stretch else None
    values = _Values(count, None if stretched is None else stretched.span)
    pixels, shapes, damaged, expected = _decode_as_expected(read, count, shape, allocate, on_progress, values)
    sound = shapes[shapes[:, 0] > 0]
    if not len(sound):
        return allocate((count, 1, 1, 1)), _Facts(None, damaged, Depth(), Scans())
    height, width, channels = target = common_shape(sound, shape)
    train = shapes[: len(training.labels)]
    found = Shapes.of(sound, train[train[:, 0] > 0])
    kept, fit = (found.height, found.width) == (height, width), found.fit(target, shape)
    if pixels is None or pixels.shape[1:] != target or (fit != expected and not kept):
        pixels = None  # so that its memory is free for the next
        fitted = allocate((count, height, width, channels))

        def decode_and_fit(position: int, content: Content) -> None:
            if not kept:
                fitted[position] = _fitted(content, height, channels, fit, values.of(position, content))
                return
            image = with_channels(_pixels_of(content, values, position), channels)
            if image.shape[:2] != (height, width):
                size = f"{image.shape[1]}×{image.shape[0]}"
                raise DataError(f"damaged: the header says {width}×{height} pixels, it holds {size}")
            fitted[position] = image

        damaged |= _for_each(read, count, decode_and_fit, on_progress, fitted)
        pixels = fitted
    depth = values.depth(np.arange(len(training.labels))) if stretched is None else stretched
    color = values.color_depth(len(training.labels))
    return pixels, _Facts(found, damaged, depth, values.of_scans(), color=color)


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
) -> tuple[np.ndarray | None, np.ndarray, dict[int, str], Fit]:
    """Decode images to the shape that they will have if all are like the first one.

    Returns:
        the pixels, or None when an image contradicts; every image's shape as its header has it (int64, (N, 3), zeros
        where damaged); what is damaged; how images became squares.
    """
    few = _first_shapes(read, 1 if shape.fit else _FIRST)
    first = tuple(few[0].tolist())
    target = common_shape(few[:1], shape)
    fit = Shapes.of(few).fit(target, shape)
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
            image = _fitted(content, target[0], shape.channels, fit, values.of(position, content))
        if shape.channels is not None:
            image = with_channels(image, shape.channels)
        if image.shape[:2] == target[:2] and image.shape[2] <= target[2]:
            pixels[position] = image
        else:
            differ.set()

    damaged = _for_each(read, count, decode, on_progress, pixels)
    for position in damaged:
        shapes[position] = 0
    return None if differ.is_set() else pixels, shapes, damaged, fit


def _shape_of(content: Content) -> tuple[int, ...]:
    return image_shape(content) if isinstance(content, bytes) else content.shape


def _pixels_of(content: Content, values: _Values, position: int) -> np.ndarray:
    return decode_image(content, wide=values.of(position, content)) if isinstance(content, bytes) else content


def _fitted(content: Content, side: int, channels: int | None, fit: Fit, wide: Wide) -> np.ndarray:
    if isinstance(content, bytes):
        return decode_fitted(content, side, side, channels, fit, wide)
    return fit_image(content if channels is None else with_channels(content, channels), side, side, fit)


def _first_shapes(read: Reader, most: int) -> np.ndarray:
    """Return the shapes of the first images that can be read, int64 (N, 3), N from 1 to ``most``; of one chunk."""
    found: list[tuple[int, ...]] = []
    for chunk in read():
        for item in chunk:
            if len(found) == most:
                break
            with suppress(DataError):
                found.append(_shape_of(content_of(item)))
        if found:
            return np.array(found)
    return np.ones((1, 3), np.int64)  # nothing can be decoded, which the full pass then reports image by image


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

    # Pillow and pydicom warn of odd metadata. The filter is set around the threads, as it is not safe inside one.
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.filterwarnings("ignore", module="PIL|pydicom")
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
