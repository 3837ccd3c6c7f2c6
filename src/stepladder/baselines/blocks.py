"""Images in blocks: the sizes are fixed, so that the bits of a result do not hang on how many cores there are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

from stepladder.data import Split

#: Images that one core takes at a time.
BLOCK = 256


@contextmanager
def all_cores() -> Iterator[ThreadPoolExecutor]:
    """Give a pool of a thread for each core that this process may use; numpy lets go of the interpreter.

    One thread a product: two threads of BLAS on small blocks wait for each other, and their sums would have other bits.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with threadpool_limits(1), ThreadPoolExecutor(cores) as pool:
        yield pool


def map_images(split: Split, work: Callable[[np.ndarray], np.ndarray], block: int = BLOCK) -> Iterator[np.ndarray]:
    """Yield ``work(images)`` for blocks of uint8 images (n, H, W, C), in the order of the split, on all cores.

    ``block`` is how many images a block has; the last has fewer.
    """

    def on_block(start: int) -> np.ndarray:
        stop = min(start + block, len(split))
        return work(split.take(np.arange(start, stop)).images)

    with all_cores() as pool:
        yield from pool.map(on_block, range(0, len(split), block))


def resized_shape(height: int, width: int, side: int) -> tuple[int, int]:
    """Return height and width of an image whose shorter side becomes ``side``, in proportion, to the nearest pixel."""
    shorter = min(height, width)
    return max(side, round(height * side / shorter)), max(side, round(width * side / shorter))


def to_shorter_side(images: np.ndarray, side: int) -> np.ndarray:
    """Return uint8 images (N, H, W, C) resized so that the shorter side has ``side`` pixels, antialiased."""
    count, height, width, channels = images.shape
    new_height, new_width = resized_shape(height, width, side)
    if (new_height, new_width) == (height, width):
        return images
    resized = np.empty((count, new_height, new_width, channels), np.uint8)
    for position, image in enumerate(images):
        picture = Image.fromarray(image[..., 0] if channels == 1 else image)
        smaller = picture.resize((new_width, new_height), Image.Resampling.BICUBIC)
        resized[position] = np.asarray(smaller).reshape(new_height, new_width, channels)
    return resized
