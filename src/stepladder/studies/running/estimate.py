"""How long trials will take, from a measurement of two seconds.

Every step costs the same whatever the images show, so a few steps on a few images tell what an epoch takes. What is
timed is processor time of one thread, which other programs hardly change; how much longer the clock runs beside them
is one figure for all, measured meanwhile with as many threads at work as trials will run at a time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, thread_time

import torch
from torch import nn

from stepladder.datasets import Splits
from stepladder.errors import StepladderError
from stepladder.network import trace_network
from stepladder.network.build import build_network
from stepladder.network.spec import walk
from stepladder.recipe import Recipe
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.timing import READING, TRIAL, Estimate
from stepladder.studies.running.trial import training_data, watched_images
from stepladder.techniques import Progress
from stepladder.techniques.guard import end_copy
from stepladder.training.assembly import (
    Assembly,
    TrainingData,
    assemble,
    count_steps,
    overriding,
    trained_network,
)
from stepladder.training.cuda_graphs import StepRecorder
from stepladder.training.device import Compute, keep_freed_memory
from stepladder.training.engine import ForwardEngine
from stepladder.training.evaluate import evaluate
from stepladder.training.frozen import divided, find_frozen, keeps_features
from stepladder.training.history import TRAIN_SAMPLE
from stepladder.training.loop import make_step
from stepladder.training.rng import Streams

#: Seconds after which no further recipe is measured: the others are taken from those that are most like them.
_BUDGET = 1.5

#: Multiply-accumulates of a step that is timed, forward alone: 30 ms on one core. Fewer images than a batch has are
#: timed where images are large; from 8 on, an image of a smaller batch took at most 1.2 times as long.
_STEP_MACS, _FEWEST = 750_000_000, 8

#: Images that are evaluated at most, wall time of the steps of one recipe after which none is added, and their number.
_EVALUATED, _ENOUGH, _MOST_STEPS = 1000, 0.1, 12

#: Wall time after which the first timed step is the only one.
_LONG = 0.5

#: Where in a training the timed steps are taken: techniques may cost more at its end. Any first few are spread over it.
_PLACES = (0.5, 0.25, 0.75, 0.125, 0.625, 0.375, 0.875, 0.0, 0.9375, 0.3125, 0.6875, 0.1875)

#: Threads that compute beside the measurement at most: they take turns in Python.
_MOST_BESIDE = 15


@dataclass(frozen=True)
class Work:
    """One trial to estimate: its recipe, and how many images it trains on."""

    recipe: Recipe
    images: int


@dataclass(frozen=True)
class Pace:
    """What a recipe costs.

    Attributes:
        training, evaluating: seconds an image.
        whole: seconds of a whole trial, where its steps cannot be measured; None where they were.
    """

    training: float
    evaluating: float
    whole: float | None = None


@dataclass
class Clock:
    """Adds up what was timed.

    Attributes:
        alone: whether one thread does all the work, so that its processor time tells.
        processor, wall: seconds of that thread and of the clock, over all that was timed so.
    """

    alone: bool = True
    processor: float = 0.0
    wall: float = 0.0
    _begun: tuple[float, float] = field(default=(0.0, 0.0), repr=False)

    def start(self) -> None:
        """Begin to time."""
        self._begun = thread_time(), perf_counter()

    def stop(self) -> float:
        """Return the seconds since ``start``: processor time where one thread does all the work, else of the clock."""
        processor, wall = thread_time() - self._begun[0], perf_counter() - self._begun[1]
        if not self.alone:
            return wall
        self.processor += processor
        self.wall += wall
        return processor

    @property
    def busy(self) -> float:
        """How many times as long the clock ran as the processor was at work; 1 where nothing was timed."""
        return max(1.0, self.wall / self.processor) if self.processor else 1.0


def estimate_seconds(
    work: Mapping[str, Work],
    splits: Splits,
    num_classes: int,
    compute: Compute,
    callbacks: Callbacks,
    *,
    limit: float | None = None,
    at_a_time: int = 1,
    reads_test: bool = True,
) -> Estimate:
    """Return how long each trial of ``work`` will probably take, from a few steps of its recipe.

    The trials themselves are not touched: no random stream is shared with them. Where the time is up, the recipes that
    are left are taken from those most like them. A recipe whose steps fail takes as long as that did: its trials will
    probably fail there too, and are recorded.

    Args:
        splits: of all training images; one measurement serves for all sizes.
        limit: seconds that a trial may take. Techniques of the user's own are then not tried here, where nobody would
            end them, and their trials are said to take so long.
        at_a_time: how many trials will probably run at the same time.
        reads_test: whether the test images are read afterwards.
    """
    begun, clock = perf_counter(), Clock()
    # Points of a sweep often differ by their rate alone, and take as long.
    alike = {name: _at_any_rate(one.recipe).fingerprint for name, one in work.items()}
    recipes = {alike[name]: one.recipe for name, one in work.items()}
    callbacks.measuring(len(recipes))
    own = {key for key, recipe in recipes.items() if limit is not None and any(one.code for one in recipe.techniques)}
    macs = {key: _macs(recipe, splits, num_classes) for key, recipe in recipes.items()}
    paces: dict[str, Pace] = {key: Pace(0.0, 0.0, limit) for key in own}
    longest = 0.0
    for key in _order([key for key in recipes if key not in own], recipes, macs):
        before = perf_counter()
        if before - begun + longest > _BUDGET:
            break
        paces[key] = _measure(recipes[key], macs[key], splits, num_classes, compute, at_a_time, clock)
        longest = max(longest, perf_counter() - before)
    measured = [key for key in paces if key not in own]
    for key in recipes.keys() - paces.keys():
        nearest = max(measured, key=lambda one: _likeness(recipes[one], recipes[key]))
        scale = macs[key] / macs[nearest]
        pace = paces[nearest]
        paces[key] = Pace(pace.training * scale, pace.evaluating * scale, pace.whole)
    watched, tested = len(watched_images(splits)), len(splits.test)
    seconds, reading = {}, {}
    shared, apart = _features({name: one.recipe for name, one in work.items()}, splits, num_classes, compute)
    for name, one in work.items():
        pace = paces[alike[name]]
        seconds[name] = clock.busy * _trial(one, pace, watched) if pace.whole is None else pace.whole
        seconds[name] += clock.busy * apart.get(name, 0.0)
        if reads_test:
            held_out = tested + (0 if splits.validation is None else watched)
            reading[name] = clock.busy * (held_out * pace.evaluating + READING)
    return Estimate(seconds, reading, clock.busy, took=perf_counter() - begun, features=clock.busy * shared)


def _features(
    recipes: Mapping[str, Recipe], splits: Splits, num_classes: int, compute: Compute
) -> tuple[float, dict[str, float]]:
    """Return the seconds of one core that frozen layers take for all trials together, and by rung for each of its own.

    The engine is timed on a few images with the layers of one recipe; the others' take as long a multiply-accumulate.
    """
    whole = training_data(splits, num_classes)
    plain = len(whole.train) + len(watched_images(splits)) + len(splits.test)
    rate: float | None = None
    once: dict[tuple[int, str, int], float] = {}
    apart: dict[str, float] = {}
    for name, recipe in recipes.items():
        techniques = recipe.make_techniques()
        if not overriding(techniques, "frozen") or not keeps_features(techniques):
            continue
        network, shape = trained_network(recipe, splits.train, num_classes)
        frozen = find_frozen(techniques, network)
        below = {layer.name for _, layer in walk(network.layers[: frozen.layers])}
        costs = trace_network(network, shape, num_classes)
        macs = sum(cost.macs for cost in costs if cost.layer.name in below)
        if not macs:
            continue
        if rate is None:
            module = build_network(network, shape, num_classes, Streams(0), compute.device)
            rate = _time_engine(divided(module, frozen.layers)[0], shape, compute) / macs
        augmented = "+".join(technique.name for technique in overriding(techniques, "augment"))
        views = frozen.views * len(whole.train) if augmented else 0
        if any(technique.same_for_every_seed for technique in techniques):
            once[frozen.layers, "", plain] = plain * macs * rate
            once[frozen.layers, augmented, views] = views * macs * rate
        else:
            apart[name] = (plain + views) * macs * rate
    return sum(once.values()), apart


def _time_engine(layers: nn.Sequential, shape: tuple[int, int, int], compute: Compute) -> float:
    """Return the seconds an image that frozen layers take, by one thread."""
    engine = ForwardEngine(layers.eval(), compute)
    images = torch.rand(4, *shape, device=compute.device).contiguous(memory_format=torch.channels_last)
    times = []
    for _ in range(3):
        before = thread_time()
        engine(images)
        times.append(thread_time() - before)
    return min(times) / len(images)


def _trial(work: Work, pace: Pace, watched: int) -> float:
    """Seconds of a trial: its steps, what is evaluated before the first epoch and after each, and its files."""
    evaluated = min(TRAIN_SAMPLE, work.images) + watched
    epochs = work.recipe.epochs
    return epochs * work.images * pace.training + (1 + epochs) * evaluated * pace.evaluating + TRIAL


def _order(keys: Sequence[str], recipes: Mapping[str, Recipe], macs: Mapping[str, int]) -> list[str]:
    """The costliest recipe first, then the cheapest, then the others: what is left out lies between two measured."""

    def cost(key: str) -> tuple[int, int]:
        return macs[key], len(recipes[key].techniques)

    if len(keys) < 3:
        return sorted(keys, key=cost, reverse=True)
    costliest, cheapest = max(keys, key=cost), min(keys, key=cost)
    return [*dict.fromkeys((costliest, cheapest, *keys))]


def _likeness(one: Recipe, other: Recipe) -> tuple[bool, int]:
    """How alike two recipes are: the same network, then techniques that only one of them has, fewest best."""
    names = [{setting.name for setting in recipe.techniques} for recipe in (one, other)]
    return one.network == other.network, -len(names[0] ^ names[1])


def _macs(recipe: Recipe, splits: Splits, num_classes: int) -> int:
    """Multiply-accumulates of an image forward in a step; frozen layers, whose features are kept, are no part of it."""
    network, shape = trained_network(recipe, splits.train, num_classes)
    try:
        techniques = [setting.make() for setting in recipe.techniques if not setting.code]
        kept = find_frozen(techniques, network).layers if keeps_features(techniques) else 0
        frozen = {layer.name for _, layer in walk(network.layers[:kept])}
        costs = trace_network(network, shape, num_classes)
        return max(1, sum(cost.macs for cost in costs if cost.layer.name not in frozen))
    except StepladderError:  # a network that does not fit the images, as its trial says better
        return 1


def _measure(
    recipe: Recipe, macs: int, splits: Splits, num_classes: int, compute: Compute, at_a_time: int, clock: Clock
) -> Pace:
    """Return what an image costs in training and evaluation, from a few steps on a few images."""
    keep_freed_memory()
    owner = os.getpid()
    on_cpu, whole = compute.device.type == "cpu", training_data(splits, num_classes)
    few = max(_FEWEST, _STEP_MACS // macs)
    size = min(recipe.batch_size, few if on_cpu else recipe.batch_size, len(splits.train))
    some = TrainingData(
        splits.train.first(size),
        watched_images(splits).first(min(_EVALUATED, 2 * few if on_cpu else _EVALUATED)),
        num_classes,
        whole.watches_test,
    )
    begun = perf_counter()
    with chdir(Path.cwd()):  # and back: a technique of the user's own may go elsewhere
        assembly = assemble(_at_any_rate(recipe), some, 0, compute, rehearsal=True)
        if any(setting.code for setting in recipe.techniques):
            # What breaks the rules of its hooks was refused; one that ends its process in a step would end this one.
            known = recipe.with_techniques(setting for setting in recipe.techniques if not setting.code)
            assembly = assemble(_at_any_rate(known), some, 0, compute, rehearsal=True)
        clock.alone = on_cpu and torch.get_num_threads() == 1
        with _others(at_a_time - 1 if on_cpu else 0):
            try:
                training = _time_steps(assembly, recipe, len(splits.train), size, compute, clock)
                evaluating = _time_evaluation(assembly, compute, clock)
            except StepladderError:
                raise
            except Exception:
                end_copy(owner)
                return Pace(0.0, 0.0, perf_counter() - begun)  # its trials say why
    assert assembly.watched is not None
    return Pace(training / size, evaluating / len(assembly.watched))


def _time_steps(assembly: Assembly, recipe: Recipe, images: int, size: int, compute: Compute, clock: Clock) -> float:
    """Return the seconds of one step on ``size`` images, the mean over places in a training on ``images``."""
    owner, losses = os.getpid(), torch.zeros((), device=compute.device)
    take_step = make_step(assembly, _ANY_RATE, compute, losses, size)
    positions = torch.arange(size, device=compute.device)
    steps_per_epoch = count_steps(images, recipe.batch_size)
    assembly.module.train()
    spent, seconds = 0.0, []
    # The first steps make what later ones keep; those before a GPU's recording and the recording itself as well.
    warm_up = 1 if compute.device.type == "cpu" else StepRecorder.WARM_UP + 1
    for place in (*[0.0] * warm_up, *_PLACES[:_MOST_STEPS]):
        step = int(place * steps_per_epoch * recipe.epochs)
        before = perf_counter()
        clock.start()
        take_step(positions, Progress(step, steps_per_epoch, recipe.epochs))
        float(losses)  # waits for the device
        taken = clock.stop()
        end_copy(owner)
        if warm_up > 0:
            warm_up -= 1
            continue
        seconds.append(taken)
        spent += perf_counter() - before
        if spent > (_ENOUGH if len(seconds) > 1 else _LONG):
            break
    return sum(seconds) / len(seconds)


def _time_evaluation(assembly: Assembly, compute: Compute, clock: Clock) -> float:
    """Return the seconds of evaluating the watched images, the second time."""
    assert assembly.watched is not None
    taken = 0.0
    for _ in range(2):
        clock.start()
        evaluate(assembly.evaluated, assembly.techniques, assembly.watched, compute)
        taken = clock.stop()
    return taken


@contextmanager
def _others(count: int) -> Iterator[None]:
    """Let ``count`` threads compute meanwhile, as other trials will: cores share caches, memory and units."""
    over = threading.Event()

    def compute() -> None:
        matrix = torch.ones(512, 512)
        while not over.is_set():
            torch.mm(matrix, matrix)  # Python is free meanwhile

    threads = [threading.Thread(target=compute, daemon=True) for _ in range(min(count, _MOST_BESIDE))]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


#: Hardly any learning rate: a loss that is not finite would end the measurement.
_ANY_RATE = 1e-9


def _at_any_rate(recipe: Recipe) -> Recipe:
    return recipe.model_copy(update={"optimizer": recipe.optimizer.model_copy(update={"lr": _ANY_RATE})})
