"""What every technique must do, by the table in ``settings.py``."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

import stepladder
from stepladder.errors import RecipeError
from stepladder.techniques import TECHNIQUES, Progress, Technique, find_technique
from stepladder.training.device import choose_compute
from stepladder.training.loop import TrainedNetwork, Watched, train_network

from .settings import SETTINGS

CPU = choose_compute("cpu", "float32")
HOOKS = ("fit", "rewrite", "augment", "prepare", "lr_factor", "loss", "weights")

every_technique = pytest.mark.parametrize("name", TECHNIQUES)
with_strength = pytest.mark.parametrize("name", [name for name, entry in SETTINGS.items() if entry.absent is not None])


def make(name: str, options: dict[str, object] | None = None) -> Technique:
    return find_technique(name)(**(SETTINGS[name].strong if options is None else options))


@pytest.fixture(scope="session")
def train(digits_train, tiny_recipe):
    def run(*techniques: str | dict[str, object], seed: int = 0) -> TrainedNetwork:
        return train_network(tiny_recipe(*techniques), digits_train, Watched(digits_train), 10, seed, CPU)

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
    zero = train({"name": name, **SETTINGS[name].absent})
    assert bits(zero) == bits(train())
    assert zero.warnings == [f"{name} is switched on and changed nothing when tried on one batch"]


@with_strength
def test_strength_zero_equals_absent_among_the_others_too(name, train):
    others = [{"name": other, **SETTINGS[other].strong} for other in TECHNIQUES]
    zero = [{"name": name, **SETTINGS[name].absent} if other["name"] == name else other for other in others]
    without = [other for other in others if other["name"] != name]
    assert bits(train(*zero)) == bits(train(*without))


@every_technique
def test_switched_on_it_changes_training_and_the_same_seed_gives_the_same_bits(name, train):
    table = {"name": name, **SETTINGS[name].strong}
    trained = train(table)
    assert bits(trained) == bits(train(table))
    assert bits(trained) != bits(train())
    assert bits(trained) != bits(train(table, seed=1))
    assert trained.warnings == []
    assert trained.failure is None


@every_technique
def test_it_says_what_it_is(name):
    technique = TECHNIQUES[name]
    assert technique.name == name
    for text in (technique.group, technique.summary, technique.paper, technique.caveat, technique.__doc__):
        assert text.strip()
    assert "\n" not in technique.summary
    assert technique.group in {"inputs", "augmentation", "learning rate", "network", "loss and weights"}
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
    images = make_images()
    before = images.clone()
    learned = make(name).fit([images])
    assert torch.equal(images, before)
    assert all(value.dtype == torch.float32 for value in learned.values())


@every_technique
@pytest.mark.parametrize(("count", "channels"), [(16, 3), (1, 1)])
def test_augment_keeps_type_and_shape_and_its_input(name, count, channels, make_images, stream):
    images = make_images(count, channels=channels)
    targets = torch.arange(count)
    pixels_before, targets_before, state = images.clone(), targets.clone(), torch.get_rng_state()
    augmented, mixed = make(name).augment(images, targets, stream())
    assert augmented.dtype == torch.uint8
    assert augmented.shape == images.shape
    assert len(mixed) == count
    assert torch.equal(images, pixels_before)
    assert torch.equal(targets, targets_before)
    assert torch.equal(torch.get_rng_state(), state)


@every_technique
def test_augment_is_the_stream_s_doing_alone(name, make_images, stream):
    images, targets = make_images(), torch.arange(16)
    outcomes = [make(name).augment(images, targets, stream(seed)) for seed in (5, 5)]
    assert torch.equal(outcomes[0][0], outcomes[1][0])
    # The layout of the memory is no matter of the result.
    dense = make(name).augment(images.contiguous(), targets, stream(5))
    assert torch.equal(outcomes[0][0], dense[0])


@every_technique
def test_prepare_is_float32_and_leaves_its_input(name, make_images):
    technique = make(name)
    technique.restore(technique.fit([make_images()]), CPU.device)
    prepared = make_images().float() / 255
    before = prepared.clone()
    one, other = technique.prepare(prepared), technique.prepare(prepared)
    assert torch.equal(prepared, before)
    assert one.dtype == torch.float32
    assert torch.equal(one, other)


@every_technique
def test_the_learning_rate_starts_where_the_recipe_says(name):
    assert make(name).lr_factor(Progress(0, 10, 20)) == 1


def test_an_unknown_name():
    with pytest.raises(RecipeError, match=r"unknown technique 'dropuot'; did you mean 'dropout'\? Known: batch_norm"):
        find_technique("dropuot")


def test_progress_counts_epochs_and_share():
    assert [Progress(step, 5, 4).epoch for step in (0, 4, 5, 19)] == [0, 0, 1, 3]
    assert Progress(10, 5, 4).fraction == 0.5


def test_nothing_outside_the_folder_names_a_technique():
    """Layers share two names with techniques (``dropout``, ``batch_norm``); all others must not appear in code."""
    root = Path(stepladder.__file__).parent
    names = set(TECHNIQUES) - {"dropout", "batch_norm"}
    modules = {technique.__name__ for technique in TECHNIQUES.values()} - {"Dropout", "BatchNorm"}
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
