from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from stepladder.studies.design.rules import Look, first_share
from stepladder.studies.files.records import ContrastRecord, SavedStudy
from stepladder.studies.judging.boundaries import nominal_levels
from stepladder.studies.judging.statistics import (
    Effect,
    guess_of,
    level_of,
    paired_interval,
    summarize_rungs,
    weigh_effects,
    welch_interval,
)
from stepladder.studies.judging.verdicts import VERDICTS, settle
from stepladder.training.metrics import find_metric

MadeUp = Callable[..., SavedStudy]

LOW = [0.701, 0.695, 0.712, 0.688]
HIGH = [0.741, 0.730, 0.739, 0.735]
TOO_LONG = "it took longer than the 4 seconds of `trial_timeout`"
SAME = [0.742, 0.729, 0.7395, 0.7345]


def weigh(study: SavedStudy) -> tuple[Effect, ...]:
    return weigh_effects(study, summarize_rungs(study))


def test_effects_are_those_of_scipys_paired_t_test_adjusted_by_statsmodels(made_up: MadeUp) -> None:
    effects = weigh(made_up({"low": LOW, "high": HIGH, "same": SAME}))
    pairs = ((HIGH, LOW), (SAME, HIGH))
    tests = [stats.ttest_rel(one, other) for one, other in pairs]
    adjusted = multipletests([float(test.pvalue) for test in tests], 0.05, "bonferroni")[1]
    for effect, test, p_value, (one, other) in zip(effects, tests, adjusted, pairs, strict=True):
        bounds = test.confidence_interval(1 - 0.05 / 2)
        assert effect.interval == pytest.approx((bounds.low, bounds.high))
        assert effect.p_value == pytest.approx(p_value)
        assert effect.mean == pytest.approx(np.mean(one) - np.mean(other))
        assert effect.correlation == pytest.approx(stats.pearsonr(one, other).statistic)
    assert [(effect.name, effect.rung, effect.below, effect.n) for effect in effects] == [
        ("high", "high", "low", 4),
        ("same", "same", "high", 4),
    ]
    assert [effect.verdict for effect in effects] == ["helped", "equivalent"]
    assert ttost_paired(np.array(SAME), np.array(HIGH), -0.005, 0.005)[0] < 0.05 / 4


def test_hurt_is_helped_the_other_way_round(made_up: MadeUp) -> None:
    (effect,) = weigh(made_up({"high": HIGH, "low": LOW}))
    assert effect.verdict == "hurt"


def test_an_undecided_effect_says_how_many_seeds_would_decide_it(made_up: MadeUp) -> None:
    (effect,) = weigh(made_up({"low": [0.70, 0.71, 0.69], "high": [0.72, 0.715, 0.725]}, spending="open"))
    assert effect.verdict == "undecided"
    assert effect.level == pytest.approx(0.05 * first_share(3))
    assert list(effect.decided_by) == [5, 7, 10, 14, 20, 28, 40]
    assert effect.seeds_needed == next((n for n, chance in effect.decided_by.items() if chance >= 0.8), None)
    assert effect.detectable is not None
    assert effect.detectable > abs(effect.mean or 0)


def test_one_seed_gives_no_verdict(made_up: MadeUp) -> None:
    (effect,) = weigh(made_up({"low": [0.5], "high": [0.9]}))
    assert (effect.verdict, effect.interval, effect.p_value, effect.sd) == (None, None, None, None)
    assert effect.mean == pytest.approx(0.4)


def test_differences_are_paired_by_seed_and_not_by_order(made_up: MadeUp) -> None:
    study = made_up({"low": [0.5, 0.6, 0.9], "high": [0.4, 0.61, 1.0]})
    shuffled = replace(
        study, trials=tuple(trial for trial in reversed(study.trials) if trial.seed or trial.rung != "low")
    )
    (effect,) = weigh(shuffled)
    assert effect.differences == pytest.approx({1: 0.01, 2: 0.1})


