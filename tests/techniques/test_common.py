"""What every technique must do, by the table in ``settings.py``."""

from __future__ import annotations

import ast
import functools
import json
import re
from pathlib import Path
from typing import Literal, get_origin

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

import stepladder
from stepladder.citations import written
from stepladder.datasets import Split
from stepladder.errors import RecipeError
from stepladder.model import load_model
from stepladder.model.folder import save_model
from stepladder.network import load_preset
from stepladder.network.spec import LAYER_KINDS
from stepladder.schema import check, range_of
from stepladder.techniques import GROUPS, TECHNIQUES, Context, Progress, Technique, find_technique
from stepladder.training.assembly import TrainingData
from stepladder.training.device import choose_compute
from stepladder.training.evaluate import ImageBatches, compute_logits
from stepladder.training.loop import TrainedNetwork, train_network

from .settings import SETTINGS, strong_options

CPU = choose_compute("cpu", "float32")
HOOKS = (
    "fit",
    "rewrite",
    "frozen",
    "lr_scales",
    "initialize",
    "image_weights",
    "augment",
    "prepare",
    "lr_factor",
    "loss",
    "before_step",
    "after_step",
    "weights",
    "epoch_ended",
)

#: Two convolutions, a hidden layer: something for every technique to act on.
NETWORK = "conv3-4 pool2 conv3-4 fc12 fc"

every_technique = pytest.mark.parametrize("name", TECHNIQUES)
with_strength = pytest.mark.parametrize("name", [name for name, entry in SETTINGS.items() if entry.absent is not None])


def make(name: str, options: dict[str, object] | None = None) -> Technique:
    technique = find_technique(name)(**(strong_options(name, NETWORK, 3) if options is None else options))
    technique.begin(Context((3, 8, 8), (4,) * 16, load_preset("report"), epochs=20, steps_per_epoch=10))
    return technique


def tables(name: str, options: dict[str, object] | None = None) -> list[str | dict[str, object]]:
    """The technique as a recipe lists it, behind those that it needs; the last alone is the one at hand."""
    color = SETTINGS[name].color
    chosen = strong_options(name, NETWORK, 3 if color else 1) if options is None else options
    return [*SETTINGS[name].beside, {"name": name, **chosen}]


def fitted(name: str, images: Tensor) -> Technique:
    technique = make(name)
    technique.restore(technique.fit([images]), CPU.device)
    return technique


@pytest.fixture(scope="session")
def train(digits_train, tiny_recipe):
    """Train a tiny network on digits, with unequal classes so that weights of classes matter, or on color noise."""
    few = digits_train.take(np.arange(0, len(digits_train), 2))
    gray = few.take(np.flatnonzero((few.labels > 0) | (np.arange(len(few)) % 2 == 0)))
    random = np.random.default_rng(0)
    color = Split(random.integers(0, 256, (64, 8, 8, 3), dtype=np.uint8), np.arange(64, dtype=np.int64) % 10)

    @functools.cache
    def trained(tables: str, color_images: bool, seed: int) -> TrainedNetwork:
        images = color if color_images else gray
        recipe = tiny_recipe(*json.loads(tables), network=NETWORK, epochs=3)
        return train_network(recipe, TrainingData(images, images, 10), seed, CPU)

    def run(*techniques: str | dict[str, object], seed: int = 0, color: bool = False) -> TrainedNetwork:
        return trained(json.dumps(techniques), color, seed)

    run.again = trained.__wrapped__
    return run


def bits(trained: TrainedNetwork) -> dict[str, bytes]:
    """All weights, and the curve without its times."""
    weights = {name: value.numpy().tobytes() for name, value in trained.module.state_dict().items()}
    curve = [(record.lr, record.train_loss_running, record.train_loss) for record in trained.history]
    return {**weights, "curve": repr(curve).encode()}


def test_the_table_holds_every_technique():
    assert list(SETTINGS) == list(TECHNIQUES)
    assert all(entry.absent is not None or entry.why for entry in SETTINGS.values())


@with_strength
def test_strength_zero_equals_absent_to_the_bit(name, train):
    color = SETTINGS[name].color
    zero = train({"name": name, **SETTINGS[name].absent}, color=color)
    assert bits(zero) == bits(train(color=color))
    assert zero.warnings == [f"{name} is switched on and changed nothing when tried on one batch"]


@pytest.mark.long
@with_strength
def test_strength_zero_equals_absent_among_the_others_too(name, train):
    slot = TECHNIQUES[name].slot
    replaces = TECHNIQUES[name].overrides("loss")

    def stays(other: str) -> bool:
        """Whether ``other`` goes with the one at hand; where several exclude one another, one stands for them."""
        if (slot is not None and TECHNIQUES[other].slot == slot) or (replaces and TECHNIQUES[other].overrides("loss")):
            return False
        return not SETTINGS[other].alone

    zero = [
        {"name": name, **SETTINGS[name].absent} if other == name else {"name": other, **SETTINGS[other].strong}
        for other in TECHNIQUES
        if other == name or stays(other)
    ]
    without = [table for table in zero if table["name"] != name]
    assert bits(train(*zero, color=True)) == bits(train(*without, color=True))


