"""A study is read where it changed, and what is shown of it is what its files say."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.studies.running.locks import try_lock
from stepladder.studies.scores.commands import CommandPlan
from stepladder.studies.scores.running import CommandExecution
from stepladder.web.studies import cells
from stepladder.web.studies import watch as watching
from stepladder.web.studies.folders import Found
from stepladder.web.studies.owners import Locks
from stepladder.web.studies.watch import StudyWatch
from tests.web.studies.made_up import (
    TEST_FIGURE,
    grid,
    ladder,
    replace,
    write_checkpoint,
    write_readings,
    write_record,
    write_study,
    write_trial,
)
from tests.web.studies.test_owners import needs_locks


def watch_of(folder: Path) -> StudyWatch:
    return StudyWatch(Found("0" * 16, folder.name, folder, "study"), lambda text: text)


def told(watch: StudyWatch, polls: int = 1) -> dict[str, Any]:
    for _ in range(polls):
        watch.poll(Locks())
    return watch.board.changes_since(-1)[1]


def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have damage count, and a summary be told, without waiting."""
    monkeypatch.setattr(cells, "SETTLING", 0.0)
    monkeypatch.setattr(watching, "_SUMMED", 0.0)


def states(values: dict[str, Any]) -> dict[str, str]:
    return {key: value[0] for key, value in values.items() if key.startswith("trial.")}


def test_rungs_fill_with_seeds(tmp_path: Path) -> None:
    record = ladder(rungs=2, seeds=3, first=3)
    trials = write_record(tmp_path, record)
    watch = watch_of(tmp_path)
    values = told(watch)
    assert states(values) == dict.fromkeys([f"trial.{i}.{j}" for i in range(2) for j in range(3)], "w")
    assert values["head"]["state"] == "unfinished"
    assert values["head"]["title"] == "Ladder on digits"
    write_trial(tmp_path, trials[0])
    write_trial(tmp_path, trials[1], failure="the training loss was not finite")
    version = watch.board.version
    told(watch)
    changed = watch.board.changes_since(version)[1]
    assert states(changed) == {"trial.0.0": "f", "trial.1.0": "x"}
    assert changed["rung.0"] | {"ended": 1, "n": 1, "validation": "50.00"} == changed["rung.0"]
    assert changed["rung.1"] | {"ended": 1, "failed": 1, "n": 0, "validation": ""} == changed["rung.1"]
    assert changed["failures"] == [["rung 1, seed 0", "the training loss was not finite"]]
    assert changed["head"]["ended"] == 2


@pytest.mark.long
def test_an_event_costs_what_changed_and_no_rereading(tmp_path: Path) -> None:
    """Of three thousand trials one ends: one file is read, and a page is told of one trial."""
    rates = ",".join(f"{0.001 * (i + 1):.3f}" for i in range(60))
    record = grid([f"optimizer.lr={rates}"], seeds=50)
    assert record.planned_trials == 3000
    trials = write_study(tmp_path, record, ended=lambda trial: trial.seed == 0)
    watch = watch_of(tmp_path)
    told(watch)
    while watch.standing.state == "reading":
        told(watch)
    assert watch.read.number == 61  # the record, and a result each
    version = watch.board.version
    told(watch)
    assert watch.board.changes_since(version)[1] == {}
    write_trial(tmp_path, next(one for one in trials if one.seed == 1))
    told(watch)
    assert watch.read.number == 62
    changed = watch.board.changes_since(version)[1]
    assert sorted(key for key in changed if key.startswith(("trial", "rung"))) == ["rung.0", "trial.0.1"]
    # A point more, as a search adds one each time: what is known of the others stays.
    more = grid([f"optimizer.lr={rates},0.9"], seeds=50)
    write_record(tmp_path, more)
    told(watch)
    assert watch.read.number == 63
    assert watch.standing.ended == 61


