"""The rule that fits the atlas into a budget: equal shares, epochs first, then images, and no seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.atlas.planning import FEWEST_IMAGES, Run, describe_rule, fit_to_budget, read_plan, write_plan


def made_run(name: str, seconds: float, epochs: int = 24) -> Run:
    return Run(name, "scratch", 1000, 10, 60, 5, epochs, seconds, epochs, None, seconds, 1.0)


def test_all_is_run_as_it_is_where_there_is_time() -> None:
    runs = [made_run("a", 100), made_run("b", 300)]
    assert fit_to_budget(runs, 400) == runs
    assert fit_to_budget(runs, 10_000) == runs


def test_what_one_leaves_goes_to_the_others() -> None:
    small, large, larger = fit_to_budget([made_run("a", 60), made_run("b", 600), made_run("c", 1200)], 660)
    assert small.epochs == 24
    assert (large.epochs, larger.epochs) == (12, 8)  # 300 s each: half of the one, a quarter of the other
    assert (large.limit, large.seconds) == (None, 300)


def test_images_are_cut_where_a_third_of_the_epochs_is_too_long() -> None:
    (run,) = fit_to_budget([made_run("a", 2400)], 400)
    assert (run.epochs, run.limit) == (8, 50)  # 800 s of 100 images a class: half of them
    assert run.seconds == pytest.approx(400)
    assert run.images == 500
    (least,) = fit_to_budget([made_run("a", 2400)], 1)
    assert (least.epochs, least.limit) == (8, FEWEST_IMAGES)
    assert least.seconds == pytest.approx(160)


@pytest.mark.parametrize("budget", [400.0, 900.0, 2000.0])
def test_the_budget_is_kept(budget: float) -> None:
    runs = [made_run(name, seconds, 25) for name, seconds in (("a", 40), ("b", 400), ("c", 900), ("d", 1500))]
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
