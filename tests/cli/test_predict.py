"""``stepladder predict`` and ``stepladder export`` as a user runs them."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepladder.cli import run
from stepladder.datasets import load_image_set
from stepladder.datasets.splits import make_splits
from stepladder.errors import RecipeError
from stepladder.model import OnnxModel, load_model
from stepladder.model.limits import FALSE_ALARMS, MISS, least_risk

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


@pytest.mark.long
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


@pytest.mark.long
def test_the_accuracy_on_files_is_that_of_the_trial_to_the_last_image(trial, test_images, exported, capsys):
    result = json.loads((trial / "result.json").read_text())
    for model in (trial, exported):
        assert run(["predict", str(model), str(test_images), "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["labelled"] == len(document["images"]) == 120
        # The trial was evaluated in what is fastest here: in float32 many images go by onnxruntime.
        assert document["arithmetic"] in ("float32 by onnxruntime", "bfloat16 by PyTorch")
        assert document["accuracy"] == result["test_accuracy"]
        assert all(sum(entry["probability"] for entry in image["top"]) <= 1 for image in document["images"])


def test_one_line_an_image_and_the_share_that_is_right(trial, test_images, capsys):
    assert run(["predict", str(trial), str(test_images / "3"), str(test_images / "5"), "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 25
    assert lines[0].endswith(".png")
    assert lines[0].count(" %") == 2
    assert "of 24 in folders named after their class are right" in lines[-1]


@pytest.mark.long
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


@pytest.mark.parametrize("form", ["zip", "tar", "gztar"])
def test_an_archive_is_answered_as_its_folder(trial, exported, test_images, tmp_path, capsys, form):
    (test_images / "notes.txt").write_text("none of the images")
    try:
        packed = shutil.make_archive(str(tmp_path / "photos"), form, test_images)
        assert run(["predict", str(trial), str(test_images), "--json"]) == 0
        folder = json.loads(capsys.readouterr().out)
    finally:
        (test_images / "notes.txt").unlink()
    assert run(["predict", str(trial), packed, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for image in folder["images"]:
        image["path"] = image["path"].replace(str(test_images), packed)
    assert found == folder
    assert found["notes"] == ["Passed over, as none of the images: *.txt (1)."]
    assert found["labelled"] == len(found["images"]) == len(list(test_images.rglob("*.png")))

    one = found["images"][3]["path"]
    assert one.startswith(f"{packed}/")
    assert run(["predict", str(exported), one, str(test_images / "0"), packed, "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert rows[0]["path"] == one
    assert len(rows) == len(found["images"]) + len(list((test_images / "0").iterdir()))

    said = load_model(trial).predict(packed)
    assert [str(path) for path in said.paths] == [image["path"] for image in found["images"]]
    np.testing.assert_array_equal(said.probabilities, load_model(trial).predict(test_images).probabilities)
    assert run(["predict", str(trial), f"{packed}/none.png"]) == 2
    assert f"there is no file or folder {packed}/none.png" in " ".join(capsys.readouterr().err.split())


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
from pathlib import Path
from stepladder.cli import run
assert run(["predict", {str(exported)!r}, {str(test_images / "0")!r}]) == 0
heavy = {{"torch", "sklearn", "pyarrow", "scipy", "matplotlib", "pydantic"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


@pytest.mark.long
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


@pytest.fixture(scope="module")
def training_images(tmp_path_factory):
    """Some of the training images of the trial as files, in folders named after their class."""
    root = tmp_path_factory.mktemp("trained")
    images = load_image_set("digits", limit=60)
    train = make_splits(images).train.first(100)
    for number, (pixels, label) in enumerate(zip(train.images, train.labels, strict=True)):
        path = root / images.class_names[label] / f"t{number:03}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels[:, :, 0]).save(path)
    return root


@pytest.mark.long
def test_a_small_file_reads_any_size_too_and_nothing_is_left_where_a_step_fails(
    trial, test_images, training_images, tmp_path, capsys, monkeypatch
):
    """The quantized graph reads its own outputs, which ONNX would rename where two graphs become one."""
    path = tmp_path / "small.onnx"
    images = ("--images", str(test_images), "--images", str(training_images))
    arguments = ["export", str(trial), "--out", str(path), "--quantize", "int8", "--with-resize", *images]
    with monkeypatch.context() as patched:
        patched.setattr("stepladder.cli.export.read_any_size", refused)
        assert run(arguments) == 2
    assert "Error: no" in capsys.readouterr().err
    assert not path.exists()
    assert run(arguments) == 0
    found = OnnxModel.load(path)
    assert found.any_size
    assert found.tells_unlikeness


def refused(*_):
    raise RecipeError("no")


@pytest.mark.long
def test_quantizing_says_what_it_costs(trial, test_images, training_images, tmp_path, capsys):
    path = tmp_path / "small.onnx"
    arguments = ["export", str(trial), "--out", str(path), "--quantize", "int8"]
    assert run([*arguments, "--images", str(test_images), "--images", str(training_images), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    small = document["quantized"]
    assert small["bytes_written"] == path.stat().st_size < 0.6 * small["bytes_before"]
    assert (small["calibrated"], small["checked"]) == (100, 120)
    assert small["agreement"] > 0.9
    before, after = small["accuracy"]
    assert before == json.loads((trial / "result.json").read_text())["test_accuracy"]
    assert abs(after - before) < 0.1
    assert run(["predict", str(path), str(test_images / "1")]) == 0
    # The file carries what it cost, and promises by the images that checked it.
    properties = OnnxModel.load(path)._session.get_modelmeta().custom_metadata_map
    assert json.loads(properties["stepladder"])["quantized"]["accuracy"] == [before, after]
    assert f"accuracy {100 * before:.2f} % before and {100 * after:.2f} % after" in properties["card"]
    read = OnnxModel.load(path)
    assert read.limits is not None
    assert read.limits.answered[-1].images == 120
    assert read.limits.answered[-1].wrong == round(120 * (1 - after))


def test_images_that_did_not_train_do_not_set_8_bits(trial, test_images, tmp_path, capsys):
    path = tmp_path / "small.onnx"
    arguments = ["export", str(trial), "--out", str(path), "--quantize", "int8"]
    assert run([*arguments, "--images", str(test_images)]) == 2
    assert "none of these 120 did; give --images some of its training images" in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.long
def test_a_model_of_before_does_not_know_its_training_images(trial, test_images, tmp_path, capsys):
    older = shutil.copytree(trial / "model", tmp_path / "older")
    for name in ("trained-on.json", "limits.json", "unlikeness.safetensors"):
        (older / name).unlink()
    arguments = ["export", str(older), "--out", str(tmp_path / "o.onnx"), "--quantize", "int8", "--json"]
    assert run([*arguments, "--images", str(test_images)]) == 0
    small = json.loads(capsys.readouterr().out)["quantized"]
    assert (small["calibrated"], small["checked"]) == (60, 60)
    assert run(["predict", str(older), str(test_images / "1"), "--abstain", "0.3"]) == 2
    assert "--abstain goes by what validation images promise" in capsys.readouterr().err
    assert run(["predict", str(older), str(test_images / "1"), "--unlike"]) == 2
    assert "--unlike needs 45 validation images or more" in capsys.readouterr().err


@pytest.fixture(scope="module")
def odd_images(test_images, tmp_path_factory):
    """Two digits and two pictures of something else."""
    root = tmp_path_factory.mktemp("odd")
    for number in ("1", "7"):
        shutil.copy(next((test_images / number).iterdir()), root / f"digit{number}.png")
    random = np.random.default_rng(0)
    for name in ("noise1", "noise2"):
        Image.fromarray(random.integers(0, 256, (8, 8), dtype=np.uint8)).save(root / f"{name}.png")
    return root


def test_what_is_asked_beside_the_class_is_shown_and_else_nothing_changes(trial, exported, odd_images, capsys):
    """The folder and the file say the same."""
    risk = least_risk(load_model(trial / "model", "cpu").limits.answered)
    assert risk < 0.9
    plain = {}
    for model in (trial, exported):
        assert run(["predict", str(model), str(odd_images), "--json"]) == 0
        plain[model] = json.loads(capsys.readouterr().out)
        assert not {"abstain", "sets"} & set(plain[model])
        assert set(plain[model]["images"][0]) == {"path", "label", "top", "damage"}
    asked = ["--abstain", str(risk), "--sets", "0.8", "--unlike"]
    documents = []
    for model in (trial, exported):
        assert run(["predict", str(model), str(odd_images), "--json", *asked]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["abstain"]["risk"] == risk
        assert document["abstain"]["validation"]["answered"] >= 4
        assert document["sets"]["coverage"] == 0.8
        assert document["unlike"] == {"false_alarms": FALSE_ALARMS, "confidence": 1 - MISS, "above": 0.0}
        for image, before in zip(document["images"], plain[model]["images"], strict=True):
            assert image["top"][0]["class"] == before["top"][0]["class"]
            assert image["top"][0]["probability"] == pytest.approx(before["top"][0]["probability"], rel=1e-4)
            assert image["answered"] is (before["top"][0]["probability"] > document["abstain"]["above"])
            assert image["set"][0] == before["top"][0]["class"]
            assert image["unlike"] is (image["unlikeness"] > 0)
        documents.append(document)
    for one, other in zip(documents[0]["images"], documents[1]["images"], strict=True):
        assert (one["set"], one["answered"], one["unlike"]) == (other["set"], other["answered"], other["unlike"])
        assert one["unlikeness"] == pytest.approx(other["unlikeness"], rel=1e-3, abs=1e-3)
    assert run(["predict", str(exported), str(odd_images), "--csv", *asked]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header == "path,rank,class,probability,damage,answered,set,unlikeness,unlike"
    assert len(rows) == 4
    assert all(row.count(",") == 8 for row in rows)
    assert run(["predict", str(exported), str(odd_images), "--csv", "--unlike"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "path,rank,class,probability,damage,unlikeness,unlike"
    assert run(["predict", str(trial), str(odd_images), *asked]) == 0
    told = capsys.readouterr().out
    assert " of 4 are answered" in told
    assert f"at most {100 * risk:.2f} % are wrong, with 90.00 % confidence" in told
    assert "The right class is in at least 80.00 % of the sets" in told
    assert "of 4 are unlike the training images: do not trust the class of these. At most 5.00 % of images" in told


def test_what_cannot_be_promised_is_one_sentence(trial, exported, odd_images, capsys):
    for model in (trial, exported):
        assert run(["predict", str(model), str(odd_images), "--abstain", "0.01"]) == 2
        complaint = capsys.readouterr().err
        assert "--abstain is 0.01, and 48 validation images with" in complaint
        assert "give --abstain 0." in complaint
        assert run(["predict", str(model), str(odd_images), "--sets", "0.99"]) == 2
        assert (
            "--sets is 0.99, and 48 validation images are too few for it; give --sets 0.97" in capsys.readouterr().err
        )
        assert run(["predict", str(model), str(odd_images), "--abstain", "5"]) == 2
        assert "--abstain is 5; it must be the share of answers that may be wrong" in capsys.readouterr().err


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
        ([str(trial), "--quantize", "int8"], "--quantize int8 needs --format onnx or openvino, and --images"),
        ([str(trial), "--format", "onx", "--out", str(tmp_path / "m")], "did you mean 'onnx'"),
        ([str(tmp_path)], "is no model; give the model folder"),
    ):
        assert run(["export", *arguments]) == 2
        assert complaint in capsys.readouterr().err
    assert exported.read_bytes() == before


def test_the_pixels_of_a_prediction_survive_any_container(trial, test_images):
    from stepladder import load_model

    model = load_model(trial / "model", "cpu")
    files = sorted((test_images / "4").iterdir())
    arrays = np.stack([np.asarray(Image.open(file))[:, :, None] for file in files])
    np.testing.assert_array_equal(model.predict(files).probabilities, model.predict(arrays).probabilities)


@pytest.mark.long
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


@pytest.mark.long
def test_an_archive_checks_an_export_and_holds_what_is_explained(trial, test_images, tmp_path, capsys):
    """As it does for predict: what is in it counts as the folder that it would be unpacked to."""
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", test_images))
    told = []
    for number, images in enumerate((test_images, packed)):
        path = tmp_path / f"{number}.onnx"
        arguments = ["export", str(trial), "--out", str(path), "--images", str(images), "--with-resize", "--json"]
        assert run(arguments) == 0
        document = json.loads(capsys.readouterr().out)
        told.append((document["checked"], document["difference"], document["with_resize"]["checked"]))
    assert told[0] == told[1]
    assert told[0][0] == len(list(test_images.rglob("*.png")))
    pytest.importorskip("captum", reason="the extra 'explain' is not installed")
    image = next((test_images / "3").iterdir())
    for place in (image, packed / image.relative_to(test_images)):
        assert run(["explain", str(trial), str(place), "--out", str(tmp_path / "why.png")]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert run(["explain", str(trial), str(packed / "3/none.png"), "--out", str(tmp_path / "why.png")]) == 2
    assert f"cannot read {packed / '3/none.png'}" in capsys.readouterr().err


def table_of(test_images, tmp_path, text=lambda path: path.name, folder=None):
    """A table of some of the files, in another order and one of them twice, with an id of its own."""
    files = sorted(test_images.rglob("*.png"))[::-1][:7]
    files.append(files[0])
    rows = [f"row{number},{text(path)}" for number, path in enumerate(files)]
    place = (folder or tmp_path) / "ask.csv"
    place.write_text("id,picture\n" + "\n".join(rows) + "\n")
    return place, files


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_table_comes_back_with_classes_and_probabilities_in_its_order(trial, test_images, tmp_path, capsys):
    model = load_model(trial / "model")
    place, files = table_of(test_images, tmp_path, text=lambda path: path.relative_to(test_images))
    assert run(["predict", str(trial), str(place), "--csv", "--top", "2", "--images", str(test_images)]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert [row["id"] for row in rows] == [f"row{number}" for number in range(8)]
    assert list(rows[0]) == ["id", "picture", "predicted", "probability", "predicted_2", "probability_2", "damage"]
    expected = model.predict(files).top(2)
    assert [(row["predicted"], row["predicted_2"]) for row in rows] == [(one[0][0], one[1][0]) for one in expected]
    assert [float(row["probability"]) for row in rows] == pytest.approx([one[0][1] for one in expected], abs=1e-5)


def test_names_without_ending_in_a_folder_of_the_table_s(trial, test_images, tmp_path, capsys):
    """As many competitions keep what is to be told: ids in a table, images in a folder beside it."""
    (tmp_path / "test_images").mkdir()
    for path in test_images.rglob("*.png"):
        shutil.copy(path, tmp_path / "test_images" / path.name)
    place, files = table_of(test_images, tmp_path, text=lambda path: path.stem)
    assert run(["predict", str(trial), str(place), "--csv"]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert [row["picture"] for row in rows] == [path.stem for path in files]
    assert [row["predicted"] for row in rows] == load_model(trial / "model").predict(files).names


def test_a_row_whose_file_cannot_be_read_stays(trial, test_images, tmp_path, capsys):
    place, _ = table_of(test_images, tmp_path, text=lambda path: path)
    with place.open("a") as file:
        file.write("row8,nowhere.png\n")
    assert run(["predict", str(trial), str(place), "--csv"]) == 1
    *rows, last = rows_of(capsys.readouterr().out)
    assert all(row["predicted"] and not row["damage"] for row in rows)
    assert (last["id"], last["predicted"], last["probability"]) == ("row8", "", "")
    assert "nowhere.png" in last["damage"]


def test_columns_of_the_table_s_own_keep_their_names(trial, test_images, tmp_path, capsys):
    path = next(test_images.rglob("*.png"))
    (tmp_path / "ask.csv").write_text(f"probability,where\n1,{path}\n2,{path}\n")
    assert run(["predict", str(trial), str(tmp_path / "ask.csv"), "--csv", "--path-column", "where"]) == 0
    assert list(rows_of(capsys.readouterr().out)[0]) == ["probability", "where", "predicted", "probability_2", "damage"]
    assert run(["predict", str(trial), str(path), "--path-column", "where"]) == 2
    assert "--path-column is for a table of paths" in capsys.readouterr().err
    assert run(["predict", str(trial), str(tmp_path / "ask.csv"), "--path-column", "there"]) == 2
    assert "--path-column is there, and" in capsys.readouterr().err


def test_a_table_that_was_answered_before_gets_names_of_its_own(trial, test_images, tmp_path, capsys):
    place, _ = table_of(test_images, tmp_path, text=lambda path: path)
    names = ["id", "picture", "predicted", "probability", "damage"]
    more = ["predicted_3", "probability_3", "predicted_2", "probability_2", "damage_2"]
    most = ["predicted_4", "probability_4", "predicted_2_2", "probability_2_2", "damage_3"]
    for top, expected in (("1", names), ("2", names + more), ("2", names + more + most)):
        assert run(["predict", str(trial), str(place), "--csv", "--top", top]) == 0
        text = capsys.readouterr().out
        assert next(csv.reader(io.StringIO(text))) == expected
        place.write_text(text)


def test_a_row_without_a_path_is_named(trial, test_images, tmp_path, capsys):
    place, _ = table_of(test_images, tmp_path, text=lambda path: path)
    place.write_text(place.read_text() + "row8, \n")
    assert run(["predict", str(trial), str(place), "--csv", "--path-column", "picture"]) == 2
    assert "ask.csv, line 10, has a blank path; fill it in, or remove the line" in capsys.readouterr().err


def test_a_table_in_an_archive_is_read_there_and_several_tables_are_said(trial, test_images, tmp_path, capsys):
    root = tmp_path / "set"
    shutil.copytree(test_images, root)
    first = next(root.rglob("*.png"))
    (root / "a.csv").write_text(f"path\n{first.relative_to(root)}\n")
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", root))
    told = []
    for place in (root / "a.csv", packed / "a.csv"):
        assert run(["predict", str(trial), str(place), "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["notes"] == ["1 file, as a.csv lists it."]
        told.append([one["top"] for one in document["images"]])
    assert told[0] == told[1]
    assert run(["predict", str(trial), str(root / "a.csv"), str(first)]) == 1
    assert "a table of paths is read where the command predict gets it alone" in capsys.readouterr().out


def test_a_table_is_told_in_json_and_lines_in_its_order_too(trial, test_images, tmp_path, capsys):
    place, files = table_of(test_images, tmp_path, text=lambda path: path)
    assert run(["predict", str(trial), str(place), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["path"] for one in document["images"]] == list(map(str, files))
    assert document["notes"] == ["8 files, as ask.csv lists them."]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "exported-program", "--with-resize"), "--with-resize needs --format onnx or openvino; leave one"),
        (
            ("--format", "litert", "--quantize", "int8", "--images", "."),
            "--quantize int8 needs --format onnx or openvino",
        ),
        (
            ("--format", "openvino", "--out", "model.onnx"),
            "--out is model.onnx, and OpenVINO reads a graph that ends in",
        ),
        (
            ("--format", "tflite"),
            "unknown format 'tflite'; did you mean 'litert'? Known: exported-program, litert, onnx",
        ),
    ],
)
def test_what_a_format_cannot_have_is_a_sentence(trial, capsys, arguments, words):
    assert run(["export", str(trial), *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.long
def test_an_export_that_resizes_says_how_it_was_checked(trial, tmp_path, capsys):
    path = tmp_path / "model.onnx"
    path.touch()
    assert run(["export", str(trial), "--out", str(path), "--with-resize", "--overwrite", "--json"]) == 0
    out = capsys.readouterr()
    document = json.loads(out.out)
    assert document["with_resize"]["checked"] == 64
    assert document["with_resize"]["agreement"] == 1.0
    assert "It reads images (N, H, W, 1) of any size: on 64 of them it names the class" in out.err
    assert OnnxModel.load(path).any_size
