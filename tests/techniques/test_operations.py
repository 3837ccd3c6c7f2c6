"""Each operation, image by image, against Pillow's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from stepladder.techniques.operations import OPERATIONS, apply_operations


def photos(count: int = 12, size: int = 16) -> torch.Tensor:
    """Images of slow gradients and some noise, in a part of the levels: equalizing and stretching have work to do."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size
    slopes = random.normal(size=(count, 2, 3))
    levels = 120 + 50 * (y[..., None] * slopes[:, 0, None, None] + x[..., None] * slopes[:, 1, None, None])
    levels += random.normal(scale=8, size=levels.shape)
    return torch.from_numpy(levels.clip(20, 230).astype(np.uint8)).permute(0, 3, 1, 2)


def by_pillow(operation: str, image: Image.Image, strength: float, sign: float) -> Image.Image:
    factor = 1 + 0.9 * strength * sign
    width, height = image.size
    shear = 0.3 * strength * sign
    shift_x, shift_y = (round(10 / 32 * strength * sign * side) for side in (width, height))

    def warped(*matrix: float) -> Image.Image:
        # Around the center of the image, where Pillow has the corner.
        a, b, c, d, e, f = matrix
        x, y = width / 2, height / 2
        moved = (a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y)
        return image.transform(image.size, Image.Transform.AFFINE, moved, Image.Resampling.NEAREST)

    angle = np.radians(30 * strength * sign)
    return {
        "identity": lambda: image,
        "auto_contrast": lambda: ImageOps.autocontrast(image),
        "equalize": lambda: ImageOps.equalize(image),
        "solarize": lambda: ImageOps.solarize(image, round(256 - 256 * strength)),
        "posterize": lambda: ImageOps.posterize(image, 8 - round(4 * strength)),
        "brightness": lambda: ImageEnhance.Brightness(image).enhance(factor),
        "contrast": lambda: ImageEnhance.Contrast(image).enhance(factor),
        "saturation": lambda: ImageEnhance.Color(image).enhance(factor),
        "sharpness": lambda: ImageEnhance.Sharpness(image).enhance(factor),
        "shear_x": lambda: warped(1, shear, 0, 0, 1, 0),
        "shear_y": lambda: warped(1, 0, 0, shear, 1, 0),
        "shift_x": lambda: warped(1, 0, shift_x, 0, 1, 0),
        "shift_y": lambda: warped(1, 0, 0, 0, 1, shift_y),
        "turn": lambda: warped(np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0),
    }[operation]()


#: How far levels may differ from Pillow's: it rounds down where we round; its warps take the nearest pixel.
ROUNDED, WARPED = 1, 40
CLOSE = {"auto_contrast": ROUNDED, "brightness": ROUNDED, "contrast": 2, "saturation": 2, "sharpness": 2}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_is_pillow_s(operation):
    images = photos()
    strengths = torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0, 0.5] * 2)
    signs = torch.tensor([1.0, -1.0] * 6)
    numbers = torch.full((12,), OPERATIONS.index(operation))
    changed = apply_operations(images, numbers, strengths, signs, wide=False).permute(0, 2, 3, 1).numpy()
    for image, found, strength, sign in zip(images.permute(0, 2, 3, 1).numpy(), changed, strengths, signs, strict=True):
        expected = np.asarray(by_pillow(operation, Image.fromarray(image), float(strength), float(sign))).astype(int)
        away = np.abs(expected - found)
        if operation in ("shear_x", "shear_y", "turn"):
            assert np.median(away) <= 12  # bilinear here, nearest there; noise of 8 levels
        else:
            assert away.max() <= CLOSE.get(operation, 0), (strength, sign)
            assert operation != "auto_contrast" or (away > 0).mean() < 0.1  # where a level falls on a whole number
    assert (changed != images.permute(0, 2, 3, 1).numpy()).any() == (operation != "identity")


def test_every_image_gets_its_own():
    images = photos(14)
    numbers, strengths, signs = torch.arange(14), torch.linspace(0.3, 1, 14), torch.ones(14)
    together = apply_operations(images, numbers, strengths, signs, wide=True)
    for i in range(14):
        alone = apply_operations(
            images[i : i + 1], numbers[i : i + 1], strengths[i : i + 1], signs[i : i + 1], wide=True
        )
        assert torch.equal(together[i], alone[0]), OPERATIONS[i]


def test_gray_images_have_no_saturation(make_images):
    images = make_images(4, channels=1)
    numbers = torch.full((4,), OPERATIONS.index("saturation"))
    assert torch.equal(apply_operations(images, numbers, torch.ones(4), torch.ones(4), wide=True), images)


def test_the_smooth_filter_is_pillow_s():
    from stepladder.techniques.operations import _smoothed

    images = photos(3)
    assert len(images) == 3
    for image in images:
        expected = np.asarray(Image.fromarray(image.permute(1, 2, 0).numpy()).filter(ImageFilter.SMOOTH)).astype(int)
        found = _smoothed(image.unsqueeze(0))[0].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(found, expected, atol=1)
