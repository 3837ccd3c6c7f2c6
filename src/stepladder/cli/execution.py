"""Options of how trainings are carried out: they change no bit of what comes out."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Annotated

from cyclopts import Parameter

from stepladder.errors import StudyError
from stepladder.study.running.execution import Execution
from stepladder.training.stop import Stop

#: Of commands that train one network at a time.
Threads = Annotated[
    int | None,
    Parameter(
        help="Threads of one training step on the CPU at most, a core each by default; trials of a study take 1. "
        "Another number may change the last bits."
    ),
]

_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0, "": 1.0}


@Parameter(name="*")
@dataclass(frozen=True)
class PauseOptions:
    """When a training stops by itself, what it keeps, and from what it goes on."""

    max_time: Annotated[
        str | None,
        Parameter(help="Stop by itself after so long, as 90m or 2h, and exit with 75; the same command goes on."),
    ] = None
    checkpoint_seconds: Annotated[
        float,
        Parameter(
            help="Keep a checkpoint after every epoch of a second or more, and inside one after so many seconds."
        ),
    ] = 60.0
    accept_different_bits: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Go on from checkpoints of another thread count, version or processor.",
        ),
    ] = False

    def execution(self) -> Execution:
        """Return the options in the library's units; the clock of ``--max-time`` starts now.

        Raises:
            StudyError: a value cannot be read or is out of range.
        """
        execution = Execution(
            checkpoint_seconds=self.checkpoint_seconds,
            accept_different_bits=self.accept_different_bits,
            stop=Stop(None if self.max_time is None else parse_duration("--max-time", self.max_time)),
        )
        execution.check()
        return execution


@Parameter(name="*")
@dataclass(frozen=True)
class ExecutionOptions(PauseOptions):
    """In how many processes besides, and what to do when something goes wrong."""

    workers: Annotated[
        str,
        Parameter(
            help="Processes that train at the same time; auto takes one a core where the study takes more than half a "
            "minute. The results are the same, to the bit."
        ),
    ] = "auto"
    threads: Annotated[
        int,
        Parameter(help="Threads of one training step on the CPU; another number may change the last bits."),
    ] = 1
    at_once: Annotated[
        int,
        Parameter(
            help="On a CUDA GPU, trials at the same time in each process, which one of a small network does not fill; "
            "bench gpu measures how many pay."
        ),
    ] = 1
    trial_timeout: Annotated[
        str | None, Parameter(help="A trial that takes longer, as 30m, has failed; the others go on.")
    ] = None
    retry_failed: Annotated[
        bool, Parameter(negative="", show_default=False, help="Run trials again that had failed.")
    ] = False

    def execution(self) -> Execution:
        """Return these, too, in the library's units.

        Raises:
            StudyError: a value cannot be read or is out of range.
        """
        execution = replace(
            super().execution(),
            workers=self._number_of_workers(),
            at_once=self.at_once,
            trial_timeout=None if self.trial_timeout is None else parse_duration("--trial-timeout", self.trial_timeout),
            retry_failed=self.retry_failed,
        )
        execution.check()
        return execution

    def _number_of_workers(self) -> int:
        if self.workers == "auto":
            return 0
        if not self.workers.isdecimal() or int(self.workers) < 1:
            raise StudyError(f"--workers is {self.workers}; give auto, or a number of at least 1")
        return int(self.workers)


#: What a command gets that was told nothing.
DEFAULT_PAUSES, DEFAULT_EXECUTION = PauseOptions(), ExecutionOptions()


def parse_duration(option: str, text: str) -> float:
    """Return seconds of ``text``: 90, 90s, 45m, 2h, 1d, 1h30m.

    Raises:
        StudyError: it is no duration, or none that passes.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s|)", text.strip().lower())
    if not parts or "".join(number + unit for number, unit in parts) != text.strip().lower().replace(" ", ""):
        raise StudyError(f"{option} is {text}; write it as 90s, 45m, 2h or 1h30m")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds <= 0:
        raise StudyError(f"{option} is {text}; it must be more than 0")
    return seconds
