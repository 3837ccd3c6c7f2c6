"""Scaling and cropping as part of an exported file: Pillow's pixels, by standard operators."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from stepladder.datasets.decode import fit_image, with_channels
from stepladder.datasets.image_set import FITS
from stepladder.errors import RecipeError
from stepladder.model import any_size
from stepladder.model.any_size import Resizing, read_any_size
from stepladder.model.onnx_file import OnnxModel
from stepladder.model.sample_images import sample_crops

#: Rows and columns, with those of which Pillow 13 sums rows first.
SIZES = [
    (8, 8),
    (1, 1),
    (3, 3),
    (1, 17),
    (20, 30),
    (30, 20),
    (300, 200),
    (9, 400),
    (225, 224),
    (500, 200),
    (333, 500),
    (13, 1000),
]


@pytest.mark.parametrize("fit", FITS)
def test_the_pixels_are_those_of_pillow(fit):
    random = np.random.default_rng(0)
    differing = []
    for rows, columns in SIZES:
        for channels in (1, 3):
            image = random.integers(0, 256, (rows, columns, channels), dtype=np.uint8)
            for height, width in ((8, 8), (64, 64), (32, 48)):
                expected = fit_image(image, height, width, fit).astype(int)
                found = Resizing(height, width, fit)(torch.from_numpy(image)[None])[0].numpy()
                assert found.shape == (height, width, channels)
                assert np.abs(found - expected).max() <= 2, (rows, columns, height, width)
                differing.append((found != expected).mean())
    assert np.mean(differing) < 0.002


@pytest.mark.parametrize("fit", FITS)
def test_of_a_strip_pixels_differ_only_by_what_is_rounded_in_between(fit):
    crop = sample_crops(1)[0]
    strip = np.ascontiguousarray(np.tile(crop, (8, 1, 1))[:, : crop.shape[1] // 2])
    expected = fit_image(strip, 64, 64, fit).astype(int)
    found = Resizing(64, 64, fit)(torch.from_numpy(strip)[None])[0].numpy()
    assert np.abs(found - expected).mean() < 0.5


def test_several_images_at_once_and_those_of_the_right_size_are_as_one_by_one():
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (5, 30, 41, 3), dtype=np.uint8))
    together = Resizing(16, 16, "crop")(images)
    assert all(torch.equal(together[i], Resizing(16, 16, "crop")(images[i : i + 1])[0]) for i in range(5))
    assert torch.equal(Resizing(30, 41, "pad")(images), images)


@pytest.fixture
def file(exported, tmp_path):
    """A copy of an exported file, to be changed."""
    return Path(shutil.copy(exported.path, tmp_path / "model.onnx"))


@pytest.mark.long
def test_a_file_that_reads_any_size_is_the_same_model(exported, resizing, digits):
    """By its path with our decoder as before, and with images of any size by its own graph."""
    import onnx

    images = digits.splits["train"].images[:8]
    before = OnnxModel.load(exported.path).probabilities(images)
    file, done = resizing
    assert (done.checked, done.agreement) == (12, 1.0)
    assert done.difference < 0.01
    assert done.bytes_written == file.stat().st_size
    model = OnnxModel.load(file)
    assert model.any_size
    np.testing.assert_allclose(model.probabilities(images), before, atol=1e-6)
    graph = onnx.load(file)
    assert graph.graph.input[0].name == "images"
    assert {entry.key for entry in graph.metadata_props} >= {"stepladder", "card"}
    assert {entry.domain for entry in graph.opset_import} == {""}  # standard operators alone
    for rows, columns in ((8, 8), (8, 40), (1, 1), (100, 75)):
        tall = np.random.default_rng(2).integers(0, 256, (2, rows, columns, 1), dtype=np.uint8)
        expected = model.predict(list(tall)).probabilities
        np.testing.assert_allclose(model.of_any_size(tall), expected, atol=0.01)


@pytest.mark.long
def test_a_file_that_says_something_else_is_not_written(file, monkeypatch):
    content = file.read_bytes()
    monkeypatch.setattr(any_size, "_rounded", torch.zeros_like)
    with pytest.raises(RecipeError, match=r"differs by up to .* from the pixels that Pillow makes .*left as it was"):
        read_any_size(file, [with_channels(crop, 1) for crop in sample_crops(8)])
    assert file.read_bytes() == content
