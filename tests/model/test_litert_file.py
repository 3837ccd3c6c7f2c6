"""A model in LiteRT's form. What it needs is large, so that these run in an environment of its own."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

from stepladder.errors import RecipeError
from stepladder.model import litert_file
from stepladder.model.folder import load_folder
from stepladder.model.sample_images import sample_photographs

needs_litert = pytest.mark.skipif(find_spec("litert_torch") is None, reason="the extra 'litert' is not installed")


@pytest.fixture
def model(saved):
    return load_folder(saved, "cpu", "float32")


@needs_litert
def test_it_says_what_the_model_says(model, digits, tmp_path):
    done = litert_file.save_litert(model, tmp_path / "model.tflite", digits.splits["train"].images[:20])
    assert (done.checked, done.bytes_written) == (20, (tmp_path / "model.tflite").stat().st_size)
    assert done.difference < 1e-5
    facts = json.loads((tmp_path / "model.json").read_text())
    assert facts["class_names"] == list(map(str, range(10)))
    assert facts["image_rule"]["input_size"] == [1, 8, 8]


@needs_litert
def test_a_file_that_says_something_else_is_not_written(model, tmp_path, monkeypatch):
    monkeypatch.setattr(litert_file, "TOLERANCE", -1)
    with pytest.raises(RecipeError, match=r"LiteRT's file differs from the model by up to .*; nothing was written"):
        litert_file.save_litert(model, tmp_path / "model.tflite", sample_photographs(model.image_shape)[:4])
    assert not list(tmp_path.glob("model.*"))


@pytest.mark.skipif(find_spec("litert_torch") is not None, reason="the extra 'litert' is installed")
def test_without_the_extra_its_install_line_is_said(model, tmp_path):
    with pytest.raises(RecipeError, match=r"litert"):
        litert_file.save_litert(model, tmp_path / "model.tflite", sample_photographs(model.image_shape)[:4])
