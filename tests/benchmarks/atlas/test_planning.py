"""The rule that fits the atlas into a budget: equal shares, images first, then epochs, and no seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.atlas.planning import Run, describe_rule, fit_to_budget, read_plan, write_plan


def made_run(name: str, seconds: float, epochs: int = 24) -> Run:
    return Run(name, "scratch", 1000, 10, 60, 5, epochs, seconds, epochs, None, seconds, 1.0)


def test_all_is_run_as_it_is_where_there_is_time() -> None:
    runs = [made_run("a", 100), made_run("b", 300)]
    assert fit_to_budget(runs, 400) == runs
    assert fit_to_budget(runs, 10_000) == runs


def test_what_one_leaves_goes_to_the_others() -> None:
    small, large, larger = fit_to_budget([made_run("a", 60), made_run("b", 500), made_run("c", 600)], 660)
    assert (small.limit, small.seconds) == (None, 60)
    assert (large.limit, larger.limit) == (60, 50)  # 300 s each: of 100 images a class
    assert (large.images, large.epochs, large.seconds) == (600, 24, 300)


def test_epochs_are_cut_where_the_fewest_images_are_too_many() -> None:
    (run,) = fit_to_budget([made_run("a", 2400)], 480)
    assert (run.limit, run.images, run.epochs) == (40, 400, 12)  # 960 s of 24 epochs: half of them
    assert run.seconds == pytest.approx(480)
    (least,) = fit_to_budget([made_run("a", 2400)], 1)
    assert (least.limit, least.epochs, least.seconds) == (40, 8, pytest.approx(320))


def test_many_classes_keep_some_images_each_and_few_images_are_not_cut() -> None:
    many = replace(made_run("a", 900), images=1000, classes=80)
    (run,) = fit_to_budget([many], 300)
    assert (run.limit, run.images, run.epochs) == (10, 800, 10)
    few = replace(made_run("a", 900), images=300, classes=3)
    (run,) = fit_to_budget([few], 450)
    assert (run.limit, run.images, run.epochs) == (None, 300, 12)


@pytest.mark.parametrize("budget", [400.0, 900.0, 2000.0])
def test_the_budget_is_kept(budget: float) -> None:
    runs = [made_run(name, seconds, 25) for name, seconds in (("a", 40), ("b", 400), ("c", 800), ("d", 900))]
    assert sum(run.seconds for run in fit_to_budget(runs, budget)) <= budget * 1.0001


def test_settled_runs_are_kept_beside_new_ones(tmp_path: Path) -> None:
    assert read_plan(tmp_path) == []
    write_plan(tmp_path, [made_run("a", 10), made_run("b", 20)])
    write_plan(tmp_path, [made_run("b", 5), made_run("c", 7)])
    assert [(run.name, run.seconds) for run in read_plan(tmp_path)] == [
        ("a-scratch", 10), ("b-scratch", 5), ("c-scratch", 7),
    ]  # fmt: skip


def test_the_rule_is_said() -> None:
    assert describe_rule(4 * 3600, 5).startswith("The rule: each run may take an equal share of 4 h 0 min")
    assert "Every rung has 5 seeds." in describe_rule(4 * 3600, 5)
