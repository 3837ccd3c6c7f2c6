"""A command at every point of a grid, or of a search: chosen by val, and no test score is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepladder.errors import StudyError
from stepladder.report.sections.sweep_meaning import describe_sweep
from stepladder.studies.files.records import Machine, SavedStudy
from stepladder.studies.findings import work_out
from stepladder.studies.judging.points import SweepFindings
from stepladder.studies.proposals import Search
from stepladder.studies.scores.command_record import Origin
from stepladder.studies.scores.commands import CommandPlan
from stepladder.studies.scores.running import CommandExecution
from stepladder.studies.scores.sweeping import sweep_commands
from stepladder.studies.sweep import Grid

ORIGIN = Origin("n", Machine(processor="p", cores=1, memory_gb=1.0, accelerator=None, system="s"), "c", "2026")
#: The more the better, and the seed as noise.
RUN = """/bin/sh -c 'echo {{\\"val\\": 0.{a}0{seed}, \\"test\\": 0.9}}'"""


def sweep(
    out: Path, asked: Grid | Search, run: str = RUN, seeds: int = 2, execution: CommandExecution | None = None
) -> SavedStudy:
    return sweep_commands(
        CommandPlan(run), asked, out, seeds=seeds, origin=ORIGIN, execution=execution or CommandExecution()
    )


def findings(study: SavedStudy) -> SweepFindings:
    found = work_out(study)
    assert isinstance(found, SweepFindings)
    return found


def test_a_grid_is_run_chosen_by_val_and_grows(tmp_path: Path) -> None:
    found = findings(sweep(tmp_path, Grid(("a=2,5,7",))))
    assert [(point.name, point.scores) for point in found.points] == [
        ("a=2", {0: 0.2, 1: 0.201}), ("a=5", {0: 0.5, 1: 0.501}), ("a=7", {0: 0.7, 1: 0.701}),
    ]  # fmt: skip
    assert found.best is not None
    assert found.best.point.name == "a=7"
    assert [(edge.axis.key, edge.largest) for edge in found.edges] == [("a", True)]
    # The command reported test, and no file of the sweep has it but what it printed itself.
    assert all(trial.result.test_score is None for trial in found.study.trials)
    assert ",0.9," not in (tmp_path / "results.csv").read_text()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("trials/*/result.json")}
    assert len(before) == 6
    larger = sweep(tmp_path, Grid(("a=2,5,7,8",)))
    assert len(larger.trials) == 8
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())
    with pytest.raises(StudyError, match="holds another study"):
        sweep(tmp_path, Grid(("a=2,5",)), RUN.replace("0.9", "0.8"))


def test_the_words_claim_no_more_than_is_known(tmp_path: Path) -> None:
    sentences = describe_sweep(findings(sweep(tmp_path, Grid(("a=2,5",)))))
    assert sentences[0] == "Every run ended with a score."
    assert "guessing" not in " ".join(sentences)
    assert "keeps no test score. The command has no {read_test}: nothing here can tell" in sentences[-1]


def test_a_run_without_val_has_no_score(tmp_path: Path) -> None:
    study = sweep(tmp_path, Grid(("a=2,5",)), """/bin/sh -c 'echo {{\\"test\\": 0.{a}{seed}}}'""", seeds=1)
    assert {trial.result.failure for trial in study.trials} == {
        "it has no score: a sweep chooses by val, and it reported test alone"
    }
    found = findings(study)
    assert found.best is None
    assert "Stopped early" in " ".join(describe_sweep(found))


def test_the_command_is_told_not_to_read_test(tmp_path: Path) -> None:
    run = """/bin/sh -c 'test $STEPLADDER_READ_TEST = 0 && echo {{\\"val\\": 0.{a}{seed}}}'"""
    trials = sweep(tmp_path, Grid(("a=2,5",)), run, seeds=1).trials
    assert [trial.result.status for trial in trials] == ["finished", "finished"]


def test_a_point_whose_score_is_no_number_is_never_the_best(tmp_path: Path) -> None:
    run = """/bin/sh -c 'test {a} = 9 && echo {{\\"val\\": NaN}} || echo {{\\"val\\": 0.{a}{seed}}}'"""
    found = findings(sweep(tmp_path, Grid(("a=2,5,9",)), run))
    assert found.best is not None
    assert found.best.point.name == "a=5"
    assert found.points[2].diverged == 2


@pytest.mark.long
def test_a_search_goes_on_where_it_was_and_runs_one_at_a_time(tmp_path: Path) -> None:
    search = Search(("a=1..9",), points=3)
    one = findings(sweep(tmp_path, search, seeds=1))
    assert one.sweep.search is not None
    assert one.sweep.search.tried == 3
    assert {trial.result.status for trial in one.study.trials} == {"finished"}
    assert all(isinstance(point.values[0], int) for point in one.points)
    runs = len(list(tmp_path.glob("trials/*/result.json")))
    more = findings(sweep(tmp_path, Search(("a=1..9",), points=4), seeds=1))
    assert [point.name for point in more.points][: len(one.points)] == [point.name for point in one.points]
    assert len(list(tmp_path.glob("trials/*/result.json"))) - runs <= 1
    with pytest.raises(StudyError, match=r"a search runs one at a time, .* leave it out, or add `together=2`, or more"):
        sweep(tmp_path, search, seeds=1, execution=CommandExecution(workers=2))


@pytest.mark.long
def test_a_round_of_a_search_runs_at_the_same_time_and_the_next_learns_from_it(tmp_path: Path) -> None:
    # A run waits until one beside it has begun, so that one alone would be ended by its time limit.
    met = tmp_path / "met"
    met.mkdir()
    meet = f"touch {met}/{{seed}}-{{a}}; until [ $(ls {met} | wc -l) -ge 2 ]; do sleep 0.01; done"
    run = f"/bin/sh -c '{meet}; {RUN.partition(chr(39))[2]}"
    two, search = CommandExecution(workers=2, timeout=60), Search(("a=1..9",), points=2, together=2)
    study = sweep(tmp_path / "two", search, run, seeds=1, execution=two)
    assert [trial.result.failure for trial in study.trials] == [None, None]
    # As many at a time as there are slots, and the same points, scores and rounds.
    search = Search(("a=1..99",), points=7, together=3)
    one = sweep(tmp_path / "one", search)
    three = sweep(tmp_path / "three", search, execution=CommandExecution(workers=3))
    assert one.record.sweep == three.record.sweep
    assert [trial.result.val_score for trial in one.trials] == [trial.result.val_score for trial in three.trials]
    with pytest.raises(StudyError, match="together is 3 there and 2 here"):
        sweep(tmp_path / "one", Search(("a=1..99",), points=7, together=2))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Grid(("a=5",)), "`over=a` has one value"),
        (Grid(("a=1..5",)), "is a range, which only a search looks through"),
        (Grid(("a=2,5",), {"b": "1"}), "settings of all points belong into `run` itself"),
        (Grid(("a=" + ",".join(map(str, range(300))),)), "300 points × 2 seeds are 600 trials, more than 500"),
    ],
)
def test_what_is_no_sweep_gets_a_sentence(tmp_path: Path, asked: Grid, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        sweep(tmp_path, asked)


def test_the_plan_of_a_sweep_is_hashed_with_the_command(tmp_path: Path) -> None:
    sweep(tmp_path, Grid(("a=2,5",)), seeds=1)
    saved = json.loads((tmp_path / "study.json").read_text())
    assert saved["sweep"]["base"] == {"run": RUN}
    assert saved["plan"] == "sweep"
