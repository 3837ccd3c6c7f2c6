import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepladder import load_image_set, load_model
from stepladder.datasets import make_splits

Call = Callable[..., Any]


def test_a_model_folder_is_left_and_its_accuracy_is_the_one_printed(stepladder: Call) -> None:
    outcome = stepladder(
        "train", "digits", "--recipe", "report", "--set", "epochs=5", "--set", "optimizer.lr=0.05", "--json"
    )
    result = json.loads(outcome.out)
    assert result["folder"] == "trials/digits-report-seed0"
    assert "lr = 0.05" in Path(result["folder"], "recipe.toml").read_text()
    assert result["epochs"] == 5

    model = load_model(Path(result["folder"]) / "model")
    test = make_splits(load_image_set("digits")).test
    predicted = model.logits(test.images).argmax(axis=1)
    assert np.mean(predicted == test.labels) == result["test_accuracy"]
    assert model.class_names == tuple("0123456789")


@pytest.mark.long
def test_again_it_trains_nothing(stepladder: Call) -> None:
    command = ("train", "digits", "--epochs", "1", "--limit", "20", "--out", "out")
    first, second = stepladder(*command), stepladder(*command)
    assert "seed 0: val " in first.out
    assert "\nLeak check: no test image is among the training images. " in first.out
    assert "seed 0: val " not in second.out
    assert first.out.splitlines()[-1] == second.out.splitlines()[-1] == "Model: out/model"


@pytest.mark.long
def test_test_stays_unread_where_that_is_wanted(stepladder: Call) -> None:
    command = ("train", "digits", "--epochs", "1", "--limit", "20", "--out", "out")
    outcome = stepladder(*command, "--no-test", "--json")
    result = json.loads(outcome.out)
    assert result["status"] == "finished"
    assert [name for name, value in result.items() if name.startswith("test_") and value is not None] == []
    assert "Test is unread; the same command without --no-test reads it." in outcome.err
    assert not Path("out/predictions.safetensors").exists()
    assert load_model(Path("out/model")).class_names == tuple("0123456789")

    later = stepladder(*command, "--json")
    assert "This was trained before; nothing to do." in later.err
    assert json.loads(later.out)["test_accuracy"] is not None
    # Once it has been read, nothing makes that undone.
    assert json.loads(stepladder(*command, "--no-test", "--json").out)["test_accuracy"] is not None


def test_a_test_curve_cannot_stay_unread(stepladder: Call) -> None:
    outcome = stepladder("train", "digits", "--validation", "0", "--no-test")
    assert outcome.code == 2
    assert "the test curve is drawn, so test cannot stay unread; give --validation a share above 0" in outcome.err


def test_a_rung_is_trained_with_the_techniques_up_to_it(stepladder: Call) -> None:
    command = ("train", "digits", "--epochs", "1", "--limit", "20", "--rung", "augment", "--json")
    result = json.loads(stepladder(*command).out)
    assert result["techniques"] == ["standardize", "random_crop", "horizontal_flip"]
    assert result["folder"] == "trials/digits-small-augment-seed0"


def test_another_seed_does_not_overwrite(stepladder: Call) -> None:
    command = ("train", "digits", "--epochs", "1", "--limit", "20", "--out", "out")
    stepladder(*command)
    outcome = stepladder(*command, "--seed", "1")
    assert outcome.code == 2
    assert "out holds another result, which would be lost; choose another folder with --out" in outcome.err


@pytest.mark.long
def test_size_and_channels_are_chosen_and_always_said(stepladder: Call) -> None:
    command = ("train", "digits", "--epochs", "1", "--limit", "20")
    assert "200 images of 8×8 pixels, gray, 10 classes" in stepladder(*command, "--out", "a").out
    outcome = stepladder(*command, "--out", "b", "--size", "12", "--channels", "3")
    assert "200 images of 12×12 pixels, color" in outcome.out
    assert "The images have 8×8 pixels: the shorter side of each was resized to 12 pixels" in outcome.out
    assert "All images are gray and were given three equal channels." in outcome.out
    assert stepladder(*command, "--size", "0").code == 2
    assert stepladder(*command, "--channels", "2").code == 2
    outcome = stepladder(*command, "--fit", "squash")
    assert outcome.code == 2
    assert "'crop', 'pad', 'stretch'" in outcome.err.replace('"', "'")


def test_nothing_is_fetched_unasked(stepladder: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: pytest.fail("reached for the network"))
    outcome = stepladder("train", "cifar10")
    assert outcome.code == 2
    assert "add --download to fetch it (170 MB from www.cs.toronto.edu)" in outcome.err
    assert not (tmp_path / "cache").exists()


def test_download_is_passed_on(stepladder: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "cache"))

    def refuse(*arguments: Any, **options: Any) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("socket.create_connection", refuse)
    outcome = stepladder("train", "mnist", "--download")
    assert outcome.code == 2
    assert "mnist-train-images-idx3-ubyte.gz could not be fetched" in outcome.err
    assert "Connection refused" in outcome.err


