"""Larger images, against Pillow's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from stepladder.datasets import Split
from stepladder.errors import RecipeError
from stepladder.network import load_preset
from stepladder.techniques.random_crop import RandomCrop
from stepladder.techniques.requirements import begin_techniques, check_techniques
from stepladder.techniques.upscale import Upscale
from stepladder.training.assembly import TrainingData
from stepladder.training.device import choose_compute
from stepladder.training.loop import train_network


@pytest.mark.parametrize(("factor", "size"), [(1.5, 12), (2, 16), (1.3, 10), (8, 64)])
def test_images_are_pillows(make_images, factor, size):
    images = make_images(5)
    found = Upscale(factor=factor).prepare(images.float() / 255)
    assert found.shape == (5, 3, size, size)
    assert found.is_contiguous(memory_format=torch.channels_last)
    for one, image in zip(found, images, strict=True):
        for channel, plane in zip(one.numpy(), image.numpy(), strict=True):
            # In mode F, Pillow rounds nothing and cuts nothing off.
            picture = Image.fromarray(plane.astype(np.float32) / 255).resize((size, size), Image.Resampling.BICUBIC)
            np.testing.assert_allclose(channel, np.asarray(picture), atol=1e-6)


def test_at_a_factor_of_one_nothing_is_computed(make_images):
    images = make_images(5).float()
    assert Upscale(factor=1).prepare(images) is images
    assert Upscale(factor=1.01).prepare(images) is images, "less than half a pixel"


def test_both_sides_grow(make_images):
    images = make_images(2)[:, :, :6]
    technique = Upscale(factor=1.5)
    assert technique.prepare(images.float()).shape == (2, 3, 9, 12)
    assert technique.prepared_shape((3, 6, 8)) == (3, 9, 12)


def test_images_of_more_than_a_thousand_pixels_are_refused(begin):
    for factor, shape, said in (
        (8, (3, 100, 160), r"would make images of 800×1280, where 1024 .*; choose at most 6.4, or leave it out$"),
        (1.5, (3, 900, 900), "; choose at most 1.13, or leave it out$"),
        (1.5, (3, 1200, 8), "the most; leave it out$"),
    ):
        technique = begin(Upscale(factor=factor), image_shape=shape)
        with pytest.raises(RecipeError, match=said):
            technique.check(technique.context)
    for factor, shape in ((8, (3, 128, 128)), (1.13, (3, 900, 900)), (1, (3, 1200, 8))):
        technique = begin(Upscale(factor=factor), image_shape=shape)
        assert technique.check(technique.context) == []


def test_a_window_in_pixels_of_the_images_comes_before_it(begin):
    crop, upscale = RandomCrop(size=6), Upscale(factor=2)
    context = begin(upscale).context
    begin_techniques([crop, upscale], context)
    assert check_techniques([crop, upscale]) == []
    assert upscale.context.input_shape == (3, 12, 12)
    begin_techniques([upscale, crop], context)
    with pytest.raises(RecipeError, match=r"random_crop\.size .*; list random_crop before that one"):
        check_techniques([upscale, crop])
    whole = RandomCrop(padding=2)
    begin_techniques([upscale, whole], context)
    assert check_techniques([upscale, whole]) == []


def test_the_hidden_layer_grows_and_the_convolutions_do_not(noise, tiny_recipe):
    """Report's own figures: 64×4×4 maps of 32×32 images, 64×6×6 of the same images enlarged by 1.5."""
    large = Split(noise.images.repeat(4, axis=1).repeat(4, axis=2), noise.labels)
    recipe = tiny_recipe({"name": "upscale", "factor": 1.5}).model_copy(update={"network": load_preset("report")})
    trained = train_network(recipe, TrainingData(large, large, 4), 0, choose_compute("cpu", "float32"))
    weights = {name: tuple(value.shape) for name, value in trained.module.named_parameters()}
    assert trained.input_shape == (3, 48, 48)
    assert weights["conv3.weight"] == (64, 64, 5, 5)
    assert weights["fc1.weight"] == (1000, 64 * 6 * 6)
