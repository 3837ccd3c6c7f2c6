"""A study between two looks is judged by the last one that is whole, and says when the next one comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import AddedSeeds, LookRecord, StudyRecord, TrialResult
from stepladder.studies.files.store import load_study, planned_trials
from stepladder.studies.findings import Findings, make_findings
from stepladder.training.history import EpochRecord
from stepladder.web.studies.standing import (
    Look,
    UnderWay,
    at_look,
    describe_look,
    describe_verdict,
    find_look,
    looks_so_far,
    time_left,
    time_left_of_runs,
)
from tests.web.studies.made_up import MACHINE, grid, ladder, write_readings, write_record, write_trial


def _result(trial: Trial, *, read: bool = False, seconds: float = 10.0, failed: bool = False) -> TrialResult:
    return TrialResult(
        trial=trial.id,
        seed=trial.seed,
        techniques=(),
        status="failed" if failed else "finished",
        epochs=2,
        failure="the training loss was not finite" if failed else None,
        test_accuracy=0.9 if read else None,
        test_loss=0.5 if read else None,
        seconds=seconds,
        images_per_second=None,
        versions={},
        machine=MACHINE,
        finished="2026-01-31T13:00:00+00:00",
    )


def _results(record: StudyRecord, ended: int, read: int) -> dict[tuple[str, int], TrialResult]:
    """Every rung has ``ended`` seeds, and ``read`` of them were read."""
    return {
        (one.rung, one.seed): _result(one, read=one.seed < read) for one in planned_trials(record) if one.seed < ended
    }


@pytest.mark.parametrize(
    ("seeds", "ended", "read", "expected"),
    [
        (5, 0, 0, Look(0, 5, whole=False)),
        (5, 3, 0, Look(0, 5, whole=False)),
        (5, 5, 0, Look(0, 5, whole=False, reading=15)),  # all have ended, and nothing may be said before test is read
        (5, 5, 3, Look(0, 5, whole=False, reading=6)),
        (5, 5, 5, Look(5, 7, whole=True)),
        (7, 6, 5, Look(5, 7, whole=False)),
        (7, 7, 5, Look(5, 7, whole=False, reading=6)),
        (7, 7, 7, Look(7, 10, whole=True)),
    ],
)
def test_where_a_study_stands_among_its_looks(seeds: int, ended: int, read: int, expected: Look) -> None:
    record = ladder(seeds=seeds, first=5)
    assert find_look(record, _results(record, ended, read)) == expected


def test_rungs_that_needed_no_more_seeds_hold_up_no_look() -> None:
    record = ladder(seeds=7, first=5).model_copy(update={"reached": {"rung 2": 5}})
    results = {key: one for key, one in _results(record, 7, 7).items() if key[0] != "rung 2" or key[1] < 5}
    assert find_look(record, results) == Look(7, 10, whole=True)
    del results["rung 1", 6]
    assert find_look(record, results) == Look(5, 7, whole=False)


def test_a_seed_that_failed_needs_no_reading() -> None:
    record = ladder(rungs=2, seeds=2, first=2)
    results = _results(record, 2, 2)
    trial = planned_trials(record)[0]
    results[trial.rung, trial.seed] = _result(trial, failed=True)
    assert find_look(record, results).whole


def test_looks_are_those_that_the_plan_declared() -> None:
    assert looks_so_far(ladder(seeds=10, first=5)) == [5, 7, 10]
    declared = (LookRecord(seeds=3, share=0.5), LookRecord(seeds=6, share=0.5))
    record = ladder(seeds=6, first=3).model_copy(update={"spending": "declared", "looks": declared})
    assert looks_so_far(record) == [3, 6]
    # Seeds that were added against the plan are a look as well: the report judges them, and says so.
    added = AddedSeeds(seeds=(5, 6), time="2026-01-31T12:00:00+00:00", after_reading=True)
    once = ladder(seeds=7, first=5).model_copy(update={"spending": "declared", "added": (added,)})
    assert looks_so_far(once) == [5, 7]


def test_a_sweep_has_no_look_and_is_whole_at_its_end() -> None:
    record = grid(["optimizer.lr=0.1,0.2"], seeds=2)
    assert find_look(record, {}) == Look(0, None, whole=False)
    assert find_look(record, _results(record, 1, 0)) == Look(0, None, whole=False)
    assert find_look(record, _results(record, 2, 0)) == Look(2, None, whole=True)


@pytest.mark.parametrize(
    ("seeds", "look", "said"),
    [
        (5, Look(0, 5, whole=False), "No verdict yet. The first look is at 5 seeds, when all its trials have ended."),
        (7, Look(5, 7, whole=False), "Next look at 7 seeds. Until then nothing of test is shown."),
        (5, Look(0, 5, whole=False, reading=2), "Test is being read, 2 trials to go"),
        (5, Look(5, 7, whole=True), "the next look is at 7 seeds."),
    ],
)
def test_what_is_said_of_looks(seeds: int, look: Look, said: str) -> None:
    assert said in describe_look(ladder(seeds=seeds, first=5), look, running=True)


def test_a_study_is_judged_as_it_stood_at_its_last_look(tmp_path: Path) -> None:
    """The verdict between two looks is to the digit that of the look, whatever has been trained since."""
    before, after = tmp_path / "before", tmp_path / "after"
    for folder, seeds in ((before, 5), (after, 7)):
        record = ladder(seeds=seeds, first=5)
        trials = write_record(folder, record)
        read = [one for one in trials if one.seed < 5]
        for one in trials:
            score = round(0.5 + 0.1 * int(one.rung[-1]) + 0.01 * ((7 * one.seed + 3 * int(one.rung[-1])) % 5), 3)
            more = {"test_accuracy": score, "test_loss": 0.5} if one.seed < 5 else {}
            if one.seed == 5 and one.rung == "rung 1":
                write_trial(folder, one, failure="the training loss was not finite")
            else:
                write_trial(folder, one, **more)
        write_readings(folder, record, read)
    now = make_findings(at_look(load_study(after), 5))
    then = make_findings(load_study(before))
    assert now.effects == then.effects
    assert [(one.n, one.verdict) for one in now.effects] == [(5, "helped")] * 2
    assert at_look(load_study(before), 5).trials == load_study(before).trials


def test_between_two_looks_verdicts_have_no_figure(tmp_path: Path) -> None:
    record = ladder(rungs=2, seeds=3, first=3)
    trials = write_record(tmp_path, record)
    for one in trials:
        write_trial(tmp_path, one, test_accuracy=0.5 + 0.1 * int(one.rung[-1]) + 0.01 * one.seed, test_loss=0.5)
    write_readings(tmp_path, record, trials)
    findings = make_findings(load_study(tmp_path))
    assert isinstance(findings, Findings)
    whole = describe_verdict(findings, Look(3, 5, whole=True))
    assert [mark["name"] for mark in whole["marks"]] == ["rung 1"]
    assert "points" in whole["marks"][0]["figures"]
    assert whole["headline"]
    between = describe_verdict(findings, Look(3, 5, whole=False))
    assert [(mark["word"], mark["figures"], mark["needs"]) for mark in between["marks"]] == [("helped", "", "")]
    assert between["headline"] == between["sentences"] == []


def test_time_left_is_worked_out_of_what_ended() -> None:
    record = ladder(rungs=2, seeds=6, first=6)
    trials = planned_trials(record)
    ended = [(one, _result(one, seconds=20.0)) for one in trials[:6]]
    found = time_left(record, ended, [], trials[6:])
    assert found is not None
    assert found.low < 6 * 20 + 4 < found.high  # the report takes a few seconds
    # Half of one under way is done; two at a time take half as long.
    rows = [EpochRecord(n, 0.1, 1.0, 1.0, 0.5, 2.0, None) for n in range(1, trials[6].recipe.epochs // 2 + 1)]
    two = time_left(record, ended, [UnderWay(trials[6], rows), UnderWay(trials[7], [])], trials[8:])
    assert two is not None
    assert two.middle < found.middle * 0.8
    # The more has run, the narrower the range.
    late = time_left(record, [(one, _result(one, seconds=20.0)) for one in trials[:11]], [], trials[11:])
    assert late is not None
    assert late.high / late.low < found.high / found.low


def test_before_anything_is_known_nothing_is_guessed() -> None:
    record = ladder(rungs=1, seeds=2, first=2)
    trials = planned_trials(record)
    assert time_left(record, [], [], trials) is None
    assert time_left(record, [(trials[0], _result(trials[0], failed=True))], [], trials[1:]) is None
    assert time_left(record, [(one, _result(one)) for one in trials], [], []) is None
    rows = [EpochRecord(1, 0.1, 1.0, 1.0, 0.5, 3.0, None)]
    found = time_left(record, [], [UnderWay(trials[0], rows)], trials[1:])
    assert found is not None
    assert found.low < (2 * trials[0].recipe.epochs - 1) * 3.0 < found.high


def test_runs_of_a_command_take_what_others_took() -> None:
    assert time_left_of_runs([], [1.0], 3) is None
    assert time_left_of_runs([5.0], [], 0) is None
    found = time_left_of_runs([10.0, 10.0], [4.0, 9.0], 4)
    assert found is not None
    assert found.middle == pytest.approx(26.0)