def test_a_failed_training_says_why(stepladder: Call) -> None:
    outcome = stepladder("train", "digits", "--epochs", "1", "--limit", "20", "--set", "optimizer.lr=1e20")
    assert outcome.code == 1
    assert "Failed: the training loss was not finite in epoch 1" in outcome.out


def test_tensorboard_sees_the_trial(stepladder: Call) -> None:
    pytest.importorskip("tensorboard", reason="the extra 'track' is not installed")
    outcome = stepladder("train", "digits", "--limit", "20", "--epochs", "1", "--out", "out", "--track", "tensorboard")
    assert outcome.code == 0, outcome.err
    assert "The tracker" not in outcome.out
    (run,) = Path("out/tracking/tensorboard").iterdir()
    assert run.name == "small-seed0"
    assert any(b"result/test_accuracy" in path.read_bytes() for path in run.iterdir())


@pytest.mark.long
def test_it_stops_by_itself_and_goes_on_to_the_same_bits(stepladder: Call) -> None:
    command = ("train", "digits", "--epochs", "3", "--limit", "20")
    outcome = stepladder(*command, "--out", "out", "--max-time", "0.01s")
    assert outcome.code == 75
    assert "Stopped after --max-time. A checkpoint is kept in out; continue with:\n  stepladder train" in outcome.out
    assert not Path("out/result.json").exists()
    stepladder(*command, "--out", "out")
    stepladder(*command, "--out", "undisturbed")
    weights = Path("out/model/model.safetensors").read_bytes()
    assert weights == Path("undisturbed/model/model.safetensors").read_bytes()


@pytest.mark.long
def test_it_goes_on_under_other_conditions_only_where_that_is_wanted(
    stepladder: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("train", "digits", "--epochs", "1", "--limit", "20", "--out", "out")
    assert stepladder(*command, "--max-time", "0.01s").code == 75
    monkeypatch.setattr("stepladder.studies.running.trial.describe_versions", lambda: {"torch": "3.0"})
    refused = stepladder(*command)
    assert refused.code == 2
    assert "torch was 2" in refused.err
    assert "continue with --accept-different-bits" in refused.err
    accepted = stepladder(*command, "--accept-different-bits")
    assert accepted.code == 0, accepted.err
    assert "going on with different bits: torch was 2" in accepted.out


@pytest.mark.long
def test_with_the_threads_of_a_study_it_trains_what_the_study_trained(
    stepladder: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where a step is large enough for several, which others' bits come of."""
    monkeypatch.setattr("stepladder.training.device.SMALL_STEP", 0)
    options = ("digits", "--epochs", "1", "--limit", "20")
    stepladder("train", *options, "--rung", "standardize", "--seed", "1", "--threads", "1", "--out", "one")
    stepladder("study", *options, "--seeds", "2", "--workers", "1", "--out", "study")
    trained = Path("one/model/model.safetensors").read_bytes()
    found = [json.loads(path.read_text()) for path in Path("study/trials").glob("*/result.json")]
    (same,) = [one["trial"] for one in found if one["techniques"] == ["standardize"] and one["seed"] == 1]
    assert Path("study/trials", same, "model/model.safetensors").read_bytes() == trained
    outcome = stepladder("train", *options, "--threads", "0")
    assert (outcome.code, "--threads is 0; a step needs at least 1" in outcome.err) == (2, True)


def test_what_a_pause_may_not_be(stepladder: Call) -> None:
    outcome = stepladder("train", "digits", "--max-time", "soon")
    assert (outcome.code, "--max-time is soon; write it as 90s" in outcome.err) == (2, True)
    outcome = stepladder("train", "digits", "--checkpoint-seconds", "0")
    assert (outcome.code, "--checkpoint-seconds is 0; it must be more than 0" in outcome.err) == (2, True)


@pytest.mark.long
def test_that_nothing_was_learned_is_said_first(stepladder: Call) -> None:
    command = ("train", "digits", "--epochs", "1", "--limit", "20", "--set", "optimizer.lr=1e-9", "--out", "out")
    outcome = stepladder(*command, "--json")
    document = json.loads(outcome.out)
    assert document["nothing_learned"]["trials"] == 1
    said = outcome.err.index("Nothing was learned: ")
    assert said < outcome.err.index("Train longer, ") < outcome.err.index("Test accuracy ")
    # Also before test is read, by the validation images.
    unread = stepladder(*command[:-1], "unread", "--no-test")
    assert unread.out.index("Nothing was learned: ") < unread.out.index("Validation accuracy ")
    learned = stepladder("train", "digits", "--epochs", "5", "--out", "learned", "--json")
    assert json.loads(learned.out)["nothing_learned"] is None
    assert "Nothing was learned" not in learned.err


@pytest.mark.long
def test_large_images_get_another_network_in_one_line(stepladder: Call) -> None:
    outcome = stepladder("train", "digits", "--size", "66", "--limit", "13", "--epochs", "1", "--precision", "float32")
    assert (
        "  Network: report_gap (229,706 weights), as the images are 66×66. Use --network report to take the "
        in outcome.out
    )
    assert Path("trials/digits-small-report_gap-seed0/model").is_dir()
