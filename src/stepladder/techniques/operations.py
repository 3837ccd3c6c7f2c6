"""The fourteen operations that automatic augmentations choose from, each image with its own and its own strength.

Cubuk et al. 2019, AutoAugment, table 6, with the ranges of Müller and Hutter 2021. No technique of its own.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stepladder.techniques.pixels import change_some, look_up, to_levels, warp

#: Every operation by name, in the order of their numbers: what keeps the image, tables of levels, warps, blends.
OPERATIONS = (
    "identity",
    "auto_contrast",
    "equalize",
    "solarize",
    "posterize",
    "brightness",
    "contrast",
    "shear_x",
    "shear_y",
    "shift_x",
    "shift_y",
    "turn",
    "saturation",
    "sharpness",
)
#: Largest strength of each operation that has one, in the usual range and in the wide one.
_USUAL = {"shear": 0.3, "shift": 10 / 32, "turn": 30.0, "blend": 0.9, "bits": 4.0}
_WIDE = {"shear": 0.99, "shift": 1.0, "turn": 135.0, "blend": 0.99, "bits": 6.0}


def apply_operations(images: Tensor, numbers: Tensor, strengths: Tensor, signs: Tensor, wide: bool) -> Tensor:
    """Return uint8 images, each changed by one of :data:`OPERATIONS`.

    Args:
        images: uint8 (B, C, H, W).
        numbers: int64 (B,), positions in :data:`OPERATIONS`.
        strengths: float32 (B,), 0 changes nothing (or, of solarize, hardly anything) and 1 is the largest.
        signs: float32 (B,), 1 or −1, of the operations that have two directions.
        wide: take the wide range of strengths.
    """
    most = _WIDE if wide else _USUAL
    blends = strengths * signs * most["blend"]

    def between(first: str, last: str) -> Tensor:
        return (numbers >= OPERATIONS.index(first)) & (numbers <= OPERATIONS.index(last))

    def stretched(some: Tensor, at: Tensor) -> Tensor:  # noqa: ARG001
        return look_up(some, _stretched(some))

    def equalized(some: Tensor, at: Tensor) -> Tensor:  # noqa: ARG001
        return look_up(some, _equalized(some))

    def leveled(some: Tensor, at: Tensor) -> Tensor:
        tables = _leveled(some, numbers[at], strengths[at], blends[at], most["bits"])
        return look_up(some, tables.expand(-1, some.shape[1], -1))

    def warped(some: Tensor, at: Tensor) -> Tensor:
        return warp(some, _matrices(some, numbers[at], strengths[at] * signs[at], most))

    def saturated(some: Tensor, at: Tensor) -> Tensor:
        return _blend(_luma(some).expand(some.shape), some, blends[at])

    def sharpened(some: Tensor, at: Tensor) -> Tensor:
        return _blend(_smoothed(some), some, blends[at])

    images = change_some(images, between("auto_contrast", "auto_contrast"), stretched)
    images = change_some(images, between("equalize", "equalize"), equalized)
    images = change_some(images, between("solarize", "contrast"), leveled)
    images = change_some(images, between("shear_x", "turn"), warped)
    if images.shape[1] == 3:  # a gray image has no saturation
        images = change_some(images, between("saturation", "saturation"), saturated)
    return change_some(images, between("sharpness", "sharpness"), sharpened)


def _leveled(images: Tensor, numbers: Tensor, strengths: Tensor, blends: Tensor, bits: float) -> Tensor:
    """What each operation on single levels makes of the 256 of them: uint8 (B, 1, 256)."""
    levels = torch.arange(256.0, device=images.device)
    strength, factor = strengths.view(-1, 1, 1), (1 + blends).view(-1, 1, 1)
    middle = _luma(images).mean(dim=(1, 2, 3)).round().view(-1, 1, 1)
    # Posterize keeps the highest bits: as many as are left of eight.
    step = 2 ** (strength * bits).round()
    made = {
        "solarize": torch.where(levels < 256 - strength * 256, levels, 255 - levels),
        "posterize": (levels / step).floor() * step,
        "brightness": levels * factor,
        "contrast": middle + (levels - middle) * factor,
    }
    tables = levels.expand(len(images), 1, 256)
    for name, table in made.items():
        tables = torch.where((numbers == OPERATIONS.index(name)).view(-1, 1, 1), table, tables)
    return to_levels(tables.clone())


def _stretched(images: Tensor) -> Tensor:
    """Tables that stretch each channel from black to white, as Pillow's ``autocontrast``: uint8 (B, C, 256)."""
    levels = torch.arange(256.0, device=images.device)
    lowest = images.amin(dim=(2, 3)).float().unsqueeze(2)
    extent = images.amax(dim=(2, 3)).float().unsqueeze(2) - lowest
    return to_levels(torch.where(extent > 0, ((levels - lowest) * 255 / extent.clamp(min=1)).floor(), levels))


