"""Scores are judged by the code that judges studies; scipy's figures, and the sentences of what is odd."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from stepladder.errors import StudyError
from stepladder.report.terminal import report_text, sentences_of
from stepladder.report.write import write_report
from stepladder.studies.findings import Findings, work_out
from stepladder.studies.scores.columns import find_scores
from stepladder.studies.scores.judging import JudgeRules, as_study
from stepladder.studies.scores.naming import ScoreColumns
from stepladder.studies.scores.tables import read_table
from tests.pictures import as_dots


def judged(rows: Sequence[dict[str, Any]], rules: JudgeRules | None = None, **columns: Any) -> Findings:
    found = find_scores(read_table(rows), ScoreColumns(**columns))
    findings = work_out(as_study(found, rules or JudgeRules(), Path("nowhere"), "stepladder judge x.csv", "2026-01-01"))
    assert isinstance(findings, Findings)
    return findings


def rows_of(**scores: Sequence[float | None]) -> list[dict[str, Any]]:
    return [
        {"method": name, "seed": seed, "test_acc": value}
        for name, values in scores.items()
        for seed, value in enumerate(values)
    ]


PLAIN, MIXUP = [0.912, 0.908, 0.915, 0.910, 0.907], [0.929, 0.924, 0.931, 0.930, 0.926]


def said(findings: Findings) -> str:
    return " ".join(sentences_of(findings))


def test_a_final_paired_comparison_is_scipys_t_test() -> None:
    findings = judged(rows_of(plain=PLAIN, mixup=MIXUP), JudgeRules(final=True))
    (effect,) = findings.effects
    test = stats.ttest_rel(MIXUP, PLAIN)
    low, high = test.confidence_interval(0.95)
    assert effect.interval == pytest.approx((low, high))
    assert effect.p_value == pytest.approx(test.pvalue)
    assert (effect.verdict, effect.n, effect.paired) == ("helped", 5, True)


def test_several_comparisons_and_those_that_are_not_shown_share_the_error() -> None:
    rows = rows_of(plain=PLAIN, mixup=MIXUP, cutout=[0.911, 0.909, 0.913, 0.914, 0.906])
    both = judged(rows, JudgeRules(final=True))
    difference = np.array(MIXUP) - np.array(PLAIN)
    half = stats.t.ppf(1 - 0.05 / 4, 4) * difference.std(ddof=1) / np.sqrt(5)
    assert both.effects[0].interval == pytest.approx((difference.mean() - half, difference.mean() + half))
    many = judged(rows, JudgeRules(final=True, tried=40))
    half = stats.t.ppf(1 - 0.05 / 80, 4) * difference.std(ddof=1) / np.sqrt(5)
    assert many.effects[0].interval == pytest.approx((difference.mean() - half, difference.mean() + half))
    assert "40 comparisons were tried, 2 of which are shown" in said(many)
    assert "how many variants were tried" in said(both)
    assert "how many variants were tried" not in said(many)


def test_without_seeds_two_means_are_compared_by_welch() -> None:
    rows = [
        {"method": name, "acc": value} for name, values in (("plain", PLAIN), ("mixup", MIXUP[:4])) for value in values
    ]
    findings = judged(rows, JudgeRules(final=True))
    (effect,) = findings.effects
    test = stats.ttest_ind(MIXUP[:4], PLAIN, equal_var=False)
    assert effect.interval == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert effect.p_value == pytest.approx(test.pvalue)
    assert (effect.paired, effect.verdict, effect.differences) == (False, "helped", {})
    assert "Welch" in said(findings)
    assert "No column of seeds was found" in said(findings)


def test_rungs_that_share_no_seed_are_compared_by_welch_and_losses_turned() -> None:
    rows = [{"method": "plain", "seed": seed, "loss": value} for seed, value in enumerate([0.50, 0.53, 0.52])]
    rows += [{"method": "mixup", "seed": 10 + seed, "loss": value} for seed, value in enumerate([0.31, 0.33, 0.30])]
    findings = judged(rows, JudgeRules(final=True))
    (effect,) = findings.effects
    test = stats.ttest_ind([0.50, 0.53, 0.52], [0.31, 0.33, 0.30], equal_var=False)
    assert effect.interval == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert effect.verdict == "helped"  # less of a loss is better
    assert "its rungs share no two seeds" in said(findings)


def test_more_of_a_score_may_be_worse() -> None:
    findings = judged(rows_of(plain=PLAIN, mixup=MIXUP), lower_is_better=True)
    assert findings.effects[0].verdict == "hurt"
    assert findings.effects[0].mean == pytest.approx(-0.0176)
    assert "lowest mean test_acc" in said(findings)


def test_the_baseline_is_found_named_or_the_one_before() -> None:
    rows = rows_of(mixup=MIXUP, baseline=PLAIN, cutout=PLAIN[::-1])
    assert [(one.rung, one.below) for one in judged(rows).effects] == [("mixup", "baseline"), ("cutout", "baseline")]
    named = judged(rows, JudgeRules(baseline="cutout"))
    assert [(one.rung, one.below) for one in named.effects] == [("mixup", "cutout"), ("baseline", "cutout")]
    ladder = judged(rows, JudgeRules(plan="ladder"))
    assert [(one.rung, one.below) for one in ladder.effects] == [("baseline", "mixup"), ("cutout", "baseline")]
    with pytest.raises(StudyError, match="unknown baseline 'cutot'; did you mean 'cutout'"):
        judged(rows, JudgeRules(baseline="cutot"))


def test_missing_seeds_are_said_and_the_shared_ones_used() -> None:
    findings = judged(rows_of(plain=PLAIN, mixup=MIXUP[:4]))
    assert findings.effects[0].n == 4
    assert findings.effects[0].verdict == "helped"
    assert "Not every rung has every seed (plain 5, mixup 4)" in said(findings)


def test_a_run_without_a_score_is_left_out_or_counts_as_what_is_said() -> None:
    rows = rows_of(plain=PLAIN, mixup=[*MIXUP[:4], None])
    findings = judged(rows)
    assert (findings.effects[0].n, findings.effects[0].stopped) == (4, (4,))
    assert "1 of 5 seeds of mixup was left without a score" in said(findings)
    assert "`diverged` says what it counts as" in said(findings)
    counted = judged(rows, JudgeRules(diverged=0.1))
    assert counted.effects[0].differences[4] == pytest.approx(0.1 - 0.907)
    assert counted.effects[0].verdict == "undecided"


def test_constant_scores_and_single_seeds_have_no_verdict_and_a_sentence() -> None:
    constant = judged(rows_of(plain=[0.5] * 5, mixup=[0.6] * 5))
    assert constant.effects[0].verdict is None
    assert "All seeds of plain and mixup have each one score" in said(constant)
    single = judged(rows_of(plain=[0.5], mixup=[0.6]))
    assert single.effects[0].verdict is None
    assert "one seed shows no spread" in said(single)
    mixed = judged(rows_of(plain=PLAIN, mixup=MIXUP, cutout=[0.9]))
    assert [one.verdict for one in mixed.effects] == ["helped", None]
    assert "cutout has one seed, which shows no spread" in said(mixed)


def test_scores_that_agree_to_their_last_digit_do_not_prove_anything() -> None:
    # All differences are 0.01, as two digits write it: the true ones may be 0.001 or 0.019.
    rows = [
        {"method": m, "seed": s, "acc": f"{a + 0.01 * s:.2f}"} for m, a in (("a", 0.80), ("b", 0.81)) for s in range(2)
    ]
    coarse = judged(rows, JudgeRules(final=True))
    low, high = coarse.effects[0].interval or (0, 0)
    assert high - low > 0.08  # without the last digit taken into account, 0
    assert coarse.effects[0].verdict == "undecided"


def test_equivalence_needs_a_margin_and_losses_have_none_of_their_own() -> None:
    random.seed(0)
    one = [0.9 + random.gauss(0, 0.01) for _ in range(12)]
    other = [value + random.gauss(0, 0.0005) for value in one]
    assert judged(rows_of(plain=one, mixup=other)).effects[0].verdict == "equivalent"
    assert judged(rows_of(plain=one, mixup=other), JudgeRules(smallest_effect=0.0)).effects[0].verdict == "undecided"
    losses = [{"loss": row.pop("test_acc"), **row} for row in rows_of(plain=one, mixup=other)]
    assert judged(losses).study.record.smallest_effect == 0


def test_several_data_sets_are_averaged_seed_by_seed_or_are_the_pairs() -> None:
    cells = list(itertools.product(("plain", "mixup"), ("cats", "dogs"), range(4)))
    rows = [
        {
            "method": m,
            "dataset": d,
            "seed": s,
            "acc": (PLAIN if m == "plain" else MIXUP)[s] - (0.1 if d == "dogs" else 0),
        }
        for m, d, s in cells
    ]
    findings = judged(rows)
    assert findings.effects[0].mean == pytest.approx(np.mean(MIXUP[:4]) - np.mean(PLAIN[:4]))
    assert findings.rung("plain").mean == pytest.approx(np.mean(PLAIN[:4]) - 0.05)
    assert "A score is the mean over 2 data sets" in said(findings)
    short = judged(rows[:-1])
    assert "seed 3 of mixup lacks a score on some data set" in said(short)
    each = [
        {"method": m, "dataset": f"set{d}", "acc": value}
        for m, values in (("plain", PLAIN), ("mixup", MIXUP))
        for d, value in enumerate(values)
    ]
    pairs = judged(each, JudgeRules(final=True))
    assert pairs.effects[0].interval == pytest.approx(tuple(stats.ttest_rel(MIXUP, PLAIN).confidence_interval(0.95)))
    assert "a data set is what pairs are made of" in said(pairs)


def test_validation_scores_choose_and_test_scores_do_not() -> None:
    rows = [{**row, "val_acc": row["test_acc"] - 0.01} for row in rows_of(plain=PLAIN, mixup=MIXUP)]
    assert judged(rows).choice.rung == "mixup"
    assert judged(rows_of(plain=PLAIN, mixup=MIXUP)).choice.rung is None
    assert "test_acc judges, so it must not choose" in said(judged(rows_of(plain=PLAIN, mixup=MIXUP)))


def test_seeds_that_are_added_later_are_paid_for() -> None:
    rows = rows_of(plain=[*PLAIN, 0.911, 0.909], mixup=[*MIXUP, 0.927, 0.928])
    once, again = judged(rows), judged(rows, JudgeRules(first_look=5))
    assert once.effects[0].n == 7
    assert again.effects[0].n == 5  # decided at the first look, which stands
    assert [look.seeds for look in again.study.record.looks] == [5]


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (JudgeRules(alpha=0.9), "`alpha` is 0.9"),
        (JudgeRules(plan="factorial"), "unknown plan 'factorial'"),
        (JudgeRules(smallest_effect=-1), "`smallest_effect` is -1"),
        (JudgeRules(tried=0), "`tried` is 0"),
        (JudgeRules(images=0), "`images` is 0"),
        (JudgeRules(first_look=1), "`first_look` is 1"),
        (JudgeRules(first_look=3, final=True), "`final` judges once"),
        (JudgeRules(diverged=10), "`diverged` is 10; as test_acc is a share"),
        (JudgeRules(plan="ladder", baseline="mixup"), "leave one of the two out"),
    ],
)
def test_rules_out_of_range_get_a_sentence(rules: JudgeRules, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        judged(rows_of(plain=PLAIN, mixup=MIXUP), rules)


def test_one_variant_is_no_comparison() -> None:
    with pytest.raises(StudyError, match="has one variant, plain, and nothing to compare it with"):
        judged(rows_of(plain=PLAIN))


def test_the_report_is_that_of_a_study_and_speaks_of_no_image(tmp_path: Path) -> None:
    found = find_scores(read_table(rows_of(plain=PLAIN, mixup=MIXUP)), ScoreColumns())
    findings = work_out(as_study(found, JudgeRules(), tmp_path, "stepladder judge x.csv", "2026-01-01"))
    with as_dots():
        names = {path.name for path in write_report(findings)}
    assert {"verdicts.json", "report.md", "report.html", "forest.svg", "rungs.png"} <= names
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "mixup helps by about" in markdown
    assert "column test\\_acc" in markdown or "column test_acc" in markdown
    text = report_text(findings)
    for word in ("test image", "epoch", "technique to", "nan"):
        assert word not in markdown + text, word


def test_losses_that_welch_cannot_tell_apart_are_undecided() -> None:
    """Of a turned interval the ends change places as well, or one around zero would be above it."""
    plain, mixup = [0.50, 0.60, 0.40], [0.48, 0.62, 0.43]
    rows = [{"method": "plain", "seed": seed, "loss": value} for seed, value in enumerate(plain)]
    rows += [{"method": "mixup", "seed": 10 + seed, "loss": value} for seed, value in enumerate(mixup)]
    (effect,) = judged(rows, JudgeRules(final=True)).effects
    test = stats.ttest_ind(plain, mixup, equal_var=False)
    assert effect.interval == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert effect.interval is not None
    assert effect.interval[0] < 0 < effect.interval[1]
    assert effect.verdict == "undecided"
