"""Images that a node reads from its own copy: the bytes that the owner has, or nothing."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepladder.datasets import ImageSet, load_image_set
from stepladder.errors import StudyError
from stepladder.studies.running.cluster import node_images as module
from stepladder.studies.running.cluster import scratch as scratch_module
from stepladder.studies.running.cluster.node_images import NodeImages
from stepladder.studies.running.cluster.slot import Slot

#: Reads a place into a folder as a slot's process does, and returns its exit status and what it said.
Read = Callable[[str], tuple[int, str]]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    numbers = np.random.default_rng(0)
    for split, many in (("train", 6), ("test", 3)):
        for kind in ("cat", "dog"):
            folder = tmp_path / "photos" / split / kind
            folder.mkdir(parents=True)
            for number in range(many):
                pixels = numbers.integers(0, 256, (20 + number, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def images(photos: Path) -> ImageSet:
    return load_image_set(photos, size=16, fit="pad")


@pytest.fixture
def read(images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Read:
    assert images.loading is not None
    loading = images.loading
    arrays = tmp_path / "arrays"
    arrays.mkdir()

    def run(place: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(NodeImages(place, loading).to_json()))
        monkeypatch.setattr(sys, "argv", ["node_images", str(arrays)])
        return module.main(), capsys.readouterr().err

    return run


def name_of(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).reshape(-1).data).hexdigest()


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_copy_elsewhere_gives_the_bytes_of_the_owner(
    scheme: str, read: Read, images: ImageSet, photos: Path, tmp_path: Path
) -> None:
    shutil.copytree(photos, tmp_path / "copy")
    assert read(f"{scheme}{tmp_path / 'copy'}") == (0, "")
    arrays = tmp_path / "arrays"
    for split in images.splits.values():
        kept = arrays / name_of(split.pixels)
        assert kept.read_bytes() == np.ascontiguousarray(split.pixels).tobytes()
    assert {path.name for path in arrays.iterdir()} == {name_of(split.pixels) for split in images.splits.values()}


def test_what_is_not_there_is_one_sentence(read: Read, tmp_path: Path) -> None:
    code, said = read(str(tmp_path / "nowhere"))
    assert (code, said.count("\n")) == (2, 1)
    assert "on this node; `images_on_nodes` is where every node finds" in said
    code, said = read("gopher://images")
    assert (code, said.count("\n")) == (2, 1)
    assert "this node cannot read gopher://images" in said


def test_how_images_were_loaded_is_plain_values_that_load_them_again(images: ImageSet, photos: Path) -> None:
    assert images.loading is not None
    told = json.loads(json.dumps(dict(images.loading)))
    assert (told["size"], told["fit"], told["channels"]) == (16, "pad", 3)
    again = load_image_set(photos, **{name: value for name, value in told.items() if name != "labels"})
    assert again.fingerprint == images.fingerprint


@pytest.mark.long
def test_other_images_are_refused_by_a_slot(
    images: ImageSet, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(scratch_module.VARIABLE, str(tmp_path / "scratch"))
    other = tmp_path / "other"
    shutil.copytree(photos, other)
    Image.new("RGB", (24, 24)).save(other / "train/cat/0.png")
    assert images.loading is not None
    wanted = [name_of(images.splits["train"].pixels)]
    slot = Slot("other-images", fetch=lambda piece: piece)
    try:
        with pytest.raises(StudyError, match="other holds other images than this study's: their fingerprints differ"):
            slot._read(wanted, NodeImages(str(other), images.loading).to_json())
        slot._read(wanted, NodeImages(str(photos), images.loading).to_json())
        shutil.rmtree(photos)  # read once a node: the second slot finds them
        slot._read(wanted, NodeImages(str(photos), images.loading).to_json())
    finally:
        slot.close()