@pytest.mark.long
@every_technique
def test_switched_on_it_changes_training_and_the_same_seed_gives_the_same_bits(name, train):
    listed, color = tables(name), SETTINGS[name].color
    trained = train(*listed, color=color)
    assert bits(trained) == bits(train.again(json.dumps(listed), color, 0))
    assert bits(trained) != bits(train(*listed[:-1], color=color))
    assert bits(trained) != bits(train(*listed, color=color, seed=1))
    assert trained.warnings == []
    assert trained.failure is None


@every_technique
def test_it_says_what_it_is(name):
    technique = TECHNIQUES[name]
    assert technique.name == name
    card = (
        technique.group,
        technique.summary,
        technique.paper,
        technique.caveat,
        technique.cost,
        technique.interactions,
    )
    for text in (*card, technique.__doc__):
        assert text.strip()
    assert technique.cost != "not measured"
    assert technique.papers
    assert technique.paper == written(technique.papers)
    assert "; ".join(paper.line for paper in technique.papers) == technique.paper
    sentences = re.split(r"(?<=\.) (?=[A-Z])", technique.plain)
    assert len(sentences) == 2, "two sentences for a student: what it does, and why it may help"
    assert technique.plain.endswith(".")
    assert max(len(sentence.split()) for sentence in sentences) <= 40
    assert technique.differs == technique.differs.strip().rstrip(".")
    for option in technique.model_fields.values():
        assert option.description
    assert "\n" not in technique.summary
    assert technique.group in GROUPS
    assert any(character.isdigit() for character in technique.paper)  # a year, a section
    assert any(technique.overrides(hook) for hook in HOOKS)


@every_technique
def test_it_lives_in_a_file_of_its_name(name):
    assert TECHNIQUES[name].__module__ == f"stepladder.techniques.{name}"


def test_they_are_listed_group_by_group():
    groups = [technique.group for technique in TECHNIQUES.values()]
    assert groups == sorted(groups, key=groups.index)


@every_technique
def test_settings_are_checked_and_frozen(name):
    technique = make(name)
    with pytest.raises(ValidationError):
        TECHNIQUES[name](no_such_setting=1)
    for option in type(technique).model_fields:
        with pytest.raises(ValidationError):
            setattr(technique, option, 0.1)


@every_technique
def test_fit_leaves_images_alone_and_learns_float32(name, make_images):
    images = make_images(64)
    before = images.clone()
    learned = make(name).fit([images])
    assert torch.equal(images, before)
    assert all(value.dtype == torch.float32 for value in learned.values())


@pytest.mark.long
@every_technique
@pytest.mark.parametrize(("count", "channels"), [(16, 3), (1, 1)])
@pytest.mark.parametrize("soft", [False, True])
def test_augment_keeps_type_and_shape_and_its_input(name, count, channels, soft, make_images, stream):
    images = make_images(count, channels=channels)
    if channels == 1 and SETTINGS[name].color:
        return
    targets = torch.arange(count)
    if soft:
        targets = F.one_hot(targets, 16).float()
    pixels_before, targets_before, state = images.clone(), targets.clone(), torch.get_rng_state()
    augmented, mixed = fitted(name, images).augment(images, targets, stream())
    assert augmented.dtype == torch.uint8
    assert augmented.shape == images.shape
    if mixed.ndim == 2:
        assert mixed.dtype == torch.float32
        torch.testing.assert_close(mixed.sum(dim=1), torch.ones(count))
    else:
        assert torch.equal(mixed, targets)
    assert torch.equal(images, pixels_before)
    assert torch.equal(targets, targets_before)
    assert torch.equal(torch.get_rng_state(), state)


@every_technique
def test_augment_is_the_stream_s_doing_alone(name, make_images, stream):
    images, targets = make_images(), torch.arange(16)
    outcomes = [fitted(name, images).augment(images, targets, stream(seed)) for seed in (5, 5)]
    assert torch.equal(outcomes[0][0], outcomes[1][0])
    assert torch.equal(outcomes[0][1], outcomes[1][1])
    # The layout of the memory is no matter of the result.
    dense = fitted(name, images).augment(images.contiguous(), targets, stream(5))
    assert torch.equal(outcomes[0][0], dense[0])


@every_technique
def test_prepare_is_float32_and_leaves_its_input(name, make_images):
    technique = fitted(name, make_images())
    prepared = make_images().float() / 255
    before = prepared.clone()
    one, other = technique.prepare(prepared), technique.prepare(prepared)
    assert torch.equal(prepared, before)
    assert one.dtype == torch.float32
    assert torch.equal(one, other)


@every_technique
def test_the_learning_rate_starts_where_the_table_says(name):
    assert make(name).lr_factor(Progress(0, 10, 20)) == pytest.approx(SETTINGS[name].starts)