def test_a_failed_seed_counts_as_guessing_and_is_never_dropped(made_up: MadeUp) -> None:
    (effect,) = weigh(made_up({"low": [0.70, 0.71, 0.72], "high": [0.75, None, 0.77]}))
    assert effect.differences == pytest.approx({0: 0.05, 1: 0.1 - 0.71, 2: 0.05})
    assert (effect.failed, effect.n) == ((1,), 3)
    assert effect.verdict == "undecided"
    # The two that finished alone would have helped.
    (finished,) = weigh(made_up({"low": [0.70, 0.72], "high": [0.75, 0.77]}))
    assert finished.verdict == "helped"


def stopped(study: SavedStudy, *which: tuple[str, int], reason: str = TOO_LONG) -> SavedStudy:
    """The study with trials that a limit, the machine or an exception ended."""
    nothing = {"status": "failed", "failure": reason, "test_accuracy": None, "test_loss": None}
    trials = tuple(
        replace(trial, result=trial.result.model_copy(update=nothing)) if (trial.rung, trial.seed) in which else trial
        for trial in study.trials
    )
    return replace(study, trials=trials)


@pytest.mark.parametrize("reason", [TOO_LONG, "out of memory in epoch 3", "blur.augment raised ValueError: late", None])
def test_a_seed_that_was_stopped_is_left_out_and_counts_for_nothing(made_up: MadeUp, reason: str) -> None:
    scores = {"low": [*LOW, 0.7], "high": [*HIGH, 0.735]}
    whole = made_up(scores, spending="open", looks=(3,))
    (effect,) = weigh(stopped(whole, ("high", 1), reason=reason))
    assert (effect.failed, effect.stopped, list(effect.differences)) == ((), (1,), [0, 2, 3, 4])
    # The look at three seeds is of the first three that ended, and says what these three alone say.
    kept = [0, 2, 3]
    (alone,) = weigh(
        made_up({rung: [values[seed] for seed in kept] for rung, values in scores.items()}, spending="open")
    )
    assert (effect.n, effect.verdict) == (3, alone.verdict)
    assert effect.interval == pytest.approx(alone.interval)


def test_too_few_seeds_that_ended_are_no_look(made_up: MadeUp) -> None:
    study = made_up({"low": [*LOW, 0.7], "high": [*HIGH, 0.735]}, spending="open", looks=(5,))
    assert weigh(study)[0].verdict == "helped"
    (effect,) = weigh(stopped(study, ("high", 4)))
    # Four of five seeds are plain enough, but no look was planned at four: nothing is claimed, and no interval shown.
    assert (effect.verdict, effect.n, effect.interval, effect.p_value) == ("undecided", 4, None, None)
    assert effect.mean == pytest.approx(np.mean(HIGH) - np.mean(LOW))
    assert min(effect.decided_by) == 5
    assert effect.chance_by(4) == 0
    assert effect.chance_by(6) == effect.decided_by[5]
    none_left = weigh(stopped(study, *(("high", seed) for seed in range(5))))[0]
    assert (none_left.verdict, none_left.n, none_left.differences) == ("undecided", 0, {})


def test_a_single_look_is_at_the_seeds_that_ended(made_up: MadeUp) -> None:
    study = made_up({"low": [*LOW, 0.7], "high": [*HIGH, 0.735]})
    (effect,) = weigh(stopped(study, ("high", 4)))
    expected = paired_interval([one - other for one, other in zip(HIGH, LOW, strict=True)], 0.05)
    assert (effect.n, effect.verdict) == (4, "helped")
    assert effect.interval == pytest.approx(expected)
    (two,) = weigh(stopped(study, *(("high", seed) for seed in (2, 3, 4))))
    assert two.level == pytest.approx(0.9 * 0.05), "as of a study of two seeds, of which both may diverge"
    (one,) = weigh(stopped(study, *(("low", seed) for seed in (1, 2, 3, 4))))
    assert (one.n, one.verdict) == (1, "undecided")


def test_one_that_diverges_and_one_that_is_stopped(made_up: MadeUp) -> None:
    study = made_up({"low": [0.7, 0.71, 0.72, 0.7], "high": [0.75, None, 0.77, 0.76]})
    (effect,) = weigh(stopped(study, ("low", 0)))
    assert (effect.failed, effect.stopped) == ((1,), (0,))
    assert effect.differences == pytest.approx({1: 0.1 - 0.71, 2: 0.05, 3: 0.06})


