"""``study_command``: a user's own program as a study, with its report and its code on record."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

import stepladder
from stepladder.api.check import check_folder
from stepladder.api.commands import LivePage
from stepladder.errors import StudyError
from stepladder.studies.check import check_study
from stepladder.studies.design.trials import CommandTrial
from stepladder.studies.files.records import TrialResult
from stepladder.studies.files.store import load_study
from stepladder.studies.judging.comparison import compare_studies
from stepladder.studies.scores.running import CommandCallbacks
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


def test_the_page_is_written_as_runs_end_and_they_do_not_wait_for_it(tmp_path: Path) -> None:
    plan = stepladder.CommandPlan(RUN, ("base:", "+more:5"))
    seen: list[bool] = []

    class Reader(CommandCallbacks):
        def ended(self, trial: CommandTrial, result: TrialResult) -> None:
            seen.append((tmp_path / "s/report.html").is_file())

    with as_dots():
        stepladder.study_command(plan, seeds=2, out=tmp_path / "s", callbacks=Reader())
    assert seen == [False, True, True, True]
    # Pages of half a second take no more than a twentieth of the time.
    moments = iter([0.0, 0.5, 5.0, 10.6, 11.1])
    page = LivePage(tmp_path / "s", clock=lambda: next(moments))
    path = tmp_path / "s/report.html"
    written = []
    for _ in range(3):
        path.unlink(missing_ok=True)
        page.ended(cast(CommandTrial, None), cast(TrialResult, None))
        written.append(path.exists())
    assert written == [True, False, True]


def test_a_sweep_of_a_command_says_where_the_best_is() -> None:
    run = """/bin/sh -c 'echo {{\\"val\\": 0.{a}{seed}1}}'"""
    with as_dots():
        sweep = stepladder.sweep_command(stepladder.CommandPlan(run), {"a": [2, 5]}, seeds=2)
    assert sweep.folder == Path("studies/command-sweep-a")
    assert sweep.best is not None
    assert sweep.best.point.name == "a=5"
    assert sweep.recipe is None
    page = (sweep.folder / "report.html").read_text(encoding="utf-8")
    assert "A sweep chooses by val alone" in page
    assert check_folder(sweep.folder).holds
    assert not (sweep.folder / "recipe.toml").exists()


def test_a_factorial_of_a_command_has_shares_and_interactions() -> None:
    run = """/bin/sh -c 'set -- 0 {options}; echo {{\\"test\\": 0.5$#{seed}}}'"""
    plan = stepladder.CommandPlan(run, ("base:", "+a:-a", "+b:-b"), "factorial")
    with as_dots():
        study = stepladder.study_command(plan, seeds=2, out="f")
    assert [(one.name, one.design.value) for one in study.effects] == [
        ("a", "shapley"), ("b", "shapley"), ("a × b", "interaction"),
    ]  # fmt: skip
    assert study.findings.gain == pytest.approx(0.02)
    assert "Shares of the gain" in (study.folder / "report.html").read_text(encoding="utf-8")


def test_a_plan_runs_nothing() -> None:
    forecast = stepladder.plan_command(stepladder.CommandPlan(RUN, ("base:", "+more:5")), seeds="auto", spread=0.01)
    assert [look.seeds for look in forecast.looks] == [3, 5, 7, 10]
    assert not Path("studies").exists()
    with pytest.raises(StudyError, match="`final` looks once and `seeds=auto` as often as it takes"):
        stepladder.plan_command(
            stepladder.CommandPlan(RUN, ("base:", "+more:5")), seeds="auto", rules=stepladder.Rules(final=True)
        )


def test_two_studies_of_commands_stand_side_by_side() -> None:
    other = RUN.replace("0.8", "0.9")
    with as_dots():
        for name, run in (("one", RUN), ("two", other)):
            stepladder.study_command(stepladder.CommandPlan(run, ("base:", "+more:5")), seeds=2, out=name)
        stepladder.study_command(stepladder.CommandPlan(RUN, ("base:", "+m:5"), metric="f1"), seeds=2, out="f1")
    found = compare_studies([load_study(Path(name)) for name in ("one", "two")])
    assert [(one.rung, one.mean) for one in found.differences] == [
        ("base", pytest.approx(0.1)), ("more", pytest.approx(0.1)),
    ]  # fmt: skip
    text = " ".join(found.cautions)
    assert "Nothing here can tell whether the commands were scored on the same images" in text
    assert text.count("0.9{seed}1") == 1  # the command is named once
    with pytest.raises(StudyError, match="their scores are accuracy and f1"):
        compare_studies([load_study(Path(name)) for name in ("one", "f1")])
