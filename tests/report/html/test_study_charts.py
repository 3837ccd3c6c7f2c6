import pytest

from stepladder.report.html.study_charts import curve_table, curves_chart, effects_chart, ladder_chart
from stepladder.studies.judging.statistics import paired_interval, weigh_effects


def test_the_ladder_has_every_seed_the_interval_and_the_verdict(make_study):
    study = make_study(seeds=5)
    chart = ladder_chart(study)
    rung = chart["rungs"][1]
    scores = [trial.result.test_accuracy for trial in study.of_rung("standardize")]
    assert rung["values"] == pytest.approx([100 * score for score in scores])
    low, high = paired_interval(scores)
    assert rung["interval"] == pytest.approx([100 * low, 100 * high], abs=1e-3)
    assert (rung["kind"], rung["symbol"], rung["word"]) == ("helped", "▲", "helped")
    assert (chart["rungs"][0]["kind"], chart["rungs"][0]["word"]) == ("none", "")


def test_a_failed_and_a_missing_seed_are_written(make_study):
    chart = ladder_chart(make_study(rungs=3, failed=[("augment", 1)]))
    assert chart["rungs"][2]["notes"] == ["1 of 3 seeds failed"]
    assert len(chart["rungs"][2]["values"]) == 2
    assert ladder_chart(make_study(rungs=3, missing=[("augment", 1)])) is None


def test_effects_are_those_of_the_statistics(make_study):
    study = make_study(seeds=3)
    chart = effects_chart(study)
    for row, effect in zip(chart["effects"], weigh_effects(study), strict=True):
        assert row["mean"] == pytest.approx(100 * effect.mean, abs=1e-3)
        assert row["interval"] == pytest.approx([100 * end for end in effect.interval], abs=1e-3)
    assert chart["smallest"] == 0.5
    assert effects_chart(make_study(rungs=1)) is None


def test_curves_have_mean_band_and_failed_trials(make_study):
    study = make_study(rungs=3, epochs=9, failed=[("augment", 1)])
    chart = curves_chart(study)
    assert (chart["other"], chart["epochs"]) == ("validation", 9)
    curve = chart["rungs"][0]["other"]["accuracy"]
    values = [100 * trial.history[4].val_accuracy for trial in study.of_rung("baseline")]
    assert curve["mean"][4] == pytest.approx(sum(values) / 3, abs=0.01)
    assert (curve["low"][4], curve["high"][4]) == pytest.approx((min(values), max(values)), abs=0.01)
    (failed,) = chart["rungs"][2]["failed"]
    assert (failed["seed"], failed["train"]["loss"]["x"][-1]) == (1, 7)
    assert curves_chart(make_study(rungs=2, validation=0))["other"] == "test"


def test_the_table_of_curves_has_the_first_and_the_last_epoch(make_study):
    rows = curve_table(make_study(rungs=2, epochs=50)).rows
    assert [row[1] for row in rows[:11]] == ["0", "5", "10", "15", "20", "25", "30", "35", "40", "45", "50"]
