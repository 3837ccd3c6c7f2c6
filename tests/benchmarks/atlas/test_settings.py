"""Epochs and rates for small sets: a set has no say in what is tried on it, and the page says what it costs."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks.__main__ import run
from benchmarks.atlas import settings
from benchmarks.atlas.defaults import choose_best
from benchmarks.atlas.page import write_page
from benchmarks.atlas.sets import read_sets
from benchmarks.atlas.settings import (
    SetSettings,
    SettingScore,
    choose_setting,
    leave_one_out,
    read_settings,
    render_settings,
)
from tests.benchmarks.atlas.test_atlas import made_up_atlas


def made_up(name: str, *, short: float, usual: float, report: float = 0.5) -> SetSettings:
    """A set with two settings of ``small``, and the report's recipe."""
    scores = (
        SettingScore("small", 12, 0.1, short),
        SettingScore("small", 25, 0.1, usual),
        SettingScore("report", 20, 0.1, report),
        SettingScore("report", 20, 0.3, 0.1),
    )
    return SetSettings(name, 900, 100, 1, "a processor, 2 cores, torch 0", scores)


SETS = [
    made_up("a", short=0.60, usual=0.70, report=0.40),
    made_up("b", short=0.50, usual=0.90),
    made_up("c", short=0.90, usual=0.60),
]


def test_the_highest_mean_log_odds_are_chosen_not_the_highest_mean() -> None:
    """Means are 74.5 and 77 %; odds of 99 to 1 weigh more than twice those of 9 to 1."""
    assert choose_best([{"even": 0.77, "sharp": 0.99}, {"even": 0.77, "sharp": 0.50}]) == "sharp"
    assert choose_best([{"a": 0.9}, {"b": 0.9}]) is None
    assert choose_best([{"all": 1.0, "none": 0.0}]) == "all"
    assert choose_best([]) is None


def test_a_set_has_no_say_in_what_is_tried_on_it() -> None:
    assert choose_setting(SETS) == (25, 0.1)
    by_name = {one.image_set: one for one in leave_one_out(SETS)}
    assert [by_name[name].chosen for name in "abc"] == [(25, 0.1), (12, 0.1), (25, 0.1)]
    assert [by_name[name].best for name in "abc"] == [(25, 0.1), (25, 0.1), (12, 0.1)]
    assert [round(by_name[name].cost, 3) for name in "abc"] == [0.0, -0.4, -0.3]
    assert [round(by_name[name].against_report, 3) for name in "abc"] == [0.3, 0.0, 0.1]


def test_the_page_has_every_set_and_says_which_settings() -> None:
    words = "\n".join(render_settings(SETS))
    assert "3 sets of 900 to 900 training images" in words
    assert "Together they choose 25 epochs, rate 0.1" in words
    assert "| b | 900 / 100 | 12 epochs, rate 0.1 | 50.0 | −40.00 (25 epochs, rate 0.1) | 0.00 |" in words
    assert "at worst −40.00; against the report's recipe +13.33 on average; mean accuracy of `small` as it is" in words
    assert render_settings(SETS[:1]) == []
    assert render_settings([]) == []


@pytest.mark.long
def test_settings_are_on_the_page_of_the_atlas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.atlas.page.read_settings", lambda: SETS)
    page, *_ = write_page(made_up_atlas(), root=tmp_path, atlas_file=tmp_path / "atlas.json")
    assert "## Epochs and learning rate for small sets" in page.read_text(encoding="utf-8")
    monkeypatch.setattr("benchmarks.atlas.page.read_settings", list)
    page, *_ = write_page(made_up_atlas(), root=tmp_path, atlas_file=tmp_path / "atlas.json")
    assert "## Epochs and learning rate" not in page.read_text(encoding="utf-8")


@pytest.mark.long
def test_a_set_is_trained_over_the_grid_without_reading_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(settings, "_EPOCHS", (1, 2))
    monkeypatch.setattr(settings, "_RATES", (0.1, 0.3))
    monkeypatch.setattr(settings, "_MOST_IMAGES", 140)
    path = tmp_path / "settings.json"
    monkeypatch.setattr(settings.run_settings, "__defaults__", (path,))
    monkeypatch.setattr("benchmarks.atlas.sets.read_sets", lambda: tuple(
        one for one in read_sets() if one.name == "digits"
    ))  # fmt: skip
    assert run(["atlas", "--settings", "--out", str(tmp_path / "studies")]) == 0
    assert "digits: 6 settings" in capsys.readouterr().out
    (one,) = read_settings(path)
    assert (one.image_set, one.images, one.seeds) == ("digits", 100, 1)
    assert sorted(one.of("small")) == [(1, 0.1), (1, 0.3), (2, 0.1), (2, 0.3)]
    assert sorted(one.of("report")) == [(20, 0.1), (20, 0.3)]
    assert 0 <= one.report <= 1
    assert "core" in one.machine
    assert "torch" in one.machine
    with (tmp_path / "studies/digits-small-settings/results.csv").open(encoding="utf-8", newline="") as file:
        assert {row["test_accuracy"] for row in csv.DictReader(file)} == {""}
