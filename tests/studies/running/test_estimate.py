"""How long trials will take is measured on a few images and counted for all; nothing here depends on a timing."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from stepladder.datasets import ImageSet, Split, Splits, make_splits
from stepladder.recipe import Recipe, load_recipe
from stepladder.studies.running import estimate
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.estimate import Clock, Pace, Work, estimate_seconds
from stepladder.studies.running.timing import READING, TRIAL
from stepladder.techniques.horizontal_flip import HorizontalFlip
from stepladder.training.device import choose_compute

CPU = choose_compute("cpu", "float32", threads=1)
STEP, EVALUATION = 0.001, 0.002  # seconds of an image


class Seconds:
    """A clock that only moves when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Processor time and wall time, both in the hands of the test."""
    both = SimpleNamespace(processor=Seconds(), wall=Seconds())
    monkeypatch.setattr(estimate, "thread_time", both.processor)
    monkeypatch.setattr(estimate, "perf_counter", both.wall)
    return both


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def dots(images: int, side: int = 4) -> Splits:
    labels = np.arange(images) % 2
    pixels = np.random.default_rng(0).integers(0, 256, (images, side, side, 1), dtype=np.uint8)
    image_set = ImageSet("dots", ("a", "b"), {"train": Split(pixels, labels)})
    return make_splits(image_set)


def test_seconds_are_those_of_all_training_and_validation_images(
    tiny_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Recipe] = []

    def measure(recipe: Recipe, *_: Any) -> Pace:
        asked.append(recipe)
        return Pace(STEP, EVALUATION)

    monkeypatch.setattr(estimate, "_measure", measure)
    splits = dots(24_000)
    assert splits.validation is not None
    count, watched = len(splits.train), len(splits.validation)
    assert count > 5000  # of which training accuracy is measured on a sample

    recipe = tiny_recipe(epochs=3)
    told: list[int] = []

    class Noting(Callbacks):
        def measuring(self, rungs: int) -> None:
            told.append(rungs)

    # A curve's sizes, and a point of a sweep that differs by its rate alone: one measurement serves them all.
    other_rate = recipe.model_copy(update={"optimizer": recipe.optimizer.model_copy(update={"lr": 0.5})})
    sizes = {"all": count, "half": count // 2, "few": 1000}
    work = {name: Work(recipe, images) for name, images in sizes.items()} | {"rate": Work(other_rate, count)}
    found = estimate_seconds(work, splits, 2, CPU, Noting())

    def expected(images: int) -> float:
        # The untrained network is evaluated too.
        return 3 * images * STEP + 4 * EVALUATION * (min(5000, images) + watched) + TRIAL

    assert found.seconds == pytest.approx(
        {name: expected(images) for name, images in (sizes | {"rate": count}).items()}
    )
    reading = READING + EVALUATION * (watched + len(splits.test))
    assert found.reading == pytest.approx(dict.fromkeys(work, reading))
    assert (told, len(asked), found.busy) == ([1], 1, 1.0)
    assert estimate_seconds(work, splits, 2, CPU, Callbacks(), reads_test=False).reading == {}


def test_the_clock_tells_how_busy_the_machine_is(
    tiny_recipe: Callable[..., Recipe], clocks: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(*arguments: Any) -> Pace:
        clock: Clock = arguments[-1]
        clock.start()
        clocks.processor.now += 0.2
        clocks.wall.now += 0.5
        assert clock.stop() == pytest.approx(0.2)
        return Pace(STEP, EVALUATION)

    splits = dots(100)
    work = {"a": Work(tiny_recipe(), 80)}
    monkeypatch.setattr(estimate, "_measure", measure)
    busy = estimate_seconds(work, splits, 2, CPU, Callbacks())
    assert (busy.busy, busy.took) == pytest.approx((2.5, 0.5))
    monkeypatch.setattr(estimate, "_measure", lambda *_: Pace(STEP, EVALUATION))
    quiet = estimate_seconds(work, splits, 2, CPU, Callbacks())
    assert busy.seconds["a"] == pytest.approx(2.5 * quiet.seconds["a"])
    assert busy.reading["a"] == pytest.approx(2.5 * quiet.reading["a"])


def test_where_several_threads_share_a_step_the_wall_clock_counts(clocks: SimpleNamespace) -> None:
    clock = Clock(alone=False)
    clock.start()
    clocks.processor.now, clocks.wall.now = 0.2, 0.5
    assert clock.stop() == 0.5
    assert clock.busy == 1.0


@pytest.mark.parametrize(("each", "names"), [(0.4, ["top", "base", "mid"]), (0.8, ["top"]), (100.0, ["top"])])
def test_when_the_time_is_up_the_others_are_taken_from_those_most_like_them(
    each: float,
    names: Sequence[str],
    tiny_recipe: Callable[..., Recipe],
    clocks: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The costliest first, then the cheapest; no image size and no number of rungs takes longer than the budget."""
    recipes = {
        "base": tiny_recipe(),
        "mid": tiny_recipe("standardize"),
        "other": tiny_recipe("standardize", "label_smoothing"),
        "top": tiny_recipe("standardize", "horizontal_flip", "cutout"),
    }
    costs = {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}
    asked: list[int] = []

    def measure(recipe: Recipe, *_: Any) -> Pace:
        clocks.wall.now += each
        asked.append(len(recipe.techniques))
        return Pace(costs[len(recipe.techniques)], 0.0)

    monkeypatch.setattr(estimate, "_measure", measure)
    splits = dots(100)
    work = {name: Work(recipe, 80) for name, recipe in recipes.items()}
    found = estimate_seconds(work, splits, 2, CPU, Callbacks())
    assert asked == [len(recipes[name].techniques) for name in names]
    cost = {name: round((seconds - TRIAL) / 160) for name, seconds in found.seconds.items()}  # two epochs
    measured = {name: costs[len(recipes[name].techniques)] for name in names}
    assert {name: cost[name] for name in names} == measured
    assert cost["other"] == (2.0 if "mid" in names else 4.0)


