from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stepladder.baselines import settings
from stepladder.studies.running import bag as running_bag

Call = Callable[..., Any]
FAST = ("--limit", "30", "--words", "20", "--seeds", "1")


def test_a_bag_of_words_in_one_command(stepladder: Call) -> None:
    outcome = stepladder("bag-of-words", "digits", *FAST, "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    (seed,) = document["seeds"]
    assert seed["test_accuracy"] > 0.7
    assert document["parameters"] == sum(seed["parameters"].values())
    assert document["record"]["command"] == "stepladder bag-of-words digits --limit 30 --words 20 --seeds 1 --json"
    assert "Bag of words: patches, 20 words, 1 seed." in outcome.err
    assert "bag of words, seed 0: C = " in outcome.err
    assert Path("baselines/digits-patches/seeds/0/model.safetensors").exists()
    again = stepladder("bag-of-words", "digits", *FAST)
    assert "1 of them kept from before" in again.out
    assert "SVM with C" not in again.out
    assert "Result: baselines/digits-patches" in again.out


WRONG = {
    "descriptor": (["--descriptor", "foo"], "unknown descriptor 'foo'. Known: patches, sift"),
    "near descriptor": (["--descriptor", "shift"], "did you mean 'sift'?"),
    "words": (["--words", "1"], "--words is 1; it must be 2 to 20,000"),
    "seeds": (["--seeds", "0"], "--seeds is 0; it must be 1 to 1000"),
    "validation": (["--validation", "2"], "--validation is 2.0"),
    "small images": (["--size", "3"], "too few for --descriptor patches, which takes 4 or more a side"),
    "few images": (["--limit", "2"], "fewer than the splits need"),
}


@pytest.mark.parametrize("arguments_and_words", WRONG.values(), ids=WRONG.keys())
def test_wrong_input_is_one_sentence(stepladder: Call, arguments_and_words: tuple[list[str], str]) -> None:
    arguments, words = arguments_and_words
    outcome = stepladder("bag-of-words", "digits", *arguments)
    assert outcome.code == 2
    assert words in outcome.err
    assert outcome.err.startswith("Error: ")
    assert not Path("baselines").exists()


def test_a_wrong_descriptor_is_said_before_images_are_read(stepladder: Call) -> None:
    assert "unknown descriptor 'foo'" in stepladder("bag-of-words", "nowhere/at/all", "--descriptor", "foo").err


def test_without_the_extra_it_gives_the_command(stepladder: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    outcome = stepladder("bag-of-words", "digits", "--descriptor", "sift", *FAST)
    assert outcome.code == 2
    assert "pip install 'stepladder[sift]'" in outcome.err
    assert not Path("baselines").exists()


def test_sift_on_a_folder_with_a_damaged_image(stepladder: Call, folder_of_images: Path) -> None:
    pytest.importorskip("cv2", reason="the extra 'sift' is not installed")
    (folder_of_images / "one" / "broken.png").write_bytes(b"no image")
    arguments = ("bag-of-words", str(folder_of_images), "--descriptor", "sift", "--words", "10", "--seeds", "1")
    refused = stepladder(*arguments)
    assert refused.code == 2
    assert "--skip-damaged" in refused.err
    outcome = stepladder(*arguments, "--skip-damaged")
    assert outcome.code == 0, outcome.err
    result = json.loads(next(Path("baselines").glob("*-sift/seeds/0/result.json")).read_text())
    assert "opencv-python-headless" in result["versions"]


def test_copies_of_test_images_can_be_dropped(stepladder: Call, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("dark", "bright"):
        for split, count in (("train", 16), ("test", 3)):
            (tmp_path / "images" / split / name).mkdir(parents=True)
            for number in range(count):
                noise = random.integers(0, 120, (12, 12, 3)) // (4 if name == "dark" else 1)
                Image.fromarray(noise.astype(np.uint8)).save(tmp_path / "images" / split / name / f"{number}.png")
    copied = (tmp_path / "images/train/dark/0.png").read_bytes()
    (tmp_path / "images/test/dark/0.png").write_bytes(copied)
    arguments = ("bag-of-words", "images", "--words", "10", "--seeds", "1", "--validation", "0.2")
    assert "test images has a copy among the training images" in stepladder(*arguments).out
    assert (
        "1 image was taken out of training, as it is a copy" in stepladder(*arguments, "--drop-leaks", "--out", "x").out
    )
    assert json.loads(Path("x/bag-of-words.json").read_text())["data"]["counts"]["train"] == 24


def test_ctrl_c_says_how_to_go_on(stepladder: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running_bag, "fit_bag", stop)
    outcome = stepladder("bag-of-words", "digits", *FAST)
    assert outcome.code == 130
    assert "goes on from the seeds that are finished:\n  stepladder bag-of-words digits --limit 30" in outcome.out


@pytest.mark.long
def test_a_study_with_a_bag_of_words(stepladder: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings._WORDS, "patches", 20)
    arguments = (
        "study",
        "digits",
        "--rung",
        "base:",
        "--rung",
        "+smooth:label_smoothing",
        "--limit",
        "20",
        "--epochs",
        "1",
        "--seeds",
        "2",
        "--with-bag-of-words",
    )
    outcome = stepladder(*arguments, "--json")
    assert outcome.code == 0, outcome.err
    assert len(json.loads(outcome.out)["bag_of_words"]["seeds"]) == 2
    assert outcome.err.count("Leak check: ") == 1
    folder = Path("studies/digits-base-smooth")
    assert "bag of words" in (folder / "report.md").read_text()
    assert "bag of words" in (folder / "results.csv").read_text()
    kept = (folder / "bag-of-words/seeds/1/result.json").read_bytes()
    again = stepladder(*arguments)
    assert "2 of them kept from before" in again.out
    assert (folder / "bag-of-words/seeds/1/result.json").read_bytes() == kept
    # It is in the files: a report made anew has it too.
    (folder / "report.md").unlink()
    assert stepladder("report", str(folder)).code == 0
    assert "bag of words" in (folder / "report.md").read_text()