def _equalized(images: Tensor) -> Tensor:
    """Tables that make every level about as frequent as any other, as Pillow's ``ImageOps.equalize`` has them."""
    pixels = images.reshape(*images.shape[:2], -1)
    count, channels, size = pixels.shape
    frequencies = torch.zeros(count, channels, 256, device=pixels.device)
    frequencies.scatter_add_(2, pixels.long(), torch.ones((), device=pixels.device).expand(count, channels, size))
    below = frequencies.cumsum(dim=2) - frequencies
    top = frequencies.gather(2, pixels.amax(dim=2, keepdim=True).long())
    step = ((size - top) / 255).floor()
    table = (((step / 2).floor() + below) / step.clamp(min=1)).floor()
    return to_levels(torch.where(step > 0, table, torch.arange(256.0, device=pixels.device)))


def _matrices(images: Tensor, numbers: Tensor, amounts: Tensor, most: dict[str, float]) -> Tensor:
    """Where each operation on places samples: float32 (B, 2, 3) for :func:`warp`."""
    height, width = images.shape[2:]
    zero, one = torch.zeros_like(amounts), torch.ones_like(amounts)

    def of(name: str, value: Tensor, otherwise: Tensor) -> Tensor:
        return torch.where(numbers == OPERATIONS.index(name), value, otherwise)

    angle = amounts * math.radians(most["turn"])
    along = of("turn", angle.cos(), one)
    # Shifts are whole pixels, so that nothing blurs.
    right = of("shift_x", (amounts * most["shift"] * width).round(), zero)
    down = of("shift_y", (amounts * most["shift"] * height).round(), zero)
    x_by_y = of("shear_x", amounts * most["shear"], of("turn", -angle.sin(), zero))
    y_by_x = of("shear_y", amounts * most["shear"], of("turn", angle.sin(), zero))
    return torch.stack([along, x_by_y, right, y_by_x, along, down], dim=1).view(-1, 2, 3)


def _luma(images: Tensor) -> Tensor:
    """How bright each pixel looks, float32 (B, 1, H, W) (ITU-R BT.601)."""
    if images.shape[1] != 3:
        return images.float()
    red, green, blue = images.float().split(1, dim=1)
    luma: Tensor = 0.299 * red + 0.587 * green + 0.114 * blue
    return luma


def _smoothed(images: Tensor) -> Tensor:
    """A 3×3 mean with five times the weight in the middle; the rim stays, as Pillow's ``SMOOTH`` leaves it."""
    smoothed = images.float()
    if min(images.shape[2:]) > 2:
        # Sums of shifted images: a convolution a channel took ten times as long.
        down = smoothed[:, :, :-2] + smoothed[:, :, 1:-1] + smoothed[:, :, 2:]
        around = down[..., :-2] + down[..., 1:-1] + down[..., 2:]
        smoothed[:, :, 1:-1, 1:-1] = (around + 4 * smoothed[:, :, 1:-1, 1:-1]) / 13
    return smoothed


def _blend(other: Tensor, images: Tensor, amounts: Tensor) -> Tensor:
    """other + (1 + amount)·(images − other), rounded: 0 keeps the image, −1 gives the other, above 0 exaggerates."""
    blended = torch.lerp(other, images.float(), (1 + amounts).view(-1, 1, 1, 1))
    return to_levels(blended).contiguous(memory_format=torch.channels_last)
