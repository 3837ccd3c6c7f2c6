"""What does bfloat16 cost in accuracy: step by step against float64, and over whole trainings by paired seeds?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from cyclopts import Parameter
from torch import Tensor, nn
from torch.func import functional_call

from stepladder.cli.bench import at_least_one, finish, progress_of, spread, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.datasets import Split, Splits, load_image_set, make_splits
from stepladder.errors import StudyError
from stepladder.network.layers import SeededDropout
from stepladder.recipe import Recipe, default_recipe, load_recipe
from stepladder.report.units import count, interval, points
from stepladder.studies.judging.statistics import paired_interval
from stepladder.techniques import Progress
from stepladder.training.assembly import TrainingData, assemble, overriding
from stepladder.training.device import Compute, choose_compute
from stepladder.training.evaluate import prepare_images
from stepladder.training.loop import TrainingCallbacks, TrainingStep, train_network, training_loss

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
    assembly = assemble(recipe, TrainingData(train, train, classes, watches_test=True), seed, compute)
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
    """Train ``recipe`` whole with every seed in both precisions, in turn; test is not read.

    Args:
        seeds: which; a difference that some of them suggested is confirmed by others alone.
        compute: its device and threads.
        on_epoch: called after each epoch, and once before the first of each training.

    Raises:
        StudyError: there is no validation split, or a training failed.
    """
    if splits.validation is None:
        raise StudyError("these images have no validation split, and the trainings are compared on it")
    images = TrainingData(splits.train, splits.validation, classes)
    told = TrainingCallbacks(on_epoch=(lambda _: on_epoch()) if on_epoch else None)
    pairs = []
    for seed in seeds:
        accuracy, seconds = {}, {}
        for precision in PRECISIONS:
            trained = train_network(recipe, images, seed, replace(compute, precision=precision), told)
            if trained.failure:
                raise StudyError(f"seed {seed} in {precision}: {trained.failure}")
            last = trained.history[-1].val_accuracy
            assert last is not None, "a validation split was watched"
            accuracy[precision] = last
            seconds[precision] = trained.seconds
        pairs.append(Pair(seed, accuracy["float32"], accuracy["bfloat16"], seconds["float32"], seconds["bfloat16"]))
    return pairs


def precision(
    data: Annotated[str, Parameter(help="A name or a path, as for study.")] = "digits",
    *,
    recipe: Annotated[str, Parameter(help="With all its techniques; auto takes small for few images.")] = "auto",
    limit: Annotated[int | None, Parameter(help="Use only the first N images a class of each split.")] = None,
    seeds: Annotated[int, Parameter(help="Trained in both precisions; two or more give an interval.")] = 5,
    first_seed: Annotated[
        int, Parameter(help="Seeds run from here on: what some have suggested is confirmed by others.")
    ] = 0,
    steps: Annotated[int, Parameter(help="Whose gradients are compared with float64's.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Measure what bfloat16 costs: each step's gradient beside float64's, and whole trainings by paired seeds."""
    at_least_one(seeds=seeds, steps=steps)
    console = make_console(as_json)
    compute = choose_compute("cpu", "bfloat16")
    images = load_image_set(data, limit=limit)
    splits, classes = make_splits(images), len(images.class_names)
    whole = load_recipe(default_recipe(len(splits.train)) if recipe == "auto" else recipe)
    with progress_of(console, steps + 2 * seeds * (whole.epochs + 1)) as advance:
        close = compare_steps(whole, splits.train, classes, compute, steps, on_step=advance)
        pairs = compare_trainings(whole, splits, classes, compute, range(first_seed, first_seed + seeds), advance)

    table = table_of("", "float32", "bfloat16")
    exact, fast = ([100 * one for one in found.distances] for found in close)
    table.add_row("distance of gradients, %", spread(exact, ".2g"), spread(fast, ".2g"))
    columns = ([100 * pair.float32 for pair in pairs], [100 * pair.bfloat16 for pair in pairs])
    table.add_row("validation accuracy, %", *(spread(column, ".2f") for column in columns))
    times = ([pair.float32_seconds for pair in pairs], [pair.bfloat16_seconds for pair in pairs])
    table.add_row("a training, s", *(spread(column, ".0f") for column in times))
    console.print(table)

    noise = spread([100 * one for one in close[0].batch_noise], ".0f")
    differences = [pair.difference for pair in pairs]
    bounds, mean = interval_of(pairs), sum(differences) / len(differences)
    sure = f" {interval(bounds)}, a 95 % t-interval" if bounds else ", and one seed gives no interval"
    words = (
        f"{data}, {count(len(splits.train), 'training image')}, recipe {whole.name} with all techniques, "
        f"{count(whole.epochs, 'epoch')}; medians (minimum to maximum). Gradients: "
        f"‖g − g64‖ / ‖g64‖ with float64's g64, over all weights, "
        f"{count(steps, 'step')} from the start, the same weights, images and dropout masks; another batch lies "
        f"{noise} % away.\n"
        f"bfloat16 less float32, from seed {first_seed} on: {', '.join(points(one) for one in differences)} points; "
        f"mean {points(mean)}{sure}. Test was not read."
    )
    document = {"steps": close, "pairs": pairs, "mean": mean, "interval": bounds, "recipe": whole.to_table()}
    finish(console, words, compute, document if as_json else None)
