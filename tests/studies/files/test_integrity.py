import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.errors import StudyError
from stepladder.report.sections.meaning import describe_limits
from stepladder.studies.check import check_study
from stepladder.studies.design.rules import RulesRecord
from stepladder.studies.files.integrity import differences, find_edit, hash_plan
from stepladder.studies.files.records import Reading, SavedStudy
from stepladder.studies.files.store import load_study, read_record
from stepladder.studies.findings import make_findings

RunStudy = Callable[..., SavedStudy]


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "study.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.long
@pytest.mark.parametrize(
    "change", [{"smallest_effect": 0.2}, {"alpha": 0.3}, {"metric": "nll"}, {"validation": 0.2}, {"contrasts": []}]
)
def test_an_edited_plan_is_detected_and_not_continued(study: RunStudy, change: dict[str, Any]) -> None:
    folder = study(seeds=1).folder
    assert load_study(folder).edited is None
    edit(folder, **change)
    assert load_study(folder).edited == (
        "study.json was edited: its plan no longer has the hash that was taken before the first trial"
    )
    with pytest.raises(StudyError, match=r"was edited: its plan no longer has the hash .* restore it from a copy"):
        study(seeds=1)


@pytest.mark.long
def test_an_edit_with_a_hash_made_to_fit_is_caught_by_the_reading(study: RunStudy) -> None:
    folder = study(seeds=1).folder
    edit(folder, alpha=0.3)
    record = read_record(folder)
    assert record is not None
    edit(folder, plan_hash=hash_plan(record))
    assert load_study(folder).edited == "study.json was edited: test was read under a plan with another hash"


@pytest.mark.long
def test_seeds_that_nobody_noted_are_detected(study: RunStudy) -> None:
    saved = study(seeds=1)
    record = saved.record.model_copy(update={"seeds": (0, 1)})
    assert find_edit(record, saved.readings) == (
        "study.json was edited: it has seeds that were neither planned nor noted as added"
    )


@pytest.mark.long
def test_what_is_no_part_of_the_plan_may_change(study: RunStudy) -> None:
    folder = study(seeds=1).folder
    edit(folder, command="stepladder study 'my digits'", created="long ago")
    assert load_study(folder).edited is None


@pytest.mark.long
def test_rules_are_part_of_the_plan(study: RunStudy) -> None:
    study(seeds=1)
    with pytest.raises(
        StudyError, match=r"holds another study: metric is accuracy there and nll here; smallest_effect"
    ):
        study(seeds=1, metric="nll")
    with pytest.raises(StudyError, match=r"holds another study: final is (false|False) there and (true|True) here"):
        study(seeds=1, final=True)


@pytest.mark.long
def test_a_rule_that_came_later_leaves_the_hash_of_earlier_studies(
    study: RunStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(RulesRecord):
        threads: int | None = None  # as if it were a rule: a field with a default by which earlier studies went

    record = study(seeds=1).record
    monkeypatch.setattr("stepladder.studies.files.integrity.RulesRecord", Later)
    earlier = record.model_copy(update={"threads": None})
    assert hash_plan(earlier) == record.plan_hash
    assert hash_plan(record.model_copy(update={"threads": 2})) != record.plan_hash


def reading_lines(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "test-readings.json").read_text())
    return document


@pytest.mark.long
def test_a_study_whose_readings_were_removed_is_not_gone_on_with(study: RunStudy) -> None:
    """Without the list test could be read as if for the first time."""
    folder = study(seeds=1).folder
    (folder / "test-readings.json").unlink()
    edited = load_study(folder).edited or ""
    assert "has a test score, and no reading of test lists it" in edited
    assert "no reading of test lists it" in next(iter(describe_limits(make_findings(load_study(folder)))))
    assert [(fault.kind, fault.place) for fault in check_study(folder)] == [("plan", "test-readings.json")]
    with pytest.raises(StudyError, match=r"no reading of test lists it; restore it from a copy"):
        study(seeds=2)


@pytest.mark.long
@pytest.mark.parametrize("change", ["a trial taken out", "a plan hash made to fit", "a time", "the last reading gone"])
def test_a_reading_that_was_changed_shows(study: RunStudy, change: str) -> None:
    study(seeds=1)
    folder = study(seeds=2).folder
    document = reading_lines(folder)
    first, last = document["readings"]
    if change == "a trial taken out":
        first["trials"] = first["trials"][1:]
    elif change == "a plan hash made to fit":
        edit(folder, alpha=0.3)
        record = read_record(folder)
        assert record is not None
        edit(folder, plan_hash=hash_plan(record))
        for one in (first, last):
            one["plan_hash"] = hash_plan(record)
    elif change == "a time":
        last["time"] = "2020-01-01T00:00:00+00:00"
    else:
        document["readings"] = [first]
    (folder / "test-readings.json").write_text(json.dumps(document))
    assert "test-readings.json was edited" in (load_study(folder).edited or "")


@pytest.mark.long
def test_hashes_that_were_made_to_fit_do_not_fit_the_trials(study: RunStudy) -> None:
    folder = study(seeds=1).folder
    document = reading_lines(folder)
    document["readings"][0] |= {"time": "2020-01-01T00:00:00+00:00"}
    reading = Reading.model_validate(document["readings"][0])
    document["readings"][0] = reading.chained("").model_dump(mode="json")
    (folder / "test-readings.json").write_text(json.dumps(document))
    assert "no reading of test lists it" in (load_study(folder).edited or "")


def test_what_is_left_out_of_files_at_its_usual_value_is_told_as_well(made_up: Callable[..., SavedStudy]) -> None:
    """Images drawn anew by each seed, and looks: neither stands in the plan of a usual study."""
    usual = made_up({"a": [0.5, 0.5], "b": [0.6, 0.6]}).record
    assert differences(usual, usual) == []
    anew, later = usual.model_copy(update={"resplit": True}), usual.model_copy(update={"spending": "open"})
    assert differences(usual, anew) == ["resplit is False there and True here"]
    assert differences(anew, usual) == ["resplit is True there and False here"]
    assert differences(usual, later) == ["final is True there and False here"]
