"""How a saved trial ended, told by the reason that it keeps, in this version's words and in those of earlier ones."""

from __future__ import annotations

import pytest

from stepladder.studies.files.records import Ending, Machine, TrialResult
from stepladder.training.loop import describe_failure


def result(failure: str | None, status: str = "failed") -> TrialResult:
    return TrialResult(
        trial="0",
        seed=0,
        techniques=(),
        status=status,
        epochs=1,
        seconds=1.0,
        images_per_second=None,
        failure=failure,
        versions={},
        machine=Machine(processor="Xeon", cores=2, memory_gb=7.5, accelerator=None, system="Linux 6.1"),
        finished="2026-01-31T12:00:00+00:00",
    )


def reason(error: Exception) -> str:
    """What a trial says of an exception that was raised, as one without a traceback has no line."""
    try:
        raise error
    except Exception as raised:
        return describe_failure(raised, 1)


@pytest.mark.parametrize(
    ("failure", "ending"),
    [
        ("the training loss was not finite in epoch 3; a lower optimizer.lr may help", Ending.DIVERGED),
        (
            "the loss on plain training images was not finite after epoch 3; a lower optimizer.lr may help",
            Ending.DIVERGED,
        ),
        ("it took longer than the 4 seconds of `trial_timeout`", Ending.TIMEOUT),
        ("the process that ran it ended 3 times (signal SIGKILL); memory may be short", Ending.MACHINE),
        (reason(MemoryError()), Ending.MEMORY),
        (reason(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")), Ending.MEMORY),
        (reason(ValueError("the loss was not finite")), Ending.ERROR),
        ("bad.prepare returned values that are not finite; look for a division by zero", Ending.ERROR),
        (None, Ending.ERROR),
    ],
)
def test_only_a_loss_that_was_not_finite_says_something_of_the_recipe(failure: str | None, ending: Ending) -> None:
    found = result(failure)
    assert found.ending is ending
    assert (found.diverged, found.stopped) == (ending is Ending.DIVERGED, ending is not Ending.DIVERGED)


def test_one_that_finished_has_no_ending() -> None:
    found = result(None, "finished")
    assert (found.ending, found.diverged, found.stopped) == (None, False, False)