def test_a_small_batch_of_large_images_is_measured(
    clocks: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, threads: None
) -> None:
    sizes: list[tuple[int, int]] = []

    def steps(assembly: Any, recipe: Recipe, images: int, size: int, *_: Any) -> float:
        sizes.append((size, len(assembly.data)))
        assert images == len(splits.train)
        return 1.0

    monkeypatch.setattr(estimate, "_time_steps", steps)
    monkeypatch.setattr(estimate, "_time_evaluation", lambda *_: 1.0)
    report, small = load_recipe("report").with_techniques([]), load_recipe("small").with_techniques([])
    splits = dots(400, side=160)
    found = estimate_seconds({"": Work(report, 300)}, splits, 2, CPU, Callbacks())
    assert sizes.pop() == (8, 8)
    assert found.seconds[""] > 300 * report.epochs / 8
    splits = dots(400, side=8)
    estimate_seconds({"": Work(small, 300)}, splits, 2, CPU, Callbacks())
    assert sizes.pop() == (small.batch_size, small.batch_size)


def test_it_really_measures_and_leaves_no_trace(
    tiny_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: None
) -> None:
    monkeypatch.chdir(tmp_path)
    splits = dots(100, side=8)
    recipe = tiny_recipe("horizontal_flip", "dropout", "ema")
    before, others = torch.get_rng_state(), threading.active_count()
    work = {"": Work(recipe, 80)}
    found = estimate_seconds(work, splits, 2, CPU, Callbacks(), at_a_time=3)
    assert 0 < found.seconds[""] < 600
    assert found.took > 0
    assert torch.equal(torch.get_rng_state(), before)
    assert threading.active_count() == others
    assert (Path.cwd(), list(tmp_path.iterdir())) == (tmp_path, [])


