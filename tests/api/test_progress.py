import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

import stepladder as sl
from stepladder.api.progress import BagBar, LiveBars, PlainLines, make_bag_progress, make_progress
from stepladder.baselines import settings
from stepladder.datasets import ImageSet
from stepladder.recipe import Recipe
from stepladder.studies.design.designs import make_design
from stepladder.studies.study import run_study


def test_a_terminal_gets_bars_and_anything_else_gets_lines() -> None:
    assert isinstance(make_progress(Console(file=io.StringIO(), force_terminal=True)), LiveBars)
    assert type(make_progress(Console(file=io.StringIO()))) is PlainLines


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
