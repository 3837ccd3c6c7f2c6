from collections.abc import Callable
from typing import cast

import pytest

from stepladder.api.time_left import TimeLeft
from stepladder.recipe import Recipe
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import StudyRecord
from stepladder.studies.running.callbacks import Schedule
from stepladder.studies.running.timing import Estimate

GUESSES = {"low": 10.0, "high": 20.0, "top": 30.0}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def trials(tiny_recipe: Callable[..., Recipe]) -> tuple[Trial, ...]:
    return tuple(Trial(rung, tiny_recipe(epochs=2), 0, "", "float32") for rung in ("low", "high", "top"))


def make_schedule(
    trials: tuple[Trial, ...], seconds: dict[str, float], workers: int = 1, estimate: Estimate | None = None
) -> Schedule:
    estimate = estimate or Estimate(seconds, {}, busy=0.0)  # nothing is loaded or drawn around the trials
    return Schedule(cast(StudyRecord, None), trials, 0, estimate, dict.fromkeys(seconds, 100), workers)


def test_time_left_follows_the_guess_then_what_was_measured(trials: tuple[Trial, ...]) -> None:
    clock = Clock()
    left = TimeLeft(make_schedule(trials, GUESSES), clock)
    low, high, _ = trials
    left.start(low)
    left.end_epoch(low, 0, 0.5)
    assert left.trial_left(low) == 10.0
    assert left.study_left.middle == pytest.approx(60.0)

    # One epoch of two took as long as the whole trial was guessed to: all is taken to take twice its guess.
    clock.now = 10.0
    left.add_images(low, 100)
    left.end_epoch(low, 1, 10.0)
    assert left.trial_fraction(low) == 0.5
    assert left.trial_left(low) == pytest.approx(10.0)
    assert left.study_left.middle == pytest.approx(10 + 2 * (20 + 30))

    clock.now = 20.0
    left.add_images(low, 100)
    left.end(low)
    left.start(high)
    assert left.trial_left(high) == pytest.approx(40.0)
    assert left.study_left.middle == pytest.approx(100.0)


def test_a_rung_takes_what_its_trials_took_and_the_others_their_guess_by_as_much(
    tiny_recipe: Callable[..., Recipe],
) -> None:
    clock, guesses = Clock(), {"low": 10.0, "high": 20.0}
    trials = [Trial(rung, tiny_recipe(epochs=2), seed, "", "float32") for seed in (0, 1) for rung in guesses]
    left = TimeLeft(make_schedule(tuple(trials), guesses), clock)
    left.start(trials[0])
    clock.now = 30.0
    left.end(trials[0])
    # low is known to take 30 s; high is guessed at 20 s, and all took three times its guess so far.
    assert left.study_left.middle == pytest.approx(60 + 30 + 60)
    left.start(trials[1])
    clock.now = 50.0
    left.end(trials[1])
    assert left.study_left.middle == pytest.approx(30 + 20)


def test_a_trial_that_failed_teaches_nothing(trials: tuple[Trial, ...]) -> None:
    clock = Clock()
    left = TimeLeft(make_schedule(trials, GUESSES), clock)
    left.start(trials[0])
    clock.now = 0.1
    left.end(trials[0], failed=True)
    assert left.study_left.middle == pytest.approx(50.0)


def test_what_comes_around_the_trials_is_counted_too(trials: tuple[Trial, ...]) -> None:
    clock, reading = Clock(), dict.fromkeys(GUESSES, 2.0)
    estimate = Estimate(GUESSES, reading)
    left = TimeLeft(make_schedule(trials, GUESSES, workers=2, estimate=estimate), clock)
    after = estimate.after(GUESSES)
    assert after > 6
    # Two run at a time: low and then top, beside high.
    assert left.study_left.middle == pytest.approx(estimate.start(2) + 40 + after)
    assert estimate.start(2) > 1
    clock.now = 1.0  # the processes load torch meanwhile
    assert left.study_left.middle == pytest.approx(estimate.start(2) - 1 + 40 + after)
    for trial in trials:
        left.start(trial)
        left.add_images(trial, 200)
    assert left.study_left.middle == pytest.approx(after)


def test_the_range_narrows_as_trials_run(trials: tuple[Trial, ...]) -> None:
    clock = Clock()
    left = TimeLeft(make_schedule(trials, GUESSES), clock)
    widths = []
    for trial in trials:
        found = left.study_left
        widths.append(found.high / found.low)
        left.start(trial)
        clock.now += GUESSES[trial.rung]
        left.end(trial)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == pytest.approx(1.3**2)
    assert widths[-1] < 1.15


def test_two_at_a_time_take_half_as_long_but_no_less_than_the_longest(trials: tuple[Trial, ...]) -> None:
    clock = Clock()
    left = TimeLeft(make_schedule(trials, GUESSES, workers=2), clock)
    low, high, top = trials
    left.start(low)
    left.start(high)
    assert left.study_left.middle == pytest.approx(40.0)  # top, when low has ended
    clock.now = 10.0
    left.add_images(low, 200)
    left.end(low)
    left.start(top)
    left.add_images(high, 100)
    assert left.running == 0.5
    assert left.trial_left(high) == pytest.approx(10.0)
    assert left.study_left.middle == pytest.approx(30.0)


def test_a_trial_that_goes_on_from_a_checkpoint_is_not_counted_anew(trials: tuple[Trial, ...]) -> None:
    clock = Clock()
    left = TimeLeft(make_schedule(trials, dict.fromkeys(GUESSES, 10.0)), clock)
    left.start(trials[0])
    left.end_epoch(trials[0], 1, 5.0)
    assert left.trial_fraction(trials[0]) == 0.5
    clock.now = 5.0
    left.end_epoch(trials[0], 2, 5.0)
    left.end(trials[0])
    # It took 5 s here, and that is no whole trial.
    assert left.study_left.middle == pytest.approx(20.0)


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
        Estimate(dict.fromkeys(("low", "high", "top"), 1.0), {}),
        {"low": 10, "high": 50, "top": 100},
    )
    left = TimeLeft(schedule, Clock())
    for trial in trials:
        left.start(trial)
        left.add_images(trial, 10)
    assert [left.trial_fraction(trial) for trial in trials] == [0.5, 0.1, 0.05]