def test_a_study_that_takes_long_to_read_shows_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_study(tmp_path, ladder(rungs=25, seeds=2, first=2))
    monkeypatch.setattr(watching, "_BUDGET", 0.0)
    watch = watch_of(tmp_path)
    values = told(watch)
    assert values["head"]["state"] == "reading"
    assert values["head"]["planned"] == 50
    assert len([key for key in values if key.startswith("rung.")]) == 25
    monkeypatch.undo()
    assert told(watch, 2)["head"]["state"] == "unfinished"
    assert watch.standing.ended == 50


def test_a_trial_under_way_tells_its_epochs(tmp_path: Path) -> None:
    record = ladder(rungs=1, seeds=2, first=2)
    trial, _ = write_record(tmp_path, record)
    write_checkpoint(tmp_path, trial, 3)
    watch = watch_of(tmp_path)
    values = told(watch)
    assert values["trial.0.0"][:4] == ["p", 0, 3, trial.recipe.epochs]
    curves = watch.curves(0)
    assert curves["n"] == 0
    (alone,) = curves["alone"]
    assert alone["watched_accuracy"] == {"x": [0.0, 1.0, 2.0, 3.0], "mean": [10.0, 15.0, 20.0, 25.0]}
    reads = watch.read.number
    told(watch)
    assert watch.read.number == reads
    write_checkpoint(tmp_path, trial, 4)
    assert told(watch)["trial.0.0"][2] == 4
    # It ends, and its checkpoints go.
    shutil.rmtree(tmp_path / "trials" / trial.id / "checkpoint")
    write_trial(tmp_path, trial)
    assert told(watch)["trial.0.0"][0] == "f"
    assert watch.curves(0)["alone"] == []


@pytest.mark.parametrize("content", ["", "{", '{"values": 3}', '{"values": {"history": "epoch\\nx\\n"}}', "[" * 300])
def test_a_checkpoint_that_is_no_checkpoint_tells_nothing(tmp_path: Path, content: str) -> None:
    trial = write_record(tmp_path, ladder(rungs=1, seeds=1, first=2))[0]
    write_checkpoint(tmp_path, trial, 3)
    replace(tmp_path / "trials" / trial.id / "checkpoint" / "00000003" / "state.json", content)
    assert told(watch_of(tmp_path))["trial.0.0"][:3] == ["w", 0, 0]


@needs_locks
def test_whoever_holds_a_lock_runs_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = ladder(rungs=2, seeds=2, first=2)
    trials = write_record(tmp_path, record)
    for one in trials[:2]:
        write_trial(tmp_path, one)
    write_checkpoint(tmp_path, trials[2], 2)
    watch = watch_of(tmp_path)
    assert told(watch)["head"]["state"] == "unfinished"
    assert "Nobody runs it now" in told(watch)["head"]["sentence"]
    with try_lock(tmp_path / "trials" / trials[2].id):
        at_once(monkeypatch)
        values = told(watch)
        assert values["trial.0.1"][0] == "r"
        assert (values["head"]["state"], values["head"]["running"]) == ("running", 1)
        assert "left" in values["head"]["left"]
        assert [owner.pid for owner in watch.owners] == [os.getpid()]
    # Between two trials nobody holds one.
    assert told(watch)["head"]["state"] == "running"
    monkeypatch.setattr(watching, "_GRACE", 0.0)
    assert told(watch)["head"]["state"] == "unfinished"


def test_where_locks_cannot_be_seen_a_study_runs_while_its_files_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = ladder(rungs=1, seeds=3, first=3)
    trials = write_record(tmp_path, record)
    write_trial(tmp_path, trials[0])
    write_checkpoint(tmp_path, trials[1], 2)
    watch, blind = watch_of(tmp_path), Locks(tmp_path / "missing")
    watch.poll(blind)
    watch.poll(blind)
    assert watch.standing.state == "running"
    monkeypatch.setattr(cells, "QUIET", -1.0)
    at_once(monkeypatch)
    watch.poll(blind)
    assert watch.standing.state == "unfinished"


