"""``study_command``: a user's own program as a study, with its report and its code on record."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

import stepladder
from stepladder.api.check import check_folder
from stepladder.api.commands import LivePage
from stepladder.errors import StudyError
from stepladder.report.sections.curves import CurvesSection, curve_table
from stepladder.report.sections.curves.axes import curve_axes
from stepladder.studies.check import check_study
from stepladder.studies.design.trials import CommandTrial
from stepladder.studies.files.records import TrialResult
from stepladder.studies.files.store import load_study
from stepladder.studies.judging.comparison import compare_studies
from stepladder.studies.scores.running import CommandCallbacks

RUN = """/bin/sh -c 'echo {{\\"val\\": 0.8{seed}1{options}, \\"test\\": 0.8{seed}2{options}}}'"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_command_is_a_study_with_a_report() -> None:
    plan = stepladder.CommandPlan(RUN, ("base:", "+more:5"))
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
    study = stepladder.study_command(plan, seeds=2)
    assert [one.result.test_score for one in study.trials] == [0.801, 0.811, 0.805, 0.815]
    page = study.report_path.read_text(encoding="utf-8")
    assert "read once, after all training had ended" in page
    assert "The command read test in every run" not in page


def test_a_judge_of_the_folder_says_the_same() -> None:
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
    sweep = stepladder.sweep_command(stepladder.CommandPlan(run), {"a": [2, 5]}, seeds=2)
    assert sweep.folder == Path("studies/command-sweep-a")
    assert sweep.best is not None
    assert sweep.best.point.name == "a=5"
    assert sweep.recipe is None
    page = (sweep.folder / "report.html").read_text(encoding="utf-8")
    assert "A sweep chooses by val alone" in page
    assert check_folder(sweep.folder).holds
    assert not (sweep.folder / "recipe.toml").exists()


TELLING = """\
printf 'epoch,loss,val_loss,accuracy,val_accuracy\\n1,2.3,2.2,0.3,0.2%s\\n2,1.5,1.6,0.5,0.4%s\\n' "$1" "$1" > "$2/h.csv"
echo '{"val": 0.4'$1', "test": 0.4'$1$3', "history": "h.csv"}'
"""


def test_what_runs_tell_of_their_training_is_drawn() -> None:
    Path("run.sh").write_text(TELLING)
    plan = stepladder.CommandPlan("/bin/sh run.sh {seed} {out} {options}", ("base:1", "more:5"))
    study = stepladder.study_command(plan, seeds=3, out="s")
    curves = study.findings.curves
    assert (curves.measures, curves.last_epoch) == (("accuracy", "loss"), 2)
    assert curves.rungs[0].mean.watched["accuracy"].low == pytest.approx([0.2, 0.4])
    assert curves.rungs[0].mean.watched["accuracy"].high == pytest.approx([0.22, 0.42])
    assert {one.result.epochs for one in study.trials} == {2}
    assert Path("s/figures/curves.png").is_file()
    assert "as the command measures them" in study.report_path.read_text(encoding="utf-8")
    assert check_folder(Path("s")).holds
    (Path("s/trials") / study.trials[0].result.trial / "history.csv").write_text("epoch\n")
    assert not check_folder(Path("s")).holds


def test_curves_of_a_score_of_no_known_unit_reach_from_the_lowest_to_the_highest() -> None:
    Path("run.sh").write_text(TELLING)
    plan = stepladder.CommandPlan("/bin/sh run.sh {seed} {out} {options}", ("base:1", "more:5"), metric="loss")
    study = stepladder.study_command(plan, seeds=2, out="s")
    (axis,) = curve_axes(study.findings).values()
    assert (axis.title, axis.share, axis.factor) == ("loss", False, 1)
    assert (axis.low, axis.high) == pytest.approx((1.5 - 0.04, 2.3 + 0.04))
    table = curve_table(study.findings)
    assert table.header == ("rung", "epoch", "train loss", "validation loss")
    assert table.rows[1] == ("base", "2", "1.5000", "1.6000")
    chart = CurvesSection().chart(study.findings)
    assert chart is not None
    assert [one["measure"] for one in chart["axes"]] == ["accuracy"]  # what it is judged by stands there


