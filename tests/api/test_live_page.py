"""The page of a running study: written after every trial, and no reason to lose one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

import stepladder as sl
from stepladder.api.job import LivePage
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import TrialResult
from stepladder.studies.running.callbacks import CallbackList


@pytest.mark.long
def test_the_page_is_written_after_every_trial_and_says_how_far_it_is(
    small_study: Callable[..., sl.Study], tmp_path: Path
) -> None:
    seen: list[str] = []
    page = tmp_path / "study/report.html"

    class Reader(sl.Callbacks):
        def trial_started(self, trial: Trial) -> None:
            if page.exists():
                text = page.read_text(encoding="utf-8")
                seen.append(text.partition("<strong>Unfinished:</strong> ")[2].partition(".")[0])
                assert not (page.parent / "figures").exists()

    small_study(progress=Reader(), out=tmp_path / "study")
    assert seen == ["1 of 4 trials has ended", "2 of 4 trials have ended", "3 of 4 trials have ended"]
    assert "<strong>Unfinished:" not in page.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    page = LivePage(tmp_path / "no study here")
    CallbackList([page]).trial_ended(cast(Trial, None), cast(TrialResult, None))
    assert list(tmp_path.iterdir()) == []