@every_technique
def test_what_it_remembers_can_be_put_away_and_back(name):
    """A trial that goes on from a checkpoint gets the state of each technique back, and nothing else."""
    whole, parted = make(name), make(name)
    weights = {id(whole): torch.ones(3, 2).requires_grad_(), id(parted): torch.ones(3, 2).requires_grad_()}
    averages = {id(whole): {"w": torch.zeros(3, 2)}, id(parted): {"w": torch.zeros(3, 2)}}
    for step in range(1, 41):
        if step == 17:
            kept = {key: value.clone() for key, value in parted.state.items()}
            fresh = make(name)
            weights[id(fresh)], averages[id(fresh)] = weights.pop(id(parted)), averages.pop(id(parted))
            parted = fresh
            parted.restore_state(kept)
        outcomes = []
        for technique in (whole, parted):
            weight, average = weights[id(technique)], averages[id(technique)]
            at = Progress(step, 5, 20)
            with torch.no_grad():
                weight.grad = torch.full_like(weight, 0.1 * step)
                technique.before_step([weight], 0.1)
                weight -= 0.1 * weight.grad
                technique.after_step([weight], at)
                technique.weights({"w": weight.detach()}, average, at)
            if step % 5 == 0:
                technique.epoch_ended(1 / step if step < 15 else 1.0)
            outcomes.append((technique.lr_factor(at), weight.tolist(), average["w"].tolist()))
        assert outcomes[0] == outcomes[1], step


@every_technique
def test_a_model_of_it_is_read_back_to_the_same_logits(name, train, tmp_path):
    trained = train(*tables(name), color=SETTINGS[name].color)
    channels = 3 if SETTINGS[name].color else 1
    save_model(tmp_path, trained, [str(label) for label in range(10)], (8, 8, channels), CPU, "card")
    images = np.random.default_rng(1).integers(0, 256, (5, 8, 8, channels), dtype=np.uint8)
    expected = compute_logits(trained.module, trained.techniques, ImageBatches(torch.from_numpy(images)), CPU)
    assert np.array_equal(load_model(tmp_path, "cpu").logits(images), expected.numpy())


@every_technique
def test_it_is_documented(name):
    text = (Path(__file__).parents[2] / "docs" / "techniques.md").read_text(encoding="utf-8")
    assert f"`{name}`" in text


@every_technique
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_an_epoch_runs_on_a_gpu(name, digits_train, tiny_recipe, noise):
    images = noise if SETTINGS[name].color else digits_train
    recipe = tiny_recipe(*tables(name), network=NETWORK, epochs=3)
    compute = choose_compute("cuda", "float32")
    runs = [train_network(recipe, TrainingData(images, images, 10), 0, compute) for _ in range(2)]
    assert runs[0].failure is None
    assert [record.train_loss for record in runs[0].history] == pytest.approx(
        [record.train_loss for record in runs[1].history], rel=1e-3
    )


#: Every option that is a number, by its technique.
NUMBERS = [
    (name, option)
    for name, technique in TECHNIQUES.items()
    for option, found in technique.model_fields.items()
    if found.annotation not in (bool, str, str | None)
    and get_origin(found.annotation) is not Literal
    and not range_of(technique, option).startswith(("last", "a list"))
]


def test_most_techniques_have_an_option_that_is_a_number():
    assert len({name for name, _ in NUMBERS}) > 25


@pytest.mark.parametrize(("name", "option"), NUMBERS)
def test_an_option_out_of_range_is_said_with_both_ends(name, option):
    """Every numeric option has a lowest and a highest value, and the message names them."""
    with pytest.raises(RecipeError, match=rf"^{name}\.{option} is -1000000; it must be .*\d.*"):
        check(TECHNIQUES[name], {option: -1_000_000}, name)


def test_an_unknown_name():
    with pytest.raises(
        RecipeError, match=r"unknown technique 'dropuot'; did you mean 'dropout'\? All: stepladder tech"
    ):
        find_technique("dropuot")


def test_progress_counts_epochs_and_share():
    assert [Progress(step, 5, 4).epoch for step in (0, 4, 5, 19)] == [0, 0, 1, 3]
    assert Progress(10, 5, 4).fraction == 0.5


@pytest.mark.long
def test_nothing_outside_the_folder_names_a_technique():
    """Layers share some names with techniques, such as ``dropout``; all others must not appear in code."""
    root = Path(stepladder.__file__).parent
    names = set(TECHNIQUES) - set(LAYER_KINDS)
    modules = {technique.__name__ for technique in TECHNIQUES.values()} - {
        kind.__name__ for kind in LAYER_KINDS.values()
    }
    found = []
    for path in root.rglob("*.py"):
        if path.parent.name == "techniques" and path.parent.parent == root:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and node.value in names:
                found.append((path.name, node.lineno, node.value))
            if isinstance(node, ast.Name) and node.id in modules:
                found.append((path.name, node.lineno, node.id))
    assert found == []
