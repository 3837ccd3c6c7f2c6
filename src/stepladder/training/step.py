"""One training step: from the positions of a batch to changed weights."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from stepladder.techniques import Progress, Technique
from stepladder.training.assembly import Assembly, overriding
from stepladder.training.device import Compute
from stepladder.training.evaluate import prepare_images
from stepladder.training.optimizer import takes_rate_as_tensor

#: One recording at a time: it waits for the whole device, which a recording under way in another thread forbids.
_RECORDING = threading.Lock()


class TrainingStep:
    """The step of one trial, kernel after kernel.

    Attributes:
        loss_sum: float32 (), the losses of all images since it was last set to zero; each step adds to it in place.
        warnings: what a reader of the result should know of how the steps were taken.
    """

    def __init__(self, assembly: Assembly, base_lr: float, compute: Compute, loss_sum: Tensor) -> None:
        self.loss_sum = loss_sum
        self.warnings: list[str] = []
        self._assembly, self._base_lr, self._compute = assembly, base_lr, compute
        self._compute_loss = training_loss(assembly.techniques)
        self._weights: tuple[dict[str, Tensor], dict[str, Tensor]] | None = None
        self._hooks = {
            hook: overriding(assembly.techniques, hook)
            for hook in ("batch_started", "augment", "lr_factor", "before_step", "after_step", "weights")
        }

    def __call__(self, positions: Tensor, progress: Progress) -> float:
        """Train on the images at ``positions`` (int64 (B,), on the device) and return the learning rate."""
        lr = self._base_lr * math.prod(technique.lr_factor(progress) for technique in self._hooks["lr_factor"])
        self._change_weights(positions, progress, lr)
        self._follow_weights(Progress(progress.step + 1, progress.steps_per_epoch, progress.epochs))
        return lr

    def _change_weights(self, positions: Tensor, progress: Progress, lr: float) -> None:
        self._start_batch(positions, progress)
        for group in self._assembly.optimizer.param_groups:
            group["lr"] = lr * group.get("lr_scale", 1)
        self._train_on(positions, lr)

    def _start_batch(self, positions: Tensor, progress: Progress) -> None:
        for technique in self._hooks["batch_started"]:
            technique.batch_started(positions, progress)

    def _train_on(self, positions: Tensor, lr: float | Tensor) -> None:
        """All that a device does in a step: nothing here waits for it, or asks Python about the step at hand."""
        assembly = self._assembly
        images, targets = assembly.data.take(positions)
        for technique in self._hooks["augment"]:
            images, targets = technique.augment(images, targets, assembly.streams[f"augment/{technique.name}"])
        with self._compute.autocast():
            logits = assembly.module(prepare_images(images, assembly.techniques))
            loss = self._compute_loss(logits, targets)
        loss.backward()
        with torch.no_grad():
            for technique in self._hooks["before_step"]:
                technique.before_step(assembly.parameters, lr)
        assembly.optimizer.step()
        assembly.optimizer.zero_grad()
        # Summed on the device: reading a number off it in every step would make the device wait for Python.
        self.loss_sum += loss.detach() * len(positions)

    @torch.no_grad()
    def _follow_weights(self, after: Progress) -> None:
        assembly = self._assembly
        for technique in self._hooks["after_step"]:
            technique.after_step(assembly.parameters, after)
        if assembly.averaged is not None:
            # Views of the weights, made once: every change of them is in place.
            self._weights = self._weights or (assembly.module.state_dict(), assembly.averaged.state_dict())
            for technique in self._hooks["weights"]:
                technique.weights(*self._weights, after)


class ReplayedStep(TrainingStep):
    """The step on a GPU: recorded once as a CUDA graph, and then replayed with a single launch.

    A step of the reference network is a hundred small kernels; launching each from Python takes longer than running
    it. What changes from step to step lies in tensors that the graph reads: the positions of the batch, the learning
    rate, and the offsets of the random streams, so that every replay draws other numbers. The first steps, and an
    epoch's last if it is smaller, run kernel after kernel. Where a technique cannot be recorded (it reads a number off
    the device, say), all steps do, and a warning tells.

    Args:
        recorded: whether to record at all. Without, every step still goes through the same tensors: so a CPU can test
            all of this but the recording.
    """

    #: Steps before the recording, in which optimizers, cuDNN and techniques make what they keep.
    WARM_UP = 3

    def __init__(
        self,
        assembly: Assembly,
        base_lr: float,
        compute: Compute,
        loss_sum: Tensor,
        batch_size: int,
        recorded: bool = True,
    ) -> None:
        super().__init__(assembly, base_lr, compute, loss_sum)
        self._positions = torch.zeros(batch_size, dtype=torch.int64, device=compute.device)
        self._rate = torch.zeros((), device=compute.device)
        self._rates = []
        for group in assembly.optimizer.param_groups:
            self._rates.append((torch.zeros((), device=compute.device), float(group.get("lr_scale", 1))))
        self._graph: torch.cuda.CUDAGraph | None = None
        self._aside: torch.cuda.Stream | None = None
        self._taken, self._recorded = 0, recorded

    def _change_weights(self, positions: Tensor, progress: Progress, lr: float) -> None:
        self._rate.fill_(lr)
        for group, (rate, scale) in zip(self._assembly.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate.fill_(lr * scale)
        if len(positions) != len(self._positions):
            self._start_batch(positions, progress)
            self._train_on(positions, self._rate)
            return
        self._positions.copy_(positions)
        self._start_batch(self._positions, progress)
        if self._recorded and self._graph is None and self._taken >= self.WARM_UP:
            self._record()
        if self._graph is not None:
            self._graph.replay()
        elif self._recorded:
            self._train_aside()
        else:
            self._train_on(self._positions, self._rate)
        self._taken += 1

    def _stream(self) -> torch.cuda.Stream:
        """Return the stream of the steps before the recording, and of the recording: never the default one.

        The thread's own where it has one, and always the same: cuBLAS keeps a workspace for each thread and stream,
        which recorded steps go on writing to; two trials that recorded on one stream would write to the same.
        """
        if self._aside is None:
            here = torch.cuda.current_stream()
            self._aside = torch.cuda.Stream() if here == torch.cuda.default_stream() else here
        return self._aside

    def _train_aside(self) -> None:
        """Take a step on a stream of its own, as PyTorch wants the steps before a recording."""
        here, aside = torch.cuda.current_stream(), self._stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            self._train_on(self._positions, self._rate)
        here.wait_stream(aside)

    def _record(self) -> None:
        device = self._compute.device
        streams = [stream for stream in self._assembly.streams.values() if stream.device.type == device.type]
        states = [stream.get_state() for stream in streams]
        graph, here, aside = torch.cuda.CUDAGraph(), torch.cuda.current_stream(), self._stream()
        for stream in streams:
            graph.register_generator_state(stream)
        try:
            # What other threads launch meanwhile, on streams of their own, is none of this recording's business.
            with _RECORDING, torch.cuda.graph(graph, stream=aside, capture_error_mode="thread_local"):
                self._train_on(self._positions, self._rate)
        except Exception as error:  # whatever a technique raises when it is recorded
            # A recording that fails leaves its thread on the stream of the recording.
            torch.cuda.set_stream(here)
            self._recorded = False
            self._assembly.optimizer.zero_grad()
            for stream, state in zip(streams, states, strict=True):
                stream.set_state(state)
            reason = (str(error) or type(error).__name__).splitlines()[0]
            self.warnings.append(f"the steps could not be recorded as a CUDA graph, and so took longer: {reason}")
        else:
            self._graph = graph


def make_step(assembly: Assembly, base_lr: float, compute: Compute, loss_sum: Tensor, batch_size: int) -> TrainingStep:
    """Return the step that is fastest on the device: replayed on a CUDA GPU, where the optimizer lets it be."""
    if compute.replay and compute.device.type == "cuda" and takes_rate_as_tensor(assembly.optimizer):
        return ReplayedStep(assembly, base_lr, compute, loss_sum, batch_size)
    return TrainingStep(assembly, base_lr, compute, loss_sum)


def training_loss(techniques: Sequence[Technique]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return what training minimizes: a technique's loss, or the mean cross-entropy of logits and targets."""
    replacing = overriding(techniques, "loss")
    return replacing[0].loss if replacing else F.cross_entropy
