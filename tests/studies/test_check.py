"""What is wrong with a study's files; the whole check, with its report, is tried in ``faults/test_check.py``."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stepladder.errors import StudyError
from stepladder.studies.check import agrees_with, check_derived, check_document, check_study, set_aside
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.running.locks import locked

RunStudy = Callable[..., SavedStudy]


@pytest.mark.parametrize(
    ("found", "expected", "agree"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),  # an older version said less
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({"a": {"b": [1, {"c": 2}]}}, {"a": {"b": [1, {"c": 2, "d": 3}]}}, True),
        ({"a": [1, 2]}, {"a": [1, 2, 3]}, False),  # a list is said whole
        ({"a": 1.0}, {"a": 1.0000001}, False),
        ({"a": None}, {"a": 0}, False),
        ([], {}, False),
    ],
)
def test_an_older_document_agrees_where_all_that_it_says_is_said(found: object, expected: object, agree: bool) -> None:
    assert agrees_with(found, expected) is agree


def test_a_document_of_this_version_is_held_to_the_letter(tmp_path: Path) -> None:
    def faults(text: str) -> list[tuple[str, str]]:
        (tmp_path / "verdicts.json").write_text(text)
        return [
            (one.kind, one.what) for one in check_document(tmp_path, "verdicts.json", {"version": 3, "a": 1, "b": 2})
        ]

    wrong = [("derived", "does not follow from the trials")]
    assert faults('{"b": 2, "a": 1, "version": 3}') == []
    assert faults('{"a": 1, "b": 2}') == faults('{"a": 1}') == []  # without a version: by an older Stepladder
    assert faults('{"version": 3, "a": 1}') == faults('{"a": 2}') == faults("[]") == faults("{") == wrong
    (tmp_path / "verdicts.json").unlink()
    (gone,) = check_document(tmp_path, "verdicts.json", {})
    assert (gone.kind, gone.what, gone.is_fault) == ("derived", "is not there", True)
    (tmp_path / "results.csv").write_bytes(b"\xff")
    (odd,) = check_derived(tmp_path, "results.csv", "")
    assert odd.what.startswith("cannot be read")


def test_an_older_document_may_have_intervals_beyond_what_is_possible(tmp_path: Path) -> None:
    now = {"version": 5, "effects": [{"interval": [-1.0, 0.4], "most": 1.0}, {"interval": [-2.5, 0.1], "most": None}]}

    def agrees(first: list[float], second: list[float], version: int = 4) -> bool:
        effects = [{"interval": first}, {"interval": second}]
        (tmp_path / "verdicts.json").write_text(json.dumps({"version": version, "effects": effects}))
        return check_document(tmp_path, "verdicts.json", now) == []

    assert agrees([-4.39, 0.4], [-2.5, 0.1])
    assert not agrees([-4.39, 0.5], [-2.5, 0.1])
    assert not agrees([-1.0, 0.4], [-3.5, 0.1])
    assert not agrees([-4.39, 0.4], [-2.5, 0.1], version=5)


@pytest.mark.long
def test_an_unfinished_study_has_notes_and_no_fault(study: RunStudy) -> None:
    saved = study()
    assert check_study(saved.folder) == []
    for name in ("result.json", "checksums.txt"):
        (saved.trials[0].folder / name).unlink()
    (saved.folder / "trials" / "0123456789abcdef").mkdir()
    with locked(saved.trials[0].folder):
        running = check_study(saved.folder)[0]
    assert running.what == "(baseline, seed 0) is running"
    (saved.folder / "results.csv").unlink()
    notes = check_study(saved.folder)
    assert [(one.kind, one.what) for one in notes] == [
        ("note", "(baseline, seed 0) is unfinished"),
        ("note", "is no trial of this plan"),
        ("derived", "is not there"),
    ]
    assert [one.is_fault for one in notes] == [False, False, True]


@pytest.mark.long
def test_only_broken_trials_are_set_aside_and_nothing_is_lost(study: RunStudy) -> None:
    saved = study(seeds=1)
    broken = saved.trials[1].folder
    kept = {path.name: path.read_bytes() for path in broken.iterdir() if path.is_file()}
    (broken / "history.csv").write_text("edited")
    (fault,) = check_study(saved.folder)
    assert (fault.kind, fault.place) == ("trial", f"trials/{broken.name}")
    (said,) = set_aside(saved.folder, [fault])
    assert f"was set aside as trials/{broken.name}.broken-1" in said
    aside = broken.with_name(f"{broken.name}.broken-1")
    assert {path.name for path in aside.iterdir() if path.is_file()} == kept.keys()
    assert not broken.exists()
    assert saved.trials[0].folder.exists()


@pytest.mark.long
def test_an_edited_plan_is_the_studys_own_fault(study: RunStudy, tmp_path: Path) -> None:
    path = study(seeds=1).folder / "study.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"alpha": 0.5}))
    assert [(one.kind, one.place) for one in check_study(path.parent)] == [("plan", "study.json")]
    path.write_text("{")
    assert [one.kind for one in check_study(path.parent)] == ["plan"]
    with pytest.raises(StudyError, match="there is no study in"):
        check_study(tmp_path / "nowhere")
