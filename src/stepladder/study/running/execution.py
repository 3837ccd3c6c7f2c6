"""How a study is carried out: nothing in here changes a bit of what comes out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from stepladder.errors import StudyError
from stepladder.training.device import Compute
from stepladder.training.stop import Stop

#: PyTorch has 32 CUDA streams and hands them out in turn; two trials on one would wait for each other.
MOST_AT_ONCE = 16


@dataclass(frozen=True)
class Execution:
    """What the plan does not say.

    Attributes:
        workers: processes that train at the same time; 0 for as many as the cores have room for, where it pays.
        at_once: trials at the same time in each process, on a GPU that one does not fill.
        checkpoint_seconds: keep a trial inside an epoch too where the epoch takes longer.
        trial_timeout: seconds after which a trial has failed; None for never.
        retry_failed: run trials again that had failed.
        accept_different_bits: go on from checkpoints of another thread count, version or processor.
        stop: asked after every step.
    """

    workers: int = 1
    at_once: int = 1
    checkpoint_seconds: float = 60.0
    trial_timeout: float | None = None
    retry_failed: bool = False
    accept_different_bits: bool = False
    stop: Stop = field(default_factory=Stop)

    def check(self, device: str | None = None) -> None:
        """Raise StudyError where a value is out of range, or means nothing on ``device`` (``cpu``, ``cuda``, …)."""
        if self.workers < 0:
            raise StudyError(f"--workers is {self.workers}; give auto, or at least 1")
        if not 1 <= self.at_once <= MOST_AT_ONCE:
            raise StudyError(f"--at-once is {self.at_once}; it must be 1 to {MOST_AT_ONCE}")
        if self.at_once > 1 and device not in (None, "cuda"):
            raise StudyError(
                f"--at-once is for trials that share a CUDA GPU, and this one runs on {device}; use --workers"
            )
        if not self.checkpoint_seconds > 0:
            raise StudyError(f"--checkpoint-seconds is {self.checkpoint_seconds:g}; it must be more than 0")
        if self.trial_timeout is not None and not self.trial_timeout > 0:
            raise StudyError(f"--trial-timeout is {self.trial_timeout:g} seconds; it must be more than 0")

    def settle(self, compute: Compute) -> Compute:
        """Return ``compute`` as each process is to have it; see :meth:`check` for what is refused."""
        self.check(compute.device.type)
        if self.workers != 1 and compute.threads is None:
            # Processes whose threads outnumber the cores wait for each other in every step.
            return replace(compute, threads=1)
        return compute
