"""The shape of a study's saved files: ``study.json`` and each trial's ``result.json``."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from stepladder.datasets.image_set import Fit
from stepladder.datasets.splits import drawn_fingerprint
from stepladder.errors import for_want_of_memory, printable
from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.design.rules import RulesRecord
from stepladder.studies.design.sweeps import SweepRecord
from stepladder.studies.files.run_history import RunEpoch
from stepladder.training.history import EpochRecord
from stepladder.training.metrics import Metric, find_metric, own_metric

#: Raised with every change that an older Stepladder would misread.
SCHEMA_VERSION = 4

#: Those that this version reads and goes on with: of 2, only the sizes of a curve are missing.
READABLE_VERSIONS = (2, 3, 4)

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
    """The image set of a study.

    Attributes:
        counts: images a split.
        image_shape: height, width, channels.
        fit: how images of another shape were brought to it, and are by the models; left out where it is the usual one.
        span: values of 16 bits that became black and white; left out where they are 0 and 65,535.
    """

    name: str
    fingerprint: str
    split: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    counts: dict[str, int]
    notes: tuple[str, ...]
    fit: Fit = "crop"
    span: tuple[int, int] | None = None

    @model_serializer(mode="wrap")
    def _leave_out_the_usual(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        table: dict[str, Any] = write(self)
        usual = {"fit": "crop", "span": None}
        return {key: value for key, value in table.items() if key not in usual or value != usual[key]}


class RungRecord(_Record):
    """One rung: its name, the techniques that it adds or leaves out (see ``rungs.Rung``), and its whole recipe.

    Attributes:
        images, split: of a curve, how many of the training images the rung trains on, and the fingerprint of these
            splits; None where it trains on all of them.
    """

    name: str
    adds: tuple[str, ...]
    lacks: tuple[str, ...] = ()
    recipe: dict[str, Any]
    images: int | None = None
    split: str | None = None


class ContrastRecord(_Record):
    """One question to the trials: a weighted sum of rungs (see ``designs.Contrast``)."""

    name: str
    design: ContrastKind
    weights: dict[str, float]


class LookRecord(_Record):
    """One look at the results, declared beforehand: at how many seeds, and which share of α it spends."""

    seeds: Annotated[int, Field(ge=1)]
    share: Annotated[float, Field(gt=0, le=1)]


class ArithmeticRecord(_Record):
    """In which precision trials run, and how that came about; see ``training.arithmetic.Arithmetic``."""

    precision: str
    reason: str
    float32_ms: float | None = None
    bfloat16_ms: float | None = None
    images: int | None = None
    rounds: int = 0


class AddedSeeds(_Record):
    """Seeds that were not in the plan, when they were asked for, and whether test had been read by then."""

    seeds: tuple[int, ...]
    time: str
    after_reading: bool


class _PlanRecord(_Record):
    """What is trained, what is judged, and when: the first keys of ``study.json``."""

    schema_version: int = SCHEMA_VERSION
    plan: str
    plan_hash: str
    rungs: Annotated[tuple[RungRecord, ...], Field(min_length=1)]
    contrasts: tuple[ContrastRecord, ...]
    notes: tuple[str, ...] = ()
    looks: Annotated[tuple[LookRecord, ...], Field(min_length=1)]


class ScoresRecord(_Record):
    """Of a study whose scores another program made: what they are, and what is known of them.

    Attributes:
        source: ``table``, ``runs`` (folders that training programs wrote) or ``command`` (run here, trial by trial).
        share: whether scores are fractions of 1; others are numbers whose unit is not known.
        resolution: the last digit that they are written with, in their own unit; 0 where that is not known.
        paired: whether seeds mean the same in every rung; else rungs are compared by Welch's t-test.
        diverged: what a run without a score counts as; None where it is left out.
        tried: comparisons that were tried in all, shown or not; None for those that are shown.
        notes: what a reader must know first, a sentence each.
        columns: where each thing was found, by what it is.
        reads_test: of a command, whether it scores test images only when it is asked to.
    """

    source: Literal["table", "runs", "command"]
    share: bool
    higher_is_better: bool
    resolution: float = 0.0
    paired: bool = True
    diverged: float | None = None
    tried: int | None = None
    notes: tuple[str, ...] = ()
    columns: dict[str, str] = {}
    reads_test: bool = False


class StudyRecord(RulesRecord, _PlanRecord):
    """``study.json``: the plan, fixed before the first trial, and what it ran on.

    Attributes:
        plan: the design, a name in ``designs.PLANS``, ``curve``, ``sweep`` or ``search``.
        plan_hash: SHA-256 of everything that the plan fixes; see ``integrity.fixed_part``.
        contrasts: what is judged.
        notes: what the design cannot tell apart.
        looks: when the verdicts are read, and the α that each look spends; one look for a fixed number of seeds.
        metric, costs, alpha, smallest_effect, select: see ``rules.Rules``.
        seeds: every seed asked for so far: the planned ones, or those up to the look at hand, and any added.
        added: seeds beyond the plan.
        reached: how many seeds a rung has stopped at, where looks add seeds and in a search; other rungs have all.
        validation: the share of the training images held out to draw curves; 0 is the report's own protocol.
        precision: ``float32`` or ``bfloat16``.
        device: ``cpu``, ``cuda`` or ``mps``.
        threads: of one training step at most; None for all cores.
        arithmetic: how the precision came about, with what was measured; None in studies of Stepladder 0.1.
        command: what to type to run or continue the study.
        sweep: of a sweep, whose rungs are points of a grid or a search; it chooses by validation and reads no test.
        scores: of a study whose scores another program made; None where they were made here.
    """

    seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    added: tuple[AddedSeeds, ...] = ()
    reached: dict[str, int] = {}
    validation: float
    precision: str
    device: str
    threads: int | None = None
    arithmetic: ArithmeticRecord | None = None
    data: DataRecord
    versions: dict[str, str]
    machine: Machine
    command: str
    created: str
    sweep: SweepRecord | None = None
    scores: ScoresRecord | None = None

    def __repr__(self) -> str:
        names = ", ".join(rung.name for rung in self.rungs)
        return printable(f"<StudyRecord {self.plan} on {self.data.name}: {names[:300]}; seeds: {len(self.seeds)}>")

    @property
    def is_curve(self) -> bool:
        """Whether its rungs are sizes of the training set."""
        return self.plan == "curve"

    @property
    def measured_by(self) -> Metric:
        """What decides whatever is chosen or judged.

        Raises:
            StudyError: there is no such metric, or it does not fit the classes.
        """
        if self.scores is not None:
            own = self.scores
            return own_metric(
                self.metric, share=own.share, higher_is_better=own.higher_is_better, diverged=own.diverged
            )
        return find_metric(self.metric, self.data.class_names, self.costs)

    def seeds_of(self, rung: str) -> tuple[int, ...]:
        """The seeds that a rung should have by now."""
        return self.seeds[: self.reached.get(rung, len(self.seeds))]

    def split_of(self, rung: RungRecord, seed: int) -> str:
        """The fingerprint of the splits that a seed of a rung has."""
        split = rung.split or self.data.split
        return drawn_fingerprint(split, seed) if self.resplit else split

    @property
    def planned_trials(self) -> int:
        """How many trials there should be by now."""
        return sum(len(self.seeds_of(rung.name)) for rung in self.rungs)


class Reading(_Record):
    """One reading of the test images: when, under which plan, for which trials.

    Attributes:
        kind: ``planned``; ``look``, one of several that were declared beforehand; ``added``, for seeds that were not in
            the plan; ``again``, for trials that a reading had covered before.
        look: its number among the looks, from 1.
        ended: whether all of its trials were read; an interrupted reading goes on under the same entry.
        elsewhere: other plans that had read these test images on this computer by then.
        chain: SHA-256, hex, of this entry and the chain before it; each trial that was read keeps that of its reading,
            so that an entry which is gone or was changed shows. Empty in entries of earlier versions.
    """

    time: str
    kind: Literal["planned", "look", "added", "again"]
    look: int
    plan_hash: str
    trials: tuple[str, ...]
    ended: bool
    elsewhere: int = 0
    chain: str = ""

    def chained(self, before: str) -> Reading:
        """Return the entry with its hash, behind one with the hash ``before``."""
        # Without defaults, so that a field which comes later leaves the hashes of today.
        told = self.model_dump(mode="json", exclude={"ended", "chain"}, exclude_defaults=True)
        content = f"{before}\n{json.dumps(told, sort_keys=True)}"
        return self.model_copy(update={"chain": hashlib.sha256(content.encode()).hexdigest()})


class Readings(_Record):
    """``test-readings.json``: every reading of the test images, in order."""

    schema_version: int = SCHEMA_VERSION
    readings: tuple[Reading, ...] = ()


class Ending(StrEnum):
    """Why a trial ended before its last epoch.

    Only one that diverged has shown what its recipe does. The others were ended from outside, or by a mistake in code:
    they say nothing about accuracy.
    """

    DIVERGED = "diverged"  # its loss was not finite
    TIMEOUT = "timeout"  # it took longer than ``trial_timeout``
    MEMORY = "memory"  # there was not enough
    MACHINE = "machine"  # its process was ended, several times
    NO_SCORE = "no score"  # another program left none
    ERROR = "error"  # code raised an exception, mostly the user's own


#: How the reasons begin that this program writes; ``failure`` is all that a saved trial tells of its ending.
_DIVERGED = re.compile(r"the (training )?loss (on plain training images )?was not finite")
_TIMEOUT, _MACHINE = "it took longer than the ", "the process that ran it ended "
_NO_SCORE = "it has no score"


class TrialResult(_Record):
    """``result.json`` of one trial. Accuracies are fractions, losses mean cross-entropy in nats an image.

    Attributes:
        epochs: epochs finished.
        seconds: wall time of training with its evaluations.
        images_per_second: training images a second, evaluations left out.
        energy_joules: of the processor packages over those seconds, everything that ran on them; None where the machine
            does not tell.
        val_score: on the validation images by the metric that decides, after the last epoch; only where that is
            neither accuracy nor loss.
        test_score: likewise on the test images; only where none of the other figures is it.
        test_...: on the test images, None until they are read: after all trials of the plan have ended.
        reading: the chained hash of the reading that these are of; None before, in a training of its own, and in
            trials of earlier versions.
        temperature: fitted on the validation images, for the two ``..._calibrated`` figures.
        selected_epoch: the epoch whose weights were kept.
        model_temperature: what the saved model divides its logits by: the same, where validation tells it from 1, or
            None.
        precision: that it was trained in; None in trials of Stepladder 0.1.
        reused_from: the folder that the training was taken over from; None where it ran here.
        node: of a cluster, the machine that trained it; None where it ran on the machine that owns the folder.
        retries: how often it was begun again, or gone on with, because a process or a node of a cluster was lost.
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
    val_score: float | None = None
    selected_epoch: int | None = None
    test_loss: float | None = None
    test_accuracy: Share | None = None
    test_macro_f1: Share | None = None
    test_ece: Share | None = None
    test_score: float | None = None
    reading: str | None = None
    temperature: float | None = None
    test_nll_calibrated: float | None = None
    test_ece_calibrated: Share | None = None
    model_temperature: float | None = None
    seconds: float
    images_per_second: float | None
    energy_joules: float | None = None
    precision: str | None = None
    reused_from: str | None = None
    node: str | None = None
    retries: int = 0
    failure: str | None = None
    warnings: tuple[str, ...] = ()
    versions: dict[str, str]
    machine: Machine
    finished: str

    @property
    def ending(self) -> Ending | None:
        """Why it ended early; None where it finished."""
        if self.status == "finished":
            return None
        reason = self.failure or ""
        if _DIVERGED.match(reason):
            return Ending.DIVERGED
        if reason.startswith(_TIMEOUT):
            return Ending.TIMEOUT
        if reason.startswith(_MACHINE):
            return Ending.MACHINE
        if reason.startswith(_NO_SCORE):
            return Ending.NO_SCORE
        return Ending.MEMORY if for_want_of_memory(RuntimeError(reason)) else Ending.ERROR

    @property
    def diverged(self) -> bool:
        """Whether its loss was not finite, so that it counts as guessing."""
        return self.ending is Ending.DIVERGED

    @property
    def was_read(self) -> bool:
        """Whether it has been scored on test."""
        return self.test_accuracy is not None or self.test_score is not None

    @property
    def stopped(self) -> bool:
        """Whether it ended early for another reason than its loss, and so says nothing about accuracy."""
        return self.ending not in (None, Ending.DIVERGED)

    def __repr__(self) -> str:
        if self.status == "failed":
            return printable(f"<TrialResult failed; epochs: {self.epochs}; {str(self.failure)[:200]}>")
        scores = (("train", self.train_accuracy), ("validation", self.val_accuracy), ("test", self.test_accuracy))
        each = ", ".join(f"{100 * score:.2f} % on {split}" for split, score in scores if score is not None)
        return printable(f"<TrialResult {each}; epochs: {self.epochs}>")


