import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepladder.datasets import Split
from stepladder.errors import RecipeError
from stepladder.network.build import build_network
from stepladder.recipe import Recipe
from stepladder.techniques import TECHNIQUES, Progress, Technique
from stepladder.techniques.guard import FORKED
from stepladder.training import assembly, loop
from stepladder.training.assembly import Assembly, TrainingData
from stepladder.training.device import choose_compute
from stepladder.training.evaluate import DeviceSplit, evaluate
from stepladder.training.history import EpochRecord
from stepladder.training.loop import TrainedNetwork, TrainingCallbacks, train_network
from stepladder.training.metrics import find_metric
from stepladder.training.rng import Streams

CPU = choose_compute("cpu", "float32")
MakeRecipe = Callable[..., Recipe]


class Described(Technique):
    group = "test"
    summary = "for a test"
    paper = "none"
    caveat = "none"


class Recorder(Described):
    """Remembers the labels of every batch and the weights that training starts from."""

    name = "recorder"
    seen: ClassVar[list[list[int]]] = []

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        self.seen.append(targets.tolist())
        return images, targets


class Average(Described):
    name = "average"

    def weights(self, current: dict[str, Tensor], averaged: dict[str, Tensor], progress: Progress) -> None:
        for key, value in current.items():
            averaged[key].lerp_(value, 1 / (progress.step + 1))


class Steps(Described):
    """Remembers how many steps each hook was told were behind."""

    name = "steps"
    seen: ClassVar[dict[str, list[int]]] = {}

    def _see(self, hook: str, progress: Progress) -> None:
        assert (progress.steps_per_epoch, progress.epochs) == (19, 2)
        self.seen.setdefault(hook, []).append(progress.step)

    def batch_started(self, positions: Tensor, progress: Progress) -> None:
        self._see("batch_started", progress)

    def lr_factor(self, progress: Progress) -> float:
        self._see("lr_factor", progress)
        return 1.0

    def after_step(self, parameters: Sequence[Tensor], progress: Progress) -> None:
        self._see("after_step", progress)

    def weights(self, current: dict[str, Tensor], averaged: dict[str, Tensor], progress: Progress) -> None:
        self._see("weights", progress)
        for key, value in current.items():
            averaged[key].copy_(value)


class HalfLoss(Described):
    name = "half_loss"

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets) / 2


class OtherLoss(HalfLoss):
    name = "other_loss"


class Loud(Described):
    name = "loud"

    def prepare(self, images: Tensor) -> Tensor:
        return images * 1000


@pytest.fixture(autouse=True)
def more_techniques(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for technique in (Recorder, Average, Steps, HalfLoss, OtherLoss, Loud):
        monkeypatch.setitem(TECHNIQUES, technique.name, technique)
    Recorder.seen = []
    return


def train(recipe: Recipe, split: Split, **more: Any) -> TrainedNetwork:
    return train_network(recipe, TrainingData(split, split, 10), **{"seed": 0, "compute": CPU, **more})


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())


def figures(record: EpochRecord) -> tuple[float | None, ...]:
    """Everything in a record but the clock's figures."""
    return (record.epoch, record.lr, record.train_loss_running, record.train_loss, record.val_loss, record.val_accuracy)


ALL = ("standardize", "random_crop", "horizontal_flip", "exponential_lr", "dropout", "batch_norm")


@pytest.mark.long
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_same_seed_same_bits_with_everything_on(tiny_recipe: MakeRecipe, digits_train: Split, precision: str) -> None:
    compute = choose_compute("cpu", precision)
    torch.manual_seed(1)
    one = train(tiny_recipe(*ALL), digits_train, compute=compute)
    torch.manual_seed(2)  # the global generator has no say
    other = train(tiny_recipe(*ALL), digits_train, compute=compute)
    assert same_weights(one.module, other.module)
    assert [figures(record) for record in one.history] == [figures(record) for record in other.history]
    assert not same_weights(one.module, train(tiny_recipe(*ALL), digits_train, compute=compute, seed=1).module)


