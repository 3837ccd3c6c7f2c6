"""A study of a command: killed and continued, in limits, its tree ended, its test read last."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from stepladder.errors import StudyError
from stepladder.studies.check import check_study, set_aside
from stepladder.studies.design.rules import Rules
from stepladder.studies.files.checksums import find_changed_files
from stepladder.studies.files.records import Ending, Machine, SavedStudy, StudyRecord
from stepladder.studies.files.store import load_study
from stepladder.studies.findings import Findings, work_out
from stepladder.studies.running.commands import end_leftovers, memory_of_group
from stepladder.studies.scores.command_record import Origin, make_record
from stepladder.studies.scores.commands import CommandPlan
from stepladder.studies.scores.running import (
    CommandCallbacks,
    CommandExecution,
    CommandSchedule,
    run_commands,
)
from stepladder.training.stop import Stop, Stopped

MACHINE = Machine(processor="p", cores=1, memory_gb=1.0, accelerator=None, system="s")

#: A run of a shell: quick to start, so that the tests are.
SCORE = """/bin/sh -c 'echo {{\\"val\\": 0.{seed}1, \\"test\\": 0.{seed}2{options}}}'"""


def record(run: str = SCORE, rungs: tuple[str, ...] = ("base:", "more:5"), seeds: int = 3, **more: Any) -> StudyRecord:
    return make_record(CommandPlan(run, rungs, **more), seeds, Rules(), Origin("n", MACHINE, "c", "2026"))


def script(folder: Path, text: str) -> str:
    path = folder / "run.sh"
    path.write_text(text)
    return f"/bin/sh {path} {{seed}} {{out}} {{options}}"


def scores(study: SavedStudy) -> list[tuple[str, int, float | None, float | None]]:
    return [(one.rung, one.seed, one.result.val_score, one.result.test_score) for one in study.trials]


def test_every_rung_and_seed_is_run_once_and_kept(tmp_path: Path) -> None:
    study = run_commands(record(), tmp_path / "s", Rules(), CommandExecution())
    assert scores(study) == [
        *(("base", seed, float(f"0.{seed}1"), float(f"0.{seed}2")) for seed in range(3)),
        *(("more", seed, float(f"0.{seed}1"), float(f"0.{seed}25")) for seed in range(3)),
    ]
    folder = study.trials[0].folder
    assert (folder / "stdout.txt").read_text().strip() == '{"val": 0.01, "test": 0.02}'
    assert (folder / "stderr.txt").read_text() == ""
    assert (tmp_path / "s" / "results.csv").read_text().splitlines()[1].startswith("base,0,0.01,0.02,finished,")
    assert load_study(tmp_path / "s") == study


class Log(CommandCallbacks):
    def __init__(self) -> None:
        self.said: list[str] = []

    def planned(self, schedule: CommandSchedule) -> None:
        self.said.append(f"{len(schedule.trials)} to do, {schedule.done} done")

    def ended(self, trial: Any, result: Any) -> None:
        self.said.append(f"{trial.rung} {trial.seed} {result.status}")

    def reading(self, trials: int) -> None:
        self.said.append(f"reading {trials}")


def test_the_same_call_runs_nothing_and_more_seeds_add(tmp_path: Path) -> None:
    run_commands(record(), tmp_path, Rules(), CommandExecution())
    log = Log()
    run_commands(record(), tmp_path, Rules(), CommandExecution(), log)
    assert log.said == ["0 to do, 6 done"]
    study = run_commands(record(seeds=5), tmp_path, Rules(), CommandExecution(), log)
    assert log.said[1] == "4 to do, 6 done"
    assert len(study.trials) == 10
    assert [look.seeds for look in study.record.looks] == [3]  # as it was begun, so that the error rate holds
    assert study.edited is None


def test_another_plan_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    run_commands(record(), tmp_path, Rules(), CommandExecution())
    with pytest.raises(StudyError, match="holds another study"):
        run_commands(record(rungs=("base:", "more:6")), tmp_path, Rules(), CommandExecution())


def test_failures_of_each_kind_are_counted_and_said(tmp_path: Path) -> None:
    run = script(
        tmp_path,
        """case $1 in