def test_steps_are_timed_over_the_whole_training(
    tiny_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch, threads: None
) -> None:
    """What a technique does at the end alone costs as well; the first step, which is slow, is not timed."""
    seen: list[float] = []
    monkeypatch.setattr(
        HorizontalFlip, "batch_started", lambda _, __, progress: seen.append(progress.step / 100), raising=False
    )
    monkeypatch.setattr(estimate, "_ENOUGH", 1e9)
    splits = dots(1250)
    recipe = tiny_recipe("horizontal_flip", epochs=2).model_copy(update={"batch_size": len(splits.train) // 50})
    estimate_seconds({"": Work(recipe, len(splits.train))}, splits, 2, CPU, Callbacks())
    # The first is that of the try whether the technique does anything.
    assert seen[:5] == [0.0, 0.0, 0.5, 0.25, 0.75]
    assert max(seen) > 0.9
    assert len(seen) == 14


def test_steps_that_fail_take_as_long_as_that_did(
    tiny_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch, threads: None
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(estimate, "_time_steps", fail)
    splits = dots(100)
    found = estimate_seconds({"": Work(tiny_recipe(epochs=1000), 80)}, splits, 2, CPU, Callbacks(), at_a_time=2)
    assert 0 < found.seconds[""] < 60


def test_techniques_of_the_users_own_are_not_tried_under_a_limit(
    tiny_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "_measure", lambda *_: Pace(STEP, EVALUATION))
    recipe = tiny_recipe("horizontal_flip")
    (setting,) = recipe.techniques
    own = recipe.with_techniques([setting.model_copy(update={"code": "0" * 16})])
    splits = dots(100)
    work = {"own": Work(own, 80), "ours": Work(recipe, 80)}
    found = estimate_seconds(work, splits, 2, CPU, Callbacks(), limit=7.0)
    assert found.seconds["own"] == 7.0
    assert found.seconds["ours"] != 7.0


def test_a_process_that_a_technique_forked_ends_in_the_measurement(
    tiny_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch, threads: None
) -> None:
    owner, ended = os.getpid(), []
    monkeypatch.setattr(estimate, "end_copy", lambda asked: ended.append(asked))
    splits = dots(100)
    estimate_seconds({"": Work(tiny_recipe(), 80)}, splits, 2, CPU, Callbacks())
    assert set(ended) == {owner}


def test_frozen_layers_are_no_part_of_a_step_and_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    splits = dots(200)
    network = "conv3-4 relu pool2 conv3-4 relu gap fc"

    def recipe(*techniques: str | dict[str, object]) -> Recipe:
        listed = [{"name": one} if isinstance(one, str) else one for one in techniques]
        return Recipe.model_validate({"name": "tiny", "network": network, "techniques": listed})

    whole, frozen, mixed = recipe(), recipe("freeze"), recipe("freeze", "mixup")
    head = 4 * 2  # four pooled maps to two classes
    assert estimate._macs(frozen, splits, 2) == head
    assert estimate._macs(whole, splits, 2) == estimate._macs(mixed, splits, 2) > head

    monkeypatch.setattr(estimate, "_time_engine", lambda *_: 1e-3)  # seconds an image
    watched = splits.train if splits.validation is None else splits.validation
    plain = len(splits.train) + len(watched) + len(splits.test)
    flipped = recipe({"name": "freeze", "views": 3}, "horizontal_flip")
    shared, apart = estimate._features({"whole": whole, "frozen": frozen, "flipped": flipped}, splits, 2, CPU)
    # From random weights each trial has features of its own, with three views of each training image.
    assert shared == 0
    assert apart == pytest.approx({"frozen": 1e-3 * plain, "flipped": 1e-3 * (plain + 3 * len(splits.train))})
    monkeypatch.setattr("stepladder.techniques.freeze.Freeze.same_for_every_seed", True)
    shared, apart = estimate._features({"frozen": frozen, "flipped": flipped}, splits, 2, CPU)
    assert apart == {}
    assert shared == pytest.approx(1e-3 * (plain + 3 * len(splits.train)))
