"""Exported files say what the model says, or are not written."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from stepladder.errors import RecipeError, StorageError
from stepladder.model import OnnxModel, load_model, save_model
from stepladder.model import export as room
from stepladder.model.export import FORMATS, TOLERANCE, export_model, facts_of
from stepladder.model.folder import calibrate_model
from stepladder.model.images import read_pixels
from stepladder.model.onnx_file import METADATA
from stepladder.training.assembly import TrainingData
from stepladder.training.loop import train_network

onnx = pytest.importorskip("onnx", reason="the extra 'export' is not installed")


@pytest.fixture(scope="module")
def model(saved):
    return load_model(saved, "cpu")


@pytest.fixture(scope="module")
def images(digits):
    return digits.splits["train"].images


def test_the_file_takes_any_number_of_raw_images_and_agrees_on_all(model, images, exported):
    assert exported.checked == 50
    assert exported.difference <= TOLERANCE
    assert exported.bytes_written == exported.path.stat().st_size
    assert {"opset", "onnx", "onnxruntime", "torch"} <= set(exported.versions)
    read = OnnxModel.load(exported.path)
    assert read.class_names == model.class_names
    assert read.image_shape == model.image_shape
    for count in (1, 2, 7, len(images)):
        expected, found = model.predict(images[:count]), read.predict(images[:count])
        np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=TOLERANCE)
        assert (found.labels == expected.labels).all()


def test_calibration_is_part_of_the_file(folder, images, tmp_path, exported):
    assert not OnnxModel.load(exported.path).calibrated
    calibrate_model(folder, 2.5)
    hot = load_model(folder, "cpu")
    before = hot.logits(images[:20])
    export_model(hot, tmp_path / "hot.onnx", images[:20])
    np.testing.assert_array_equal(hot.logits(images[:20]), before, "the model is left as it was")
    read = OnnxModel.load(tmp_path / "hot.onnx")
    assert read.calibrated
    found = read.probabilities(images[:50])
    np.testing.assert_allclose(found, hot.probabilities(images[:50]), atol=TOLERANCE)
    assert found.max() < OnnxModel.load(exported.path).probabilities(images[:50]).max()
    # Files from before there were temperatures say nothing of it.
    graph = onnx.load(tmp_path / "hot.onnx")
    facts = json.loads(next(entry.value for entry in graph.metadata_props if entry.key == METADATA))
    del facts["calibrated"], graph.metadata_props[:]
    onnx.helper.set_model_props(graph, {METADATA: json.dumps(facts)})
    assert not OnnxModel(graph.SerializeToString(), "old.onnx").calibrated


def with_facts(exported, facts):
    """The file with other facts, its graph as it is."""
    graph = onnx.load(exported.path)
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, {METADATA: json.dumps(facts)})
    return graph.SerializeToString()


def test_how_images_are_brought_to_its_shape_is_part_of_the_file(model, exported):
    facts = json.loads({entry.key: entry.value for entry in onnx.load(exported.path).metadata_props}[METADATA])
    assert facts["file_version"] == 1  # which older versions read rightly
    assert "fit" not in facts
    assert OnnxModel.load(exported.path).fit == "crop"
    stretching = facts_of(replace(model, fit="stretch"))
    read = OnnxModel(with_facts(exported, stretching), "s.onnx")
    assert read.fit == "stretch"
    photo = np.random.default_rng(0).integers(0, 256, (10, 40, 1), dtype=np.uint8)
    pixels = read_pixels(photo, read.image_shape, "stretch")
    assert read.predict(photo).probabilities.tobytes() == read.probabilities(pixels).tobytes()
    assert stretching["file_version"] == 2
    with pytest.raises(StorageError, match="holds damaged facts of the model"):
        OnnxModel(with_facts(exported, stretching | {"fit": "squash"}), "wrong.onnx")


def test_the_card_is_in_the_file(exported):
    properties = {entry.key: entry.value for entry in onnx.load(exported.path).metadata_props}
    assert properties["card"] == "# A card\n"
    assert json.loads(properties[METADATA])["image_shape"] == [8, 8, 1]


def test_the_file_needs_no_torch(exported):
    program = f"""
