"""What a model's files say of the model is bounded, in a folder and in an exported file alike."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from stepladder.errors import StorageError
from stepladder.model import OnnxModel, load_model
from stepladder.model.limits import Limits

NAMES = [str(number) for number in range(10)]


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def configure(folder: Path, **entries: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"image_rule": None} | entries))


WRONG = {
    "two of one name": ({"class_names": [*NAMES[:9], "3"]}, "classes 3 and 9 have the same name, '3'"),
    "a blank name": ({"class_names": [*NAMES[:9], "\u2003 "]}, "the name of class 9 is blank"),
    "four channels": ({"image_shape": [8, 8, 4]}, "images of 8×8×4: sides are 1 to 4,096 pixels, with 1 or 3 channels"),
    "black above white": (
        {"span": [900, 100], "format_version": 2},
        "black is 900 and white 100: both are 0 to 65,535, and black is below white",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_a_folder_may_not_claim(folder, what):
    entries, words = WRONG[what]
    configure(folder, **entries)
    with pytest.raises(StorageError, match=rf"config\.json is damaged \({words}\); train the model again"):
        load_model(folder, "cpu")


@pytest.mark.parametrize("temperature", [1e-300, 1e-9, 1e9, 1e300])
def test_a_temperature_that_none_is_fitted_to(folder, temperature):
    configure(folder, temperature=temperature)
    with pytest.raises(StorageError, match=r"config\.json is damaged \(temperature: input should be"):
        load_model(folder, "cpu")


@pytest.mark.parametrize("temperature", [0.02, 50.0, None])
def test_temperatures_that_are_fitted_are_read(folder, temperature):
    configure(folder, temperature=temperature)
    assert load_model(folder, "cpu").temperature == (temperature or 1.0)


def test_many_classes_of_one_name_are_refused_at_once(folder):
    configure(folder, class_names=[str(number) for number in range(99_999)] + ["7"])
    with pytest.raises(StorageError, match="classes 7 and 99999 have the same name, '7'"):
        load_model(folder, "cpu")


@pytest.mark.parametrize(
    ("name", "value"), [("technique.standardize.std", 0.0), ("technique.standardize.mean", np.nan)]
)
def test_a_model_that_gives_no_numbers_is_damaged(folder, name, value):
    tensors = load_file(folder / "model.safetensors")
    tensors[name] = np.full_like(tensors[name], value)
    tensors[name.replace("std", "mean")] *= 0 if name.endswith("std") else 1  # a black image of nothing by nothing
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(StorageError, match="gives no numbers for a black image: its weights or what its techniques"):
        load_model(folder, "cpu")


@pytest.mark.parametrize("what", [what for what in WRONG if what != "four channels"])
def test_what_an_exported_file_may_not_claim(exported, tmp_path, what):
    import onnx

    entries, words = WRONG[what]
    graph = onnx.load(exported.path)
    (facts,) = (entry for entry in graph.metadata_props if entry.key == "stepladder")
    facts.value = json.dumps(json.loads(facts.value) | entries | {"file_version": 2})
    onnx.save(graph, tmp_path / "m.onnx")
    with pytest.raises(StorageError, match=rf"m\.onnx holds damaged facts of the model \({words}\); export it again"):
        OnnxModel.load(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"answered": [[0.5, 10**12, 10**11]]}, "more than 10,000,000 images"),
        ({"unlike": {"test": [5, 3]}}, "more images that are unlike than images"),
    ],
)
def test_limits_are_counted_over_images_that_there_can_be(change, words):
    document = {"version": 1, "answered": [[0.5, 10, 1]], "true_probability": [0.5], "unlike": {"test": [1, 3]}}
    assert Limits.from_json(document).unlike == {"test": (1, 3)}
    with pytest.raises(ValueError, match=words):
        Limits.from_json(document | change)


def test_names_from_a_folder_are_shown_as_they_can_be(folder, tmp_path):
    odd = "cat\x1b[2J\ud800"
    configure(folder, class_names=[f"{odd}{number}" for number in range(10)])
    place = Path(shutil.copytree(folder, tmp_path / "evil\x1b[31m"))
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a\x1b[2J.png")
    model = load_model(place, "cpu")
    said = model.predict(tmp_path / "a\x1b[2J.png")
    for shown in (repr(model), str(model), repr(said), str(said), repr(list(said))):
        assert shown.encode().isascii() or "×" in shown
        assert "\x1b" not in shown
    assert r"evil\x1b[31m" in repr(model)
    assert r"cat\x1b[2J\ud800" in repr(said)
    assert r"a\x1b[2J.png" in repr(said)
    assert said.names[0].startswith(odd), "what a program gets stays as it is"