0) echo oh no >&2; exit 3;;
1) sleep 30;;
2) echo '{"test": NaN}';;
3) echo nothing;;
4) kill -9 $$;;
5) echo '{"test": 0.5}';;
esac
""",
    )
    study = run_commands(
        record(run, ("a:", "b:x"), seeds=6), tmp_path / "s", Rules(), CommandExecution(workers=4, timeout=0.5)
    )
    found = {one.seed: one.result for one in study.trials if one.rung == "a"}
    assert [found[seed].ending for seed in range(6)] == [
        Ending.ERROR,
        Ending.TIMEOUT,
        Ending.DIVERGED,
        Ending.NO_SCORE,
        Ending.ERROR,
        None,
    ]
    assert found[0].failure == "the command ended with exit code 3: oh no"
    assert found[4].failure == "the command ended with signal 9"
    assert "trial_timeout" in str(found[1].failure)
    # What had failed is run again only where that is asked for.
    log = Log()
    run_commands(record(run, ("a:", "b:x"), seeds=6), tmp_path / "s", Rules(), CommandExecution(timeout=0.5), log)
    assert log.said == ["0 to do, 12 done"]
    execution = CommandExecution(workers=10, timeout=0.2, retry_failed=True)
    run_commands(record(run, ("a:", "b:x"), seeds=6), tmp_path / "s", Rules(), execution, log)
    assert log.said[1] == "10 to do, 2 done"


def is_running(marker: str) -> bool:
    found = subprocess.run(["pgrep", "-f", marker], capture_output=True, check=False)
    return found.returncode == 0


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the system does not show what runs")
def test_a_run_ends_with_all_that_it_started(tmp_path: Path) -> None:
    # A child in the group, and one that left it with a session of its own.
    run = script(tmp_path, "sleep 77.125 & setsid sleep 77.125 & echo '{\"test\": 0.5}'; sleep 77.125\n")
    study = run_commands(record(run, ("a:", "b:x"), seeds=1), tmp_path / "s", Rules(), CommandExecution(timeout=0.4))
    assert {one.result.ending for one in study.trials} == {Ending.TIMEOUT}
    assert not is_running("sleep 77.125")


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell the memory")
def test_a_run_that_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    code = "import sys, time; x = bytearray(400_000_000); time.sleep(30)"
    run = f"{sys.executable} -c '{code}' {{seed}} {{options}}"
    study = run_commands(
        record(run, ("a:", "b:x"), seeds=1), tmp_path, Rules(), CommandExecution(workers=2, memory=0.2)
    )
    assert {one.result.ending for one in study.trials} == {Ending.MEMORY}
    assert memory_of_group(os.getpgid(0)) > 1_000_000


def test_test_is_read_after_all_training_and_noted(tmp_path: Path) -> None:
    run = script(
        tmp_path,
        'echo "$1 $STEPLADDER_READ_TEST" >> ' + str(tmp_path / "order") + "\n"
        'if [ "$3" = "--read-test" ]; then echo \'{"val": 0.1, "test": 0.4}\'; else echo \'{"val": 0.5}\'; fi\n',
    ).replace("{options}", "{read_test} {options}")
    log = Log()
    study = run_commands(record(run, ("a:", "b:x"), seeds=2), tmp_path / "s", Rules(), CommandExecution(), log)
    order = (tmp_path / "order").read_text().split()
    assert order[1::2] == ["0"] * 4 + ["1"] * 4
    assert {one[2:] for one in scores(study)} == {(0.5, 0.4)}  # validation stays that of training
    (reading,) = study.readings
    assert (reading.kind, reading.ended, len(reading.trials)) == ("planned", True, 4)
    assert log.said[5] == "reading 4"
    more = run_commands(record(run, ("a:", "b:x"), seeds=3), tmp_path / "s", Rules(), CommandExecution())
    assert [one.kind for one in more.readings] == ["planned", "look"]


def test_a_command_that_gives_validation_alone_is_judged_by_it(tmp_path: Path) -> None:
    run = """/bin/sh -c 'echo {{\\"val\\": 0.{seed}1{options}}}'"""
    study = run_commands(record(run), tmp_path, Rules(), CommandExecution())
    assert scores(study)[0] == ("base", 0, None, 0.01)


def test_gpus_are_dealt_out_one_a_run(tmp_path: Path) -> None:
    run = script(tmp_path, 'sleep 0.05; echo "{\\"test\\": 0.$CUDA_VISIBLE_DEVICES}"\n')
    execution = CommandExecution(gpus=("3", "7"))
    assert execution.slots == 2
    study = run_commands(record(run, ("a:", "b:x"), seeds=3), tmp_path / "s", Rules(), execution)
    assert {one.result.test_score for one in study.trials} == {0.3, 0.7}


def test_a_program_that_is_not_there_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="cannot run no-such-program: No such file"):
        run_commands(record("no-such-program {seed} {options}"), tmp_path, Rules(), CommandExecution())


def test_being_asked_to_stop_ends_what_runs_and_keeps_what_has_ended(tmp_path: Path) -> None:
    run = script(tmp_path, "if [ $1 = 0 ]; then echo '{\"test\": 0.5}'; else exec sleep 78.5; fi\n")
    stop = Stop()

    class StopAfterTwo(Log):
        def ended(self, trial: Any, result: Any) -> None:
            super().ended(trial, result)
            if len(self.said) == 3:
                stop.request("interrupt")

    with pytest.raises(Stopped):
        run_commands(
            record(run, ("a:", "b:x")), tmp_path / "s", Rules(), CommandExecution(workers=2, stop=stop), StopAfterTwo()
        )
    assert not is_running("sleep 78.5")
    assert len(load_study(tmp_path / "s").trials) == 2


@pytest.mark.parametrize(
    ("execution", "words"),
    [
        (CommandExecution(workers=0), "`workers` is 0"),
        (CommandExecution(timeout=0), "`trial_timeout` is 0"),
        (CommandExecution(memory=-1), "`trial_memory` is -1"),
        (CommandExecution(gpus=("a b",)), "`gpus` has 'a b'"),
    ],
)
def test_values_out_of_range_get_a_sentence(tmp_path: Path, execution: CommandExecution, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        run_commands(record(), tmp_path, Rules(), execution)


#: Keeps a checkpoint in its folder, and goes on from it; its score tells of nothing but its seed and its rung.
STEPS = """n=$(cat $2/checkpoint 2>/dev/null || echo 0)
while [ $n -lt 3 ]; do sleep 0.02; n=$((n+1)); echo $n > $2/c.part; mv $2/c.part $2/checkpoint; done
echo "{\\"val\\": 0.$1, \\"test\\": 0.$1$3}"
"""

DRIVER = """
import sys
from pathlib import Path
from tests.studies.scores.test_running import record, run_commands, Rules, CommandExecution
plan = record(sys.argv[1], tuple(sys.argv[4:]), seeds=int(sys.argv[3]))
run_commands(plan, Path(sys.argv[2]), Rules(), CommandExecution(workers=2))
"""


def kill_again_and_again(tmp_path: Path, kills: int, rungs: tuple[str, ...], seeds: int) -> None:
    run = script(tmp_path, STEPS)
    undisturbed = run_commands(record(run, rungs, seeds), tmp_path / "a", Rules(), CommandExecution(workers=2))
    numbers = random.Random(1)
    words = [sys.executable, "-c", DRIVER, run, str(tmp_path / "b"), str(seeds), *rungs]
    kept = 0
    for _ in range(kills):
        process = subprocess.Popen(words)
        # Until it has begun, and then for a random moment.
        began = time.monotonic()
        while not list((tmp_path / "b").glob("trials/*/out")) and time.monotonic() < began + 60:
            time.sleep(0.01)
        while len(list((tmp_path / "b").glob("trials/*/result.json"))) <= kept and process.poll() is None:
            time.sleep(0.005)
        time.sleep(numbers.uniform(0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = len(list((tmp_path / "b").glob("trials/*/result.json")))
    study = run_commands(record(run, rungs, seeds), tmp_path / "b", Rules(), CommandExecution(workers=2))
    assert len(study.trials) == len(rungs) * seeds == len(undisturbed.trials)
    assert (tmp_path / "a" / "results.csv").read_bytes() == (tmp_path / "b" / "results.csv").read_bytes()
    assert not is_running(str(tmp_path / "run.sh"))


@pytest.mark.long
def test_kill_9_at_a_random_moment_ends_with_the_same_results(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 1, ("a:", "b:1"), 4)


@pytest.mark.soak
def test_kill_9_at_ten_random_moments_ends_with_the_same_results(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 10, ("a:", "b:1", "c:2", "d:3", "e:4", "f:5"), 5)


def overhead_of(folder: Path, runs: int) -> float:
    """Seconds that each run of 10 ms takes beyond its command, one at a time."""
    run = """/bin/sh -c 'sleep 0.01; echo {{\\"val\\": 0.5, \\"test\\": 0.{seed}{options}}}'"""
    began = time.monotonic()
    study = run_commands(record(run, seeds=runs // 2), folder, Rules(), CommandExecution())
    took = time.monotonic() - began
    assert len(study.trials) == runs
    return (took - sum(one.result.seconds for one in study.trials)) / runs


def test_a_run_takes_little_longer_than_its_command(tmp_path: Path) -> None:
    assert overhead_of(tmp_path / "s", 20) < 0.3


@pytest.mark.soak
def test_a_thousand_runs_of_10_ms_end_and_their_folder_opens(tmp_path: Path) -> None:
    assert overhead_of(tmp_path / "s", 1000) < 0.3
    began = time.monotonic()
    work_out(load_study(tmp_path / "s"))
    assert time.monotonic() - began < 2


def test_what_an_earlier_attempt_left_running_is_ended(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        ["sleep", "79.5"], env={**os.environ, "STEPLADDER_OUT": str(out)}, start_new_session=True
    )
    other = subprocess.Popen(["sleep", "79.5"], env={**os.environ, "STEPLADDER_OUT": str(tmp_path / "other")})
    try:
        if Path("/proc/self/environ").exists():
            assert end_leftovers(out) == 1
            assert process.wait(10) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        for one in (process, other):
            one.kill()
            one.wait()


def test_json_of_the_record_has_the_command(tmp_path: Path) -> None:
    run_commands(record(), tmp_path, Rules(), CommandExecution())
    saved = json.loads((tmp_path / "study.json").read_text())
    assert saved["rungs"][1]["recipe"] == {"run": SCORE, "options": ["5"]}
    assert saved["scores"]["source"] == "command"


def test_runs_that_agree_to_an_image_prove_nothing(tmp_path: Path) -> None:
    # Of 40 test images one more is right, in both seeds: an image more or less is chance.
    run = script(
        tmp_path, 'case "$1$3" in 0) s=0.9;; 1) s=0.925;; 0more) s=0.925;; *) s=0.95;; esac; echo "{\\"test\\": $s}"\n'
    )
    study = run_commands(record(run, ("a:", "b:more"), seeds=2), tmp_path / "s", Rules(), CommandExecution())
    assert [one[3] for one in scores(study)] == [0.9, 0.925, 0.925, 0.95]
    findings = work_out(study)
    assert isinstance(findings, Findings)
    assert findings.effects[0].verdict == "undecided"


@pytest.mark.long
def test_auto_adds_seeds_to_what_is_undecided_alone(tmp_path: Path) -> None:
    # a is far above base and is decided at the first look; b goes up and down with the seed.
    run = script(
        tmp_path,
        'case "$3" in "") s=0.50$1;; a) s=0.90$1;; b) s=0.5$((($1 % 2) * 9))$1;; esac; echo "{\\"test\\": $s}"\n',
    )
    plan = record(run, ("base:", "a:a", "b:b"), seeds=3, plan="add-one")
    log = Log()
    study = run_commands(plan, tmp_path / "s", Rules(), CommandExecution(), log, most=5)
    assert {rung.name: len(study.of_rung(rung.name)) for rung in study.record.rungs} == {"base": 5, "a": 3, "b": 5}
    assert study.record.reached == {"a": 3}
    assert [said for said in log.said if "to do" in said] == ["9 to do, 0 done", "4 to do, 9 done"]
    assert study.edited is None
    again = run_commands(plan, tmp_path / "s", Rules(), CommandExecution(), most=5)
    assert len(again.trials) == len(study.trials)
    # A number of seeds is for all rungs.
    whole = run_commands(
        record(run, ("base:", "a:a", "b:b"), 5, plan="add-one"), tmp_path / "s", Rules(), CommandExecution()
    )
    assert len(whole.trials) == 15


def test_a_look_that_does_not_fit_into_the_time_is_not_begun(tmp_path: Path) -> None:
    run = script(tmp_path, 'echo "{\\"test\\": 0.5$((($1 % 2) * ${3:-0}))$1}"\n')

    class Short(Stop):
        def left(self) -> float | None:
            return 0.0

    told: list[str] = []

    class Told(CommandCallbacks):
        def message(self, sentence: str) -> None:
            told.append(sentence)

    execution = CommandExecution(stop=Short())
    study = run_commands(record(run, ("base:", "b:9"), 3), tmp_path / "s", Rules(), execution, Told(), most=5)
    assert len(study.trials) == 6
    assert "The next look, at 5 seeds, would take about" in told[0]


def test_every_file_of_a_run_has_its_checksum_but_checkpoints(tmp_path: Path) -> None:
    run = script(
        tmp_path, 'mkdir -p $2/checkpoint; echo w > $2/checkpoint/w; echo w > $2/w.txt; echo "{\\"test\\": 0.5$1$3}"\n'
    )
    out = tmp_path / "s"
    study = run_commands(record(run, ("a:1", "b:2"), seeds=1), out, Rules(), CommandExecution())
    folder = study.trials[0].folder
    assert find_changed_files(folder) == []
    names = (folder / "checksums.txt").read_text()
    assert all(name in names for name in ("out/w.txt", "stdout.txt", "stderr.txt", "result.json"))
    assert "checkpoint" not in names
    (folder / "out/w.txt").write_text("other")
    (folder / "out/new.txt").write_text("x")
    (folder / "out/checkpoint/w").write_text("x")
    place = f"trials/{folder.name}"
    assert [(one.kind, one.place, one.what) for one in check_study(out)] == [
        ("trial", place, "(a, seed 0): out/w.txt was changed"),
        ("trial", place, "(a, seed 0): out/new.txt was added"),
    ]
    done = set_aside(out, check_study(out))
    assert done == [f"{place} was set aside as {place}.broken-1; the study's command runs it again"]
    run_commands(record(run, ("a:1", "b:2"), seeds=1), out, Rules(), CommandExecution())
    assert not any(one.is_fault for one in check_study(out))
