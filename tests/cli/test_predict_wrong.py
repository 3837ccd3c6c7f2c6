"""Models and images that ``predict``, ``export`` and ``explain`` refuse: one sentence, exit code 2, no traceback."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stepladder import load_model
from stepladder.cli import run
from stepladder.errors import DataError

onnx = pytest.importorskip("onnx", reason="the extra 'export' is not installed")

Change = Callable[[Path], object]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two models of different networks, and one of them as an ONNX file."""
    root = tmp_path_factory.mktemp("models")
    for name, network in (("small", "conv3-4 pool2 fc"), ("other", "conv5-6 pool2 fc8 fc")):
        arguments = ["train", "digits", "--limit", "20", "--epochs", "1", "--network", network]
        assert run([*arguments, "--out", str(root / name)]) == 0
    assert run(["export", str(root / "small"), "--out", str(root / "small.onnx")]) == 0
    return {"small": root / "small" / "model", "other": root / "other" / "model", "onnx": root / "small.onnx"}


@pytest.fixture
def model(models: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of a model, to be damaged."""
    return Path(shutil.copytree(models["small"], tmp_path / "model"))


@pytest.fixture
def image(tmp_path: Path) -> str:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "black.png")
    return str(tmp_path / "black.png")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert run(list(arguments)) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("Error: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    return captured.err


def configure(**entries: Any) -> Change:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | entries))

    return change


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


DAMAGED: dict[str, tuple[Change, str]] = {
    "no weight file": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "model/model.safetensors: No such file or directory",
    ),
    "truncated weight file": (truncate, "model/model.safetensors is damaged ("),
    "empty weight file": (
        lambda folder: (folder / "model.safetensors").write_bytes(b""),
        "model/model.safetensors is damaged (",
    ),
    "no config": (lambda folder: (folder / "config.json").unlink(), "is no model; give the model folder of a trial"),
    "config of no JSON": (lambda folder: (folder / "config.json").write_text("{"), "config.json is not valid JSON"),
    "unknown version": (configure(format_version=99), "is not a Stepladder model of format 1 or 2; train"),
    "too few class names": (
        configure(class_names=["a", "b"]),
        "config.json names 2 classes, and the weights tell 10 apart; give it the names that the model was trained with",
    ),
    "class names that are none": (configure(class_names=[1, 2]), "config.json is damaged (class_names.0: "),
    "no class names": (configure(class_names=[]), "config.json is damaged (class_names: "),
    "images of other channels": (configure(image_shape=[8, 8, 3], image_rule=None), "prepares images to 3×8×8"),
}


@pytest.mark.long
@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_models(what: str, model: Path, image: str, capsys: pytest.CaptureFixture[str]) -> None:
    damage, complaint = DAMAGED[what]
    damage(model)
    assert complaint in refused(capsys, "predict", str(model), image)
    assert complaint in refused(capsys, "export", str(model), "--out", str(model.parent / "x.onnx"))
    assert complaint in refused(capsys, "explain", str(model), image, "--out", str(model.parent / "x.png"))
    assert not list(model.parent.glob("x.*"))


def test_weights_of_another_network(
    model: Path, models: dict[str, Path], image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(models["other"] / "model.safetensors", model)
    complaint = refused(capsys, "predict", str(model), image)
    assert "holds the weights of another network than its config.json: " in complaint
    assert "conv1.weight" in complaint


def test_files_that_are_not_ours(
    models: dict[str, Path], tmp_path: Path, image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content = models["onnx"].read_bytes()
    path = tmp_path / "m.onnx"
    path.write_bytes(content[: len(content) // 2])
    assert "m.onnx is no readable ONNX file (" in refused(capsys, "predict", str(path), image)
    path.write_bytes(b"")
    assert "m.onnx is no readable ONNX file (" in refused(capsys, "predict", str(path), image)
    graph = onnx.load(models["onnx"])
    del graph.metadata_props[:]
    onnx.save(graph, path)
    complaint = refused(capsys, "predict", str(path), image)
    assert "m.onnx was not exported by Stepladder; export the model with Stepladder" in complaint
    assert "there is already" not in complaint
    path.write_bytes(content)
    assert "is exported already" in refused(capsys, "export", str(path))
    assert "whose inside is closed" in refused(capsys, "explain", str(path), image)


def test_images_that_are_none(models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    for model in (models["small"], models["onnx"]):
        assert "empty holds no images; give a folder with image files" in refused(
            capsys, "predict", str(model), str(tmp_path / "empty")
        )
        assert "there is no file or folder" in refused(capsys, "predict", str(model), str(tmp_path / "none.png"))


@pytest.mark.parametrize("channels", [2, 5])
def test_images_of_the_wrong_channels(models: dict[str, Path], channels: int) -> None:
    with pytest.raises(DataError, match=rf"has the shape \(8, 8, {channels}\); give \(H, W\), \(H, W, C\)"):
        load_model(models["small"], "cpu").predict(np.zeros((8, 8, channels), np.uint8))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "1", "P", "LA", "I;16"])
def test_files_of_any_mode_are_read_as_the_model_needs_them(
    models: dict[str, Path], tmp_path: Path, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    Image.new(mode, (12, 9), 0).save(path)
    assert run(["predict", str(models["small"]), str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"][0]["damage"] is None


def test_formats_whose_extra_is_not_installed(
    models: dict[str, Path], tmp_path: Path, image: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for library in ("onnx", "onnxruntime", "captum", "captum.attr"):
        monkeypatch.setitem(sys.modules, library, None)
    install = "is not installed; install it with: pip install 'stepladder[export]'"
    assert install in refused(capsys, "export", str(models["small"]), "--out", str(tmp_path / "x.onnx"))
    assert install in refused(capsys, "predict", str(models["onnx"]), image)
    assert "pip install 'stepladder[explain]'" in refused(
        capsys, "explain", str(models["small"]), image, "--out", str(tmp_path / "x.png")
    )
    assert "unknown format 'torchscript'. Known: exported-program, litert, onnx, openvino" in refused(
        capsys, "export", str(models["small"]), "--format", "torchscript", "--out", str(tmp_path / "x.pt")
    )
    assert not list(tmp_path.glob("x.*"))
