"""``stepladder predict`` and ``stepladder export`` as a user runs them."""

from __future__ import annotations

import io
import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from stepladder.cli import run
from stepladder.datasets import load_image_set
from stepladder.datasets.splits import make_splits
from stepladder.model import OnnxModel, load_model

pytest.importorskip("onnx", reason="the extra 'export' is not installed")


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trial") / "digits"
    with pytest.MonkeyPatch.context() as patch:
        # So few images seldom tell a temperature; here there shall be one.
        patch.setattr("stepladder.training.calibration.tells_temperature", lambda *_: True)
        assert run(["train", "digits", "--limit", "60", "--epochs", "2", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def test_images(tmp_path_factory):
    """The test images of the trial as files, in folders named after their class."""
    root = tmp_path_factory.mktemp("files")
    images = load_image_set("digits", limit=60)
    test = make_splits(images).test
    for number, (pixels, label) in enumerate(zip(test.images, test.labels, strict=True)):
        path = root / images.class_names[label] / f"{number:03}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels[:, :, 0]).save(path)
    return root


@pytest.fixture(scope="module")
def exported(trial, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "digits.onnx"
    assert run(["export", str(trial), "--out", str(path)]) == 0
    return path


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_photographs_are_brought_to_the_model_s_shape_as_in_training(tmp_path, capsys, fit):
    random = np.random.default_rng(0)
    for number in range(80):
        path = tmp_path / "set" / ("train" if number < 60 else "test") / "ab"[number % 2] / f"{number:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = tuple(int(side) for side in random.integers(70, 200, 2))
        Image.fromarray(random.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize(size).save(path)
    out = tmp_path / "out"
    options = ("--size", "12", "--fit", fit, "--epochs", "1", "--out", str(out))
    assert run(["train", str(tmp_path / "set"), *options]) == 0
    assert {"pad": "black added up to 12×12", "stretch": "each was resized to 12×12"}[fit] in capsys.readouterr().out
    model = load_model(next(out.rglob("config.json")).parent)
    images = load_image_set(tmp_path / "set", size=12, fit=fit)
    assert model.fit == images.fit == fit
    capsys.readouterr()
    assert run(["export", str(out), "--out", str(tmp_path / "m.onnx")]) == 0
    files = sorted((tmp_path / "set" / "test").rglob("*.jpg"))
    for asked in (model, OnnxModel.load(tmp_path / "m.onnx")):
        expected = asked.probabilities(images.splits["test"].images)
        assert asked.predict(files).probabilities.tobytes() == expected.tobytes()


def test_the_accuracy_on_files_is_that_of_the_trial_to_the_last_image(trial, test_images, exported, capsys):
    result = json.loads((trial / "result.json").read_text())
    for model in (trial, exported):
        assert run(["predict", str(model), str(test_images), "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["labelled"] == len(document["images"]) == 120
        assert document["accuracy"] == result["test_accuracy"]
        assert all(sum(entry["probability"] for entry in image["top"]) <= 1 for image in document["images"])


def test_one_line_an_image_and_the_share_that_is_right(trial, test_images, capsys):
    assert run(["predict", str(trial), str(test_images / "3"), str(test_images / "5"), "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 25
    assert lines[0].endswith(".png")
    assert lines[0].count(" %") == 2
    assert "of 24 in folders named after their class are right" in lines[-1]


def test_probabilities_are_calibrated_or_said_not_to_be(trial, exported, test_images, tmp_path, capsys):
    files = [str(path) for path in sorted((test_images / "3").iterdir())]
    temperature = json.loads((trial / "result.json").read_text())["model_temperature"]
    assert temperature not in (None, 1)
    found = {}
    plain = shutil.copytree(trial / "model", tmp_path / "plain")
    config = json.loads((plain / "config.json").read_text())
    assert config.pop("temperature") == temperature
    (plain / "config.json").write_text(json.dumps(config))
    for model in (trial, exported, plain):
        assert run(["predict", str(model), *files, "--json", "--top", "10"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["calibrated"] is (model != plain)
        found[model] = [
            {entry["class"]: entry["probability"] for entry in image["top"]} for image in document["images"]
        ]
        assert run(["predict", str(model), *files]) == 0
        assert ("The probabilities are not calibrated" in capsys.readouterr().out) is (model == plain)
    for calibrated, raw in zip(found[trial], found[plain], strict=True):
        logits = {name: math.log(probability) / temperature for name, probability in raw.items()}
        total = math.fsum(map(math.exp, logits.values()))
        assert calibrated == pytest.approx({name: math.exp(logit) / total for name, logit in logits.items()}, rel=1e-4)


def test_csv_is_a_row_an_image_and_class(exported, test_images, capsys):
    assert run(["predict", str(exported), str(test_images / "0"), "--top", "3", "--csv"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == "path,rank,class,probability,damage"
    assert len(rows) == 1 + 3 * 12


def test_a_file_that_cannot_be_read_stays_in_the_csv(exported, test_images, tmp_path, capsys):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    assert run(["predict", str(exported), str(bad), str(test_images / "0"), "--csv"]) == 1
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 1 + 1 + 12
    assert rows[1].startswith(f"{bad},,,,")
    assert "no image that can be read" in rows[1]


def test_an_exported_file_computes_in_float32(exported, test_images, capsys):
    images = str(test_images / "0")
    assert run(["predict", str(exported), images, "--precision", "bfloat16"]) == 2
    assert "--precision is bfloat16, and an exported file computes in float32; leave it out" in capsys.readouterr().err
    assert run(["predict", str(exported), images, "--precision", "float32"]) == 0


def test_a_damaged_file_is_left_out_and_named(trial, test_images, tmp_path, capsys):
    (tmp_path / "bad.png").write_bytes(b"no image")
    good = next((test_images / "0").iterdir())
    assert run(["predict", str(trial), str(tmp_path), str(good)]) == 1
    output = capsys.readouterr().out
    assert "Left out: " in output
    assert "bad.png: no image that can be read" in output
    assert good.name in output
    assert run(["predict", str(trial), str(tmp_path), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert "no image" in document["images"][0]["damage"]


def test_files_are_listed_on_standard_input(trial, test_images, monkeypatch, capsys):
    files = sorted(str(path) for path in (test_images / "7").iterdir())
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(files)))
    assert run(["predict", str(trial), "-", "--csv"]) == 0
    assert [row.split(",")[0] for row in capsys.readouterr().out.splitlines()[1:]] == files


def test_an_exported_file_is_asked_without_torch(exported, test_images):
    program = f"""
import sys
from stepladder.cli import run
assert run(["predict", {str(exported)!r}, {str(test_images / "0")!r}]) == 0
heavy = {{"torch", "sklearn", "pyarrow", "scipy", "matplotlib", "pydantic"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_a_process_imports_little_and_ends_at_once(trial, test_images):
    """What building a network by way of the meta device imports (sympy) cost a third of a second in every process."""
    image = str(next((test_images / "0").iterdir()))
    program = f"""
import atexit, gc, sys
from stepladder.cli import main
def look():
    heavy = {{"sympy", "sklearn", "pyarrow", "scipy", "matplotlib", "statsmodels", "torch._dynamo", "pandas"}}
    print(heavy & set(sys.modules), gc.isenabled())
import stepladder.cli
end = stepladder.cli.leave
def leave(code):
    look()
    end(code)
stepladder.cli.leave = leave
atexit.register(print, "taken apart")
sys.argv = ["stepladder", "predict", {str(trial)!r}, {image!r}]
main()
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "set() True"
    assert done.stdout.splitlines()[0].endswith(".png")
    missing = subprocess.run(
        [sys.executable, "-m", "stepladder", "predict", str(trial), "none.png"], capture_output=True, text=True
    )
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr == "Error: there is no file or folder none.png\n"


def test_quantizing_says_what_it_costs(trial, test_images, tmp_path, capsys):
    path = tmp_path / "small.onnx"
    arguments = ["export", str(trial), "--out", str(path), "--quantize", "int8", "--images", str(test_images), "--json"]
    assert run(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    small = document["quantized"]
    assert small["bytes_written"] == path.stat().st_size < 0.5 * small["bytes_before"]
    assert small["agreement"] > 0.9
    before, after = small["accuracy"]
    assert before == json.loads((trial / "result.json").read_text())["test_accuracy"]
    assert abs(after - before) < 0.1
    assert run(["predict", str(path), str(test_images / "1")]) == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--top", "0"], "--top is 0; it must be at least 1"),
        (["--csv", "--json"], "--csv and --json exclude each other"),
    ],
)
def test_wrong_options_of_predict(trial, test_images, capsys, arguments, complaint):
    assert run(["predict", str(trial), str(test_images), *arguments]) == 2
    assert complaint in capsys.readouterr().err


def test_wrong_options_of_export(trial, exported, tmp_path, capsys):
    before = exported.read_bytes()
    for arguments, complaint in (
        ([str(trial), "--out", str(exported)], "is there already; choose another file with --out, or give --overwrite"),
        ([str(exported)], "is exported already; give the model folder"),
        ([str(trial), "--quantize", "int8"], "--quantize int8 needs --format onnx, and --images"),
        ([str(trial), "--format", "onx", "--out", str(tmp_path / "m")], "did you mean 'onnx'"),
        ([str(tmp_path)], "is no model; give the model folder"),
    ):
        assert run(["export", *arguments]) == 2
        assert complaint in capsys.readouterr().err
    assert exported.read_bytes() == before
    assert run(["export", str(trial), "--out", str(exported), "--overwrite"]) == 0


def test_the_pixels_of_a_prediction_survive_any_container(trial, test_images):
    from stepladder import load_model

    model = load_model(trial / "model", "cpu")
    files = sorted((test_images / "4").iterdir())
    arrays = np.stack([np.asarray(Image.open(file))[:, :, None] for file in files])
    np.testing.assert_array_equal(model.predict(files).probabilities, model.predict(arrays).probabilities)


@pytest.mark.usefixtures("pictures_rendered")
def test_an_explanation_is_a_picture(trial, exported, test_images, tmp_path, capsys):
    pytest.importorskip("captum", reason="the extra 'explain' is not installed")
    image, out = next((test_images / "3").iterdir()), tmp_path / "why.png"
    assert run(["explain", str(trial), str(image), "--out", str(out)]) == 0
    assert capsys.readouterr().out.rstrip().endswith(f"%: {out}")
    with Image.open(out) as sheet:
        assert sheet.width > 1000
    assert run(["explain", str(exported), str(image)]) == 2
    assert "is an exported file, whose inside is closed" in capsys.readouterr().err
