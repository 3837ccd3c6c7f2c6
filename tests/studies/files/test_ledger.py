import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stepladder.datasets import Split
from stepladder.studies.files.ledger import PlanRead, list_apart, note_reading, past_readings, state_folder
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.running.callbacks import Callbacks

RunStudy = Callable[..., SavedStudy]


def images(seed: int = 0) -> Split:
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 4, 4, 1), np.uint8)
    return Split(pixels, np.arange(6, dtype=np.int64) % 2)


def plan(name: str, time: str = "2026-01-31T12:00:00+00:00") -> PlanRead:
    return PlanRead(name, "ladder", "dots", f"/{name}", time)


def test_other_plans_are_counted_and_the_same_one_is_not() -> None:
    assert past_readings() == ()
    assert [note_reading(images(), plan(name)) for name in ("one", "two", "one", "three")] == [0, 1, 1, 2]
    assert note_reading(images(1), plan("one")) == 0
    most, other = past_readings()
    assert [one.plan_hash for one in most.plans] == ["two", "one", "three"], "the last to read last"
    assert (most.images, len(other.plans)) == (6, 1)


def test_where_the_list_cannot_be_kept_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STEPLADDER_STATE", str(tmp_path / "file"))
    assert note_reading(images(), plan("one")) == 0
    assert past_readings() == ()


@pytest.mark.parametrize("content", ["", "[]", '{"plans": 3}', '{"plans": [{"x": 1}]}', "null"])
def test_a_damaged_list_is_begun_anew(content: str) -> None:
    note_reading(images(), plan("one"))
    (path,) = (state_folder() / "readings").glob("*.json")
    path.write_text(content)
    assert past_readings() == ()
    assert note_reading(images(), plan("two")) == 0


@pytest.mark.parametrize("own", [True, False])
def test_a_list_apart_leaves_no_trace(own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if own:
        note_reading(images(), plan("one"))
    else:
        monkeypatch.delenv("STEPLADDER_STATE")
    before, place = past_readings() if own else None, os.environ.get("STEPLADDER_STATE")
    with list_apart():
        assert note_reading(images(), plan("two")) == 0, "what the user has read is none of its business"
        made = state_folder()
        assert (made / "readings").is_dir()
    assert not made.exists()
    assert os.environ.get("STEPLADDER_STATE") == place
    assert not own or past_readings() == before


class Said(Callbacks):
    def __init__(self) -> None:
        self.sentences: list[str] = []

    def message(self, sentence: str) -> None:
        self.sentences.append(sentence)


@pytest.mark.long
def test_a_study_says_that_others_have_read_its_test_images(study: RunStudy, tmp_path: Path) -> None:
    told = Said()
    assert study(seeds=1, callbacks=told).readings[0].elsewhere == 0
    study(seeds=2, callbacks=told)
    assert told.sentences == [], "more seeds are the same plan"
    other = study(seeds=1, out=tmp_path / "other", alpha=0.01, callbacks=told)
    assert other.readings[0].elsewhere == 1
    assert told.sentences == [
        "These test images were read before in 1 other plan on this computer (stepladder readings lists them). Keeping "
        "the plan that does best on them makes its result too good."
    ]
    (read,) = past_readings()
    assert [(one.what, one.data) for one in read.plans] == [("ladder", "digits")] * 2
    assert read.plans[-1].folder == str(tmp_path / "other")
