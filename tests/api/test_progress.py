import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from stepladder.cli.progress import LiveBars, PlainLines, make_progress
from stepladder.studies.run import run_study

from stepladder.datasets import ImageSet
from stepladder.recipe import Recipe
from stepladder.training.device import choose_compute


def test_a_terminal_gets_bars_and_anything_else_gets_lines() -> None:
    assert isinstance(make_progress(Console(file=io.StringIO(), force_terminal=True)), LiveBars)
    assert type(make_progress(Console(file=io.StringIO()))) is PlainLines


def test_bars_show_rung_seed_epoch_speed_accuracy_and_time_left(
    digits: ImageSet, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    screen = io.StringIO()
    callbacks = LiveBars(Console(file=screen, force_terminal=True, width=120, highlight=False))
    compute = choose_compute("cpu", "float32")
    run_study(digits, tiny_recipe("standardize"), tmp_path, compute, seeds=2, callbacks=callbacks)
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
