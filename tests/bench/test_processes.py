"""Whole processes and studies: small ones, and what is said of those that fail."""

import pytest

from stepladder.bench import processes
from stepladder.bench.processes import TARGETS, WholeStudy, measure_process, measure_start, measure_study, stepladder
from stepladder.errors import StudyError


def test_a_process_has_its_own_peak_and_time(tmp_path):
    small = measure_process(["python3", "-c", "print('hello')"], tmp_path)
    large = measure_process(["python3", "-c", "import time; x = b'x' * 200_000_000; time.sleep(0.1)"], tmp_path)
    assert small.peak < 100e6, "not the memory of the tests"
    assert large.peak - small.peak == pytest.approx(200e6, rel=0.05)
    assert large.seconds > 0.1
    assert 0 < small.processor_seconds < 60


def test_every_wait_is_measured_in_every_round(monkeypatch):
    commands: list[str] = []

    def measuring(command, folder):
        commands.append(" ".join(command[4:]))
        if command[4] == "study":
            (folder / "study/trials/one/model").mkdir(parents=True)
        return processes.Measured(2.0, 1, 1.5)

    monkeypatch.setattr(processes, "measure_process", measuring)
    monkeypatch.setattr(processes, "_first_step", lambda folder: 3.0)
    rounds: list[None] = []
    found = measure_start(2, lambda: rounds.append(None))
    assert [one.what for one in found] == list(TARGETS)
    assert all(one.seconds == [2.0, 2.0] and one.processor_seconds == [1.5, 1.5] for one in found[:-1])
    assert (found[-1].seconds, found[-1].processor_seconds) == ([3.0, 3.0], None)
    assert len(rounds) == 4
    assert commands[0] == "study digits --epochs 1 --out study"
    assert commands[1:5] == ["--help", "techniques", "techniques dropout", "inspect report"]
    assert commands[5] == "check study"
    assert commands[6].startswith("predict ")
    assert commands[6].endswith("one.png")


@pytest.mark.long
def test_a_process_that_fails_says_why(tmp_path):
    with pytest.raises(StudyError, match=r"study nothing.npz failed with exit code 2: .*nothing\.npz"):
        measure_process(stepladder("study", "nothing.npz"), tmp_path)


@pytest.mark.soak
def test_a_whole_study_is_accounted_for():
    (one,) = measure_study("digits", ((1, 1),), seeds=1, epochs=1)
    assert one.trials == 6
    assert 0 < one.step_seconds < one.seconds
    assert 0 < one.outside < 1
    assert min(one.evaluating, one.checkpointing, one.remaining) > 0
    assert one.evaluating + one.checkpointing + one.remaining == pytest.approx(one.outside)


def test_time_outside_counts_every_worker():
    two = WholeStudy(2, 1, 18, seconds=100, step_seconds=150, evaluation_seconds=20, checkpoint_seconds=4)
    assert two.outside == pytest.approx(0.25)
    assert (two.evaluating, two.checkpointing, two.remaining) == pytest.approx((0.1, 0.02, 0.13))
    assert two.trials_an_hour == pytest.approx(648)
