"""A model in OpenVINO's own form."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stepladder.errors import RecipeError
from stepladder.model import openvino_file
from stepladder.model.folder import load_folder
from stepladder.model.onnx_file import OnnxModel
from stepladder.model.openvino_file import save_openvino

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as in openvino_file
pytest.importorskip("openvino", reason="the extra 'openvino' is not installed")


@pytest.fixture
def model(saved):
    return load_folder(saved, "cpu", "float32")


@pytest.fixture
def file(exported, tmp_path):
    """A copy of an exported file, to be changed."""
    return Path(shutil.copy(exported.path, tmp_path / "model.onnx"))


def compiled(path):
    import openvino

    core = openvino.Core()
    return core.compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def test_it_says_what_the_model_says(model, file, digits, tmp_path):
    images = digits.splits["train"].images[:40]
    done = save_openvino(file, tmp_path / "model.xml", images)
    assert (done.checked, done.path) == (40, tmp_path / "model.xml")
    assert done.difference < 1e-5
    assert done.bytes_written == sum((tmp_path / f"model.{end}").stat().st_size for end in ("xml", "bin"))
    run = compiled(tmp_path / "model.xml")
    for count in (1, 7):  # of any number, from the files alone
        found = run({"images": images[:count]})["probabilities"]
        np.testing.assert_allclose(found, model.probabilities(images[:count]), atol=1e-5)


def test_what_the_file_says_of_itself_comes_along(file, digits, tmp_path):
    import openvino

    save_openvino(file, tmp_path / "model.xml", digits.splits["train"].images[:4])
    graph = openvino.Core().read_model(str(tmp_path / "model.xml"))
    facts = json.loads(graph.get_rt_info(["stepladder", "facts"]).astype(str))
    assert facts["class_names"] == list(map(str, range(10)))
    assert facts["image_rule"]["input_size"] == [1, 8, 8]
    assert graph.get_rt_info(["stepladder", "card"]).astype(str) == "# A card\n"


@pytest.mark.soak
def test_images_of_any_size_too(resizing, digits, tmp_path):
    images = [np.random.default_rng(0).integers(0, 256, (side, 30, 1), dtype=np.uint8) for side in (20, 31)]
    file, _ = resizing
    save_openvino(file, tmp_path / "model.xml", digits.splits["train"].images[:4])
    run = compiled(tmp_path / "model.xml")
    for image in images:
        expected = OnnxModel.load(file).of_any_size(image[None])
        np.testing.assert_allclose(run({"images": image[None]})["probabilities"], expected, atol=1e-3)


def test_a_file_that_says_something_else_is_not_written(file, digits, tmp_path, monkeypatch):
    monkeypatch.setattr(openvino_file, "TOLERANCE", -1)
    with pytest.raises(RecipeError, match=r"OpenVINO's file differs from the model by up to .*; nothing was written"):
        save_openvino(file, tmp_path / "model.xml", digits.splits["train"].images[:4])
    assert not list(tmp_path.glob("model.xml")) + list(tmp_path.glob("model.bin"))


def test_nothing_is_told_to_anybody(tmp_path):
    """OpenVINO's telemetry writes into the home folder and calls a server as soon as it is imported."""
    script = (
        "from stepladder.model import openvino_file; import sys; openvino_file._import(); "
        "assert sys.modules['openvino_telemetry'] is None"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={"HOME": str(tmp_path), "PATH": ""})
    assert not list(tmp_path.iterdir())