def test_between_two_looks_nothing_of_test_is_told(tmp_path: Path) -> None:
    study, record = tmp_path / "study", ladder(rungs=2, seeds=7, first=5)
    trials = write_record(study, record)
    read = [one for one in trials if one.seed < 5]
    for one in trials:
        if one.seed < 6:
            write_trial(study, one, read=one.seed < 5)
    write_readings(study, record, read)
    watch = watch_of(study)
    values = told(watch)
    assert watch.look is not None
    assert (watch.look.seeds, watch.look.whole) == (5, False)
    text = json.dumps(values) + json.dumps([watch.curves(0), watch.curves(1)])
    assert f"{100 * TEST_FIGURE:g}" not in text
    assert str(TEST_FIGURE) not in text
    assert "test_" not in text
    assert values["head"]["look"].startswith("The next look is at 7 seeds.")


@pytest.mark.parametrize("ended", [False, True])
def test_a_test_curve_is_shown_when_the_study_has_ended(tmp_path: Path, ended: bool) -> None:
    record = ladder(rungs=1, seeds=2, first=2, validation=0.0)
    trials = write_record(tmp_path, record)
    for one in trials[: None if ended else 1]:
        place = write_trial(tmp_path, one, read=True, val_loss=None, val_accuracy=None)
        text = (place / "history.csv").read_text(encoding="utf-8")
        text = text.replace("val_loss", "test_loss").replace("val_accuracy", "test_accuracy")
        last, _, tail = text.rstrip("\n").rpartition("\n")
        cells = dict(zip(text.partition("\n")[0].split(","), tail.split(","), strict=True))
        cells |= {"test_loss": "0.4", "test_accuracy": str(TEST_FIGURE)}
        replace(place / "history.csv", f"{last}\n{','.join(cells.values())}\n")
    if ended:
        write_readings(tmp_path, record, trials)
    watch = watch_of(tmp_path)
    values = told(watch)
    assert (values["head"]["watched"], values["head"]["shows_watched"]) == ("test", ended)
    curves = watch.curves(0)
    assert ("watched_accuracy" in curves) is ended
    assert (str(100 * TEST_FIGURE) in json.dumps(curves)) is ended


def _cut(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8")[:-40], encoding="utf-8")


def _other_trial(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    replace(path, json.dumps({**document, "trial": "0" * 16}))


def _link(path: Path) -> None:
    other = path.with_name("elsewhere.json")
    path.rename(other)
    path.symlink_to(other)


@pytest.mark.parametrize(
    ("damage", "said"),
    [(_cut, "is not valid JSON"), (_other_trial, "it is that of another trial"), (_link, "is a link")],
)
def test_a_damaged_trial_is_told_in_the_words_of_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None], said: str
) -> None:
    trials = write_study(tmp_path, ladder(rungs=1, seeds=2, first=2))
    watch = watch_of(tmp_path)
    assert set(states(told(watch)).values()) == {"f"}
    monkeypatch.setattr(watching, "_THOROUGH", 0.0)
    damage(tmp_path / "trials" / trials[0].id / "result.json")
    assert states(told(watch))["trial.0.0"] == "f"  # it may be half written
    at_once(monkeypatch)
    values = told(watch)
    assert states(values) == {"trial.0.0": "d", "trial.0.1": "f"}
    ((trial, sentence),) = values["failures"]
    assert trial == "rung 0, seed 0"
    assert said in sentence
    assert values["head"]["damaged"] == 1
    # It is set aside and trained again, as the same command does.
    place = tmp_path / "trials" / trials[0].id
    place.rename(place.with_name(f"{place.name}.broken-1"))
    assert states(told(watch))["trial.0.0"] == "w"
    write_trial(tmp_path, trials[0])
    values = told(watch)
    assert states(values)["trial.0.0"] == "f"
    assert values["failures"] == []


