from __future__ import annotations

from dataclasses import replace

from stepladder.report.sections.protocol import describe_readings, protocol
from stepladder.studies.files.records import LookRecord
from stepladder.studies.findings import make_findings


def test_energy_is_in_watt_hours_and_watts(make_study):
    study = make_study(rungs=2, seeds=1)
    assert dict(protocol(make_findings(study)))["Energy"] == "not reported by this machine"
    result = study.trials[0].result.model_copy(update={"energy_joules": 7200.0, "seconds": 100.0})
    one = replace(study, trials=(replace(study.trials[0], result=result), study.trials[1]))
    assert dict(protocol(make_findings(one)))["Energy"].startswith("2.0 Wh in 1 of 2 trials, 72 W on average: ")
    both = replace(study, trials=(one.trials[0], replace(study.trials[1], result=result)))
    assert dict(protocol(make_findings(both)))["Energy"].startswith("4.0 Wh in all trials, 72 W on average: ")


def test_readings_of_test_are_told(make_study, a_reading):
    study = make_study(seeds=3)
    assert describe_readings(study) == "read once, after all training had ended (2026-01-31T13:30:00+00:00)"
    more = replace(study, readings=(*study.readings, a_reading(study.record, "added", "later")))
    assert describe_readings(more) == (
        "read twice: as planned (2026-01-31T13:30:00+00:00) and for seeds added later (later)"
    )
    again = replace(study, readings=(*study.readings, a_reading(study.record, "again", "later")))
    assert describe_readings(again).endswith(" and again for trials read before (later)")
    looks = (LookRecord(seeds=3, share=0.6), LookRecord(seeds=5, share=0.4))
    looked = replace(study, record=study.record.model_copy(update={"looks": looks}))
    looked = replace(looked, readings=(a_reading(study.record, "look", "now"),))
    assert describe_readings(looked) == "read once: at declared look 1 of 2 (now)"
    assert "not read yet" in describe_readings(make_study(read=False))
