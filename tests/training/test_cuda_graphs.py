"""The step that a GPU records and replays: all of it but the recording runs on a CPU as well."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from stepladder.datasets import Split
from stepladder.network.layers import SeededDropout
from stepladder.optimizer import OPTIMIZERS
from stepladder.recipe import Recipe
from stepladder.techniques import TECHNIQUES, Progress
from stepladder.training import loop
from stepladder.training.assembly import Assembly, TrainingData, assemble
from stepladder.training.cuda_graphs import StepRecorder, TrainOn
from stepladder.training.device import Compute, choose_compute
from stepladder.training.loop import TrainedNetwork, TrainingStep, make_step, train_network

CPU = choose_compute("cpu", "float32")
MakeRecipe = Callable[..., Recipe]
#: The reference ladder, and one technique for each hook that acts in a step.
TECHNIQUES_OF_ALL_HOOKS = (
    "standardize",
    "random_crop",
    {"name": "horizontal_flip", "alternating": True},
    "mixup",
    "one_cycle",
    "dropout",
    "batch_norm",
    "gradient_clipping",
    "weight_decay",
    "lookahead",
    "ema",
)

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")


@contextmanager
def stepping(make: Callable[..., TrainingStep]) -> Iterator[None]:
    """Take the loop's steps by what ``make`` makes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "make_step", make)
        yield


def through_tensors(
    assembly: Assembly, base_lr: float, compute: Compute, loss_sum: Tensor, batch_size: int
) -> TrainingStep:
    recorder = StepRecorder(assembly, compute, batch_size, recorded=False)
    return TrainingStep(assembly, base_lr, compute, loss_sum, recorder)


def train(recipe: Recipe, data: Split, compute: Compute = CPU) -> TrainedNetwork:
    trained = train_network(recipe, TrainingData(data, data, 10), 0, compute)
    assert trained.failure is None, trained.error
    return trained


def weights_of(trained: TrainedNetwork) -> Tensor:
    return torch.cat([value.detach().cpu().flatten().float() for value in trained.module.state_dict().values()])


@pytest.mark.long
@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "muon"])
def test_steps_through_tensors_are_the_same_steps(tiny_recipe: MakeRecipe, digits_train: Split, optimizer: str) -> None:
    """1,293 digits in batches of 32: 40 steps, and one of 13 that goes kernel after kernel on any device."""
    settings = {"name": optimizer, "lr": 0.01}
    recipe = tiny_recipe(*TECHNIQUES_OF_ALL_HOOKS, epochs=3, batch_size=32, optimizer=settings)
    plain = train(recipe, digits_train)
    with stepping(through_tensors):
        tensors = train(recipe, digits_train)
    if optimizer == "sgd":
        assert torch.equal(weights_of(plain), weights_of(tensors))
    else:  # these reckon with a rate in float64, and a tensor holds it in float32
        assert torch.allclose(weights_of(plain), weights_of(tensors), rtol=1e-3, atol=1e-4)


