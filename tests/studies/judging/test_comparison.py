"""Studies side by side: refused where they are not alike, paired where they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from stepladder.errors import StudyError
from stepladder.recipe import Recipe, change_settings
from stepladder.studies.files.integrity import hash_plan
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.comparison import compare_studies

MadeUp = Callable[..., SavedStudy]
RunStudy = Callable[..., SavedStudy]
ONE = {"base": [0.70, 0.72, 0.71], "mixup": [0.74, 0.75, 0.73]}
OTHER = {"base": [0.75, 0.78, 0.75], "mixup": [0.74, 0.76, 0.72], "extra": [0.8, 0.8, 0.8]}


def pretend(made_up: MadeUp, name: str, scores: dict[str, list[float | None]], **settings: Any) -> SavedStudy:
    """A made-up study in a folder of its own, whose trials are its own as well."""
    made = made_up(scores, **settings)
    record = made.record.model_copy(update={"plan_hash": hash_plan(made.record)})
    trials = tuple(
        replace(trial, result=trial.result.model_copy(update={"trial": f"{name}-{trial.result.trial}"}))
        for trial in made.trials
    )
    return replace(made, folder=Path("studies") / name, record=record, trials=trials)


def test_differences_are_paired_by_seed_and_adjusted_for_their_number(made_up: MadeUp) -> None:
    found = compare_studies([pretend(made_up, "one", ONE), pretend(made_up, "other", OTHER)])
    assert found.labels == ("one", "other")
    assert found.rungs == ("base", "mixup", "extra")
    assert [(one.study, one.rung) for one in found.differences] == [("other", "base"), ("other", "mixup")]
    first = found.differences[0]
    differences = np.subtract(OTHER["base"], ONE["base"])
    assert list(first.by_seed.values()) == pytest.approx(differences.tolist())
    assert first.level == 0.05 / 2
    # Against scipy: the two-sided t-interval at the level of one of two comparisons.
    expected = stats.ttest_1samp(differences, 0).confidence_interval(1 - 0.05 / 2)
    assert first.interval == pytest.approx((expected.low, expected.high))
    assert first.mean == pytest.approx(differences.mean())
    base = found.find("one", "base")
    assert base is not None
    assert base.mean == pytest.approx(0.71)
    interval = stats.ttest_1samp(ONE["base"], 0).confidence_interval(0.95)
    assert base.interval == pytest.approx((interval.low, interval.high))
    assert found.find("one", "extra") is None
    assert repr(found) == "<Comparison of 2 studies on digits: 2 differences from one>"


def test_the_interval_decides_how_a_difference_reads(made_up: MadeUp) -> None:
    base = [0.70, 0.72, 0.71, 0.69]
    shifts = {"higher": 0.05, "lower": -0.05, "equivalent": 0.0}
    noise = (0.0001, -0.0001, 0.0002, -0.0002)
    scores = {name: [a + shift + e for a, e in zip(base, noise, strict=True)] for name, shift in shifts.items()}
    scores["undecided"] = [a + e for a, e in zip(base, (0.02, -0.02, 0.03, -0.01), strict=True)]
    one = pretend(made_up, "one", dict.fromkeys(scores, base))
    found = compare_studies([one, pretend(made_up, "other", scores)])
    assert {one.rung: one.reading for one in found.differences} == {name: name for name in scores}


def test_only_common_seeds_are_paired_and_failures_count_as_guessing(made_up: MadeUp) -> None:
    one = pretend(made_up, "one", {"base": [0.7, 0.71]})
    found = compare_studies([one, pretend(made_up, "other", {"base": [None, 0.75, 0.76]})])
    (difference,) = found.differences
    assert difference.by_seed == {0: pytest.approx(0.1 - 0.7), 1: pytest.approx(0.04)}
    assert found.scores[1].failed == (0,)
    assert found.scores[1].scores == {1: 0.75, 2: 0.76}
    single = compare_studies([one, pretend(made_up, "other", {"base": [0.8]})]).differences[0]
    assert (single.mean, single.interval, single.reading) == (pytest.approx(0.1), None, None)


def test_seeds_that_agree_to_the_image_prove_no_more_than_rounding_allows(made_up: MadeUp) -> None:
    found = compare_studies(
        [pretend(made_up, "one", {"base": [0.7, 0.7]}), pretend(made_up, "other", {"base": [0.7001, 0.7001]})]
    )
    (difference,) = found.differences
    assert difference.interval is not None
    half = (difference.interval[1] - difference.interval[0]) / 2
    floor = math.sqrt(2 / 12) / 10_000
    assert half == pytest.approx(stats.t.ppf(0.975, 1) * floor / math.sqrt(2))
    assert difference.reading == "equivalent"


def test_the_same_trials_are_no_comparison_and_count_for_none(made_up: MadeUp) -> None:
    one, other = pretend(made_up, "one", ONE), pretend(made_up, "other", OTHER)
    shared = {trial.seed: trial.result for trial in one.of_rung("base")}
    other = replace(
        other,
        trials=tuple(
            replace(trial, result=shared[trial.seed]) if trial.rung == "base" else trial for trial in other.trials
        ),
    )
    base, mixup = compare_studies([one, other]).differences
    assert (base.same, base.interval, base.mean) == (True, None, 0)
    assert (mixup.same, mixup.level) == (False, 0.05)


def change(made: SavedStudy, **settings: Any) -> SavedStudy:
    return replace(made, record=made.record.model_copy(update=settings))


def test_what_cannot_be_compared_is_refused_with_all_its_reasons(made_up: MadeUp) -> None:
    one, other = pretend(made_up, "one", ONE), pretend(made_up, "other", ONE)
    data = other.record.data
    pets = change(other, data=data.model_copy(update={"name": "pets", "fingerprint": "x", "split": "y"}))
    with pytest.raises(
        StudyError, match=r"one and other cannot be compared, because they have other data \(digits and pets, whose"
    ):
        compare_studies([one, pets])
    counts = {"train": 10_000, "test": 10_000}
    unlike = change(other, data=data.model_copy(update={"split": "y", "counts": counts}))
    rungs = tuple(
        rung.model_copy(update={"recipe": {**rung.recipe, "epochs": 20, "batch_size": 64}})
        for rung in unlike.record.rungs
    )
    with pytest.raises(StudyError) as refused:
        compare_studies([one, change(unlike, rungs=rungs)])
    message = str(refused.value)
    assert "other splits (9,000 train, 1,000 validation, 10,000 test in the one; 10,000 train, 10,000 test" in message
    assert "budget" not in message, "that alone would be no reason"
    with pytest.raises(StudyError, match="takes two studies or more"):
        compare_studies([one])
    with pytest.raises(StudyError, match=r"studies/one is given twice"):
        compare_studies([one, other, one])


def test_other_budgets_stand_side_by_side_without_a_reading(made_up: MadeUp) -> None:
    one, like = pretend(made_up, "one", ONE), pretend(made_up, "like", OTHER)
    long = pretend(made_up, "long", OTHER)
    rungs = tuple(rung.model_copy(update={"recipe": {**rung.recipe, "epochs": 20}}) for rung in long.record.rungs)
    found = compare_studies([one, like, change(long, rungs=rungs)])
    described = [each for each in found.differences if each.study == "long"]
    assert [(each.other_budget, each.interval, each.reading) for each in described] == [(True, None, None)] * 2
    assert described[0].mean == pytest.approx(np.mean(OTHER["base"]) - np.mean(ONE["base"]))
    assert found.find("long", "base") is not None
    (said,) = (one for one in found.cautions if "budgets" in one)
    assert said == (
        "one and long had other budgets (None and 20 epochs), so long stands beside it and is not judged: a difference "
        "may come from the budget alone."
    )
    # The two that are judged share the error between them alone.
    judged = [each for each in found.differences if each.study == "like"]
    assert all(each.level == 0.05 / 2 and each.reading is not None for each in judged)


def test_a_trial_that_was_stopped_is_in_no_difference(made_up: MadeUp) -> None:
    one, other = pretend(made_up, "one", ONE), pretend(made_up, "other", {**OTHER, "base": [0.75, None, 0.75]})
    (base, *_) = compare_studies([one, other]).differences
    assert base.by_seed[1] == pytest.approx(0.1 - 0.72)  # it diverged
    trials = tuple(
        replace(trial, result=trial.result.model_copy(update={"failure": "out of memory in epoch 1"}))
        if trial.result.status == "failed"
        else trial
        for trial in other.trials
    )
    (base, *_) = compare_studies([one, replace(other, trials=trials)]).differences
    assert list(base.by_seed) == [0, 2]


def test_cautions_name_what_limits_it(made_up: MadeUp) -> None:
    one, other = pretend(made_up, "one", ONE), pretend(made_up, "other", ONE)
    plain = compare_studies([one, other]).cautions
    assert len(plain) == 1
    assert plain[0].startswith("This comparison was not planned")
    rungs = tuple(
        rung.model_copy(update={"recipe": {"name": "lenet", "network": 1, "optimizer": {"lr": 0.02}}})
        for rung in other.record.rungs
    )
    odd = change(other, rungs=rungs, versions={"torch": "9"}, validation=0.0)
    odd = replace(odd, edited="study.json was edited", trials=odd.trials[:-1])
    cautions = compare_studies([one, odd]).cautions
    for part in (
        "other: study.json was edited.",
        "other is unfinished: 1 of 6 trials have not ended.",
        "other had no validation images, so its test curve was watched.",
        "What differs: the networks (tiny and lenet); validation is 0.1 in one and 0.0 in other; optimizer.lr is",
        "one and other ran with different versions, and may differ for that alone: ; torch 9.",
    ):
        assert any(caution.startswith(part) for caution in cautions), (part, cautions)


def test_folders_of_the_same_name_are_told_apart(made_up: MadeUp) -> None:
    one = replace(pretend(made_up, "x", ONE), folder=Path("a/ladder"))
    other = replace(pretend(made_up, "y", ONE), folder=Path("b/ladder"))
    assert compare_studies([one, other]).labels == ("a/ladder", "b/ladder")


@pytest.mark.soak
def test_two_real_studies(study: RunStudy, two_rungs: Recipe, tmp_path: Path) -> None:
    one = study(out=tmp_path / "one")
    other = study(out=tmp_path / "other", recipe=change_settings(two_rungs, {"horizontal_flip.p": "1"}))
    found = compare_studies([one, other])
    assert {one.rung: one.same for one in found.differences} == {
        "baseline": True,
        "standardize": True,
        "augment": False,
    }
    assert found.differences[0].mean == 0
    long = study(out=tmp_path / "long", recipe=two_rungs.model_copy(update={"epochs": 2}))
    assert all(each.other_budget and each.reading is None for each in compare_studies([one, long]).differences)
    with pytest.raises(StudyError, match="other splits"):
        compare_studies([one, study(out=tmp_path / "split", validation=0.2)])
