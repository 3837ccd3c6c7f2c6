"""Every encoded image of a set to pixels in one array: in threads, once, with all damaged images collected."""

from __future__ import annotations

import hashlib
import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version

import numpy as np
import PIL

from stepladder.data.cache import Allocate, Decoded, decode_once
from stepladder.data.decode import decode_fitted, decode_image, image_shape, with_channels
from stepladder.data.encoded import Encoded, Item, Reader, content_of
from stepladder.data.image_set import SPLIT_NAMES, Split
from stepladder.data.shape import ShapeOptions, channels_note, resized_note
from stepladder.data.wording import some_of
from stepladder.errors import DamagedImagesError, DataError

#: Called with (images done, images in all). Where sizes differ the count starts over once, for the second pass.
Progress = Callable[[int, int], None]

#: Images of different sizes are resized to squares of at most this many pixels a side, unless the user says otherwise.
MAX_CHOSEN_SIDE = 64

# Raised with every change after which the same bytes become other pixels.
_DECODER = 1
# The interpreter lock is held between images; more threads than this only wait for it.
_MAX_THREADS = 16


def decode_splits(
    splits: Mapping[str, Encoded],
    *,
    shape: ShapeOptions = ShapeOptions(),  # noqa: B008 (frozen)
    skip_damaged: bool = False,
    on_progress: Progress | None = None,
) -> tuple[dict[str, Split], tuple[str, ...]]:
    """Decode all splits to one common shape, into one array of which each split is a part.

    Grey if all images are grey, else RGB. Equal sizes are kept; where they differ, see :func:`_common_shape`. ``shape``
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
        notes = (*notes, f"{len(damaged)} damaged {were} left out (--skip-damaged): {left_out}.")

    sound = np.ones(count, dtype=bool)
    sound[list(damaged)] = False
    parts_of = {}
    for start, (name, part) in zip(starts[:-1], ordered.items(), strict=True):
        whole = Split(pixels[start : start + len(part.labels)], part.labels)
        kept = np.flatnonzero(sound[start : start + len(part.labels)])
        parts_of[name] = whole if len(kept) == len(whole) else whole.take(kept)
    return parts_of, notes


def _cache_key(splits: Mapping[str, Encoded], shape: ShapeOptions) -> str:
    """Return what the pixels depend on: the encoded bytes, the shape asked for, and what decodes and resizes them."""
    parts = {name: (len(split.labels), split.fingerprint) for name, split in splits.items()}
    versions = (_DECODER, PIL.__version__, version("simplejpeg"))
    return hashlib.sha256(repr((versions, parts, shape)).encode()).hexdigest()


def _decode(
    read: Reader, count: int, shape: ShapeOptions, allocate: Allocate, on_progress: Progress | None
) -> tuple[np.ndarray, dict[int, str], tuple[str, ...]]:
    # Most sets have one size, so the first pass decodes at once into an array of the first image's shape. From the
    # first image that does not fit it reads headers only; then all shapes are known and a second pass decodes.
    pixels, shapes, damaged = _decode_alike(read, count, shape, allocate, on_progress)
    sound = shapes[shapes[:, 0] > 0]
    if not len(sound):
        return _allocate(allocate, count, (1, 1, 1)), damaged, ()
    height, width, channels = _common_shape(sound[:, :2], sound[:, 2], shape)
    # With --size, a JPEG is decoded at about the size that is needed, so its own size is not known; it is not needed.
    resized = shape.size is not None or not (sound[:, :2] == sound[0, :2]).all()
    notes = (
        *resized_note(sound[:, :2], height, chosen=shape.size is not None),
        *channels_note(sound[:, 2], channels, chosen=shape.channels is not None),
    )
    if pixels is not None:
        return pixels, damaged, notes
    fitted = _allocate(allocate, count, (height, width, channels))

    def decode_and_fit(position: int, content: bytes) -> None:
        if resized:
            fitted[position] = decode_fitted(content, height, height, channels)
            return
        image = with_channels(decode_image(content), channels)
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

    def decode(position: int, content: bytes) -> None:
        if differ.is_set():
            shapes[position] = image_shape(content)
            return
        if shape.size is None:
            image = decode_image(content)
            shapes[position] = image.shape
        else:
            shapes[position] = image_shape(content)
            image = decode_fitted(content, shape.size, shape.size, shape.channels)
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


def _first_shape(read: Reader) -> tuple[int, int, int]:
    for chunk in read():
        for item in chunk:
            try:
                return image_shape(content_of(item))
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
            "make them smaller with --size N, or use --limit N"
        ) from error


def _for_each(
    read: Reader,
    count: int,
    work: Callable[[int, bytes], None],
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

    threads = min(_MAX_THREADS, _available_cores())
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


def _available_cores() -> int:
    # Not os.cpu_count(): a container or batch job is often allowed fewer cores than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
