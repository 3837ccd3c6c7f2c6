from collections.abc import Callable
from typing import cast

import pytest

from stepladder.cli.pace import Pace
from stepladder.recipe import Recipe
from stepladder.study.plan import Trial
from stepladder.study.records import StudyRecord
from stepladder.study.watch import Outlook


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def trials(tiny_recipe: Callable[..., Recipe]) -> tuple[Trial, ...]:
    return tuple(Trial(rung, tiny_recipe(epochs=2), 0, "", "float32") for rung in ("low", "high", "top"))


def test_time_left_follows_the_guess_then_what_was_measured(trials: tuple[Trial, ...]) -> None:
    clock = Clock()
    outlook = Outlook(cast(StudyRecord, None), trials, 0, {"low": 10.0, "high": 20.0, "top": 30.0}, images=100)
    pace = Pace(outlook, clock)
    pace.start(trials[0])
    assert (pace.trial_left, pace.study_left) == (10.0, 60.0)

    # Half of the images took as long as the whole trial was guessed to: 10 more by its own pace, 5 by the guess.
    clock.now = 10.0
    pace.add_images(100)
    assert pace.trial_fraction == 0.5
    assert pace.trial_left == pytest.approx(0.5 * (0.5 * 20 + 0.5 * 10))

    # The first trial took twice its guess, so the others are taken to do so too.
    clock.now = 20.0
    pace.add_images(100)
    pace.end()
    pace.start(trials[1])
    assert pace.trial_left == pytest.approx(40.0)
    assert pace.study_left == pytest.approx(100.0)


def test_no_time_left_is_never_less_than_none(trials: tuple[Trial, ...]) -> None:
    clock = Clock()
    pace = Pace(Outlook(cast(StudyRecord, None), trials, 0, {"low": 1.0, "high": 1.0, "top": 1.0}, 100), clock)
    pace.start(trials[0])
    clock.now = 50.0
    pace.add_images(200)
    assert pace.trial_left == 0.0