def test_a_history_that_cannot_be_drawn_is_said() -> None:
    Path("run.sh").write_text(TELLING.replace('"history": "h.csv"', '"history": "other.csv"'))
    plan = stepladder.CommandPlan("/bin/sh run.sh {seed} {out} {options}", ("base:1", "more:5"))
    study = stepladder.study_command(plan, seeds=2, out="s")
    assert study.findings.curves.measures == ()
    assert not Path("s/figures/curves.png").exists()
    page = Path("s/report.md").read_text(encoding="utf-8")
    assert "4 runs have no curve: its history other.csv cannot be read" in page


def test_a_sweep_draws_what_its_runs_tell() -> None:
    Path("run.sh").write_text(TELLING)
    plan = stepladder.CommandPlan("/bin/sh run.sh {seed} {out} {a}")
    sweep = stepladder.sweep_command(plan, {"a": [2, 5]}, seeds=2, out="s")
    assert sweep.findings.curves.measures == ("accuracy", "loss")
    assert Path("s/figures/curves.png").is_file()


@pytest.mark.long
def test_a_curve_of_a_command_reads_test_last_and_fits_a_law() -> None:
    # 90 % of guessing's error at first, then less by the fraction: 0.1 -> 0.55, 0.2 -> 0.65, 0.5 -> 0.75, 1 -> 0.85.
    Path("run.sh").write_text(
        "case $2 in 0.1) a=55;; 0.2) a=65;; 0.5) a=75;; *) a=85;; esac\n"
        """test "$3" && echo '{"test": 0.'$a$1'}' || echo '{"val": 0.'$a$1'}'\n"""
    )
    plan = stepladder.CommandPlan("/bin/sh run.sh {seed} {fraction} {read_test}", diverged=0.1)
    curve = stepladder.curve_command(plan, seeds=3)
    assert isinstance(curve, stepladder.Curve)
    assert curve.folder == Path("studies/command-curve")
    assert [(size.share, size.images) for size in curve.sizes] == [(0.1, None), (0.2, None), (0.5, None), (1.0, None)]
    assert [round(size.mean or 0, 3) for size in curve.sizes] == [0.551, 0.651, 0.751, 0.851]
    assert curve.law is not None
    assert curve.law.images == 1.0
    assert 0 < curve.law.predicted < curve.law.error == pytest.approx(0.149)
    page = (curve.folder / "report.md").read_text(encoding="utf-8")
    assert "an error that begins at 90.00 %" in page
    assert "read once, after all training had ended" in page
    assert "the test curve was watched" not in page
    assert isinstance(stepladder.load_study(curve.folder), stepladder.Curve)
    assert check_folder(curve.folder).holds


@pytest.mark.long
def test_runs_of_a_curve_that_fail_are_left_out_and_what_diverged_counts() -> None:
    Path("run.sh").write_text("""case $1 in 11) a=NaN;; 0.50) exit 3;; *) a=0.8;; esac; echo '{"test": '$a'}'\n""")
    run = "/bin/sh run.sh {fraction}{seed}"
    curve = stepladder.curve_command(stepladder.CommandPlan(run, diverged=0.1), (0.5, 1), seeds=2, out="c")
    assert [size.scores for size in curve.sizes] == [{1: 0.8}, {0: 0.8, 1: 0.1}]
    page = (curve.folder / "report.md").read_text(encoding="utf-8")
    assert "1 run diverged and counted as 10.00 %: 100 %, seed 1." in page
    assert "1 run failed and left out: 50 %, seed 0." in page


def test_a_factorial_of_a_command_has_shares_and_interactions() -> None:
    run = """/bin/sh -c 'set -- 0 {options}; echo {{\\"test\\": 0.5$#{seed}}}'"""
    plan = stepladder.CommandPlan(run, ("base:", "+a:-a", "+b:-b"), "factorial")
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
