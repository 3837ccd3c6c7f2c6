"""Where in an image a prediction comes from."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from stepladder.errors import RecipeError
from stepladder.model import load_model
from stepladder.model.explain import explain_image
from stepladder.model.torch_model import Model
from stepladder.network import parse_line
from stepladder.network.build import build_network
from stepladder.report.figures.explanation import draw_explanation
from stepladder.techniques.random_crop import RandomCrop
from stepladder.techniques.upscale import Upscale
from stepladder.training.device import choose_compute
from stepladder.training.rng import Streams

pytest.importorskip("captum", reason="the extra 'explain' is not installed")


@pytest.fixture
def corner_model():
    """A network that adds up the brightness of the upper left quarter, for class 'bright'."""
    convolution = nn.Conv2d(1, 1, 1, bias=False)
    linear = nn.Linear(64, 2, bias=False)
    with torch.no_grad():
        convolution.weight.fill_(1)
        linear.weight.zero_()
        quarter = torch.zeros(8, 8)
        quarter[:4, :4] = 1
        linear.weight[1] = quarter.flatten()
    module = nn.Sequential(convolution, nn.Flatten(), linear).eval()
    return Model(("dark", "bright"), (8, 8, 1), module, [], choose_compute("cpu", "float32"))


def test_both_maps_point_at_what_decides(corner_model):
    image = np.full((8, 8, 1), 50, np.uint8)
    image[1, 1] = 255
    explanation = explain_image(corner_model, image)
    assert explanation.class_name == "bright"
    assert explanation.probability == corner_model.probabilities(image[None])[0, 1]
    assert np.unravel_index(explanation.occlusion.argmax(), (8, 8)) in {(i, j) for i in range(3) for j in range(3)}
    assert explanation.occlusion.max() == pytest.approx(1)
    assert np.abs(explanation.occlusion[5:, 5:]).max() == 0
    assert explanation.grad_cam.max() == pytest.approx(1)
    assert np.unravel_index(explanation.grad_cam.argmax(), (8, 8)) == (1, 1)
    assert explain_image(corner_model, image, "dark").occlusion.max() == 0


def test_a_model_that_reads_the_center_is_explained_on_the_whole_image(saved, digits):
    model = load_model(saved, "cpu", "float32")
    explanation = explain_image(model, digits.splits["train"].images[0])
    for values in (explanation.grad_cam, explanation.occlusion):
        assert values.shape == (8, 8)
        assert (values[0] == 0).all()  # the crop to 6×6 cuts the border off
    assert explanation.filters.shape[1:] == (3, 3, 1)
    assert explanation.filters.min() == 0
    assert explanation.filters.max() == 1
    figure = draw_explanation(explanation)
    assert len(figure.axes) == 3 + len(explanation.filters)


def test_a_model_that_enlarges_its_images_is_explained_on_them_as_they_are(corner_model):
    """The image's center, enlarged to what the network reads: both are undone, in turn."""
    techniques = [RandomCrop(size=4), Upscale(factor=2)]
    model = replace(corner_model, techniques=techniques)
    image = np.full((8, 8, 1), 50, np.uint8)
    image[2, 2] = 255  # the first of the center's pixels
    explanation = explain_image(model, image)
    assert explanation.class_name == "bright"
    for values in (explanation.grad_cam, explanation.occlusion):
        assert values.shape == (8, 8)
        assert np.unravel_index(values.argmax(), (8, 8)) == (2, 2)
        assert (values[:2] == 0).all()
        assert (values[6:] == 0).all()


def test_a_window_as_high_as_the_image_and_narrower(corner_model):
    model = replace(corner_model, image_shape=(8, 12, 1), techniques=[RandomCrop(size=8)])
    image = np.full((8, 12, 1), 50, np.uint8)
    image[1, 3] = 255  # the window begins with column 2
    explanation = explain_image(model, image)
    assert np.unravel_index(explanation.grad_cam.argmax(), (8, 12)) == (1, 3)
    assert (explanation.grad_cam[:, :2] == 0).all()


def test_what_cannot_be_explained_is_said(corner_model, monkeypatch):
    image = np.zeros((8, 8, 1), np.uint8)
    with pytest.raises(RecipeError, match="unknown class 'brigt'; did you mean 'bright'"):
        explain_image(corner_model, image, "brigt")
    flat = Model(("a", "b"), (8, 8, 1), nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), [], corner_model.compute)
    with pytest.raises(RecipeError, match="has no convolution"):
        explain_image(flat, image)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(RecipeError, match=r"pip install 'stepladder\[explain\]'"):
        explain_image(corner_model, image)


def test_gates_are_not_taken_for_the_last_convolution():
    """Those of a squeeze-and-excitation read one value a map: their maps would point nowhere."""
    module = build_network(parse_line("conv3-4 relu se2 flatten fc"), (1, 8, 8), 2, Streams(0)).eval()
    model = Model(("a", "b"), (8, 8, 1), module, [], choose_compute("cpu", "float32"))
    image = np.random.default_rng(0).integers(0, 255, (8, 8, 1), dtype=np.uint8)
    explanation = explain_image(model, image, "b")
    assert len(np.unique(explanation.grad_cam)) > 4
    assert explanation.filters.shape[:3] == (4, 3, 3)
