"""The shape of a study's saved files: ``study.json`` and each trial's ``result.json``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stepladder.training.history import EpochRecord

#: Raised with every change that an older Stepladder would misread.
SCHEMA_VERSION = 1

Share = Annotated[float, Field(ge=0, le=1)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Machine(_Record):
    """Where something ran: figures without it mean little."""

    processor: str
    cores: int
    memory_gb: float
    accelerator: str | None
    system: str


class DataRecord(_Record):
    """The image set of a study. ``counts`` are images a split; ``image_shape`` is height, width, channels."""

    name: str
    fingerprint: str
    split: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    counts: dict[str, int]
    notes: tuple[str, ...]


class RungRecord(_Record):
    """One rung: its name, the techniques that it adds to the rung below it, and its whole recipe."""

    name: str
    adds: tuple[str, ...]
    recipe: dict[str, Any]


class StudyRecord(_Record):
    """``study.json``: the plan, fixed before the first trial, and what it ran on.

    Attributes:
        plan: the design, ``ladder``.
        plan_hash: SHA-256 of everything that the plan fixes (rungs, protocol, data), seeds left out.
        seeds: every seed asked for so far.
        validation: the share of the training images held out to draw curves; 0 is the report's own protocol.
        precision: ``float32`` or ``bfloat16``.
        device: ``cpu``, ``cuda`` or ``mps``.
        command: what to type to run or continue the study.
    """

    schema_version: int = SCHEMA_VERSION
    plan: str
    plan_hash: str
    rungs: Annotated[tuple[RungRecord, ...], Field(min_length=1)]
    seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    validation: float
    precision: str
    device: str
    data: DataRecord
    versions: dict[str, str]
    machine: Machine
    command: str
    created: str


class TrialResult(_Record):
    """``result.json`` of one trial. Accuracies are fractions, losses mean cross-entropy in nats an image.

    Attributes:
        epochs: epochs finished.
        seconds: wall time of training with its evaluations.
        images_per_second: training images a second, evaluations left out.
        failure: why the trial stopped early, one sentence; None when it finished.
        warnings: what a reader should know of this trial (a technique without effect, an odd untrained loss).
    """

    schema_version: int = SCHEMA_VERSION
    trial: str
    seed: int
    techniques: tuple[str, ...]
    status: Literal["finished", "failed"]
    epochs: int
    train_loss: float | None = None
    train_accuracy: Share | None = None
    val_loss: float | None = None
    val_accuracy: Share | None = None
    test_loss: float | None = None
    test_accuracy: Share | None = None
    seconds: float
    images_per_second: float | None
    failure: str | None = None
    warnings: tuple[str, ...] = ()
    versions: dict[str, str]
    machine: Machine
    finished: str


@dataclass(frozen=True)
class SavedTrial:
    """One trial as its folder holds it."""

    rung: str
    seed: int
    folder: Path
    result: TrialResult
    history: tuple[EpochRecord, ...]


@dataclass(frozen=True)
class SavedStudy:
    """A study as its folder holds it: the record and the trials that have ended, in plan order (rung, then seed)."""

    folder: Path
    record: StudyRecord
    trials: tuple[SavedTrial, ...]

    def of_rung(self, rung: str) -> tuple[SavedTrial, ...]:
        """The trials of one rung, by seed."""
        return tuple(trial for trial in self.trials if trial.rung == rung)

    @property
    def missing(self) -> int:
        """How many planned trials have not ended yet."""
        return len(self.record.rungs) * len(self.record.seeds) - len(self.trials)
