"""Image files that are deleted, added or changed between a stop and the command that goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from stepladder.studies.files.bits import bits

OWN = Path(__file__).with_name("own.py")
COMMAND = (
    *("study", "my images", "--seeds", "1", "--epochs", "2", "--batch-size", "2", "--network", "conv3-2 pool2 fc8 fc"),
    *("--rung", "base:", "--technique", f"{OWN}:Interrupts", "--workers", "1", "--checkpoint-seconds", "0.01"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Handwritten zeros, ones and twos as PNG files: 12 a class in <class>/<number>.png."""
    digits = load_digits()
    folder = tmp_path / "my images"
    for label, name in enumerate(("zero", "one", "two")):
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(digits.images[digits.target == label][:12]):
            Image.fromarray(np.round(image * 255 / 16).astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def without(folder: Path) -> None:
    (folder / "one" / "3.png").unlink()


def with_another(folder: Path) -> None:
    Image.fromarray(np.full((8, 8), 77, np.uint8)).save(folder / "two" / "99.png")


def changed(folder: Path) -> None:
    Image.fromarray(np.full((8, 8), 77, np.uint8)).save(folder / "zero" / "5.png")


@pytest.mark.long
def test_files_that_are_not_the_same_are_named_and_nothing_is_lost(
    stepladder, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERRUPTED", str(tmp_path / "undisturbed"))
    (tmp_path / "undisturbed").touch()
    assert stepladder(*COMMAND, "--out", "whole").code == 0
    monkeypatch.setenv("INTERRUPTED", str(tmp_path / "interrupted"))
    assert stepladder(*COMMAND, "--out", "study").code == 130
    kept = content(tmp_path / "study")
    assert any("checkpoint" in name for name in kept), "it stopped in the middle of a trial"
    original = shutil.copytree(folder, tmp_path / "original")
    for change, said in (
        (without, ("images that are gone or changed: 1 of one",)),
        (with_another, ("images that are new or changed: 1 of two",)),
        (changed, ("images that are gone or changed: 1 of zero", "images that are new or changed: 1 of zero")),
    ):
        change(folder)
        done = stepladder(*COMMAND, "--out", "study")
        assert done.code == 2
        text = " ".join(done.err.split())
        assert "study holds another study" in text
        assert all(sentence in text for sentence in said), text
        assert content(tmp_path / "study") == kept
        shutil.rmtree(folder)
        shutil.copytree(original, folder)
    assert stepladder(*COMMAND, "--out", "study").code == 0
    assert bits(tmp_path / "study") == bits(tmp_path / "whole")


def content(study: Path) -> dict[str, bytes]:
    return {str(path.relative_to(study)): path.read_bytes() for path in study.rglob("*") if path.is_file()}
