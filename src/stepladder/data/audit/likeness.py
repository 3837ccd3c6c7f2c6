"""How alike two images are, pixel by pixel: the shift between them found first, then color and texture compared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft

from stepladder.data.audit.pixels import box_means
from stepladder.data.audit.threads import in_threads
from stepladder.data.image_set import Split

#: Images are compared at no more than this many pixels a side; larger ones are averaged down first.
_SIDE = 32

#: Pairs at once.
_BLOCK = 1024

#: Below this correlation of textures a pair is given up before its pixels are compared: no true copy comes near it.
HOPELESS = 0.5


@dataclass(frozen=True)
class Likeness:
    """How alike the images of each pair are, at the best shift.

    Attributes:
        color: float32, (P,), correlation of all pixels and channels: one brightness and one contrast are free.
        texture: float32, (P,), correlation of the gray images without their blurred copies; -1 where given up.
    """

    color: np.ndarray
    texture: np.ndarray


def measure_likeness(
    first: Split,
    second: Split,
    i: np.ndarray,
    j: np.ndarray,
    mirrored: np.ndarray,
    hopeless: float = HOPELESS,
) -> Likeness:
    """Compare image ``i[p]`` of ``first`` with image ``j[p]`` of ``second``, mirrored where so, for every pair p.

    Args:
        first: N images.
        second: M images of the same shape.
        i: int64, (P,), positions in ``first``.
        j: int64, (P,), positions in ``second``.
        mirrored: bool, (P,).
        hopeless: pairs whose textures agree less than this at the best shift are given up.
    """
    color = np.zeros(len(i), np.float32)
    texture = np.full(len(i), -1, np.float32)

    def compare(start: int) -> None:
        part = slice(start, start + _BLOCK)
        ours, theirs = _reduced(first, i[part]), _reduced(second, j[part])
        theirs = np.where(mirrored[part, None, None, None], theirs[:, :, ::-1], theirs)
        color[part], texture[part] = _compare(ours, theirs, hopeless)

    for _ in in_threads(compare, range(0, len(i), _BLOCK)):
        pass
    return Likeness(color, texture)


def _reduced(split: Split, positions: np.ndarray) -> np.ndarray:
    """Return the images with at most ``_SIDE`` pixels a side, in float32 where they were larger."""
    height, width = (min(side, _SIDE) for side in split.image_shape[:2])
    if (height, width) == split.image_shape[:2]:
        return split.take(positions).images
    # Each image once: a photograph of 224×224 is 49 times its reduction.
    unique, back = np.unique(positions, return_inverse=True)
    return box_means(split.take(unique).images, height, width)[back]


def _compare(ours: np.ndarray, theirs: np.ndarray, hopeless: float) -> tuple[np.ndarray, np.ndarray]:
    height, width = ours.shape[1:3]
    reach = 2 if min(height, width) >= 16 else 1
    down, right, peak = _best_shift(_texture(ours), _texture(theirs), reach)
    color, texture = np.zeros(len(ours), np.float32), np.full(len(ours), -1, np.float32)
    near = np.flatnonzero(peak >= hopeless)
    if not len(near):
        return color, texture
    # Where the window of the second image lies that fits the inside of the first.
    rows = (down[near] + reach)[:, None] + np.arange(height - 2 * reach)
    columns = (right[near] + reach)[:, None] + np.arange(width - 2 * reach)
    window = (near[:, None, None], rows[:, :, None], columns[:, None, :])
    inside = (near, slice(reach, height - reach), slice(reach, width - reach))
    ours, theirs = ours[inside], theirs[window]
    color[near] = _correlation(ours, theirs)
    # From the windows themselves: near a border of the whole image the blur knows less than it does after a shift.
    texture[near] = _correlation(_texture(ours), _texture(theirs))
    return color, texture


def _texture(images: np.ndarray) -> np.ndarray:
    """Return the gray images (P, H, W) without their means over 5×5 pixels (3×3 on images under 16)."""
    count, height, width, channels = images.shape
    # A product with ones: numpy's mean over the last, short axis takes eight times as long.
    gray = images.reshape(-1, channels).astype(np.float32) @ np.full(channels, 1 / channels, np.float32)
    gray = gray.reshape(count, height, width)
    down, right = _blur(height), _blur(width)
    textures: np.ndarray = gray - down @ gray @ right.T
    return textures


def _blur(side: int) -> np.ndarray:
    near = np.abs(np.arange(side)[:, None] - np.arange(side)) <= (2 if side >= 16 else 1)
    weights: np.ndarray = near / near.sum(axis=1, keepdims=True)
    return weights.astype(np.float32)


def _best_shift(ours: np.ndarray, theirs: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the shift (down, right) of at most ``reach`` pixels at which the textures agree best, and how well."""
    # A correlation by Fourier transform is circular: zeros at the border of one image keep it from going around.
    inner = np.zeros_like(ours)
    inside = (slice(None), slice(reach, -reach), slice(reach, -reach))
    inner[inside] = ours[inside]
    sums = fft.irfft2(np.conj(fft.rfft2(inner)) * fft.rfft2(theirs), s=ours.shape[1:])
    steps = np.arange(-reach, reach + 1)
    window = sums[:, steps[:, None], steps].reshape(len(sums), -1)
    best = window.argmax(axis=1)
    energy = np.einsum("phw,phw->p", inner, inner) * np.einsum("phw,phw->p", theirs, theirs)
    peak = window[np.arange(len(best)), best] / np.sqrt(np.maximum(energy, 1e-6))
    return steps[best // len(steps)], steps[best % len(steps)], peak


def _correlation(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    a, b = _centered(ours), _centered(theirs)
    energy = np.einsum("pv,pv->p", a, a) * np.einsum("pv,pv->p", b, b)
    correlation: np.ndarray = np.einsum("pv,pv->p", a, b) / np.sqrt(np.maximum(energy, 1e-6))
    return correlation


def _centered(images: np.ndarray) -> np.ndarray:
    values = images.reshape(len(images), -1).astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    return values
