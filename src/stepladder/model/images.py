"""Whatever holds images, as the pixels that a model reads: the same decoder and the same resizing as in training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from stepladder.data.decode import cover, decode_fitted, upright_pixels, with_channels
from stepladder.errors import DataError

#: A file, an image of Pillow, or uint8 pixels (H, W), (H, W, C) or (N, H, W, C) with C 1, 3 or 4.
ImageLike = str | Path | Image.Image | np.ndarray


def read_pixels(images: ImageLike | Sequence[ImageLike], shape: tuple[int, int, int]) -> np.ndarray:
    """Bring images of any size and mode to ``shape`` (height, width, channels).

    Args:
        images: one or a sequence of them; of an array's four channels the last is opacity, over white.

    Returns:
        uint8, (N, height, width, channels).

    Raises:
        DataError: something is no image, cannot be read, or is no uint8.
    """
    singles = list(_singles(images))
    pixels = np.empty((len(singles), *shape), dtype=np.uint8)
    for position, image in enumerate(singles):
        pixels[position] = _read_one(image, shape)
    return pixels


def _singles(images: object) -> Iterator[object]:
    if isinstance(images, np.ndarray) and images.ndim == 4:
        yield from images
    elif isinstance(images, str | Path | Image.Image | np.ndarray):
        yield images
    elif isinstance(images, Sequence):
        for image in images:
            yield from _singles(image)
    else:
        raise DataError(f"{type(images).__name__} is no image; give paths, Pillow images, or uint8 arrays (N, H, W, C)")


def _read_one(image: object, shape: tuple[int, int, int]) -> np.ndarray:
    height, width, channels = shape
    if isinstance(image, str | Path):
        try:
            content = Path(image).read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {image}: {error.strerror or error}") from error
        try:
            return decode_fitted(content, *shape)
        except DataError as error:
            raise DataError(f"{image}: {error}") from error
    if isinstance(image, np.ndarray):
        image = _as_pillow(image)
    assert isinstance(image, Image.Image)
    return cover(with_channels(upright_pixels(image), channels), height, width)


def _as_pillow(image: np.ndarray) -> Image.Image:
    if image.dtype != np.uint8:
        raise DataError(
            f"the array is {image.dtype}; give uint8, 0 to 255: (255 * images).round().astype('uint8') for 0 to 1"
        )
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim != 2 and not (image.ndim == 3 and image.shape[2] in (3, 4)):
        raise DataError(f"the array has the shape {image.shape}; give (H, W), (H, W, C) or (N, H, W, C), C 1, 3 or 4")
    if image.size == 0:
        raise DataError(f"the array has the shape {image.shape} and so no pixels")
    return Image.fromarray(image)
