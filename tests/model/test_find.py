"""From a path to a trained model."""

from __future__ import annotations

import io
import re

import pytest

from stepladder.errors import RecipeError, StorageError
from stepladder.model.find import load_model, model_folder
from stepladder.model.folder import load_folder
from stepladder.model.torch_model import Model


def test_a_model_is_found_in_its_folder_and_in_that_of_its_trial(saved):
    assert model_folder(saved) == saved
    assert model_folder(saved.parent) == saved
    assert isinstance(load_model(saved.parent), Model)


def test_what_is_no_model_says_where_one_is(tmp_path):
    (tmp_path / "study.json").touch()
    with pytest.raises(StorageError, match="is a study with a model in each trial; choose one"):
        model_folder(tmp_path)
    with pytest.raises(StorageError, match=r"nowhere does not exist; give the model folder"):
        model_folder(tmp_path / "nowhere")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(StorageError, match=r"notes\.txt is no model; give"):
        model_folder(tmp_path / "notes.txt")


@pytest.mark.long
def test_an_exported_file_is_a_model_by_its_path_and_by_its_bytes(saved, exported, digits):
    path = exported.path
    images = digits.splits["train"].images[:4]
    expected = load_folder(saved, "cpu", "float32").predict(images).names
    for way in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes())):
        assert load_model(way).predict(images).names == expected
    for asked, message in (
        ({"precision": "bfloat16"}, "`precision` is bfloat16, and an exported file computes in float32; leave it out"),
        ({"network": "net.py:build"}, "`network` is net.py:build, and an exported file has its network in it; leave"),
        ({"device": "cuda"}, "`device` is cuda, and an exported file runs on the processor; leave it out"),
    ):
        with pytest.raises(RecipeError, match=re.escape(message)):
            load_model(path, **asked)
    with pytest.raises(StorageError, match="the file in memory is no readable ONNX file"):
        load_model(b"not a model")


@pytest.mark.parametrize("address", ["https://example.org/model.onnx", "s3://bucket/model"])
def test_nothing_is_fetched(address):
    with pytest.raises(StorageError, match=f"{address} is an address, and nothing is fetched; download the model"):
        load_model(address)
