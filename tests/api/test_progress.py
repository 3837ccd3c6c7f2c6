import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

import stepladder as sl
from stepladder.api.progress import BagBar, LiveBars, PlainLines, make_bag_progress, make_progress
from stepladder.baselines import settings
from stepladder.datasets import ImageSet
from stepladder.recipe import Recipe
from stepladder.studies.design.designs import Design, make_design
from stepladder.studies.design.trials import Trial
from stepladder.studies.study import run_study


def test_a_terminal_gets_bars_and_anything_else_gets_lines() -> None:
    assert isinstance(make_progress(Console(file=io.StringIO(), force_terminal=True)), LiveBars)
    assert type(make_progress(Console(file=io.StringIO()))) is PlainLines


@pytest.mark.long
def test_bars_show_rung_seed_epoch_speed_accuracy_and_time_left(
    digits: ImageSet, tiny_recipe: Callable[..., Recipe], here: sl.Execution, tmp_path: Path
) -> None:
    screen = io.StringIO()
    callbacks = LiveBars(Console(file=screen, force_terminal=True, width=120, highlight=False))
    design = make_design("ladder", tiny_recipe("standardize"))
    run_study(digits, design, tmp_path, seeds=2, execution=here, callbacks=callbacks)
    callbacks.bars.refresh()
    callbacks.stop()
    shown = screen.getvalue()
    for words in (
        "standardize · seed 1",
        "epoch 2/2",
        "images/s, val ",
        "3 of 4 trials done",
        "left",
        "Measuring the speed",
    ):
        assert words in shown
    # What stays when the bars are gone: a line a trial.
    assert "[4/4] standardize, seed 1: val " in shown


def test_a_bag_of_words_shows_one_bar() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    callbacks = make_bag_progress(console)
    assert isinstance(callbacks, BagBar)
    callbacks.planned(settings.settle("patches", 8, 8), [0], 1)
    callbacks.seed_started(0)
    callbacks.progress("words of training images", 50, 200)
    callbacks.bar.refresh()
    callbacks.progress("SVM with C = 0.01", 0, 1)
    callbacks.bar.refresh()
    callbacks.stop()
    shown = console.file.getvalue()
    assert "bag of words, seed 0: words of training images" in shown
    assert " 25 %" in shown
    assert "SVM with C = 0.01" in shown


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lines_of(
    epochs: bool, seconds: float, design: Design, digits: ImageSet, here: sl.Execution, folder: Path
) -> list[str]:
    """What a study prints once it has begun, where each batch takes ``seconds`` by the clock."""
    file, clock = io.StringIO(), Clock()
    console = Console(file=file, width=200, soft_wrap=True, highlight=False)

    class Slow(PlainLines):
        def batch_ended(self, trial: Trial, images: int) -> None:
            clock.now += seconds
            super().batch_ended(trial, images)

    callbacks = Slow(console, epochs=epochs, clock=clock)
    run_study(digits, design, folder, seeds=1, execution=here, callbacks=callbacks)
    return file.getvalue().partition("\n\n")[2].splitlines()


def test_without_a_terminal_a_trial_has_one_line(
    digits: ImageSet, tiny_recipe: Callable[..., Recipe], here: sl.Execution, tmp_path: Path
) -> None:
    design = make_design("ladder", tiny_recipe("standardize"))
    lines = lines_of(False, 0.01, design, digits, here, tmp_path)
    assert [re.sub(r"\d+\.\d+ %.*", "", line) for line in lines] == [
        "[1/2] baseline, seed 0: val ",
        "[2/2] standardize, seed 0: val ",
        "All training has ended; reading the test images of 2 trials.",
    ]


@pytest.mark.long
def test_a_slow_trial_has_a_line_a_minute(
    digits: ImageSet, tiny_recipe: Callable[..., Recipe], here: sl.Execution, tmp_path: Path
) -> None:
    design = make_design("ladder", tiny_recipe("standardize"))
    (short, long) = (lines_of(False, pace, design, digits, here, tmp_path / str(pace)) for pace in (50.0, 61.0))
    far = [line for line in short if "of 2 trials done" in line]
    every = [line for line in long if "of 2 trials done" in line]
    assert len(every) > len(far) > 0, "a batch of 50 s is over before a minute is, every second one is not"
    assert re.match(r"\[1/2\] \w+, seed 0: epoch 1/2, val .*, 0 of 2 trials done, .* left$", every[0])


def test_each_epoch_has_a_line_where_that_is_asked_for(
    digits: ImageSet, tiny_recipe: Callable[..., Recipe], here: sl.Execution, tmp_path: Path
) -> None:
    lines = lines_of(True, 0.01, make_design("ladder", tiny_recipe("standardize")), digits, here, tmp_path)
    assert [line.partition(",")[2].partition(",")[0].partition(":")[2] for line in lines[:3]] == [
        " epoch 0/2", " epoch 1/2", " epoch 2/2",
    ]  # fmt: skip
    assert lines[3].startswith("[1/2] baseline, seed 0: val ")


def test_a_bag_of_words_has_one_line_a_seed_and_steps_where_asked_for() -> None:
    said = {}
    for steps in (False, True):
        console = Console(file=io.StringIO(), width=100)
        callbacks = make_bag_progress(console, steps=steps)
        callbacks.seed_started(0)
        callbacks.progress("words of training images", 50, 200)
        callbacks.progress("words of training images", 100, 200)
        said[steps] = console.file.getvalue()
    assert said == {False: "", True: "bag of words, seed 0: words of training images\n"}
