import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from stepladder.cli.live_page import LivePage
from stepladder.cli.progress import PlainLines
from stepladder.studies.run import run_study

from stepladder.datasets import ImageSet
from stepladder.recipe import Recipe
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import TrialResult
from stepladder.training.device import choose_compute


def test_the_page_is_written_after_every_trial_and_says_how_far_it_is(
    digits: ImageSet, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    seen: list[str] = []

    class Look(PlainLines):
        def trial_ended(self, trial: Trial, result: TrialResult) -> None:
            super().trial_ended(trial, result)
            text = (tmp_path / "report.html").read_text(encoding="utf-8")
            seen.append(text.partition("<strong>Unfinished:</strong> ")[2].partition(".")[0])

    callbacks = Look(Console(file=io.StringIO()))
    callbacks.page = LivePage(tmp_path)
    recipe = tiny_recipe("standardize", epochs=1)
    run_study(digits, recipe, tmp_path, choose_compute("cpu", "float32"), seeds=2, callbacks=callbacks)
    assert seen == ["1 of 4 trials has ended", "2 of 4 trials have ended", "3 of 4 trials have ended", ""]
    assert not (tmp_path / "figures").exists()


def test_a_page_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    LivePage(tmp_path / "no study here").update()
    assert list(tmp_path.iterdir()) == []
