"""``stepladder predict`` on the test images as files says what ``result.json`` says, whatever was trained."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stepladder.cli import run
from stepladder.datasets import ImageSet, Split
from stepladder.network import parse_line, preset_names, read_preset
from stepladder.network.find import find_network
from stepladder.recipe import Recipe, parse_recipe
from stepladder.studies.design.rules import Protocol
from stepladder.studies.files.predictions import read_predictions
from stepladder.studies.running.execution import Execution
from stepladder.studies.train import train_model
from stepladder.techniques import TECHNIQUES

CLASSES = ("apple", "boat", "cloud", "door")
#: Something for every technique to act on, and quick.
SMALL = parse_line("conv3-4 pool2 conv3-4 fc12 fc")


def colored_images(size: int, train: int, test: int) -> ImageSet:
    """Color noise with a stripe whose place tells the class: learned a little, with mistakes left."""
    random = np.random.default_rng(size)

    def split(count: int) -> Split:
        labels = np.arange(count, dtype=np.int64) % len(CLASSES)
        images = random.integers(0, 160, (count, size, size, 3))
        for image, label in zip(images, labels, strict=True):
            image[label * size // 4 : (label + 1) * size // 4, :, label % 3] += 90
        order = random.permutation(count)
        return Split(images.astype(np.uint8)[order], labels[order])

    return ImageSet("stripes", CLASSES, {"train": split(train), "test": split(test)})


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[ImageSet, Path]]:
    """Two image sets by the size of their images, and the test images of each as PNG files in folders by class."""
    found = {}
    for size, train, test in ((32, 24, 40), (12, 80, 300)):
        images = colored_images(size, train, test)
        folder = tmp_path_factory.mktemp("files")
        for number, (pixels, label) in enumerate(
            zip(images.splits["test"].images, images.splits["test"].labels, strict=True)
        ):
            path = folder / CLASSES[label] / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(pixels).save(path, compress_level=1)
        found[size] = images, folder
    return found


def train_and_ask(
    recipe: Recipe, images: ImageSet, files: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    # Whatever precision the machine is quick in: rounding must not differ between test and predict either.
    result = train_model(images, recipe, out, protocol=Protocol(0.2), execution=Execution(device="cpu")).result
    assert result.status == "finished"
    assert result.test_accuracy is not None
    assert run(["predict", str(out), str(files), "--json", "--top", str(len(CLASSES))]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["labelled"] == len(images.splits["test"])
    assert document["accuracy"] == result.test_accuracy
    saved = read_predictions(out)
    assert saved is not None
    said = {int(Path(image["path"]).stem): image["top"][0]["class"] for image in document["images"]}
    assert [said[number] for number in range(len(said))] == [CLASSES[label] for label in saved[0]]
    # A network that names one class for all would pass so far, whatever it were shown; its probabilities do not.
    told = [
        next(entry["probability"] for entry in image["top"] if entry["class"] == image["label"])
        for image in document["images"]
    ]
    if min(told) == 0.0:  # float32 has none so small; the network was too sure of something else for a log to tell
        assert result.test_loss is not None
        assert result.test_loss > 1
        return document
    losses = [-math.log(probability) for probability in told]
    expected = result.test_nll_calibrated if document["calibrated"] else result.test_loss
    assert math.fsum(losses) / len(losses) == pytest.approx(expected, rel=1e-4)
    return document


# Those with published weights are for larger images, and learn nothing of these in one epoch.
@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in preset_names() if not read_preset(name).weights])
def test_every_preset_network(name, sets, tmp_path, capsys):
    images, files = sets[32]
    network = find_network(name).network
    recipe = parse_recipe({"name": "one", "network": network.model_dump(), "epochs": 1, "batch_size": 12})
    train_and_ask(recipe, images, files, tmp_path / "out", capsys)


#: What a technique needs beside it, or in place of its defaults, on the small network.
LISTED = {"unfreeze": ["freeze", {"name": "unfreeze", "blocks": 1}]}


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in TECHNIQUES if name != "pretrained"])  # it needs a file: test_common
def test_every_technique(name, sets, tmp_path, capsys):
    images, files = sets[12]
    techniques = [{"name": one} if isinstance(one, str) else one for one in LISTED.get(name, [name])]
    recipe = parse_recipe(
        {"name": "one", "network": SMALL.model_dump(), "epochs": 5, "batch_size": 8, "techniques": techniques}
    )
    train_and_ask(recipe, images, files, tmp_path / "out", capsys)


@pytest.mark.long
def test_the_images_are_learned_a_little(sets, tmp_path, capsys):
    """Else all would agree on one class, and the tests above would compare nothing."""
    images, files = sets[12]
    recipe = parse_recipe({"name": "one", "network": SMALL.model_dump(), "epochs": 15, "batch_size": 8})
    document = train_and_ask(recipe, images, files, tmp_path / "out", capsys)
    assert 0.3 < document["accuracy"] < 1
    assert len({image["top"][0]["class"] for image in document["images"]}) > 2
