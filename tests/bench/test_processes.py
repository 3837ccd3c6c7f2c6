"""Whole processes and studies: small ones, and what is said of those that fail."""

import pytest

from stepladder.bench.processes import WholeStudy, measure_process, measure_study, stepladder
from stepladder.errors import StudyError


def test_a_process_has_its_own_peak_and_time(tmp_path):
    small = measure_process(["python3", "-c", "print('hello')"], tmp_path)
    large = measure_process(["python3", "-c", "import time; x = b'x' * 200_000_000; time.sleep(0.1)"], tmp_path)
    assert small.peak < 100e6, "not the memory of the tests"
    assert large.peak - small.peak == pytest.approx(200e6, rel=0.05)
    assert large.seconds > 0.1


def test_a_process_that_fails_says_why(tmp_path):
    with pytest.raises(StudyError, match=r"study nothing.npz failed with exit code 2: .*nothing\.npz"):
        measure_process(stepladder("study", "nothing.npz"), tmp_path)


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