def test_a_result_that_is_half_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    trial = write_study(tmp_path, ladder(rungs=1, seeds=2, first=2), ended=lambda one: one.seed == 0)[1]
    watch = watch_of(tmp_path)
    told(watch)
    place = write_trial(tmp_path, trial)
    whole = (place / "result.json").read_text(encoding="utf-8")
    (place / "result.json").write_text(whole[:100], encoding="utf-8")
    values = told(watch)
    assert states(values)["trial.0.1"] == "w"
    assert values["failures"] == []
    (place / "result.json").write_text(whole, encoding="utf-8")
    assert states(told(watch))["trial.0.1"] == "f"


def test_a_history_that_does_not_fit_damages_its_trial_alone(tmp_path: Path) -> None:
    trials = write_study(tmp_path, ladder(rungs=1, seeds=2, first=2))
    replace(tmp_path / "trials" / trials[0].id / "history.csv", "epoch\n")
    watch = watch_of(tmp_path)
    told(watch)
    assert watch.curves(0)["n"] == 1
    assert states(told(watch, 2))["trial.0.0"] in ("d", "f")


def test_a_folder_of_trials_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    write_study(study, ladder(rungs=1, seeds=2, first=2))
    (study / "trials").rename(elsewhere)
    (study / "trials").symlink_to(elsewhere)
    assert set(states(told(watch_of(study))).values()) == {"w"}


def test_a_trial_whose_folder_is_a_link_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    trial = write_study(study, ladder(rungs=1, seeds=1, first=2))[0]
    (study / "trials" / trial.id).rename(elsewhere)
    (study / "trials" / trial.id).symlink_to(elsewhere)
    at_once(monkeypatch)
    values = told(watch_of(study))
    assert states(values) == {"trial.0.0": "d"}
    assert "is a link" in values["failures"][0][1]


def test_a_study_that_is_removed_says_so_and_may_come_back(tmp_path: Path) -> None:
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    write_study(study, ladder(rungs=1, seeds=2, first=2))
    watch = watch_of(study)
    told(watch)
    study.rename(elsewhere)
    assert told(watch) == {
        "head": {"state": "removed", "sentence": "This study was removed, renamed or moved.", "title": "study"}
    }
    elsewhere.rename(study)
    assert set(states(told(watch)).values()) == {"f"}


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is not valid JSON"), ("{}", "no schema version"), ('{"schema_version": 99}', "this Stepladder reads")],
)
def test_a_damaged_record_is_told_in_the_words_of_check(tmp_path: Path, content: str, said: str) -> None:
    replace(tmp_path / "study.json", content)
    values = told(watch_of(tmp_path))
    assert set(values) == {"head"}
    assert values["head"]["state"] == "damaged"
    assert said in values["head"]["sentence"]


def test_a_record_with_an_unknown_technique_says_what_is_missing(tmp_path: Path) -> None:
    write_study(tmp_path, ladder(rungs=1, seeds=2, first=2))
    path = tmp_path / "study.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["rungs"][0]["recipe"]["techniques"] = [{"name": "my_blur"}]
    replace(path, json.dumps(document))
    values = told(watch_of(tmp_path))
    assert values["head"]["state"] == "damaged"
    assert "my_blur" in values["head"]["sentence"]


def test_a_study_that_was_finished_is_told_so(tmp_path: Path) -> None:
    write_study(tmp_path, ladder(rungs=2, seeds=5), read=True)
    values = told(watch_of(tmp_path))
    assert values["head"]["state"] == "finished"
    assert values["head"]["look"] == "More seeds may be added: the next look is at 7 seeds."
    assert not values["head"]["report"]
    (tmp_path / "report.html").touch()
    assert told(watch_of(tmp_path))["head"]["report"]


def test_reading_test_is_told_by_trials_and_not_by_figures(tmp_path: Path) -> None:
    trials = write_study(tmp_path, ladder(rungs=1, seeds=3, first=3))
    watch = watch_of(tmp_path)
    assert "3 trials to go" in told(watch)["head"]["look"]
    write_trial(tmp_path, trials[0], read=True)
    values = told(watch)
    assert "2 trials to go" in values["head"]["look"]
    assert f"{100 * TEST_FIGURE:g}" not in json.dumps(values)