@dataclass(frozen=True)
class SavedTrial:
    """One trial as its folder holds it.

    Attributes:
        history: of a training here.
        told: of a user's own command in its place, what that told of its training.
    """

    rung: str
    seed: int
    folder: Path
    result: TrialResult
    history: tuple[EpochRecord, ...]
    told: tuple[RunEpoch, ...] = ()

    def __repr__(self) -> str:
        return printable(f"<SavedTrial {self.rung}, seed {self.seed}: {self.result!r}>")


@dataclass(frozen=True)
class SavedStudy:
    """A study as its folder holds it: the record and the trials that have ended, in plan order (rung, then seed).

    Attributes:
        readings: of the test images, in order.
        edited: how the plan was changed after it had been written, one sentence; None where it was not.
    """

    folder: Path
    record: StudyRecord
    trials: tuple[SavedTrial, ...]
    readings: tuple[Reading, ...] = ()
    edited: str | None = None

    def __repr__(self) -> str:
        trials = f"{len(self.trials)} of {self.record.planned_trials} trials"
        return printable(f"<SavedStudy {self.folder}: {self.record.plan} on {self.record.data.name}, {trials}>")

    def of_rung(self, rung: str) -> tuple[SavedTrial, ...]:
        """The trials of one rung, by seed."""
        return tuple(trial for trial in self.trials if trial.rung == rung)

    @property
    def missing(self) -> int:
        """How many planned trials have not ended yet."""
        return self.record.planned_trials - len(self.trials)

    @property
    def unread(self) -> bool:
        """Whether trials have finished whose test images were not read yet; those of a sweep never are."""
        return self.record.sweep is None and any(
            trial.result.status == "finished" and not trial.result.was_read for trial in self.trials
        )