def test_stopping_that_depends_on_the_rung_alone_leaves_the_error_where_it_is() -> None:
    """A slow rung that loses two of five seeds, looked at whenever a look has its seeds, none differing."""
    random = np.random.default_rng(0)
    level, looks = 0.05, nominal_levels(5, 20, 0.05)
    wrong, studies = 0, 4000
    for _ in range(studies):
        ended = random.normal(size=24)[random.random(24) > 0.4]
        verdict, _ = settle(ended, [Look(n, share / level) for n, share in looks.items()], level, 1e-9)
        wrong += VERDICTS[int(verdict)] in ("helped", "hurt")
    assert wrong / studies < 0.05 + 2 * (0.05 * 0.95 / studies) ** 0.5


def test_guessing_is_the_share_of_the_largest_class(made_up: MadeUp, tmp_path: Path) -> None:
    study = made_up({"low": [0.70, 0.71, 0.72], "high": [0.75, None, 0.77]})
    assert guess_of(study, find_metric("accuracy")) == pytest.approx(0.1)  # no labels are kept: taken for even
    counts = {"train": 4, "validation": 0, "test": 10}
    uneven = replace(
        study, record=study.record.model_copy(update={"data": study.record.data.model_copy(update={"counts": counts})})
    )
    labels = np.array([0, 1, 2, 3, *[7] * 6, 0, 1, 2, 3])
    save_file({"digests": np.zeros(14, np.uint64), "labels": labels}, str(tmp_path / "images.safetensors"))
    assert guess_of(uneven, find_metric("accuracy")) == pytest.approx(0.6)
    assert weigh(uneven)[0].differences[1] == pytest.approx(0.6 - 0.71)


def test_a_rung_that_always_fails_hurts(made_up: MadeUp) -> None:
    (effect,) = weigh(made_up({"low": [0.70, 0.71, 0.705], "high": [None, None, None]}))
    assert effect.verdict == "hurt"


def test_two_rungs_that_fail_are_not_equivalent(made_up: MadeUp) -> None:
    (effect,) = weigh(made_up({"low": [None] * 3, "high": [None] * 3}))
    assert effect.verdict is None
    (effect,) = weigh(made_up({"low": [None, 0.7, 0.7], "high": [None, 0.7, 0.7]}))
    assert effect.verdict == "undecided"


def test_nothing_is_weighed_before_test_was_read(made_up: MadeUp) -> None:
    study = made_up({"low": [0.70, None], "high": [0.75, 0.76]})
    unread = [replace(trial, result=trial.result.model_copy(update={"test_accuracy": None})) for trial in study.trials]
    (effect,) = weigh(replace(study, trials=tuple(unread)))
    assert (effect.differences, effect.verdict) == ({}, None)


def test_seeds_that_agree_to_the_digit_are_not_taken_for_certain(made_up: MadeUp) -> None:
    study = made_up({"low": [0.70] * 3, "high": [0.7002] * 3})
    (effect,) = weigh(study)
    assert effect.interval is not None
    assert effect.interval[0] < 0.0002 < effect.interval[1]


def test_more_comparisons_ask_for_more(made_up: MadeUp) -> None:
    scores: dict[str, list[float | None]] = {"low": list(LOW), "high": list(HIGH)}
    (alone,) = weigh(made_up(scores))
    among = weigh(made_up({**scores, **{f"rung {i}": list(HIGH) for i in range(8)}}))[0]
    assert alone.interval is not None
    assert among.interval is not None
    assert among.interval[0] < alone.interval[0]
    assert among.level == pytest.approx(0.05 / 9)
    assert (among.p_value or 0) > (alone.p_value or 0)


