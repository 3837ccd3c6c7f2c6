"""Folders as people have them, read by every command alike: their own results, thumbnails, few images, other names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

QUICK = ("--epochs", "1", "--threads", "1", "--device", "cpu", "--precision", "float32")


@pytest.fixture
def pets(tmp_path):
    """Two classes of 20 images, which leave 28 for training; and the folder is the current one."""
    digits = load_digits()
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number, image in enumerate(digits.images[digits.target == label][:20]):
            Image.fromarray(np.round(image * 255 / 16).astype(np.uint8)).save(
                tmp_path / "pets" / name / f"{number}.png"
            )
    return tmp_path / "pets"


@pytest.fixture
def here(pets, stepladder, monkeypatch):
    monkeypatch.chdir(pets)
    return pets


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.long
def test_a_study_in_the_folder_of_the_images_goes_on(here, stepladder):
    first = stepladder("study", ".", "--seeds", "1", *QUICK)
    assert first.code == 0
    results = (here / "studies" / "pets-ladder" / "results.csv").read_text()
    again = stepladder("study", ".", "--seeds", "1", *QUICK)
    assert again.code == 0
    assert "All of it was trained before" in again.out
    assert "results of Stepladder in studies" in words(again.out)
    assert (here / "studies" / "pets-ladder" / "results.csv").read_text() == results
    assert stepladder("train", ".", *QUICK).code == 0
    assert (here / "trials").is_dir()
    shown = stepladder("data", ".")
    assert shown.code == 0
    assert "40 images" in shown.out
    model = next((here / "trials").glob("*/model"))
    told = stepladder("predict", str(model), ".")
    assert "of 40 in folders named after their class are right" in told.out
    assert "results of Stepladder in" in words(told.out)


@pytest.mark.long
@pytest.mark.parametrize(
    "verb",
    [
        ("study",),
        ("train",),
        ("sweep", "--over", "optimizer.lr=0.1,0.01"),
        ("sweep", "--over", "optimizer.lr=0.01..0.1", "--search", "optuna"),
        ("curve",),
        ("lr-range",),
        ("bag-of-words",),
    ],
    ids=lambda verb: verb[0] if len(verb) < 5 else "search",
)
@pytest.mark.parametrize("out", ["pets", "pets/cat", "pets/results"])
def test_every_verb_refuses_to_write_among_the_images(pets, stepladder, verb, out):
    before = sorted(pets.rglob("*"))
    done = stepladder(verb[0], "pets", *verb[1:], "--out", out)
    assert done.code == 2
    assert re.search(r"--out is pets.* and would be read as one; choose a folder outside", words(done.err))
    assert sorted(pets.rglob("*")) == before


def test_a_contact_sheet_goes_into_no_class(pets, stepladder):
    done = stepladder("data", "pets", "--sheet", "pets/cat/sheet.png")
    assert done.code == 2
    assert "lies among the images" in words(done.err)
    assert stepladder("data", "pets", "--sheet", "pets/sheet.png").code == 0
    assert "beside the class folders, by ending .png (1)" in words(stepladder("data", "pets").out)


@pytest.mark.long
def test_every_command_says_what_was_passed_over(pets, stepladder):
    (pets / "cat" / "@eaDir" / "0.png").mkdir(parents=True)
    (pets / "cat" / "@eaDir" / "0.png" / "SYNOPHOTO_THUMB_M.jpg").touch()
    (pets / "dog" / "THUMBS.DB").touch()
    note = "Passed over, as none of the images: @eaDir (1), THUMBS.DB (1)."
    for command in (
        ("data", "pets"),
        ("inspect", "lenet5", "--data", "pets", "--input", "1x32x32"),
        ("plan", "pets", *QUICK[:2], *QUICK[4:]),
        ("train", "pets", *QUICK, "--out", "model"),
    ):
        done = stepladder(*command)
        assert done.code == 0, done.err
        assert note in words(done.out), command
    told = stepladder("predict", "model", "pets")
    assert note in words(told.out)
    assert "of 40 in folders named after their class are right" in words(told.out)
    document = json.loads(stepladder("predict", "model", "pets", "--json").out)
    assert document["notes"] == [note]
    assert document["labelled"] == 40


@pytest.mark.long
def test_28_training_images_are_enough_for_every_verb(pets, stepladder):
    for command in (
        ("study", "pets", "--seeds", "1", *QUICK),
        ("sweep", "pets", "--over", "optimizer.lr=0.1,0.01", "--seeds", "1", *QUICK),
        ("curve", "pets", "--seeds", "1", *QUICK),
        ("train", "pets", *QUICK),
        ("lr-range", "pets", "--seeds", "1", "--steps", "100", "--threads", "1"),
    ):
        done = stepladder(*command)
        assert done.code == 0, (command, done.err)


@pytest.mark.long
def test_a_renamed_folder_goes_on_with_its_study(pets, stepladder):
    assert stepladder("study", "pets", "--seeds", "1", "--out", "mine", *QUICK).code == 0
    pets.rename(pets.with_name("pets2"))
    again = stepladder("study", "pets2", "--seeds", "1", "--out", "mine", *QUICK)
    assert again.code == 0
    assert "The images are called pets2 here and pets in mine" in words(again.out)
    assert "All of it was trained before" in again.out


def test_values_of_16_bits_are_spread_for_training_and_prediction(tmp_path, stepladder):
    random = np.random.default_rng(0)
    for number in range(40):
        path = tmp_path / "scans" / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(100, 1700, (8, 8), dtype=np.uint16)).save(path)
    note = "of 256 gray levels 8 are left. --stretch makes these values black to white."
    assert note in words(stepladder("data", "scans").out)
    done = stepladder("train", "scans", "--stretch", *QUICK, "--out", "model")
    assert done.code == 0
    assert "became black to white" in words(done.out)
    config = json.loads((Path("model") / "model" / "config.json").read_text())
    assert config["span"][0] >= 100
    assert config["span"][1] < 1700
    assert stepladder("predict", "model", "scans").code == 0
    refused = stepladder("train", "digits", "--stretch", *QUICK)
    assert refused.code == 2
    assert "leave --stretch out" in words(refused.err)
