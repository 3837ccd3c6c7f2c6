import pytest

from stepladder.studies.running.timing import SPREAD, Estimate, Range, share_out


def test_jobs_go_to_whoever_is_free_first() -> None:
    assert share_out([3, 1, 1, 1], 1) == 6
    assert share_out([3, 1, 1, 1], 2) == 3
    assert share_out([1, 1, 1, 3], 2) == 4  # the longest last: nobody can help
    assert share_out([2], 2, begun=[5, 1]) == 5
    assert share_out([2], 2, begun=[5]) == 5  # one is free already
    assert share_out([], 3) == 0


def test_a_range_lies_around_its_middle_by_a_factor() -> None:
    found = Range.around(60, 1.5)
    assert (found.low, found.high) == (40, 90)
    assert found.middle == pytest.approx(60)


def test_a_study_is_start_trials_test_and_report() -> None:
    estimate = Estimate({"a": 10.0, "b": 20.0}, {"a": 1.0, "b": 2.0}, busy=2.0)
    rungs = ["a", "b"] * 2
    alone, together = estimate.study(rungs, 1), estimate.study(rungs, 2)
    assert alone.middle == pytest.approx(estimate.start(1) + 60 + estimate.after(rungs))
    # a, a and then b in one process; b in the other.
    assert together.middle == pytest.approx(estimate.start(2) + 40 + estimate.after(rungs))
    assert alone.high == pytest.approx(alone.middle * SPREAD)
    # Processor time, without what other programs take: every process has its start.
    assert estimate.processor(rungs, 2) == pytest.approx((2 * estimate.start(2) + 60 + estimate.after(rungs)) / 2)
    # Steps of a search wait for their last trial: two of three at a time, and then one.
    steps = estimate.steps("a", [3, 2], 2)
    assert steps.middle == pytest.approx(2 * estimate.start(2) + 20 + 10 + estimate.after([]))
    # What is loaded and drawn takes longer on a busy machine; test is told as it is.
    quiet = Estimate({}, {"a": 1.0, "b": 2.0})
    assert estimate.start(2) == 2 * quiet.start(2)
    assert estimate.after(rungs) - 6 == 2 * (quiet.after(rungs) - 6)
