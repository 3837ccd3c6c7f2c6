"""A module of the user's own is trained, saved, loaded, asked and exported like any other, where it is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import stepladder
from stepladder.datasets import ImageSet
from stepladder.errors import RecipeError
from stepladder.model import OnnxModel, load_model, save_model
from stepladder.model.export import TOLERANCE, export_model
from stepladder.network import load_network, own
from stepladder.recipe import Recipe
from stepladder.training.assembly import TrainingData, assemble
from stepladder.training.device import Compute
from stepladder.training.loop import TrainedNetwork, train_network
from stepladder.training.snapshot import Place, restore_snapshot, take_snapshot

MakeRecipe = Callable[..., Recipe]

TIED = """
from torch import nn


class Net(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.conv3 = nn.Conv2d(4, 4, 3, padding=1)
        self.conv3.weight = self.conv2.weight
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(4 * 8 * 8, classes)

    def forward(self, images):
        maps = self.norm(self.conv3(self.conv2(self.conv1(images)).relu())).relu()
        return self.fc(self.drop(maps).view(images.shape[0], -1))


def build(shape, classes):
    return Net(shape[0], classes)
"""


@pytest.fixture
def reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(own, "_NAMED", {})
    (tmp_path / "net.py").write_text(TIED)
    return f"{tmp_path / 'net.py'}:build"


def train(recipe: Recipe, digits: ImageSet, compute: Compute) -> TrainedNetwork:
    split = digits.splits["train"]
    return train_network(recipe, TrainingData(split, split, 10), 0, compute)


@pytest.mark.parametrize("technique", ["standardize", "ema", "dirac_init"])
def test_the_same_seed_gives_the_same_bits(
    reference: str, tiny_recipe: MakeRecipe, digits: ImageSet, compute: Compute, technique: str
) -> None:
    recipe = tiny_recipe(technique, network=load_network(reference).model_dump(), epochs=1)
    one = train(recipe, digits, compute)
    torch.rand(3)
    other = train(recipe, digits, compute)
    assert one.failure is None
    assert one.module is not other.module
    states = one.module.state_dict(), other.module.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert one.history[-1].train_loss == other.history[-1].train_loss


DEEP = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 4, 3, padding=1)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.fc = nn.Linear(4, classes)

    def forward(self, images):
        maps = self.conv1(images).relu()
        kept = maps.new_ones(len(maps), 1, 1, 1)
        if self.training:  # stochastic depth
            kept.bernoulli_(0.5)
        maps = maps + kept * self.conv2(maps).relu()
        return self.fc(nn.functional.dropout(maps.mean((2, 3)), 0.2, self.training))


def build(shape, classes):
    return Net(shape[0], classes)
"""


def test_stochastic_depth_repeats_and_goes_on_from_a_snapshot(
    reference: str, tiny_recipe: MakeRecipe, digits: ImageSet, compute: Compute
) -> None:
    Path(reference.removesuffix(":build")).write_text(DEEP)
    recipe = tiny_recipe(network=load_network(reference).model_dump(), epochs=1)
    one, other = (train(recipe, digits, compute) for _ in range(2))
    assert one.failure is None
    states = one.module.state_dict(), other.module.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])

    split = digits.splits["train"]
    assembly, again = (assemble(recipe, TrainingData(split, split, 10), 0, compute) for _ in range(2))
    images = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assembly.module.train()(images)
    place = Place(torch.zeros(()), assembly.streams["order"].get_state())
    restore_snapshot(take_snapshot(assembly, place), again)
    torch.rand(3)
    assert torch.equal(again.module.train()(images), assembly.module(images)), "the same numbers come next"


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_every_weight_learns(
    reference: str, tiny_recipe: MakeRecipe, digits: ImageSet, compute: Compute, optimizer: str
) -> None:
    """Muon changes matrices, which must be the weights themselves where they lie row by row."""
    recipe = tiny_recipe(
        network=load_network(reference).model_dump(), epochs=1, optimizer={"name": optimizer, "lr": 0.01}
    )
    trained = train(recipe, digits, compute)
    from stepladder.network.build import build_network
    from stepladder.training.rng import Streams

    begun = build_network(recipe.network, (1, 8, 8), 10, Streams(0)).state_dict()
    learned = dict(trained.module.named_parameters())
    assert not [name for name, weight in learned.items() if torch.equal(weight, begun[name])]


@pytest.mark.long
def test_saved_loaded_asked_and_exported(
    reference: str,
    tiny_recipe: MakeRecipe,
    digits: ImageSet,
    compute: Compute,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = tiny_recipe("standardize", network=load_network(reference).model_dump(), epochs=1)
    trained = train(recipe, digits, compute)
    folder, images = tmp_path / "model", digits.splits["train"].images[:40]
    save_model(folder, trained, digits.class_names, digits.image_shape, compute, "# A card\n")
    (layer,) = json.loads((folder / "config.json").read_text())["network"]["layers"]
    assert layer["text"] == TIED
    # 3·3·4 + 4, twice 3·3·4·4 + 4 with one kernel, 8, 256·10 + 10
    assert layer["weights"] == 40 + (144 + 4 + 4) + 8 + 2570
    assert layer["macs"] == 64 * (36 + 144 + 144) + 2560
    expected = load_model(folder, "cpu").probabilities(images)

    monkeypatch.setattr(own, "_NAMED", {})
    with pytest.raises(RecipeError, match=r"is not run unless you name it: `network=\"net\.py:build\"`$"):
        load_model(folder, "cpu")
    with pytest.raises(RecipeError, match="is not run unless you name it"):
        stepladder.predict(folder, images)
    model = load_model(folder, "cpu", network=reference)
    np.testing.assert_array_equal(model.probabilities(images), expected)
    assert stepladder.predict(folder, images, network=reference).labels.shape == (40,)
    pytest.importorskip("onnx", reason="the extra 'export' is not installed")
    exported = export_model(model, tmp_path / "own.onnx", images)
    assert exported.checked == 40
    for count in (1, 7):
        answers = OnnxModel.load(exported.path).probabilities(images[:count])
        np.testing.assert_allclose(answers, expected[:count], atol=TOLERANCE)


@pytest.mark.long
def test_a_forward_pass_that_fixes_the_number_of_images_is_not_exported(
    reference: str, tiny_recipe: MakeRecipe, digits: ImageSet, compute: Compute, tmp_path: Path
) -> None:
    pytest.importorskip("onnx", reason="the extra 'export' is not installed")
    Path(reference.removesuffix(":build")).write_text(TIED.replace("images.shape[0]", "len(images)"))
    trained = train(tiny_recipe(network=load_network(reference).model_dump(), epochs=1), digits, compute)
    save_model(tmp_path / "model", trained, digits.class_names, digits.image_shape, compute, "")
    model = load_model(tmp_path / "model", "cpu")
    for form in ("onnx", "exported-program"):
        with pytest.raises(
            RecipeError, match=r"fixes how many images it reads, as len\(x\) does; let it take x\.shape"
        ):
            export_model(model, tmp_path / "own", digits.splits["train"].images[:4], form=form)
    assert not (tmp_path / "own").exists()


def test_a_model_of_layers_needs_no_file(saved: Path) -> None:
    with pytest.raises(RecipeError, match=r"^`network` is 'net\.py:build', and the model's network is a list of lay"):
        load_model(saved, "cpu", network="net.py:build")