def test_curves_are_mean_lowest_and_highest_over_finished_seeds(tmp_path: Path) -> None:
    trials = write_study(tmp_path, ladder(rungs=1, seeds=3, first=3), ended=lambda one: one.seed < 2)
    write_trial(tmp_path, trials[2], failure="the training loss was not finite")
    watch = watch_of(tmp_path)
    told(watch)
    curves = watch.curves(0)
    assert curves["n"] == 2
    assert curves["watched_accuracy"]["x"] == [float(epoch) for epoch in range(trials[0].recipe.epochs + 1)]
    assert (curves["watched_accuracy"]["mean"][-1], curves["watched_accuracy"]["low"][-1]) == (51.5, 50.0)
    assert curves["watched_accuracy"]["high"][-1] == 53.0
    assert curves["watched_loss"]["mean"][0] == 2.3
    assert [one["state"] for one in curves["alone"]] == ["x"]
    reads = watch.read.number
    watch.curves(0)
    assert watch.read.number == reads
    with pytest.raises(IndexError):
        watch.curves(1)


def test_curves_of_a_command_are_what_it_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stepladder.api.commands import study_command

    monkeypatch.chdir(tmp_path)
    tell = """printf 'epoch,val_f1\\n1,0.2\\n2,0.4%s\\n' "$1" > "$2/h.csv"\n"""
    Path("both.sh").write_text(tell + """echo '{"val": 0.4, "test": 0.5'$1$3', "history": "h.csv"}'\n""")
    Path("one.sh").write_text(tell + """echo '{"test": 0.5'$1$3', "history": "h.csv"}'\n""")
    for name, watched in (("both", "validation"), ("one", "validation")):
        plan = CommandPlan(f"/bin/sh {name}.sh {{seed}} {{out}} {{options}}", ("base:1", "more:2"), metric="f1")
        study_command(plan, seeds=2, out=name, execution=CommandExecution())
        watch = watch_of(tmp_path / name)
        head = told(watch)["head"]
        assert (head["watched"], head["axes"]["accuracy"]) == (watched, {"title": "F1, %", "share": True})
        curves = watch.curves(0)
        assert curves["n"] == 2
        assert curves["watched_accuracy"]["mean"] == [20.0, 40.5]
        assert curves["watched_accuracy"]["high"] == [20.0, 41.0]
        assert curves["train_loss"]["x"] == []
    # Of one score alone, its curve belongs to a look as it does; with both, validation is shown as it comes.
    for name, watched in (("both", "validation"), ("one", "")):
        next((tmp_path / name / "trials").glob("*/result.json")).unlink()
        watch = watch_of(tmp_path / name)
        assert told(watch)["head"]["watched"] == watched
        assert ("watched_accuracy" in watch.curves(1)) is bool(watched)


@pytest.mark.long
def test_a_study_of_a_command_shows_no_score_before_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stepladder.api.commands import study_command

    monkeypatch.chdir(tmp_path)
    program = """python3 -c 'print("{{\\"val\\": 0.4321}}")' {seed} {options}"""
    plan = CommandPlan(program, ("base:", "+more:--more"))
    study_command(plan, seeds=2, out="study", execution=CommandExecution())
    values = told(watch_of(tmp_path / "study"))
    assert set(states(values).values()) == {"f"}
    assert values["head"]["kind"] == "study of a command"
    assert values["head"]["state"] == "finished"
    assert values["head"]["watched"] == ""
    # The one score that a command reports is judged as test is: it belongs to a look.
    (next((tmp_path / "study" / "trials").iterdir()) / "result.json").unlink(missing_ok=True)
    assert "43.21" not in json.dumps(told(watch_of(tmp_path / "study")))