def test_training_leaves_the_global_generator_alone(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    before = torch.get_rng_state()
    train(tiny_recipe(*ALL), digits_train)
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_changes_neither_the_order_nor_the_shared_weights(
    tiny_recipe: MakeRecipe, digits_train: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = []
    make_optimizer = assembly.make_optimizer

    def remember(settings: Any, module: nn.Module, scales: Any) -> torch.optim.Optimizer:
        starts.append({name: value.clone() for name, value in module.state_dict().items()})
        return make_optimizer(settings, module, scales)

    monkeypatch.setattr(assembly, "make_optimizer", remember)
    train(tiny_recipe("recorder"), digits_train)
    without, Recorder.seen = Recorder.seen, []
    trained = train(tiny_recipe("recorder", "dropout"), digits_train)
    assert Recorder.seen == without
    assert [layer.name for layer in trained.network.layers].count("fc2_dropout") == 1
    assert starts[0].keys() == starts[1].keys()
    assert all(torch.equal(starts[0][name], starts[1][name]) for name in starts[0])


def test_the_order_is_new_in_every_epoch_and_misses_no_image(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    train(tiny_recipe("recorder"), digits_train)
    steps = math.ceil(len(digits_train) / 16)
    # The first call comes from the look for techniques without effect.
    epochs = [list(chain(*Recorder.seen[1 + start : 1 + start + steps])) for start in (0, steps)]
    assert epochs[0] != epochs[1]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(digits_train.labels.tolist())


def test_the_loop_takes_the_steps_of_a_plain_one(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    """Against a loop written without any of Stepladder's speed: float64, one image at a time into the batch."""
    recipe = tiny_recipe("standardize", {"name": "exponential_lr", "gamma": 0.5}, epochs=3)
    trained = train(recipe, digits_train)

    images = torch.from_numpy(digits_train.images).permute(0, 3, 1, 2).double() / 255
    images = (images - images.mean()) / images.std(correction=0)
    labels = torch.from_numpy(digits_train.labels)
    model = build_network(recipe.network, (1, 8, 8), 10, Streams(0)).double()
    order = Streams(0)("order")
    for epoch in range(3):
        for positions in torch.randperm(len(labels), generator=order).split(16):
            batch = torch.stack([images[position] for position in positions])
            loss = F.cross_entropy(model(batch), labels[positions])
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                    parameter -= 0.1 * 0.5**epoch * gradient
    for name, value in model.state_dict().items():
        torch.testing.assert_close(trained.module.state_dict()[name].double(), value, atol=2e-5, rtol=1e-4)
    assert [record.lr for record in trained.history] == [None, 0.1, 0.05, 0.025]


def test_epoch_zero_is_the_untrained_network(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    first = train(tiny_recipe(), digits_train).history[0]
    assert (first.epoch, first.lr, first.train_loss_running, first.images_per_second) == (0, None, None, None)
    assert first.train_loss == pytest.approx(math.log(10), abs=0.1)


def test_training_figures_are_of_plain_images_in_evaluation_mode(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    trained = train(tiny_recipe(*ALL), digits_train)
    score = evaluate(trained.module, trained.techniques, DeviceSplit.load(digits_train, CPU.device), CPU)
    last = trained.history[-1]
    assert (last.train_loss, last.train_accuracy) == (score.loss, score.accuracy)
    assert last.train_loss_running is not None
    assert last.train_loss_running != pytest.approx(score.loss, rel=1e-3)


def test_training_figures_are_of_a_fixed_sample(
    tiny_recipe: MakeRecipe, digits_train: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "TRAIN_SAMPLE", 7)
    records = train(tiny_recipe(), digits_train).history
    assert all(record.train_accuracy * 7 == pytest.approx(round(record.train_accuracy * 7)) for record in records)


def test_without_validation_the_curve_is_of_test(tiny_recipe: MakeRecipe, digits_train: Split, noise: Split) -> None:
    trained = train_network(tiny_recipe(), TrainingData(digits_train, digits_train, 10, watches_test=True), 0, CPU)
    last = trained.history[-1]
    assert last.val_accuracy is None
    assert last.test_accuracy == last.train_accuracy


def test_a_loss_that_is_not_finite_stops_the_trial_and_says_when(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    trained = train(tiny_recipe(optimizer={"lr": 1e20}, epochs=5), digits_train)
    assert trained.failure is not None
    assert "not finite in epoch 1" in trained.failure
    assert [record.epoch for record in trained.history] == [0]


def test_a_lone_last_image_joins_the_batch_before_it() -> None:
    assert [len(batch) for batch in loop._batches(torch.arange(33), 16)] == [16, 17]
    assert [len(batch) for batch in loop._batches(torch.arange(34), 16)] == [16, 16, 2]


def test_averaged_weights_are_the_ones_evaluated_and_left(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    plain = train(tiny_recipe(), digits_train)
    averaged = train(tiny_recipe("average"), digits_train)
    assert not same_weights(plain.module, averaged.module)
    # Training itself is untouched: the running loss is the same to the bit.
    assert [record.train_loss_running for record in plain.history] == [
        record.train_loss_running for record in averaged.history
    ]
    assert plain.history[-1].train_loss != averaged.history[-1].train_loss


def test_before_a_step_hooks_count_those_before_it_and_after_it_that_one_too(
    tiny_recipe: MakeRecipe, digits_train: Split
) -> None:
    Steps.seen.clear()
    train(tiny_recipe("steps"), digits_train)
    before, after = list(range(38)), list(range(1, 39))  # two epochs of 300 images in batches of 16
    assert {hook: seen[-38:] for hook, seen in Steps.seen.items()} == {
        "batch_started": before,
        "lr_factor": before,
        "after_step": after,
        "weights": after,
    }


def test_a_technique_may_replace_the_loss_and_two_may_not(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    plain = train(tiny_recipe(epochs=1, optimizer={"lr": 0.05}), digits_train)
    halved = train(tiny_recipe("half_loss", epochs=1, optimizer={"lr": 0.1}), digits_train)
    # Half the loss at twice the rate takes the same steps.
    for name, value in plain.module.state_dict().items():
        torch.testing.assert_close(halved.module.state_dict()[name], value)
    with pytest.raises(RecipeError, match="half_loss and other_loss both replace the training loss; keep one"):
        train(tiny_recipe("half_loss", "other_loss"), digits_train)


def test_an_untrained_loss_far_from_chance_is_pointed_out(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    assert train(tiny_recipe(), digits_train).warnings == []
    warnings = train(tiny_recipe("loud", epochs=1), digits_train).warnings
    assert any("where ln(10) = 2.30 is expected" in warning for warning in warnings)


def test_a_technique_without_effect_is_named(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    trained = train(tiny_recipe({"name": "horizontal_flip", "p": 0.0}, "dropout"), digits_train)
    assert trained.warnings == ["horizontal_flip is switched on and changed nothing when tried on one batch"]


def test_whoever_watches_hears_of_every_image_and_epoch(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    images: list[int] = []
    epochs: list[int] = []
    started: list[Assembly] = []
    trained = train(
        tiny_recipe(),
        digits_train,
        callbacks=TrainingCallbacks(
            images.append, lambda record: epochs.append(record.epoch * len(started)), on_start=started.append
        ),
    )
    assert sum(images) == 2 * len(digits_train)
    assert epochs == [0, 1, 2]
    assert started[0].evaluated is trained.module


def test_color_images_of_another_size_train_too(tiny_recipe: MakeRecipe, noise: Split) -> None:
    trained = train_network(tiny_recipe(*ALL), TrainingData(noise, noise, 4), 0, CPU)
    assert trained.failure is None
    assert trained.input_shape == (3, 8, 8)


def test_the_best_epoch_on_validation_is_kept_where_asked_for(
    tiny_recipe: MakeRecipe, digits_train: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe("standardize", epochs=4)
    # What validation says is made up, so that the second epoch is chosen; the fourth is as good and later.
    scripted = iter([0.0, 0.3, 0.9, 0.5, 0.9])
    real = loop.evaluate

    def scripted_evaluate(module: Any, techniques: Any, split: DeviceSplit, compute: Any, measure: Any = None) -> Any:
        score = real(module, techniques, split, compute, measure)
        return replace(score, accuracy=next(scripted)) if len(split) == len(images.watched) else score

    images = TrainingData(digits_train, digits_train.take(np.arange(40)), 10)
    monkeypatch.setattr(loop, "evaluate", scripted_evaluate)
    best = train_network(recipe, images, 0, CPU, select_best=True)
    assert best.selected_epoch == 2
    monkeypatch.setattr(loop, "evaluate", real)
    short = train_network(tiny_recipe("standardize", epochs=2), images, 0, CPU)
    assert short.selected_epoch == 2
    for name, value in best.module.state_dict().items():
        assert torch.equal(value, short.module.state_dict()[name])
    with pytest.raises(AssertionError, match="test chooses nothing"):
        train_network(recipe, replace(images, watches_test=True), 0, CPU, select_best=True)


@pytest.mark.parametrize(("name", "chosen"), [("balanced_accuracy", 1), ("ece", 3)])
def test_the_epoch_is_the_best_by_the_metric_that_decides(
    tiny_recipe: MakeRecipe, digits_train: Split, monkeypatch: pytest.MonkeyPatch, name: str, chosen: int
) -> None:
    # Accuracy would choose the second epoch; balanced accuracy, the first; of an error the lowest is the best.
    images = TrainingData(digits_train, digits_train.take(np.arange(40)), 10, metric=find_metric(name))
    accuracies, scores = iter([0.0, 0.3, 0.9, 0.5]), iter([0.5, 0.8, 0.7, 0.1])
    real = loop.evaluate

    def scripted_evaluate(module: Any, techniques: Any, split: DeviceSplit, compute: Any, measure: Any = None) -> Any:
        score = real(module, techniques, split, compute, measure)
        if len(split) != len(images.watched):
            assert measure is None
            return score
        return replace(score, accuracy=next(accuracies), metric=next(scores))

    monkeypatch.setattr(loop, "evaluate", scripted_evaluate)
    best = train_network(tiny_recipe("standardize", epochs=3), images, 0, CPU, select_best=True)
    assert best.selected_epoch == chosen
    assert [record.val_score for record in best.history] == [0.5, 0.8, 0.7, 0.1]


def test_what_a_trial_leaves_is_short_to_print(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    images = TrainingData(digits_train, digits_train.take(np.arange(40)), 10)
    assert repr(images) == f"TrainingData({len(digits_train):,} training and 40 validation images, 10 classes)"
    trained = train_network(tiny_recipe("standardize", epochs=2), images, 0, CPU)
    assert repr(trained).startswith("TrainedNetwork(epoch 2 of 2, ")
    failed = replace(trained, failure="a sentence " * 100)
    settled = assembly.assemble(tiny_recipe("standardize", "dropout"), images, 0, CPU)
    assert repr(settled).endswith("weights, techniques: standardize, dropout)")
    for one in (trained, failed, settled, settled.data, settled.data.batches, settled.techniques[0].context):
        assert len(repr(one)) < 500


def test_every_technique_and_every_dropout_draws_from_a_stream_of_its_own(
    tiny_recipe: MakeRecipe, digits_train: Split
) -> None:
    recipe = tiny_recipe("random_crop", "horizontal_flip", {"name": "dropout", "where": "all"})
    streams = assembly.assemble(recipe, TrainingData(digits_train, digits_train, 10), 0, CPU).streams
    assert len([name for name in streams if name.startswith("dropout/")]) > 1
    starts = {name: stream.get_state().numpy().tobytes() for name, stream in streams.items()}
    assert len(set(starts.values())) == len(starts)


def test_the_sample_is_spread_over_all_training_images(
    tiny_recipe: MakeRecipe, digits_train: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "TRAIN_SAMPLE", 4)
    sample = assembly.assemble(tiny_recipe(), TrainingData(digits_train, digits_train, 10), 0, CPU).sample
    assert sample.rows is not None
    assert sample.rows.tolist() == [number * len(digits_train) // 4 for number in range(4)]


def test_the_best_epoch_keeps_the_averaged_weights(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    images = TrainingData(digits_train, digits_train, 10)
    best = train_network(tiny_recipe("standardize", "average", epochs=3), images, 0, CPU, select_best=True)
    score = evaluate(best.module, best.techniques, DeviceSplit.load(digits_train, CPU.device), CPU)
    assert (
        score.accuracy
        == best.history[best.selected_epoch].val_accuracy
        == max(record.val_accuracy or 0.0 for record in best.history)
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process can be copied here")
def test_a_copy_of_the_process_ends_at_its_next_step(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    """Without checkpoints too: two must not train one trial, nor return from one call."""
    children: list[int] = []

    def copied(_images: int) -> None:
        if not children:
            children.append(os.fork())

    data = TrainingData(digits_train, None, 10)
    try:
        train_network(tiny_recipe(epochs=1), data, 0, CPU, TrainingCallbacks(copied))
    finally:
        if children == [0]:
            os._exit(0)  # the copy went on; whatever it comes to, it must not run the tests that follow
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == FORKED


def test_images_a_second_leave_the_evaluation_out_and_seconds_have_it(
    tiny_recipe, digits_train: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, plain = [0.0], loop.evaluate

    def pass_time(seconds: float) -> None:
        now[0] += seconds

    def slow_evaluation(*arguments):
        pass_time(100)
        return plain(*arguments)

    monkeypatch.setattr(loop, "perf_counter", lambda: now[0])
    monkeypatch.setattr(loop, "evaluate", slow_evaluation)
    images = TrainingData(digits_train, digits_train.first(20), 10)
    callbacks = TrainingCallbacks(on_batch=lambda images: pass_time(images / 50))
    trained = train_network(tiny_recipe(), images, 0, CPU, callbacks)
    last = trained.history[-1]
    assert last.images_per_second == pytest.approx(50)
    assert last.seconds == pytest.approx(len(digits_train) / 50 + 200)


def test_a_watched_test_split_is_no_validation_to_a_technique(tiny_recipe, digits_train: Split) -> None:
    watched = TrainingData(digits_train, digits_train, 10, watches_test=True)
    plateau = tiny_recipe({"name": "reduce_on_plateau", "patience": 1}, epochs=3)
    with pytest.raises(RecipeError, match="reads the validation loss, and no image is left for validation"):
        train_network(plateau, watched, 0, CPU)
