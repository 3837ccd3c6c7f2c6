"""What does bfloat16 cost in accuracy: step by step against float64, and over whole trainings by paired seeds?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call

from stepladder.data import Split, Splits
from stepladder.errors import StudyError
from stepladder.network.layers import SeededDropout
from stepladder.recipe import Recipe
from stepladder.study.judging.statistics import paired_interval
from stepladder.techniques import Progress
from stepladder.training.assembly import assemble, overriding
from stepladder.training.device import Compute
from stepladder.training.evaluate import prepare_images
from stepladder.training.loop import Watched, train_network
from stepladder.training.step import TrainingStep, training_loss

#: What is compared, the exact one first.
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Closeness:
    """How near the gradients of one precision are to float64's, at the same weights, images and dropout masks.

    Attributes:
        precision: ``float32`` or ``bfloat16``.
        distances: ‖g − g₆₄‖ / ‖g₆₄‖ over all weights together, one entry a step.
        batch_noise: the same for the float64 gradient of another batch: what a step differs by anyway.
    """

    precision: str
    distances: list[float]
    batch_noise: list[float]


@dataclass(frozen=True)
class Pair:
    """One seed trained whole in both precisions.

    Attributes:
        float32, bfloat16: accuracy on the validation images after the last epoch, fractions.
        float32_seconds, bfloat16_seconds: of the training, evaluations included.
    """

    seed: int
    float32: float
    bfloat16: float
    float32_seconds: float
    bfloat16_seconds: float

    @property
    def difference(self) -> float:
        """What bfloat16 gains, or loses below 0; a fraction."""
        return self.bfloat16 - self.float32


def interval_of(pairs: Iterable[Pair]) -> tuple[float, float] | None:
    """Return the 95 % t-interval of the mean difference, a fraction; None below two pairs."""
    return paired_interval([pair.difference for pair in pairs])


def compare_steps(
    recipe: Recipe,
    train: Split,
    classes: int,
    compute: Compute,
    steps: int,
    seed: int = 0,
    on_step: Callable[[], None] | None = None,
) -> list[Closeness]:
    """Take ``steps`` training steps of ``recipe`` and measure the gradient before each in three precisions.

    Args:
        compute: its device and threads; the weights move on by its own precision.
        on_step: called after each step.
    """
    assembly = assemble(recipe, train, train, classes, seed, compute, has_validation=False)
    loss_of = training_loss(assembly.techniques)
    take_step = TrainingStep(assembly, recipe.optimizer.lr, compute, torch.zeros((), device=compute.device))
    order = torch.Generator().manual_seed(seed)
    distances: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    noise: list[float] = []

    def draw(progress: Progress) -> tuple[Tensor, Tensor, Tensor]:
        positions = torch.randperm(len(assembly.data), generator=order)[: recipe.batch_size].to(compute.device)
        for technique in overriding(assembly.techniques, "batch_started"):
            technique.batch_started(positions, progress)
        images, targets = assembly.data.take(positions)
        for technique in overriding(assembly.techniques, "augment"):
            images, targets = technique.augment(images, targets, assembly.streams[f"augment/{technique.name}"])
        return positions, prepare_images(images, assembly.techniques), targets

    assembly.module.train()
    for number in range(steps):
        progress = Progress(number, assembly.steps_per_epoch, recipe.epochs)
        positions, inputs, targets = draw(progress)

        def gradient(inputs: Tensor, targets: Tensor, dtype: torch.dtype, precision: str) -> Tensor:
            exact = replace(compute, precision=precision)
            return _gradient(assembly.module, inputs, targets, loss_of, dtype, exact)

        reference = gradient(inputs, targets, torch.float64, "float32")
        for precision in PRECISIONS:
            found = gradient(inputs, targets, torch.float32, precision)
            distances[precision].append(_distance(found, reference))
        _, other_inputs, other_targets = draw(progress)
        noise.append(_distance(gradient(other_inputs, other_targets, torch.float64, "float32"), reference))
        take_step(positions, progress)
        if on_step:
            on_step()
    return [Closeness(precision, distances[precision], noise) for precision in PRECISIONS]


def _gradient(
    module: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    dtype: torch.dtype,
    compute: Compute,
) -> Tensor:
    """Return all gradients in one float64 row, and leave weights, statistics and dropout streams as they were."""
    learning = {
        name: value.detach().to(dtype).requires_grad_()
        for name, value in module.named_parameters()
        if value.requires_grad
    }
    fixed = {name: value.detach().to(dtype) for name, value in module.named_parameters() if not value.requires_grad}
    buffers = {
        name: value.detach().clone().to(dtype) if value.is_floating_point() else value.clone()
        for name, value in module.named_buffers()
    }
    streams = [layer.generator for layer in module.modules() if isinstance(layer, SeededDropout)]
    states = [stream.get_state() for stream in streams]
    with compute.autocast():
        logits = functional_call(module, learning | fixed | buffers, (inputs.to(dtype),))
        loss = loss_of(logits, targets)
    gradients = torch.autograd.grad(loss, list(learning.values()))
    for stream, state in zip(streams, states, strict=True):
        stream.set_state(state)
    return torch.cat([gradient.double().flatten() for gradient in gradients])


def _distance(found: Tensor, reference: Tensor) -> float:
    return float((found - reference).norm() / reference.norm())


def compare_trainings(
    recipe: Recipe,
    splits: Splits,
    classes: int,
    compute: Compute,
    seeds: Sequence[int],
    on_epoch: Callable[[], None] | None = None,
) -> list[Pair]:
    """Train ``recipe`` whole with every seed in both precisions, in turn; test is not looked at.

    Args:
        seeds: which; a difference that some of them suggested is confirmed by others alone.
        compute: its device and threads.
        on_epoch: called after each epoch, and once before the first of each training.

    Raises:
        StudyError: there is no validation split, or a training failed.
    """
    if splits.validation is None:
        raise StudyError("these images have no validation split, and the trainings are compared on it")
    watched = Watched(splits.validation)
    pairs = []
    for seed in seeds:
        accuracy, seconds = {}, {}
        for precision in PRECISIONS:
            trained = train_network(
                recipe,
                splits.train,
                watched,
                classes,
                seed,
                replace(compute, precision=precision),
                on_epoch=(lambda _: on_epoch()) if on_epoch else None,
            )
            if trained.failure:
                raise StudyError(f"seed {seed} in {precision}: {trained.failure}")
            last = trained.history[-1].val_accuracy
            assert last is not None, "a validation split was watched"
            accuracy[precision] = last
            seconds[precision] = trained.seconds
        pairs.append(Pair(seed, accuracy["float32"], accuracy["bfloat16"], seconds["float32"], seconds["bfloat16"]))
    return pairs
