from __future__ import annotations

import pytest

from stepladder.report.sections.curves import CurvesSection, curve_table, describe_curves
from stepladder.studies.findings import Findings, make_findings


def curves_chart(findings: Findings):
    return CurvesSection().chart(findings)


def test_curves_have_mean_band_and_failed_trials(make_study):
    study = make_study(rungs=3, epochs=9, failed=[("augment", 1)])
    chart = curves_chart(make_findings(study))
    assert (chart["other"], chart["epochs"]) == ("validation", 9)
    curve = chart["rungs"][0]["other"]["accuracy"]
    values = [100 * trial.history[4].val_accuracy for trial in study.of_rung("baseline")]
    assert curve["mean"][4] == pytest.approx(sum(values) / 3, abs=0.01)
    assert (curve["low"][4], curve["high"][4]) == pytest.approx((min(values), max(values)), abs=0.01)
    (failed,) = chart["rungs"][2]["failed"]
    assert (failed["seed"], failed["train"]["loss"]["x"][-1]) == (1, 7)
    assert curves_chart(make_findings(make_study(rungs=2, validation=0)))["other"] == "test"


def test_the_table_of_curves_has_the_first_and_the_last_epoch(make_study):
    rows = curve_table(make_findings(make_study(rungs=2, epochs=50))).rows
    assert [row[1] for row in rows[:11]] == ["0", "5", "10", "15", "20", "25", "30", "35", "40", "45", "50"]


def test_before_any_trial_has_ended_there_is_nothing(make_study):
    findings = make_findings(make_study(rungs=1, seeds=1, missing=[("baseline", 0)]))
    assert curves_chart(findings) is None
    assert describe_curves(findings).endswith("baseline has no finished trial.")
