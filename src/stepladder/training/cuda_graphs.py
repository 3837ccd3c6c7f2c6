"""A training step on a GPU, recorded once as a CUDA graph and then replayed with a single launch."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch
from torch import Tensor

from stepladder.training.assembly import Assembly
from stepladder.training.device import Compute

#: One recording at a time: it waits for the whole device, which a recording in another thread forbids.
_RECORDING = threading.Lock()

#: Changes the weights by the images at positions (int64 (B,)), at a learning rate (float32 ()).
TrainOn = Callable[[Tensor, Tensor], None]


class StepRecorder:
    """Takes the steps of one trial: the first ones kernel after kernel, then by replaying a recording of one.

    A step of the reference network is a hundred small kernels; launching each from Python takes longer than running
    it. What changes from step to step lies in tensors that the graph reads: the positions of the batch, the learning
    rate, and the offsets of the random streams, so that every replay draws other numbers. The first steps, and an
    epoch's last if it is smaller, run kernel after kernel. Where a technique cannot be recorded (it reads a number off
    the device, say), all steps do, and a warning tells.

    Args:
        batch_size: images of a step that is recorded.
        recorded: whether to record at all. Without, every step still goes through the same tensors: so a CPU can test
            all of this but the recording.

    Attributes:
        warnings: why the steps could not be recorded, a sentence; empty where they were.
    """

    #: Steps before the recording, in which optimizers, cuDNN and techniques make what they keep.
    WARM_UP = 3

    def __init__(self, assembly: Assembly, compute: Compute, batch_size: int, recorded: bool = True) -> None:
        self.warnings: list[str] = []
        self._optimizer, self._recorded = assembly.optimizer, recorded
        self._generators = [one for one in assembly.streams.values() if one.device.type == compute.device.type]
        self._positions = torch.zeros(batch_size, dtype=torch.int64, device=compute.device)
        self._rate = torch.zeros((), device=compute.device)
        self._rates = []
        for group in assembly.optimizer.param_groups:
            self._rates.append((torch.zeros((), device=compute.device), float(group.get("lr_scale", 1))))
        self._graph: torch.cuda.CUDAGraph | None = None
        self._aside: torch.cuda.Stream | None = None
        self._taken = 0

    def load(self, positions: Tensor, lr: float) -> Tensor:
        """Put a batch and its learning rate into the tensors that the graph reads; return that of the positions.

        A batch of another size, which no recording is for, comes back as it is.
        """
        self._rate.fill_(lr)
        for group, (rate, scale) in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate.fill_(lr * scale)
        if len(positions) != len(self._positions):
            return positions
        return self._positions.copy_(positions)

    def run(self, train_on: TrainOn, positions: Tensor) -> None:
        """Take the step ``train_on(positions, lr)`` with what :meth:`load` returned, at the rate that it got."""
        if positions is not self._positions:
            train_on(positions, self._rate)
            return
        if self._recorded and self._graph is None and self._taken >= self.WARM_UP:
            self._record(train_on)
        if self._graph is not None:
            self._graph.replay()
        elif self._recorded:
            self._run_aside(train_on)
        else:
            train_on(positions, self._rate)
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

    def _run_aside(self, train_on: TrainOn) -> None:
        """Take a step on a stream of its own, as PyTorch wants the steps before a recording."""
        here, aside = torch.cuda.current_stream(), self._stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            train_on(self._positions, self._rate)
        here.wait_stream(aside)

    def _record(self, train_on: TrainOn) -> None:
        states = [generator.get_state() for generator in self._generators]
        graph, here, aside = torch.cuda.CUDAGraph(), torch.cuda.current_stream(), self._stream()
        for generator in self._generators:
            graph.register_generator_state(generator)
        try:
            # What other threads launch meanwhile, on streams of their own, is none of this recording's business.
            with _RECORDING, torch.cuda.graph(graph, stream=aside, capture_error_mode="thread_local"):
                train_on(self._positions, self._rate)
        except Exception as error:  # whatever a technique raises when it is recorded
            # A recording that fails leaves its thread on the stream of the recording.
            torch.cuda.set_stream(here)
            self._recorded = False
            self._optimizer.zero_grad()
            for generator, state in zip(self._generators, states, strict=True):
                generator.set_state(state)
            reason = (str(error) or type(error).__name__).splitlines()[0]
            self.warnings.append(f"the steps could not be recorded as a CUDA graph, and so took longer: {reason}")
        else:
            self._graph = graph
