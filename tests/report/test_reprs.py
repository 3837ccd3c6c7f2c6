"""What Python shows of results commands no terminal, whatever their names are."""

from __future__ import annotations

from stepladder.studies.findings import make_findings
from tests.studies.pool.records import make_effect
from tests.studies.pool.records import make_study as make_record

ODD, SHOWN = "odd\x1b[2J\ud800", r"odd\x1b[2J\ud800"


def test_names_are_shown_as_they_can_be(make_study) -> None:
    study = make_study(rungs=2, seeds=2, data={"name": ODD}, failed=[("baseline", 0)])
    for one in (study, study.record):
        assert SHOWN in repr(one)
    record = make_record(ODD, make_effect(ODD))
    for one in (study, study.record, *study.trials, make_findings(study), record, *record.effects):
        assert "\x1b" not in repr(one)
        repr(one).encode()
    assert SHOWN in repr(record)
