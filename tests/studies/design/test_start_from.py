"""A recipe that begins from a trained model."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stepladder.datasets import DefaultSize, ImageSet, Split, load_image_set
from stepladder.errors import RecipeError, StudyError
from stepladder.model import load_model
from stepladder.model.folder import save_model
from stepladder.model.training_images import TrainingImages, write_training_images
from stepladder.network import load_network
from stepladder.studies.design.recipes import RecipeOptions, choose_study
from stepladder.studies.design.rules import Protocol, Rules
from stepladder.studies.prepare import prepare
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution
from stepladder.training.assembly import TrainingData, assemble
from stepladder.training.device import choose_compute
from stepladder.training.loop import train_network

CPU = choose_compute("cpu", "float32")
NAMES = tuple("abcdefghij")


def saved(folder: Path, digits: ImageSet, recipe, names: tuple[str, ...] = NAMES) -> Path:
    train = digits.splits["train"].take(np.arange(200))
    trained = train_network(recipe, TrainingData(train, train, 10), 0, CPU)
    save_model(folder, trained, names, digits.image_shape, CPU, "card")
    return folder


@pytest.fixture
def named(digits: ImageSet) -> ImageSet:
    return replace(digits, class_names=NAMES)


def begun(options: RecipeOptions, images: ImageSet) -> dict[str, torch.Tensor]:
    train = images.splits["train"].take(np.arange(200))
    data = TrainingData(train, train, len(images.class_names))
    return dict(assemble(options.make(images), data, 1, CPU).trained.state_dict())


def test_with_the_same_classes_it_is_the_model_itself(digits, named, tiny_recipe, tmp_path):
    folder = saved(tmp_path / "cats" / "model", digits, tiny_recipe("standardize", "batch_norm", "dropout", epochs=1))
    options = RecipeOptions("report", init=tmp_path / "cats")
    recipe = options.make(named)
    # Its layers are those that techniques had rewritten, so none of these comes again.
    assert [one.name for one in recipe.techniques][:2] == ["pretrained", "standardize"]
    assert not {"batch_norm", "dropout"} & {one.name for one in recipe.techniques}
    assert recipe.name == "report-from-cats"
    assert options.default_size() == DefaultSize(8, fit="crop")
    theirs, ours = load_model(folder, "cpu").module.state_dict(), begun(options, named)
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    note = options.with_note(named, recipe).notes[-1]
    assert note == (
        f"Begins from {folder}: all its layers and outputs, as the classes are the same. dropout and batch_norm are "
        "left out of the recipe: the model's network has its layers already. The recipe's rate of 0.1 is for weights "
        "that begin at random, and may undo what these know; optimizer.lr=0.01 is gentler."
    )


def test_a_rate_for_random_weights_is_told_where_nobody_chose_it(digits, named, tiny_recipe, tmp_path):
    folder = saved(tmp_path / "model", digits, tiny_recipe(epochs=1))

    def note(recipe, **settings):
        options = RecipeOptions(recipe, settings=settings, init=folder)
        return options.with_note(named, options.make(named)).notes[-1]

    assert "may undo what these know; optimizer.lr=0.01 is gentler." in note("report", epochs=2)
    assert "gentler" not in note("report", **{"optimizer.lr": 0.1})  # the user's own, whatever it is
    assert "gentler" not in note("transfer")  # whose rate is for such weights


def test_a_class_more_and_a_class_less(digits, tiny_recipe, tmp_path):
    """Known classes keep their outputs, wherever they stand now; the new one is drawn."""
    folder = saved(tmp_path / "model", digits, tiny_recipe(epochs=1))
    names = ("new", *reversed(NAMES[1:]))
    images = replace(digits, class_names=names)
    options = RecipeOptions("small", init=folder)
    theirs, ours = load_model(folder, "cpu").module.state_dict(), begun(options, images)
    layer = list(theirs)[-1].rpartition(".")[0]
    for position, name in enumerate(names[1:], start=1):
        there = theirs[f"{layer}.weight"][NAMES.index(name)]
        assert torch.equal(ours[f"{layer}.weight"][position], there), name
    assert not any(torch.equal(ours[f"{layer}.weight"][0], row) for row in theirs[f"{layer}.weight"])
    note = options.with_note(images, options.make(images)).notes[-1]
    assert "all its layers but the output, and its outputs for j, i, h, g, f and 4 more; new is new; a is gone." in note


def test_other_classes_get_an_output_layer_of_their_own(digits, tiny_recipe, tmp_path):
    folder = saved(tmp_path / "model", digits, tiny_recipe(epochs=1))
    train = digits.splits["train"].take(np.flatnonzero(digits.splits["train"].labels < 3)[:90])
    images = ImageSet("three", ("x", "y", "z"), {"train": Split(train.images, train.labels)})
    options = RecipeOptions(init=str(folder))
    data = TrainingData(images.splits["train"], images.splits["train"], 3)
    state = assemble(options.make(images), data, 1, CPU).trained.state_dict()
    theirs = load_model(folder, "cpu").module.state_dict()
    *layers, weight, bias = state
    assert state[weight].shape[0] == state[bias].shape[0] == 3
    assert all(torch.equal(state[name], theirs[name]) for name in layers)
    assert (
        "as it knows other classes (a, b, c, d, e and 5 more)."
        in options.with_note(images, options.make(images)).notes[-1]
    )


def test_its_images_are_made_as_those_of_the_model(digits, tiny_recipe, tmp_path):
    """Padded where the model learned padded ones, whatever these images alone would get."""
    folder = saved(tmp_path / "model", digits, tiny_recipe(epochs=1))
    config = json.loads((folder / "config.json").read_text())
    del config["image_rule"]
    (folder / "config.json").write_text(json.dumps(config | {"fit": "pad"}))
    assert RecipeOptions(init=folder).default_size() == DefaultSize(8, fit="pad")
    photos = tmp_path / "photos"
    for number in range(12):
        path = photos / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 21), 20 * number, np.uint8)).save(path)
    loaded = load_image_set(str(photos), size=RecipeOptions(init=folder).default_size())
    assert (loaded.fit, loaded.image_shape) == ("pad", (8, 8, 1))
    note = next(note for note in loaded.notes if "8×8" in note)
    assert "The network learned from images of 8×8, made so in the same way; `size=N` takes another." in note
    assert "as where the network learned" not in note
    assert load_image_set(str(photos), size=8).fit == "crop"


def test_test_images_that_trained_the_model_are_told(digits, named, tiny_recipe, tmp_path):
    folder = saved(tmp_path / "model", digits, tiny_recipe(epochs=1))
    part = digits.splits["test"].take(np.arange(50)) if "test" in digits.splits else digits.splits["train"]
    write_training_images(folder, TrainingImages.of(part, "digits", "f" * 64, 10))
    options = RecipeOptions("small", init=folder)
    said: list[str] = []
    callbacks = Callbacks()
    callbacks.message = said.append  # type: ignore[method-assign]
    prepared = prepare(named, options.make(named), Protocol(), Execution(precision="float32"), callbacks)
    seen = TrainingImages.of(part, "digits", "f" * 64, 10).count_in(prepared.splits.test)
    assert seen > 0
    wanted = f"{seen:,} of the {len(prepared.splits.test):,} test images trained the model that this begins from"
    assert any(wanted in sentence for sentence in said)
    assert any(wanted in note for note in prepared.data.notes)


def test_what_is_no_model_and_what_would_be_lost(digits, tiny_recipe, tmp_path):
    with pytest.raises(RecipeError, match=re.escape(f"`init` is '{tmp_path}', and no model is there; give the folder")):
        RecipeOptions(init=tmp_path).check()
    folder = saved(tmp_path / "model", digits, tiny_recipe(epochs=1))
    for options in (
        RecipeOptions(init=folder, network="lenet5"),
        RecipeOptions(init=folder, settings={"network": "x"}),
    ):
        with pytest.raises(RecipeError, match="`init` brings its model's network, so `network` would be lost"):
            options.check()


def test_gray_and_color_are_told_apart(digits, tiny_recipe, tmp_path):
    folder = saved(tmp_path / "model", digits, tiny_recipe(epochs=1))
    splits = {name: replace(split, pixels=np.repeat(split.pixels, 3, axis=3)) for name, split in digits.splits.items()}
    colored = replace(digits, splits=splits)
    wanted = "which reads gray images, and these are color; add `channels=1`"
    with pytest.raises(RecipeError, match=re.escape(wanted)):
        RecipeOptions(init=folder).load(colored)


def test_rungs_of_ones_own_begin_from_it_where_they_say_pretrained(digits, named, tiny_recipe, tmp_path):
    folder = saved(tmp_path / "model", digits, tiny_recipe(epochs=1))
    options = RecipeOptions("small", init=folder)
    chosen = choose_study(["base:", "+weights:pretrained"], options, named, 3, Rules())
    base, weights = chosen.design.rungs
    assert base.recipe.network == weights.recipe.network == load_network(str(folder))
    assert weights.recipe.techniques[0].options["source"] == str(folder)
    (tmp_path / "study.toml").write_text('set = {network = "lenet5"}\n[[rungs]]\nname = "a"\ntechniques = []\n')
    with pytest.raises(
        StudyError, match=r"`init` brings its model's network, and .*study[.]toml names another; give one"
    ):
        choose_study(tmp_path / "study.toml", options, named, 3, Rules())


def test_a_network_of_a_model_without_its_weights_is_said(digits, named, tiny_recipe, tmp_path):
    folder = saved(tmp_path / "model", digits, tiny_recipe(epochs=1))
    options = RecipeOptions("small", network=str(folder))
    assert options.with_note(named, options.make(named)).notes[-1] == (
        f"Network: the layers of {folder}, without what they have learned; `init='{folder}'` begins from that."
    )
