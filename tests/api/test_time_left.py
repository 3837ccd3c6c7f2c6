from collections.abc import Callable
from typing import cast

import pytest

from stepladder.api.time_left import TimeLeft
from stepladder.recipe import Recipe
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import StudyRecord
from stepladder.studies.running.callbacks import Schedule


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def trials(tiny_recipe: Callable[..., Recipe]) -> tuple[Trial, ...]:
    return tuple(Trial(rung, tiny_recipe(epochs=2), 0, "", "float32") for rung in ("low", "high", "top"))


def make_schedule(trials: tuple[Trial, ...], seconds: dict[str, float], workers: int = 1) -> Schedule:
    return Schedule(cast(StudyRecord, None), trials, 0, seconds, dict.fromkeys(seconds, 100), workers)


def test_time_left_follows_the_guess_then_what_was_measured(trials: tuple[Trial, ...]) -> None:
    clock = Clock()
    left = TimeLeft(make_schedule(trials, {"low": 10.0, "high": 20.0, "top": 30.0}), clock)
    low, high, _ = trials
    left.start(low)
    assert (left.trial_left(low), left.study_left) == (10.0, 60.0)

    # Half of the images took as long as the whole trial was guessed to: 10 more by its own pace, 5 by the guess.
    clock.now = 10.0
    left.add_images(low, 100)
    assert left.trial_fraction(low) == 0.5
    assert left.trial_left(low) == pytest.approx(0.5 * (0.5 * 20 + 0.5 * 10))

    # The first trial took twice its guess, so the others are taken to do so too.
    clock.now = 20.0
    left.add_images(low, 100)
    left.end(low)
    left.start(high)
    assert left.trial_left(high) == pytest.approx(40.0)
    assert left.study_left == pytest.approx(100.0)


def test_two_at_a_time_take_half_as_long_but_no_less_than_the_longest(trials: tuple[Trial, ...]) -> None:
    clock = Clock()
    left = TimeLeft(make_schedule(trials, {"low": 10.0, "high": 20.0, "top": 30.0}, workers=2), clock)
    low, high, top = trials
    left.start(low)
    left.start(high)
    assert left.study_left == 30.0
    clock.now = 10.0
    left.add_images(low, 200)
    left.end(low)
    left.start(top)
    left.add_images(high, 100)
    assert left.running == 0.5
    assert left.trial_left(high) == pytest.approx(10.0)
    assert left.study_left == pytest.approx(30.0)


def test_a_trial_that_goes_on_from_a_checkpoint_is_not_counted_anew(trials: tuple[Trial, ...]) -> None:
    left = TimeLeft(make_schedule(trials, {"low": 10.0, "high": 10.0, "top": 10.0}), Clock())
    left.start(trials[0])
    left.go_on(trials[0], epochs=1)
    assert left.trial_fraction(trials[0]) == 0.5


def test_no_time_left_is_never_less_than_none(trials: tuple[Trial, ...]) -> None:
    clock = Clock()
    left = TimeLeft(make_schedule(trials, {"low": 1.0, "high": 1.0, "top": 1.0}), clock)
    left.start(trials[0])
    clock.now = 50.0
    left.add_images(trials[0], 200)
    assert left.trial_left(trials[0]) == 0.0


def test_a_trial_on_fewer_images_is_done_with_fewer(trials: tuple[Trial, ...]) -> None:
    schedule = Schedule(
        cast(StudyRecord, None),
        trials,
        0,
        dict.fromkeys(("low", "high", "top"), 1.0),
        {"low": 10, "high": 50, "top": 100},
    )
    left = TimeLeft(schedule, Clock())
    for trial in trials:
        left.start(trial)
        left.add_images(trial, 10)
    assert [left.trial_fraction(trial) for trial in trials] == [0.5, 0.1, 0.05]
