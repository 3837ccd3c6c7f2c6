"""The learning-rate range test: the rate grows in every step, and the loss says where it is too large.

Smith, Cyclical Learning Rates for Training Neural Networks, 2017, section 3.3. The rate grows exponentially here, from
``low`` to ``high``, so that every power of ten gets as many steps.

What is suggested is half of the rate at which the loss is lowest. Beyond that rate steps undo more than they gain; and
on a quadratic loss, which shrinks up to a rate of 2/curvature, one step gains most at half of that, 1/curvature. A
tenth, which others take, was tried and is several times too small (docs/sweeps.md). The mean over steps is centered: a
running mean lags behind, with a share of 0.95 by 19 steps, which are a factor of 2.4 in the rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.nn.functional as F
from pydantic import PrivateAttr
from torch import Tensor

from stepladder.citations import cite
from stepladder.datasets import Split
from stepladder.errors import RecipeError, StepladderError, StudyError
from stepladder.recipe import Recipe
from stepladder.techniques import Progress, Technique
from stepladder.training.assembly import TrainingData, count_steps
from stepladder.training.device import Compute
from stepladder.training.loop import TrainingCallbacks, train_network

#: Share of the running mean that stays in every step; half of it is the last thirteen steps. By it the test ends.
SMOOTHING = 0.95
#: The test ends once the running mean is this many times its lowest.
DIVERGED = 4.0
#: Steps before which the running mean is of too few.
SETTLE = 10
#: Steps whose mean stands for the middle one where rates are read off.
WINDOW = 15
#: The suggested rate is the one with the lowest loss, divided by this.
DIVISOR = 2.0
#: The lowest mean must be below the first by this share, or nothing was learned that could tell.
_FALL = 0.02
#: Nothing is read off it: the loop looks at some split after every pass, and test is none of this test's.
_WATCHED_IMAGES = 64
MOST_STEPS = 100_000


@dataclass(frozen=True)
class RateRange:
    """What a range test goes through.

    Attributes:
        low: learning rate of the first step, above 0.
        high: learning rate of the last step, above ``low``.
        steps: training steps, 100 to 100,000.

    Raises:
        StudyError: the rates do not rise from above zero, or the steps are too few to smooth or too many to be meant.
    """

    low: float = 1e-5
    high: float = 10.0
    steps: int = 300

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < math.inf:
            raise StudyError(
                f"`low` is {self.low:g} and `high` is {self.high:g}; the rates must rise from above 0, as 0.00001 to 10"
            )
        if not 10 * SETTLE <= self.steps <= MOST_STEPS:
            raise StudyError(f"`steps` is {self.steps}; it must be {10 * SETTLE} to {MOST_STEPS:,}, and 300 are usual")

    @property
    def growth(self) -> float:
        """By how much the rate is multiplied from one step to the next."""
        return float((self.high / self.low) ** (1 / (self.steps - 1)))

    @property
    def rates(self) -> list[float]:
        """The learning rate of every step."""
        return [self.low * self.growth**step for step in range(self.steps)]


@dataclass(frozen=True, repr=False)
class RangeTest:
    """What one range test measured.

    Attributes:
        seed: of initial weights, order of the images and augmentation.
        rates: learning rate of every step.
        losses: the training loss of every step, in nats an image, as the optimizer saw it; the last may be infinite.
        smoothed: the mean of :data:`WINDOW` steps around each, of fewer at both ends.
        lowest: position of the lowest smoothed loss; None where it never fell.
        steepest: position where the smoothed loss fell fastest by the rate's logarithm, before ``lowest``.
        diverged: whether the running mean rose beyond :data:`DIVERGED` times its lowest, or a loss was not finite.
    """

    seed: int
    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    lowest: int | None
    steepest: int | None
    diverged: bool

    def __repr__(self) -> str:
        told = "suggests nothing" if self.suggested is None else f"suggests {self.suggested:.2g}"
        ending = ", diverged" if self.diverged else ""
        return f"RangeTest(seed {self.seed}, {len(self.losses)} steps{ending}, {told})"

    @property
    def suggested(self) -> float | None:
        """Half of the rate with the lowest smoothed loss; None where that never fell."""
        return None if self.lowest is None else self.rates[self.lowest] / DIVISOR


def run_range_test(
    recipe: Recipe,
    train: Split,
    num_classes: int,
    seed: int,
    compute: Compute,
    span: RateRange | None = None,
    on_step: Callable[[int], None] | None = None,
) -> RangeTest:
    """Train ``recipe`` a step at each rate of ``span``, from the lowest on, or until the loss diverges.

    The steps are those of :func:`stepladder.training.loop.train_network`, with the recipe's techniques but those that
    schedule the rate, see :func:`without_schedules`. The network is thrown away.

    Args:
        train: the training images; no others are looked at.
        num_classes: labels run from 0 to ``num_classes`` - 1.
        seed: of initial weights, order of the images and augmentation.
        span: the rates and the number of steps; by default 300 steps from 0.00001 to 10.
        on_step: called after every step with the number of its images.

    Raises:
        RecipeError: the recipe does not fit the images, or training failed before the test had ended.
    """
    plain, _ = without_schedules(recipe)
    span = span or RateRange()
    probe = _Probe(span)
    epochs = -(-span.steps // count_steps(len(train), recipe.batch_size))
    optimizer = recipe.optimizer.model_copy(update={"lr": span.low})
    rehearsed = _ProbedRecipe.model_validate(
        {**dict(plain), "optimizer": optimizer, "epochs": epochs, "techniques": plain.techniques}
    )
    rehearsed.take(probe)
    images = TrainingData(train, train.first(_WATCHED_IMAGES), num_classes)
    with suppress(_EnoughError):
        trained = train_network(rehearsed, images, seed, compute, TrainingCallbacks(on_batch=on_step))
        if trained.error:
            raise RecipeError(f"the range test of seed {seed} failed: {trained.failure}")
    rates, losses = span.rates[: len(probe.losses)], probe.losses
    smoothed = smooth(losses)
    diverged = bool(losses) and (not math.isfinite(losses[-1]) or probe.rose)
    lowest, steepest = read_off(rates, smoothed)
    return RangeTest(seed, tuple(rates), tuple(losses), tuple(smoothed), lowest, steepest, diverged)


def without_schedules(recipe: Recipe) -> tuple[Recipe, tuple[str, ...]]:
    """Return the recipe without the techniques that change the learning rate, and their names: the test sets it."""
    kept, left_out = [], []
    for setting, technique in zip(recipe.techniques, recipe.make_techniques(), strict=True):
        if technique.overrides("lr_factor"):
            left_out.append(setting.name)
        else:
            kept.append(setting)
    return recipe.with_techniques(kept), tuple(left_out)


def smooth(losses: list[float]) -> list[float]:
    """Return the mean of :data:`WINDOW` losses around each, of fewer at both ends; infinite where one of them is."""
    means = []
    for step in range(len(losses)):
        reach = min(WINDOW // 2, step, len(losses) - 1 - step)
        around = losses[step - reach : step + reach + 1]
        means.append(sum(around) / len(around) if all(map(math.isfinite, around)) else math.inf)
    return means


def read_off(rates: list[float], smoothed: list[float]) -> tuple[int | None, int | None]:
    """Return where the smoothed loss is lowest, and where before that it falls fastest; None where it never fell."""
    first, end = WINDOW // 2, len(smoothed) - WINDOW // 2  # only means of whole windows compare
    if end - first < 2:
        return None, None
    lowest = min(range(first, end), key=smoothed.__getitem__)
    if lowest - first < 2 or not smoothed[lowest] < (1 - _FALL) * smoothed[first]:
        return None, None
    slopes = np.gradient(np.array(smoothed[first : lowest + 1]), np.log(rates[first : lowest + 1]))
    return lowest, first + int(np.argmin(slopes[:-1]))


class _EnoughError(StepladderError):
    """The test has seen what it came for; of that family, since the loop takes any other for a trial that failed."""


class _Probe:
    """Sets the rates, and keeps the losses."""

    def __init__(self, span: RateRange) -> None:
        self.growth, self.steps = span.growth, span.steps
        self.start()

    def start(self) -> None:
        """Forget what was seen while techniques were tried on one batch."""
        self.losses: list[float] = []
        self._last: Tensor | None = None
        self._mean = 0.0
        self._lowest = math.inf
        self.rose = False

    def seen(self, loss: Tensor) -> None:
        self._last = loss.detach()

    def step_ended(self, progress: Progress) -> None:
        if self._last is None:  # a technique is being tried, and has taken a step without a loss
            return
        loss, self._last = float(self._last), None
        self.losses.append(loss)
        self._mean = SMOOTHING * self._mean + (1 - SMOOTHING) * loss
        smoothed = self._mean / (1 - SMOOTHING ** len(self.losses))
        if not math.isfinite(loss) or progress.step >= self.steps:
            raise _EnoughError
        if len(self.losses) > SETTLE:
            self._lowest = min(self._lowest, smoothed)
            self.rose = smoothed > DIVERGED * self._lowest
            if self.rose:
                raise _EnoughError


class _ProbedRecipe(Recipe):
    """A recipe whose techniques carry a probe: through their hooks it sets the rate and sees the loss of every step."""

    _probe: _Probe | None = PrivateAttr(default=None)

    def take(self, probe: _Probe) -> None:
        self._probe = probe

    def make_techniques(self) -> list[Technique]:
        """Return the techniques, with the probe as the last one, or as a layer around the one that has a loss."""
        assert self._probe is not None
        techniques = super().make_techniques()
        replacing = next((one for one in techniques if one.overrides("loss")), None)
        probing = _probing(type(replacing) if replacing else _PlainLoss, self._probe)
        if replacing is None:
            return [*techniques, probing()]
        return [probing(**dict(one)) if one is replacing else one for one in techniques]


class _PlainLoss(Technique):
    name = "lr_range"
    group = "learning rate"
    summary = "the range test"
    papers = (cite("smith2017cyclical", "section 3.3"),)
    caveat = "ends the training"
    takes_soft_targets = True

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets)


def _probing(kind: type[Technique], probe: _Probe) -> type[Technique]:
    """Return a class that is ``kind`` and has the probe look at its loss; two probes never share one."""

    def loss(self: Any, logits: Tensor, targets: Tensor) -> Tensor:
        value = kind.loss(self, logits, targets)
        probe.seen(value)
        return value

    def lr_factor(self: Any, progress: Progress) -> float:  # noqa: ARG001
        if progress.step == 0:
            probe.start()
        return float(probe.growth**progress.step)

    def after_step(self: Any, parameters: Any, progress: Progress) -> None:
        kind.after_step(self, parameters, progress)
        probe.step_ended(progress)

    hooks = {"loss": loss, "lr_factor": lr_factor, "after_step": after_step, "__module__": __name__}
    return type(f"Probed{kind.__name__}", (kind,), hooks)
