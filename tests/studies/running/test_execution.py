import pytest
import torch

from stepladder.errors import StudyError
from stepladder.studies.running.dispatch import count_workers
from stepladder.studies.running.execution import Execution
from stepladder.training.device import Compute, choose_compute


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": -1}, "--workers is -1"),
        ({"checkpoint_seconds": 0}, "--checkpoint-seconds is 0"),
        ({"checkpoint_seconds": float("nan")}, "--checkpoint-seconds is nan"),
        ({"trial_timeout": -3}, "--trial-timeout is -3"),
    ],
)
def test_values_out_of_range_are_refused(options, said):
    with pytest.raises(StudyError, match=said):
        Execution(**options).check()


def test_as_many_workers_as_asked_for_or_as_pay(monkeypatch):
    compute = choose_compute("cpu", "float32", threads=1)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert count_workers(3, compute, trials=1, seconds=1, memory_gb=1) == 3
    assert count_workers(0, compute, trials=18, seconds=1000, memory_gb=64) == 8
    assert count_workers(0, compute, trials=5, seconds=1000, memory_gb=64) == 5
    assert count_workers(0, compute, trials=18, seconds=10, memory_gb=64) == 1  # over before a second one has started
    assert count_workers(0, compute, trials=18, seconds=1000, memory_gb=4) == 2
    assert count_workers(0, compute, trials=18, seconds=1000, memory_gb=0) == 1  # memory unknown
    four = Compute(compute.device, compute.precision, threads=4)
    assert count_workers(0, four, trials=18, seconds=1000, memory_gb=64) == 2


@pytest.mark.parametrize(("workers", "threads", "settled"), [(1, None, None), (0, None, 1), (2, None, 1), (2, 3, 3)])
def test_processes_beside_one_another_take_a_thread_each_unless_told(workers, threads, settled):
    compute = Compute(torch.device("cpu"), "float32", threads)
    assert Execution(workers=workers).settle(compute).threads == settled
