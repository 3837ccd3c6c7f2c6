import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
GOLDEN = Path(__file__).parent / "golden"


def golden(request: pytest.FixtureRequest, name: str, text: str) -> None:
    path = GOLDEN / name
    if request.config.getoption("--refresh-golden", default=False):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} changed; if that is right, run with --refresh-golden"


def test_the_table_at_80_columns(stepladder: Call, request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outcome = stepladder("inspect", "report", "--input", "3x32x32")
    assert outcome.code == 0
    table = outcome.out.partition("\n\n")[0]
    assert max(map(len, table.splitlines())) <= 80
    golden(request, "inspect-report-80.txt", outcome.out)


def test_every_view_at_120_columns(stepladder: Call, request: Any) -> None:
    outcome = stepladder("inspect", "conv5-32 pool2 res(conv3-32 bn) gap fc", "--explain", "--compare")
    assert outcome.code == 0
    table = outcome.out.partition("\n\n")[0]
    assert max(map(len, table.splitlines())) <= 120
    golden(request, "inspect-all-120.txt", outcome.out)


def test_solutions(stepladder: Call, request: Any) -> None:
    outcome = stepladder("inspect", "--solve", "pool3 32->16")
    golden(request, "inspect-solve.txt", outcome.out)
    assert "none." in stepladder("inspect", "--solve", "conv4:dilation=1 32->32").out
    document = json.loads(stepladder("inspect", "--solve", "conv5 32->32", "--json").out)
    assert document["solve"]["solutions"][0]["padding"] == 2


def test_json_gives_every_figure(stepladder: Call) -> None:
    outcome = stepladder("inspect", "report", "--json")
    document = json.loads(outcome.out)
    weights = [layer["weights"] for layer in document["layers"] if layer["weights"]]
    assert weights == [2_432, 51_264, 102_464, 1_025_000, 10_010]
    assert "1,191,170" in outcome.err


def test_without_a_name_the_presets_are_listed(stepladder: Call) -> None:
    outcome = stepladder("inspect")
    for name in ("report", "lenet5", "vgg_small", "all_cnn", "resnet9", "resnet20", "airbench94", "mlp"):
        assert name in outcome.out


def test_data_gives_size_classes_and_weights_for_each_image(stepladder: Call) -> None:
    outcome = stepladder("inspect", "report", "--data", "digits")
    assert "report on 1×8×8, 10 classes" in outcome.out
    assert (
        "weights for each of the 1,437 training images: far more than it takes to learn them all by heart"
        in outcome.out
    )


def test_larger_images(stepladder: Call) -> None:
    outcome = stepladder("inspect", "report", "--input", "3x64x64")
    assert outcome.code == 0
    assert "Built anew for 3×64×64, as above; a network built for 3×32×32 cannot read 3×64×64" in outcome.out
    refused = stepladder("inspect", "report", "--input", "3x64x64", "--built-for", "3x32x32")
    assert refused.code == 2
    assert "weights for 64×4×4 = 1,024 values" in refused.err
    assert "crop the images to 32×32, or put global average pooling" in refused.err
    accepted = stepladder("inspect", "all_cnn", "--input", "3x64x64", "--built-for", "3x32x32")
    assert accepted.code == 0
    assert "1,369,738 weights" in accepted.out


@pytest.mark.long
def test_the_explorer_is_written_where_it_is_said(stepladder: Call, tmp_path: Path) -> None:
    for arguments, name in (
        (["report", "--explore"], "report-explorer.html"),
        (["conv3-8 fc", "--input", "3x16x16", "--explore"], "explorer.html"),
        (["lenet5", "--explore", "pages/net.html"], "pages/net.html"),
    ):
        outcome = stepladder("inspect", *arguments)
        assert outcome.code == 0, outcome.err
        said = f"Explorer: {name}. Open it in a browser: {(tmp_path / name).as_uri()}"
        assert said in outcome.out
        assert (tmp_path / name).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    without = stepladder("inspect", "--explore", "--data", "digits", "--effective")
    assert without.code == 0, without.err
    assert "report on 1×8×8, 10 classes" in without.out
    page = (tmp_path / "report-explorer.html").read_text(encoding="utf-8")
    assert '"input":"1x8x8"' in page
    assert "digits: 0" in page
    assert '"effective":{"note":"Measured on 32 training images of digits' in page


def test_the_explorer_wants_a_page_s_name_and_a_list_of_layers(stepladder: Call, tmp_path: Path) -> None:
    outcome = stepladder("inspect", "--explore", "report")
    assert (outcome.code, outcome.err) == (
        2,
        "Error: --explore is report; give a name that ends in .html, or the network before it\n",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("pictures_rendered")
def test_a_trained_model_and_its_picture(stepladder: Call, tmp_path: Path) -> None:
    small = ("--limit", "20", "--epochs", "1", "--rung", "baseline", "--out", "out")
    trained = stepladder("train", "digits", "--network", "conv3-4 pool2 res(conv3-4 relu) fc", *small)
    assert trained.code == 0, trained.err
    outcome = stepladder(
        "inspect", "out/model", "--data", "digits", "--effective", "--picture", "pictures/net.svg", "--json"
    )
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert document["effective"]["trained"]
    assert set(document["effective"]["sizes"]) == {"conv1", "pool1", "res1_conv1"}
    assert (tmp_path / "pictures" / "net.svg").read_text().startswith("<?xml")
    refused = stepladder("inspect", "out/model", "--input", "1x16x16")
    assert refused.code == 2
    assert "a network built for 1×8×8 cannot read 1×16×16" in refused.err


@pytest.mark.long
def test_the_arithmetic_alone_imports_neither_torch_nor_other_heavy_things() -> None:
    code = (
        "import sys; from stepladder.cli import run\n"
        "for arguments in (['inspect', 'report', '--explain', '--compare'], ['inspect', 'conv3-8 fc', '--json'],\n"
        "                  ['inspect'], ['inspect', '--solve', 'conv5 32->32']):\n"
        "    assert run(arguments) == 0\n"
        "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'matplotlib', 'PIL', 'pyarrow', 'jinja2'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr


WRONG = {
    "kernel": (["conv9-8:padding=0 fc", "--input", "1x8x8"], "layer 1 (conv1) has a kernel of 9 and gets 8 + 2·0 = 8"),
    "stride": (["conv3-8:stride=0 fc"], "layer 1 (conv1): stride is 0; it must be at least 1"),
    "groups": (["conv3-8:groups=2 fc"], "layer 1 (conv1) has groups = 2, which does not divide its 3 input channels"),
    "pool": (["pool2 pool2 pool2 fc", "--input", "3x4x4"], "layer 3 (pool3) has a kernel of 2 and gets 1"),
    "flatten": (
        ["fc9 flatten fc"],
        "layer 1 (fc1) is fully connected and gets maps of 3×32×32; put a flatten before it",
    ),
    "outputs": (["conv3-8 fc fc"], "the network has two outputs"),
    "unknown": (["cnov3-8 fc"], "did you mean 'conv'?"),
    "preset": (["resnet"], "unknown network 'resnet'; did you mean 'resnet9'?"),
    "order": (["report", "--input", "32x32"], "write channels, height and width in this order, as 3x32x32"),
    "last": (["report", "--input", "32x32x3"], "which has the channels last"),
    "classes": (["report", "--classes", "0"], "--classes is 0; it must be at least 1"),
    "two classes": (["report", "--classes", "3", "--data", "digits"], "--classes is 3 and digits has 10; leave it out"),
    "picture": (["report", "--picture", "a.jpg"], "--picture is a.jpg; give a name that ends in .svg or .png"),
    "question": (["--solve", "conv5"], "write a layer and two sizes"),
    "data": (["report", "--data", "digts"], "did you mean 'digits'?"),
    "file": (["nothing.toml"], "cannot read the network nothing.toml"),
    "batch": (["report", "--batch-size", "0"], "--batch-size is 0"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_gets_a_sentence_and_exit_code_2(stepladder: Call, name: str, tmp_path: Path) -> None:
    arguments, words = WRONG[name]
    outcome = stepladder("inspect", *arguments)
    assert outcome.code == 2
    assert words in outcome.err
    assert outcome.err.startswith("Error: ")
    assert "Traceback" not in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["study", "train"])
def test_a_line_that_does_not_fit_the_data_has_its_caret_there_too(stepladder: Call, command: str) -> None:
    outcome = stepladder(command, "digits", "--network", "conv3-8 pool2 conv9-8:padding=0 fc")
    assert outcome.code == 2
    shown, carets = outcome.err.splitlines()[-2:]
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "conv9-8:padding=0"
    twice = stepladder(command, "digits", "--network", "lenet5", "--set", "network=report")
    assert "network is given twice" in twice.err


@pytest.mark.long
def test_a_study_with_another_network(stepladder: Call, tmp_path: Path) -> None:
    small = ("--seeds", "1", "--epochs", "1", "--limit", "13", "--network", "conv3-8 pool2 res(conv3-8) gap fc")
    outcome = stepladder("study", "digits", *small)
    assert outcome.code == 0, outcome.err
    (folder,) = (tmp_path / "studies").iterdir()
    assert folder.name.startswith("digits-line-")
    record = json.loads((folder / "study.json").read_text())
    kinds = {layer["kind"] for layer in record["rungs"][0]["recipe"]["network"]["layers"]}
    assert {"residual", "global_avg_pool"} <= kinds
    again = stepladder("study", "digits", *small)
    assert "All of it was trained before" in again.out


@pytest.mark.long
@pytest.mark.parametrize("network", ["lenet5", "resnet9"])
def test_presets_train_on_small_images(stepladder: Call, network: str) -> None:
    small = ("--epochs", "1", "--limit", "13", "--rung", "baseline", "--network", network, "--out", "out")
    outcome = stepladder("train", "digits", *small)
    assert outcome.code == 0, outcome.err
    assert "Test accuracy" in outcome.out


def test_the_command_as_users_start_it_answers() -> None:
    environment = {**os.environ, "COLUMNS": "80"}
    command = [sys.executable, "-m", "stepladder", "inspect", "report"]
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert process.returncode == 0
    assert "\x1b" not in process.stdout
