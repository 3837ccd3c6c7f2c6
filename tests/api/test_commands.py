"""``study_command``: a user's own program as a study, with its report and its code on record."""

from __future__ import annotations

from pathlib import Path

import pytest

import stepladder
from stepladder.api.check import check_folder
from stepladder.errors import StudyError
from stepladder.studies.check import check_study
from tests.pictures import as_dots

RUN = """/bin/sh -c 'echo {{\\"val\\": 0.8{seed}1{options}, \\"test\\": 0.8{seed}2{options}}}'"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_command_is_a_study_with_a_report() -> None:
    plan = stepladder.CommandPlan(RUN, ("base:", "+more:5"))
    with as_dots():
        study = stepladder.study_command(plan, seeds=3, execution=stepladder.CommandExecution(command="again"))
    assert study.folder == Path("studies/command-more")
    assert [one.name for one in study.effects] == ["more"]
    assert study.effects[0].n == 3
    assert study.record.versions["stepladder"]
    assert study.record.machine.cores >= 1
    page = study.report_path.read_text(encoding="utf-8")
    assert "The command read test in every run" in page
    assert "0.8{seed}1" in page
    reopened = stepladder.load_study(study.folder)
    assert isinstance(reopened, stepladder.Study)
    assert reopened.effects == study.effects


def test_the_reading_of_test_is_on_the_page() -> None:
    Path("run.sh").write_text("""test "$3" && echo '{"test": 0.8'$1$2'}' || echo '{"val": 0.8'$1$2'}'\n""")
    plan = stepladder.CommandPlan("/bin/sh run.sh {seed} {options} {read_test}", ("base:1", "more:5"))
    with as_dots():
        study = stepladder.study_command(plan, seeds=2)
    assert [one.result.test_score for one in study.trials] == [0.801, 0.811, 0.805, 0.815]
    page = study.report_path.read_text(encoding="utf-8")
    assert "read once, after all training had ended" in page
    assert "The command read test in every run" not in page


def test_a_judge_of_the_folder_says_the_same() -> None:
    with as_dots():
        study = stepladder.study_command(stepladder.CommandPlan(RUN, ("base:", "+more:5")), seeds=3, out="here")
    assert stepladder.judge("here").effects == study.effects
    assert stepladder.judge("here/results.csv").effects == study.effects


def test_rules_of_images_are_refused() -> None:
    plan = stepladder.CommandPlan(RUN, ("base:", "+more:5"))
    with pytest.raises(StudyError, match="`validation` is for images that are trained on here"):
        stepladder.study_command(plan, rules=stepladder.Rules(validation=0.2))
    with pytest.raises(StudyError, match=r"`alpha` is 0\.9"):
        stepladder.study_command(plan, rules=stepladder.Rules(alpha=0.9))
    with pytest.raises(StudyError, match="`seeds` is 0"):
        stepladder.study_command(plan, seeds=0)
    assert not Path("studies").exists()


def test_a_study_of_a_users_own_command_is_checked_by_what_it_has(tmp_path: Path) -> None:
    run = """/bin/sh -c 'echo {{\\"test\\": 0.8{seed}{options}}}'"""
    with as_dots():
        stepladder.study_command(stepladder.CommandPlan(run, ("base:", "more:5")), seeds=2, out=tmp_path)
    assert check_study(tmp_path) == []
    results = tmp_path / "results.csv"
    results.write_text(results.read_text().replace("0.8", "0.9", 1))
    assert [(one.kind, one.place) for one in check_study(tmp_path)] == [("derived", "results.csv")]
    check_folder(tmp_path, repair=True)
    assert check_folder(tmp_path).holds
    record = tmp_path / "study.json"
    record.write_text(record.read_text().replace('"alpha": 0.05', '"alpha": 0.1'))
    assert [(one.kind, one.place) for one in check_study(tmp_path)] == [("plan", "study.json")]
