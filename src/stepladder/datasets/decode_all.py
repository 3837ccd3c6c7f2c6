"""Every image of a set to pixels of one shape: in threads, once, with all damaged images collected."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np
import PIL

from stepladder.datasets.cache import Allocate, Decoded, decode_once
from stepladder.datasets.decode import cover, decode_fitted, decode_image, fit_square, image_shape, with_channels
from stepladder.datasets.encoded import Content, Encoded, Item, Reader, content_of
from stepladder.datasets.image_set import SPLIT_NAMES, ImageSet, Split
from stepladder.datasets.threads import available_cores, in_threads
from stepladder.errors import DamagedImagesError, DataError, some_of

#: The largest side that images may be resized to, pixels.
MAX_SIDE = 1024

#: Called with (images done, images in all). Where sizes differ the count starts over once, for the second pass.
Progress = Callable[[int, int], None]

#: Images of different sizes are resized to squares of at most this many pixels a side, unless the user says otherwise.
MAX_CHOSEN_SIDE = 64

# Raised with every change after which the same bytes become other pixels, or other notes.
_DECODER = 2
# The interpreter lock is held between images; more threads than this only wait for it.
_MAX_THREADS = 16

# Pixels that come in another shape are brought to theirs so many images at a time.
_RESHAPED = 1024


@dataclass(frozen=True)
class ShapeOptions:
    """What the user asked of the shape of the images; None leaves it to the data.

    Attributes:
        size: side in pixels of the squares that images are resized to, 1 to :data:`MAX_SIDE`.
        channels: 1 (gray) or 3 (RGB).
    """

    size: int | None = None
    channels: int | None = None

    def check(self) -> None:
        """Raise DataError where a value is not allowed."""
        if self.size is not None and not 1 <= self.size <= MAX_SIDE:
            raise DataError(f"`size` is {self.size}; it must be 1 to {MAX_SIDE} pixels")
        if self.channels not in (None, 1, 3):
            raise DataError(f"`channels` is {self.channels}; it must be 1 (gray) or 3 (color), or be left out")


def decode_splits(
    splits: Mapping[str, Encoded],
    *,
    shape: ShapeOptions = ShapeOptions(),
    skip_damaged: bool = False,
    on_progress: Progress | None = None,
) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Decode all splits to one common shape, into one array of which each split is a part.

    Gray if all images are gray, else RGB. Equal sizes are kept; where they differ, see :func:`_common_shape`. ``shape``
    overrules both. What was decoded before comes mapped from the cache.

    Returns:
        the splits, and the notes that a reader of results must know.

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

    def decode(allocate: Allocate) -> Decoded:
        pixels, damaged, notes = _decode(read, count, shape, allocate, on_progress)
        return Decoded(pixels, {"damaged": sorted(damaged.items()), "notes": notes}, keep=skip_damaged or not damaged)

    decoded = decode_once(_cache_key(ordered, shape), count, decode)
    pixels, notes = decoded.pixels, tuple(decoded.facts["notes"])
    damaged: dict[int, str] = dict(decoded.facts["damaged"])
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
    parts_of = {}
    for start, (name, part) in zip(starts[:-1], ordered.items(), strict=True):
        whole = Split(pixels[start : start + len(part.labels)], part.labels)
        kept = np.flatnonzero(sound[start : start + len(part.labels)])
        parts_of[name] = whole if len(kept) == len(whole) else whole.take(kept)
    return parts_of, notes


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
        notes += _resized_note(np.array([[height, width]]), side, chosen=True)
    if depth is not None:
        notes += _channels_note(np.array([channels]), depth)
    return replace(image_set, splits=splits, notes=(*image_set.notes, *notes))


def _cache_key(splits: Mapping[str, Encoded], shape: ShapeOptions) -> str | None:
    """Return what the pixels depend on: the encoded bytes, the shape asked for, and what decodes and resizes them."""
    if any(split.fingerprint is None for split in splits.values()):
        return None
    parts = {name: (len(split.labels), split.fingerprint) for name, split in splits.items()}
    versions = (_DECODER, PIL.__version__, version("simplejpeg"))
    return hashlib.sha256(repr((versions, parts, shape)).encode()).hexdigest()


def _decode(
    read: Reader, count: int, shape: ShapeOptions, allocate: Allocate, on_progress: Progress | None
) -> tuple[np.ndarray, dict[int, str], tuple[str, ...]]:
    # Most sets have one size, so the first pass decodes straight into an array of the first image's shape. From the
    # first image that does not fit it reads headers only; then all shapes are known and a second pass decodes.
    pixels, shapes, damaged = _decode_alike(read, count, shape, allocate, on_progress)
    sound = shapes[shapes[:, 0] > 0]
    if not len(sound):
        return _allocate(allocate, count, (1, 1, 1)), damaged, ()
    height, width, channels = _common_shape(sound[:, :2], sound[:, 2], shape)
    # With a size asked for, a JPEG is decoded at about that size, so its own size is not known; it is not needed.
    resized = shape.size is not None or not (sound[:, :2] == sound[0, :2]).all()
    notes = (
        *_resized_note(sound[:, :2], height, chosen=shape.size is not None),
        *_channels_note(sound[:, 2], channels),
    )
    if pixels is not None:
        return pixels, damaged, notes
    fitted = _allocate(allocate, count, (height, width, channels))

    def decode_and_fit(position: int, content: Content) -> None:
        if resized:
            fitted[position] = _fitted(content, height, channels)
            return
        image = with_channels(_pixels_of(content), channels)
        if image.shape[:2] != (height, width):
            size = f"{image.shape[1]}×{image.shape[0]}"
            raise DataError(f"damaged: the header says {width}×{height} pixels, it holds {size}")
        fitted[position] = image

    damaged |= _for_each(read, count, decode_and_fit, on_progress)
    return fitted, damaged, notes


def _decode_alike(
    read: Reader, count: int, shape: ShapeOptions, allocate: Allocate, on_progress: Progress | None
) -> tuple[np.ndarray | None, np.ndarray, dict[int, str]]:
    """Decode images that all have the first one's shape, or are to be brought to a shape that is known.

    Returns:
        the pixels, or None when a shape differs; every image's shape as its header has it (int64, (N, 3), zeros where
        damaged); what is damaged.
    """
    first = _first_shape(read)
    target = (shape.size or first[0], shape.size or first[1], shape.channels or first[2])
    pixels = _allocate(allocate, count, target)
    shapes = np.zeros((count, 3), dtype=np.int64)
    differ = threading.Event()

    def decode(position: int, content: Content) -> None:
        if differ.is_set():
            shapes[position] = _shape_of(content)
            return
        if shape.size is None:
            image = _pixels_of(content)
            shapes[position] = image.shape
        else:
            shapes[position] = _shape_of(content)
            image = _fitted(content, shape.size, shape.channels)
        if shape.channels is not None:
            image = with_channels(image, shape.channels)
        if image.shape[:2] == target[:2] and image.shape[2] <= target[2]:
            pixels[position] = image
        else:
            differ.set()

    damaged = _for_each(read, count, decode, on_progress)
    for position in damaged:
        shapes[position] = 0
    return None if differ.is_set() else pixels, shapes, damaged


def _common_shape(sizes: np.ndarray, channels: np.ndarray, shape: ShapeOptions) -> tuple[int, int, int]:
    """Choose (height, width, channels) for all images.

    Where sizes differ, the shorter side becomes the median shorter side, at most :data:`MAX_CHOSEN_SIDE`.
    """
    depth = shape.channels or int(channels.max())
    if shape.size is not None:
        return shape.size, shape.size, depth
    if (sizes == sizes[0]).all():
        return int(sizes[0, 0]), int(sizes[0, 1]), depth
    side = min(MAX_CHOSEN_SIDE, int(np.median(sizes.min(axis=1))))
    return side, side, depth


def _shape_of(content: Content) -> tuple[int, ...]:
    return image_shape(content) if isinstance(content, bytes) else content.shape


def _pixels_of(content: Content) -> np.ndarray:
    return decode_image(content) if isinstance(content, bytes) else content


def _fitted(content: Content, side: int, channels: int | None) -> np.ndarray:
    if isinstance(content, bytes):
        return decode_fitted(content, side, side, channels)
    return cover(content if channels is None else with_channels(content, channels), side, side)


def _first_shape(read: Reader) -> tuple[int, ...]:
    for chunk in read():
        for item in chunk:
            try:
                return _shape_of(content_of(item))
            except DataError:
                continue
    return 1, 1, 1  # nothing can be decoded, which the full pass then reports image by image


def _allocate(allocate: Allocate, count: int, shape: tuple[int, int, int]) -> np.ndarray:
    try:
        return allocate((count, *shape))
    except MemoryError as error:
        height, width, channels = shape
        gigabytes = count * height * width * channels / 1e9
        raise DataError(
            f"{count} images of {width}×{height}×{channels} take {gigabytes:.1f} GB, more memory than there is; "
            "make them smaller with `size`, or take fewer with `limit`"
        ) from error


def _for_each(
    read: Reader,
    count: int,
    work: Callable[[int, Content], None],
    on_progress: Progress | None,
) -> dict[int, str]:
    """Call ``work(position, content)`` on every image, in threads; return the reasons of what failed, by position."""

    def run(start: int, chunk: Sequence[Item]) -> tuple[int, dict[int, str]]:
        failed = {}
        for position, item in enumerate(chunk, start):
            try:
                work(position, content_of(item))
            except DataError as error:
                failed[position] = str(error)
        return len(chunk), failed

    threads = min(_MAX_THREADS, available_cores())
    pending: deque[Future[tuple[int, dict[int, str]]]] = deque()
    failures: dict[int, str] = {}
    done = started = 0

    def finish_one() -> None:
        nonlocal done
        length, failed = pending.popleft().result()
        failures.update(failed)
        done += length
        if on_progress is not None:
            on_progress(done, count)

    # Pillow warns about odd metadata. The filter is set here, around the threads, because it is not safe inside one.
    with warnings.catch_warnings(), ThreadPoolExecutor(threads) as pool:
        warnings.filterwarnings("ignore", module="PIL")
        for chunk in read():
            pending.append(pool.submit(run, started, chunk))
            started += len(chunk)
            if len(pending) > 2 * threads:
                finish_one()
        while pending:
            finish_one()
    assert started == count, (started, count)
    return failures


def _resized_note(sizes: np.ndarray, side: int, *, chosen: bool) -> tuple[str, ...]:
    """Return the note about images of ``sizes`` (int64, (N, 2)) that become squares of ``side``, if any changes."""
    if (sizes == (side if chosen else sizes[0])).all():
        return ()
    shorter = sizes.min(axis=1)
    low, high = int(shorter.min()), int(shorter.max())
    how = f"the shorter side of each was resized to {side} pixels, antialiased, and the {side}×{side} center kept"
    if (sizes == sizes[0]).all():
        height, width = sizes[0]
        return (f"The images have {width}×{height} pixels: {how}.",)
    why = "" if chosen else f" This side is their median, at most {MAX_CHOSEN_SIDE}; another can be asked for."
    return (f"Image sizes differ (shorter side {low} to {high} pixels): {how}.{why}",)


def _channels_note(channels: np.ndarray, depth: int) -> tuple[str, ...]:
    """Return the note about images of ``channels`` (int64, (N,)) that get ``depth`` channels; none if none changes."""
    changed = int((channels != depth).sum())
    if not changed:
        return ()
    which = "All images are" if changed == len(channels) else f"{changed:,} of {len(channels):,} images are"
    if depth == 1:
        return (f"{which} color and were made gray.",)
    return (f"{which} gray and were given three equal channels.",)


def _reshaped(images: np.ndarray, side: int | None, channels: int | None) -> np.ndarray:
    count, height, width, depth = images.shape
    target = np.empty((count, side or height, side or width, channels or depth), dtype=np.uint8)

    def work(start: int) -> None:
        for position in range(start, min(start + _RESHAPED, count)):
            image = images[position]
            if channels is not None:
                image = with_channels(image, channels)
            target[position] = image if side is None else fit_square(image, side)

    for _ in in_threads(work, range(0, count, _RESHAPED)):
        pass
    return target
