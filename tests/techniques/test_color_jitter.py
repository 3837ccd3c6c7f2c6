from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch

from stepladder.errors import RecipeError
from stepladder.techniques.color_jitter import ColorJitter, hue_turns

LUMA = np.array([0.299, 0.587, 0.114])


def one_by_one(image: np.ndarray, bright: float, contrast: float, saturate: float, turn: float) -> np.ndarray:
    """Step by step, float64, (3, H, W); levels clipped at the end."""
    image = image * (1 + bright)
    mean = np.einsum("c,cyx->yx", LUMA, image).mean()
    image = mean + (image - mean) * (1 + contrast)
    gray = np.einsum("c,cyx->yx", LUMA, image)
    image = gray + (image - gray) * (1 + saturate)
    yiq = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    y, i, q = np.einsum("ck,kyx->cyx", yiq, image)
    cos, sin = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
    turned = np.stack([y, cos * i - sin * q, sin * i + cos * q])
    return np.einsum("ck,kyx->cyx", np.linalg.inv(yiq), turned).clip(0, 255)


def test_image_by_image(make_images, stream):
    images, amounts = make_images(20), (0.4, 0.3, 0.5, 0.1)
    rng = stream(6)
    factors = [(torch.rand(20, generator=rng) * 2 * amount - amount).double().numpy() for amount in amounts]
    options = dict(zip(("brightness", "contrast", "saturation", "hue"), amounts, strict=True))
    changed, _ = ColorJitter(**options).augment(images, torch.arange(20), stream(6))
    for i in range(20):
        expected = one_by_one(images[i].double().numpy(), *(factor[i] for factor in factors))
        np.testing.assert_allclose(changed[i].numpy(), expected, atol=0.52)


def test_a_turn_of_the_hue_goes_the_way_of_the_color_wheel():
    """A third of a turn makes red about green, and keeps how bright it looks."""
    color = hue_turns(torch.tensor([1 / 3]))[0].double() @ torch.tensor([0.6, 0.3, 0.3], dtype=torch.float64)
    hue, _, _ = colorsys.rgb_to_hsv(*color.tolist())
    assert color @ torch.tensor(LUMA) == pytest.approx(LUMA @ [0.6, 0.3, 0.3], abs=1e-3)
    assert min(abs(hue - 1 / 3), abs(hue - 2 / 3)) < 0.12


def test_gray_images_are_refused_where_color_is_needed(make_images, begin, stream):
    gray = make_images(8, channels=1)
    technique = begin(ColorJitter(), gray)
    with pytest.raises(RecipeError, match=r"the images are gray; set color_jitter\.saturation=0"):
        technique.check(technique.context)
    plain = begin(ColorJitter(saturation=0, hue=0), gray)
    assert plain.check(plain.context) == []
    assert not torch.equal(plain.augment(gray, torch.arange(8), stream())[0], gray)
