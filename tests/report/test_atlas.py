"""What the atlas says where a user meets it; and that all of it is silent where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepladder.errors import DamagedError
from stepladder.report.atlas import describe_beside, describe_card, describe_first
from stepladder.studies import pool as home
from stepladder.studies.judging.verdicts import POWER, power
from stepladder.studies.pool.atlas import Atlas, AtlasEntry, read_atlas

Call = Callable[..., Any]

#: Nobody measured this.
FLIP = AtlasEntry(
    techniques=("horizontal_flip",), kind="ladder", network="report", beside=(), sets=9, helped=5, hurt=1, mean=0.018,
    new_set=(-0.006, 0.042),
)  # fmt: skip
WHERE = "helped on 5 of 9 sets, hurt on 1; +1.80 points on average, a new set between −0.60 and +4.20"
WORTH = "The atlas is 9 image sets, and no verdict uses it."


@pytest.fixture
def atlas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "atlas.json"
    others = [
        replace(FLIP, network="efficientnet_lite0", sets=6, helped=6, hurt=0),
        replace(FLIP, kind="leave-one-out", mean=0.03),  # the better one, which is no reason to tell it
        replace(FLIP, techniques=("dropout",), mean=-0.005, hurt=0),
        replace(FLIP, techniques=("horizontal_flip", "random_crop"), mean=0.0001),
    ]
    path.write_text(json.dumps(Atlas(sets=9, entries=(*others, FLIP)).to_table()), encoding="utf-8")
    monkeypatch.setattr(home, "ATLAS_FILE", path)
    return path


@pytest.mark.usefixtures("atlas")
def test_a_card_has_the_entry_of_most_sets(stepladder: Call) -> None:
    assert describe_card("horizontal_flip") == f"{WHERE} (network report)"
    assert describe_card("mixup") == ""
    outcome = stepladder("techniques", "horizontal_flip")
    assert "in the atlas" in outcome.out
    assert "helped on 5 of 9 sets" in outcome.out
    assert "in the atlas" not in stepladder("techniques", "mixup").out


@pytest.mark.usefixtures("atlas")
def test_effects_of_a_study_have_those_of_the_atlas_beside_them() -> None:
    effects = [("flips", ("horizontal_flip",)), ("mix", ("mixup",))]
    assert describe_beside(effects) == [f"In the atlas: flips: {WHERE}. {WORTH}"]
    assert describe_beside([("mix", ("mixup",))]) == []
    (pretrained,) = describe_beside(effects, "efficientnet_lite0")
    assert pretrained.startswith("In the atlas: flips: helped on 6 of 6 sets; +1.80")
    assert describe_beside(effects, "lenet5") == describe_beside(effects)


@pytest.mark.usefixtures("atlas")
def test_a_plan_says_what_to_try_first_and_how_many_seeds_it_takes() -> None:
    asked = [("dropout",), ("horizontal_flip", "random_crop"), ("horizontal_flip",)]
    (line,) = describe_first(asked, sd=0.01, level=0.01)
    chances = power(0.018, 0.01, np.arange(2, 41), 0.01)
    seeds = 2 + int(np.argmax(chances >= POWER))
    assert line.startswith(f"To try first, by the atlas: horizontal_flip {WHERE}, which takes {seeds} seeds here; ")
    assert "horizontal_flip + random_crop helped on 5" in line
    assert "which takes more than 40 seeds" in line
    assert "dropout" not in line
    assert line.endswith(WORTH)


@pytest.mark.long
@pytest.mark.usefixtures("atlas")
def test_a_plan_and_a_page_speak_of_it(stepladder: Call) -> None:
    rungs = ("--rung", "base:standardize", "--rung", "+flips:horizontal_flip")
    arguments = ("digits", "--limit", "24", *rungs, "--epochs", "3")
    assert f"To try first, by the atlas: horizontal_flip {WHERE}" in stepladder("plan", *arguments).out
    assert stepladder("study", *arguments, "--seeds", "2", "--out", "study").code == 0
    for name in ("report.html", "report.md"):
        text = Path("study", name).read_text(encoding="utf-8").replace("\u00a0", " ")
        assert "In the atlas: flips: helped on 5 of 9 sets" in text, name
    before = Path("study/verdicts.json").read_bytes()
    assert b"atlas" not in before


def test_without_an_atlas_all_of_it_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stepladder: Call
) -> None:
    monkeypatch.setattr(home, "ATLAS_FILE", tmp_path / "none.json")
    assert read_atlas() is None
    assert describe_card("horizontal_flip") == ""
    assert describe_beside([("flips", ("horizontal_flip",))]) == []
    assert describe_first([("horizontal_flip",)], 0.01, 0.01) == []
    assert "atlas" not in stepladder("techniques", "horizontal_flip").out


def test_a_card_waits_for_nothing_that_counts(atlas: Path) -> None:
    """The list of techniques is to be there within half a second."""
    code = (
        "import sys; from pathlib import Path; from stepladder.studies import pool; "
        f"pool.ATLAS_FILE = Path({str(atlas)!r}); from stepladder.report.atlas import describe_card; "
        "assert describe_card('horizontal_flip'); "
        "print(sorted({'numpy', 'torch', 'pydantic', 'scipy'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "changes",
    [
        {"sets": "nine"},
        {"entries": [{}]},
        {"entries": [asdict(FLIP) | {"mean": 0.5}]},
        {"entries": [asdict(FLIP) | {"new_set": [0.1]}]},
        {"entries": [asdict(FLIP) | {"helped": 10}]},
    ],
    ids=["sets", "empty", "mean", "new set", "counts"],
)
def test_a_damaged_atlas_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: Any) -> None:
    path = tmp_path / "damaged.json"
    monkeypatch.setattr(home, "ATLAS_FILE", path)
    path.write_text(json.dumps({"sets": 9, "entries": [], **changes}), encoding="utf-8")
    with pytest.raises(DamagedError, match=r"is damaged .*; install Stepladder again"):
        read_atlas()
