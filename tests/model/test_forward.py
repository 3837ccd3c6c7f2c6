"""Many images by onnxruntime, where it says the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from stepladder.model import forward
from stepladder.model.folder import load_folder
from stepladder.model.sample_images import sample_photographs


@pytest.fixture
def images(digits) -> np.ndarray:
    return digits.splits["train"].images[:200]


def test_many_images_get_the_same_classes_and_probabilities(saved, images):
    pytest.importorskip("onnx", reason="the extra 'export' is not installed")
    model = load_folder(saved, "cpu", "float32")
    expected, found = model.probabilities(images), model.fast_probabilities(images)
    assert model._fast is not None
    assert model._fast.logits(images[:1]) is not None  # it is onnxruntime that answers here
    assert not np.array_equal(found, expected)  # other sums, so other last bits
    np.testing.assert_allclose(found, expected, atol=forward.TOLERANCE)
    assert np.array_equal(found.argmax(axis=1), expected.argmax(axis=1))
    assert np.array_equal(model.predict(images).probabilities, found)


def test_many_images_are_as_calibrated_as_few(saved, images):
    pytest.importorskip("onnx", reason="the extra 'export' is not installed")
    hot = replace(load_folder(saved, "cpu", "float32"), temperature=3.0, calibrated=True)
    found = hot.fast_probabilities(images)
    assert hot._fast is not None
    assert not np.array_equal(found, hot.probabilities(images))  # onnxruntime
    np.testing.assert_allclose(found, hot.probabilities(images), atol=forward.TOLERANCE)


def test_few_images_and_other_precisions_stay_with_pytorch(saved, images):
    model = load_folder(saved, "cpu", "float32")
    few = images[: forward.FEWEST_IMAGES - 1]
    assert np.array_equal(model.fast_probabilities(few), model.probabilities(few))
    half = load_folder(saved, "cpu", "bfloat16")
    assert half._fast is None
    assert np.array_equal(half.fast_probabilities(images), half.probabilities(images))


def test_an_engine_that_says_something_else_is_left_out(saved, images, monkeypatch):
    model = load_folder(saved, "cpu", "float32")
    monkeypatch.setattr(forward.FastForward, "logits", lambda _, pixels: np.zeros((len(pixels), 10), np.float32))
    assert np.array_equal(model.fast_probabilities(images), model.probabilities(images))


@pytest.mark.parametrize("wrong", [slice(0, 16), slice(16, 32)], ids=["photographs", "asked"])
def test_it_is_compared_on_photographs_and_on_what_is_asked(saved, images, monkeypatch, wrong):
    """One that errs on the half of the 32 alone is left out: the photographs come first."""
    model, asked = load_folder(saved, "cpu", "float32"), []

    def nearly(_, pixels):
        asked.append(pixels)
        found = model.logits(pixels).copy()
        found[wrong] = -found[wrong]
        return found

    monkeypatch.setattr(forward.FastForward, "logits", nearly)
    assert np.array_equal(model.fast_probabilities(images), model.probabilities(images))
    assert [len(pixels) for pixels in asked] == [32]
    assert np.array_equal(asked[0][:16], sample_photographs((8, 8, 1), 16))
    assert np.array_equal(asked[0][16:], images[:16])


def test_it_is_said_what_was_computed_in(saved, images):
    pytest.importorskip("onnx", reason="the extra 'export' is not installed")
    model = load_folder(saved, "cpu", "float32")
    assert model.arithmetic == "float32 by PyTorch"
    model.predict(images)
    assert model.arithmetic == "float32 by onnxruntime"
    assert load_folder(saved, "cpu", "bfloat16").arithmetic == "bfloat16 by PyTorch"


def test_layers_that_it_does_not_know_stay_with_pytorch(compute):
    class Own(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1)

    assert forward.FastForward(nn.Sequential(Own()), (), compute).logits(np.zeros((64, 2, 2, 1), np.uint8)) is None
