import pytest

from stepladder.studies.running.dispatch import count_workers
from stepladder.studies.running.execution import Execution
from stepladder.training.device import Compute, choose_compute


def test_as_many_workers_as_asked_for_or_as_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    compute = choose_compute("cpu", "float32", threads=1)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert count_workers(Execution(workers=3), compute, trials=1, seconds=1, memory_gb=1) == 3
    assert count_workers(Execution(), compute, trials=18, seconds=1000, memory_gb=64) == 8
    assert count_workers(Execution(), compute, trials=5, seconds=1000, memory_gb=64) == 5
    # Over before a second has started.
    assert count_workers(Execution(), compute, trials=18, seconds=10, memory_gb=64) == 1
    assert count_workers(Execution(), compute, trials=18, seconds=1000, memory_gb=4) == 2
    assert count_workers(Execution(), compute, trials=18, seconds=1000, memory_gb=0) == 1  # memory unknown
    four = Compute(compute.device, compute.precision, threads=4)
    assert count_workers(Execution(), four, trials=18, seconds=1000, memory_gb=64) == 2