import sys
from pathlib import Path
import numpy as np
from stepladder.model import OnnxModel
model = OnnxModel.load(Path({str(exported.path)!r}))
assert len(model.predict(np.zeros((3, 20, 30, 1), np.uint8))) == 3
heavy = {{"torch", "sklearn", "pyarrow", "scipy", "matplotlib"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.long
def test_pytorch_s_own_format_holds_no_pickle(model, images, tmp_path):
    path = tmp_path / "digits.pt2"
    export_model(model, path, images[:20], form="exported-program")
    loaded = torch.export.load(path).module()
    found = loaded(torch.from_numpy(images[:9])).detach().numpy()
    np.testing.assert_allclose(found, model.probabilities(images[:9]), atol=TOLERANCE)
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    assert not [name for name, content in contents.items() if b".pkl" in content or content.startswith(b"\x80")]


@pytest.mark.long
def test_a_file_that_differs_is_not_written(model, images, tmp_path, monkeypatch):
    class Wrong(room.WithPreprocessing):
        def forward(self, images):
            return super().forward(255 - images)

    monkeypatch.setattr(room, "WithPreprocessing", Wrong)
    with pytest.raises(RecipeError, match=r"differs from the model by up to .* nothing was written"):
        export_model(model, tmp_path / "m.pt2", images[:20], form="exported-program")
    assert not (tmp_path / "m.pt2").exists()


def test_unknown_formats_and_missing_libraries_say_what_to_do(model, images, tmp_path, monkeypatch):
    with pytest.raises(RecipeError, match="unknown format 'onx'; did you mean 'onnx'"):
        export_model(model, tmp_path / "m", images[:2], form="onx")
    assert "torchscript" not in FORMATS
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(RecipeError, match=r"pip install 'stepladder\[export\]'"):
        export_model(model, tmp_path / "m", images[:2])
    with pytest.raises(RecipeError, match=r"needs onnxruntime.*pip install 'stepladder\[export\]'"):
        OnnxModel(b"", "m.onnx")


def test_a_file_that_is_not_ours_is_refused(exported, tmp_path):
    content = exported.path.read_bytes()
    with pytest.raises(StorageError, match="no readable ONNX file"):
        OnnxModel(content[: len(content) // 2], "half.onnx")
    with pytest.raises(StorageError, match="no readable ONNX file"):
        OnnxModel(b"", "empty.onnx")
    with pytest.raises(StorageError, match=r"cannot read .*none\.onnx: No such file"):
        OnnxModel.load(tmp_path / "none.onnx")
    graph = onnx.load(exported.path)
    for properties, complaint in (
        ({}, "was not exported by Stepladder"),
        ({METADATA: "{"}, "holds damaged facts"),
        ({METADATA: json.dumps({"file_version": 99})}, "has file version 99"),
        ({METADATA: json.dumps({"file_version": 1, "image_shape": [8]})}, "holds damaged facts"),
    ):
        del graph.metadata_props[:]
        onnx.helper.set_model_props(graph, properties)
        with pytest.raises(StorageError, match=complaint):
            OnnxModel(graph.SerializeToString(), "other.onnx")


def test_pixels_of_another_shape_are_refused(exported):
    with pytest.raises(RecipeError, match=r"reads uint8 images \(N, 8, 8, 1\); got float64 \(2, 8, 8, 1\)"):
        OnnxModel.load(exported.path).probabilities(np.zeros((2, 8, 8, 1)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image_shape", [8, 800, 1]),
        ("image_shape", [8, 8, 3]),
        ("class_names", [f"class {number}" for number in range(11)]),
        ("class_names", []),
    ],
)
def test_what_a_file_says_of_itself_is_compared_with_its_graph(exported, key, value):
    graph = onnx.load(exported.path)
    for entry in graph.metadata_props:
        if entry.key == METADATA:
            entry.value = json.dumps(json.loads(entry.value) | {key: value})
    with pytest.raises(
        StorageError, match=r"changed\.onnx says that it tells \d+ classes apart on images of .*another"
    ):
        OnnxModel(graph.SerializeToString(), "changed.onnx")


@pytest.mark.long
def test_gates_branches_and_kernels_that_are_not_square_are_exported_as_standard_operators(
    digits_train, digits, tiny_recipe, compute, images, tmp_path
):
    line = (
        "conv3x1-8 bn lrelu0.1 pool2 se4 cat(conv1-4 silu | conv3-4 hswish) pool3 "
        "se:hidden=3,gate=hard_sigmoid,activation=silu fc"
    )
    trained = train_network(
        tiny_recipe("standardize", epochs=1, network=line), TrainingData(digits_train, digits_train, 10), 0, compute
    )
    save_model(tmp_path / "model", trained, digits.class_names, digits.image_shape, compute, "# A card\n")
    model = load_model(tmp_path / "model", "cpu")
    done = export_model(model, tmp_path / "new.onnx", images[:30], card="# The card")
    found = OnnxModel.load(done.path).predict(images[:50])
    np.testing.assert_allclose(found.probabilities, model.predict(images[:50]).probabilities, atol=TOLERANCE)
    graph = onnx.load(done.path)
    kinds = [node.op_type for node in graph.graph.node]
    assert kinds.count("MaxPool") == 2
    assert "Gather" not in kinds
    assert {node.domain for node in graph.graph.node} <= {"", "ai.onnx"}


def test_what_became_black_and_white_is_part_of_the_file(model, exported):
    assert OnnxModel.load(exported.path).span is None
    facts = facts_of(replace(model, span=(100, 900)))
    assert OnnxModel(with_facts(exported, facts), "spread.onnx").span == (100, 900)


@pytest.mark.parametrize(("share", "written"), [(0.9, True), (1.1, False)])
def test_probabilities_may_differ_by_the_tolerance_and_no_more(model, images, tmp_path, monkeypatch, share, written):
    """The class stays the same, so that the tolerance alone can refuse the file."""

    def nearly(_model, _metadata):
        def run(pixels):
            found = model.probabilities(pixels).copy()
            found[np.arange(len(found)), found.argmax(axis=1)] += share * TOLERANCE
            return (found,)

        return b"content", run, {}

    monkeypatch.setattr(room, "_to_program", nearly)
    if written:
        assert export_model(model, tmp_path / "m.pt2", images[:20], form="exported-program").checked == 20
    else:
        with pytest.raises(RecipeError, match=r"differs from the model by up to 0\.00011 in a probability"):
            export_model(model, tmp_path / "m.pt2", images[:20], form="exported-program")
    assert (tmp_path / "m.pt2").exists() == written