def test_decoupled_decay_takes_the_rate_as_a_tensor(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    recipe = tiny_recipe({"name": "weight_decay", "decoupled": True, "amount": 0.5}, epochs=2)
    plain = train(recipe, digits_train)
    with stepping(through_tensors):
        tensors = train(recipe, digits_train)
    # 1 − lr · amount is rounded to float32 once there, and twice here.
    assert torch.allclose(weights_of(plain), weights_of(tensors), rtol=1e-4, atol=1e-6)


class Refusing(StepRecorder):
    """A recorder on a CPU that believes in a GPU, until its recording fails."""

    streams: ClassVar[list[torch.Generator]] = []

    @classmethod
    def step(
        cls, assembly: Assembly, base_lr: float, compute: Compute, loss_sum: Tensor, batch_size: int
    ) -> TrainingStep:
        return TrainingStep(assembly, base_lr, compute, loss_sum, cls(assembly, compute, batch_size))

    def _run_aside(self, train_on: TrainOn) -> None:
        train_on(self._positions, self._rate)

    def _record(self, train_on: TrainOn) -> None:
        def refuse(positions: Tensor, rate: Tensor) -> None:
            # What a recording does before it fails: no arithmetic, but numbers drawn.
            for stream in self.streams:
                torch.rand(3, generator=stream)
            raise RuntimeError("operation not permitted when stream is capturing\nwith more lines")

        super()._record(refuse)


def test_a_step_that_cannot_be_recorded_goes_on_without(
    tiny_recipe: MakeRecipe, digits_train: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Graph:
        def register_generator_state(self, stream: torch.Generator) -> None:
            Refusing.streams.append(stream)

    asked: list[dict[str, object]] = []

    def recording(_: Graph, **options: object) -> nullcontext[None]:
        asked.append(options)
        return nullcontext()

    monkeypatch.setattr(Refusing, "streams", [])
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    # A thread on a CUDA stream of its own, to which it comes back from a recording that failed.
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: "own")
    monkeypatch.setattr(torch.cuda, "default_stream", lambda: "default")
    back: list[object] = []
    monkeypatch.setattr(torch.cuda, "set_stream", back.append)
    recipe = tiny_recipe("random_crop", epochs=2, batch_size=32)
    plain = train(recipe, digits_train)
    with stepping(Refusing.step):
        without = train(recipe, digits_train)
    assert without.warnings[-1:] == [
        "the steps could not be recorded as a CUDA graph, and so took longer: operation not permitted when stream is "
        "capturing"
    ]
    assert len(Refusing.streams) == 2, "the order's and random_crop's, once"
    assert asked == [{"stream": "own", "capture_error_mode": "thread_local"}]
    assert back == ["own"]
    assert torch.equal(weights_of(plain), weights_of(without))


def test_what_is_recorded_depends_on_device_and_optimizer(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    def is_recorded(optimizer: str, device: str) -> bool:
        recipe = tiny_recipe(optimizer={"name": optimizer, "lr": 0.01})
        assembly = assemble(recipe, TrainingData(digits_train, digits_train, 10), 0, CPU)
        compute = Compute(torch.device(device), "float32")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "StepRecorder", lambda *_: StepRecorder.__new__(StepRecorder))
            return make_step(assembly, 0.01, compute, torch.zeros(()), 32)._recorder is not None

    assert [is_recorded("sgd", "cpu"), is_recorded("sgd", "cuda"), is_recorded("muon", "cuda")] == [False, True, False]


@needs_gpu
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_recorded_steps_are_the_same_steps(tiny_recipe: MakeRecipe, digits_train: Split, optimizer: str) -> None:
    settings = {"name": optimizer, "lr": 0.01}
    recipe = tiny_recipe(*TECHNIQUES_OF_ALL_HOOKS, epochs=3, batch_size=32, optimizer=settings)
    gpu = choose_compute("cuda", "float32")
    recorded = train(recipe, digits_train, gpu)
    assert not recorded.warnings
    with stepping(lambda assembly, lr, compute, loss_sum, _: TrainingStep(assembly, lr, compute, loss_sum)):
        plain = train(recipe, digits_train, gpu)
    assert torch.allclose(weights_of(plain), weights_of(recorded), rtol=1e-2, atol=1e-3)


@needs_gpu
@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_technique_can_be_recorded(name: str, tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    recipe = tiny_recipe(name, network="conv3-4 pool2 conv3-4 fc12 fc", epochs=2)
    trained = train(recipe, digits_train, choose_compute("cuda", "float32"))
    assert not [one for one in trained.warnings if "CUDA graph" in one]


@needs_gpu
def test_every_replay_drops_other_values(tiny_recipe: MakeRecipe, digits_train: Split) -> None:
    gpu = choose_compute("cuda", "float32")
    recipe = tiny_recipe("dropout", batch_size=32)
    assembly = assemble(recipe, TrainingData(digits_train, digits_train, 10), 0, gpu)
    dropped: Tensor = torch.zeros(32, 16, device="cuda")
    layer = next(one for one in assembly.module.modules() if isinstance(one, SeededDropout))
    layer.register_forward_hook(lambda _module, _inputs, outputs: dropped.copy_(outputs == 0))
    one = make_step(assembly, 0.0, gpu, torch.zeros((), device="cuda"), 32)
    positions = torch.arange(32, device="cuda")
    masks = []
    for number in range(8):
        one(positions, Progress(number, 40, 3))
        masks.append(dropped.clone())
    assert len(masks) == 8
    assert not any(torch.equal(first, second) for first, second in pairwise(masks))
