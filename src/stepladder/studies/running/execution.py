"""How a job is carried out: on what, in which arithmetic, in how many processes, and what to do when it goes wrong.

But for the arithmetic (device, precision, threads) nothing in here changes a bit of what comes out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stepladder.datasets import Splits
from stepladder.errors import StudyError
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import DataRecord
from stepladder.studies.running.cluster.address import check_address
from stepladder.studies.running.cluster.node_images import NodeImages
from stepladder.training.metrics import Costs, Metric, find_metric
from stepladder.training.stop import Stop

#: PyTorch has 32 CUDA streams and then begins again with the first; two trials on one would wait for each other.
MOST_STREAMS = 16


@dataclass(frozen=True)
class Job:
    """One trial to carry out: on which images, where its files go, and what decides (see ``rules.Protocol``)."""

    trial: Trial
    splits: Splits
    data: DataRecord
    folder: Path
    metric: str = "accuracy"
    costs: Costs | None = None
    #: Whether every image trains, so that none is watched or tested; and what a study says to expect then.
    all_train: bool = False
    expected: str | None = None

    @property
    def measured_by(self) -> Metric:
        """The metric that decides."""
        return find_metric(self.metric, self.data.class_names, self.costs)


@dataclass(frozen=True)
class Execution:
    """What the plan does not say.

    Attributes:
        device: ``cpu``, ``cuda`` or ``mps``; ``auto`` takes a GPU where there is one.
        precision: ``float32`` or ``bfloat16``; ``auto`` takes the faster one, or what the study was begun with.
        threads: of one training step on the CPU at most, at least 1; None for one in a study of several trials, and for
            a core each where one network is trained. Another number may change the last bits.
        workers: processes that train at the same time; ``auto`` for as many as the cores have room for, where it pays.
        streams: trials at the same time in each process, each on a CUDA stream, 1 to 16: for a GPU that one does not
            fill. On a cluster, processes that share a GPU.
        cluster: a Ray cluster that runs the trials: ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``; None for this
            machine.
        images_on_nodes: of a cluster, where every node finds the images, a path or a URI as ``s3://bucket/images``, so
            that they need not travel; they must be the same, which is checked.
        checkpoint_seconds: keep a trial inside an epoch too where the epoch takes longer.
        trial_timeout: seconds after which a trial is ended, and left out of what is judged; None for never.
        max_time: seconds after which the job stops by itself, with checkpoints; None for never.
        download: whether a named image set, or published weights, may be fetched where they are not on this computer;
            nothing is ever fetched without it.
        retry_failed: run trials again that had failed.
        reuse: folders whose finished trials are taken over where they are the same, rather than trained again.
        accept_different_bits: go on from checkpoints of another thread count, version or processor.
        track: experiment trackers that see every trial as it runs: ``tensorboard``, ``trackio``, ``wandb``,
            ``mlflow``, and those of installed packages.
        command: what to type to make the result or go on with it, for the record.
        stop: asked after every step.
    """

    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    workers: int | Literal["auto"] = "auto"
    streams: int = 1
    cluster: str | None = None
    images_on_nodes: str | NodeImages | None = None
    checkpoint_seconds: float = 60.0
    trial_timeout: float | None = None
    max_time: float | None = None
    download: bool = False
    retry_failed: bool = False
    reuse: tuple[Path, ...] = ()
    accept_different_bits: bool = False
    track: tuple[str, ...] = ()
    command: str = ""
    stop: Stop = field(default_factory=Stop, compare=False)

    @property
    def is_bounded(self) -> bool:
        """Whether it stops by itself after some time."""
        return self.max_time is not None or self.stop.left() is not None

    def check(self, device: str | None = None) -> None:
        """Raise StudyError where a value is out of range, or means nothing on ``device`` (``cpu``, ``cuda``, …)."""
        if self.workers != "auto" and (not isinstance(self.workers, int) or self.workers < 1):
            raise StudyError(f"`workers` is {self.workers}; it must be auto, or a whole number of at least 1")
        if not 1 <= self.streams <= MOST_STREAMS:
            raise StudyError(f"`streams` is {self.streams}; it must be 1 to {MOST_STREAMS}")
        if self.streams > 1 and device not in (None, "cuda"):
            raise StudyError(f"`streams` is for trials that share a CUDA GPU, and these run on {device}; use `workers`")
        if self.cluster is not None:
            check_address(self.cluster)
        elif self.images_on_nodes is not None:
            raise StudyError("`images_on_nodes` is for a cluster; name it with `cluster`, or leave it out")
        if not self.checkpoint_seconds > 0:
            raise StudyError(f"`checkpoint_seconds` is {self.checkpoint_seconds:g}; it must be more than 0")
        for name, seconds in (("trial_timeout", self.trial_timeout), ("max_time", self.max_time)):
            if seconds is not None and not seconds > 0:
                raise StudyError(f"`{name}` is {seconds:g} seconds; it must be more than 0")