def test_interactions_are_judged_apart(made_up: MadeUp) -> None:
    names = ("base", "a", "b", "a+b")
    weights = dict(zip(names, (1.0, -1.0, -1.0, 1.0), strict=True))
    study = made_up(
        {"base": [0.5, 0.51], "a": [0.6, 0.61], "b": [0.6, 0.62], "a+b": [0.6, 0.62]},
        contrasts=(
            ContrastRecord(name="a", design="shapley", weights=weights),
            ContrastRecord(name="b", design="shapley", weights=weights),
            ContrastRecord(name="a × b", design="interaction", weights=weights),
        ),
    )
    assert (level_of(study.record), level_of(study.record, interaction=True)) == (0.025, 0.05)
    effects = weigh(study)
    assert [effect.level for effect in effects] == [0.025, 0.025, 0.05]
    assert effects[0].differences == pytest.approx({0: -0.1, 1: -0.1})
    assert (effects[0].rung, effects[0].correlation) == (None, None)


def test_a_metric_of_which_less_is_better_turns_the_sign(made_up: MadeUp) -> None:
    (effect,) = weigh(made_up({"low": list(LOW), "high": list(HIGH)}, metric="nll", smallest_effect=0.01))
    assert effect.mean == pytest.approx(np.mean(HIGH) - np.mean(LOW))  # the made-up losses are 1 - accuracy
    assert effect.verdict == "helped"


def test_the_verdict_of_the_first_deciding_look_stays(made_up: MadeUp) -> None:
    low: list[float | None] = [0.700, 0.701, 0.699, 0.9, 0.9]
    high: list[float | None] = [0.750, 0.752, 0.748, 0.7, 0.7]
    (effect,) = weigh(made_up({"low": low, "high": high}, looks=(3, 5)))
    assert (effect.verdict, effect.look, effect.n) == ("helped", 1, 3)
    assert effect.level == pytest.approx(0.05 * 3 / 5)
    assert len(effect.differences) == 5
    assert effect.seeds_needed is None
    # Adjusted by the share of the look as well: it was made at three fifths of the error.
    alone = stats.ttest_rel(high[:3], low[:3]).pvalue
    assert effect.p_value == pytest.approx(alone * 5 / 3)
    assert effect.interval is not None
    bounds: Any = stats.ttest_rel(high[:3], low[:3]).confidence_interval(1 - 0.05 * 3 / 5)
    assert effect.interval == pytest.approx((bounds.low, bounds.high))


def test_summaries_are_over_the_finished_seeds(made_up: MadeUp) -> None:
    (summary,) = summarize_rungs(made_up({"low": [0.7, None, 0.8]}))
    assert (summary.scores, summary.failed, summary.n) == ({0: 0.7, 2: 0.8}, (1,), 2)
    assert summary.mean == pytest.approx(0.75)
    assert summary.sd == pytest.approx(0.1 / np.sqrt(2))


def test_one_value_gives_no_interval() -> None:
    assert paired_interval([0.02]) is None
    assert paired_interval([0.1, 0.1, 0.1]) == pytest.approx((0.1, 0.1))
    values = [0.1, 0.12, 0.16]
    expected: Any = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert paired_interval(values) == pytest.approx((expected.low, expected.high))


def test_welchs_interval_is_that_of_scipy() -> None:
    one, other = [0.71, 0.74, 0.72, 0.69], [0.60, 0.66]
    expected: Any = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.95)
    assert welch_interval(one, other) == pytest.approx((expected.low, expected.high))
    assert welch_interval(one, other[:1]) is None
    assert welch_interval([0.7, 0.7], [0.6, 0.6]) is None


def test_where_seeds_draw_their_own_images_an_interval_allows_for_those_that_they_share(made_up: MadeUp) -> None:
    """Nadeau and Bengio: √(1/n + test images / training images) in place of √(1/n)."""
    low, high = [0.70, 0.71, 0.69, 0.70, 0.72], [0.75, 0.77, 0.73, 0.76, 0.75]
    study = made_up({"low": low, "high": high}, resplit=True)
    counts = study.record.data.counts
    assert counts["test"] != counts["train"]
    (effect,) = weigh(study)
    differences = np.array(high) - np.array(low)
    reach = stats.t.ppf(1 - effect.level / 2, 4) * differences.std(ddof=1)
    reach *= np.sqrt(1 / 5 + counts["test"] / counts["train"])
    assert effect.interval == pytest.approx((differences.mean() - reach, differences.mean() + reach))
