"""The learning-rate range test on an image set, with several seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from stepladder.datasets import ImageSet
from stepladder.recipe import Recipe, change_settings
from stepladder.studies.design.rules import Protocol, check_seeds
from stepladder.studies.files.machine import describe_machine, describe_versions
from stepladder.studies.files.records import Machine
from stepladder.studies.prepare import prepare
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution
from stepladder.training.lr_range import RangeTest, RateRange, run_range_test, without_schedules

#: Seeds whose suggestions are further apart than this factor tell no rate: whichever rate is taken, it is then more
#: than a factor of two from one of them.
FARTHEST = 4.0


@dataclass(frozen=True)
class LrRange:
    """Range tests of one recipe on one image set.

    Attributes:
        whole: the recipe that was asked for.
        recipe: as it was tested, without what changes the rate.
        left_out: the techniques that do.
        span: the rates and steps that were asked for.
        tests: a test a seed.
        images: training images; no others were looked at.
        folder: with what was written of it; None where nothing was.
    """

    data: str
    whole: Recipe
    recipe: Recipe
    left_out: tuple[str, ...]
    span: RateRange
    tests: tuple[RangeTest, ...]
    images: int
    classes: int
    precision: str
    device: str
    versions: dict[str, str]
    machine: Machine
    folder: Path | None = None

    @property
    def suggestions(self) -> tuple[float, ...]:
        """What each test suggests, of those that do."""
        return tuple(test.suggested for test in self.tests if test.suggested is not None)

    @property
    def suggested(self) -> float | None:
        """The median of the suggestions, to two digits; None where the tests cannot tell.

        They cannot where a loss never fell, where half of the losses are lowest at the end of the range, or where the
        suggestions are further than :data:`FARTHEST` apart.
        """
        if self.unlearned or 2 * self.lowest_at_end >= len(self.tests) or self.apart:
            return None
        return float(f"{median(self.suggestions):.2g}")

    @property
    def unlearned(self) -> int:
        """How many tests have a loss that never fell."""
        return len(self.tests) - len(self.suggestions)

    @property
    def apart(self) -> bool:
        """Whether the suggestions are so far apart that their median says nothing."""
        return len(self.suggestions) > 1 and max(self.suggestions) > FARTHEST * min(self.suggestions)

    @property
    def suggested_recipe(self) -> Recipe | None:
        """The recipe that was asked for with the suggested rate, schedules included; None where there is none."""
        if self.suggested is None:
            return None
        return change_settings(self.whole, {"optimizer.lr": f"{self.suggested:g}"})

    @property
    def lowest(self) -> tuple[float, ...]:
        """The rate at which each test's smoothed loss is lowest, of those whose loss fell."""
        return tuple(test.rates[test.lowest] for test in self.tests if test.lowest is not None)

    @property
    def steepest(self) -> tuple[float, ...]:
        """The rate at which each test's smoothed loss falls fastest, of those whose loss fell."""
        return tuple(test.rates[test.steepest] for test in self.tests if test.steepest is not None)

    @property
    def diverged(self) -> tuple[float, ...]:
        """The rate at which each test ended, of those that diverged."""
        return tuple(test.rates[len(test.losses) - 1] for test in self.tests if test.diverged)

    @property
    def lowest_at_end(self) -> int:
        """How many tests have their lowest loss in the last tenth of the range: they saw no rate that is too large."""
        return sum(test.lowest is not None and test.lowest > 0.9 * self.span.steps for test in self.tests)

    def __repr__(self) -> str:
        rate = "no rate suggested" if self.suggested is None else f"suggests {self.suggested:g}"
        return f"<LrRange of {self.recipe.name} on {self.data}: {rate}; seeds: {len(self.tests)}>"


def run_lr_range(
    image_set: ImageSet,
    recipe: Recipe,
    *,
    seeds: int = 3,
    span: RateRange | None = None,
    protocol: Protocol | None = None,
    execution: Execution | None = None,
    callbacks: Callbacks | None = None,
) -> LrRange:
    """Run the range test of ``recipe`` with ``seeds`` seeds on the training images that a study would have.

    Args:
        span: the rates and the number of steps.
        protocol: its validation images are held out and not looked at, so that a study with the same share trains on
            the same images.

    Raises:
        StudyError: a number is out of range.
        DataError: the images do not fit the splits.
        RecipeError: the recipe does not fit the images.
    """
    callbacks, span = callbacks or Callbacks(), span or RateRange()
    check_seeds(seeds)
    prepared = prepare(image_set, recipe, protocol or Protocol(), execution or Execution(), callbacks)
    splits, compute = prepared.splits, prepared.compute
    plain, left_out = without_schedules(recipe)
    tests = []
    for seed in range(seeds):
        callbacks.point_started(seed + 1, seeds, f"seed {seed}")
        tests.append(run_range_test(plain, splits.train, image_set.num_classes, seed, compute, span))
    return LrRange(
        data=image_set.name,
        whole=recipe,
        recipe=plain,
        left_out=left_out,
        span=span,
        tests=tuple(tests),
        images=len(splits.train),
        classes=image_set.num_classes,
        precision=compute.precision,
        device=compute.device.type,
        versions=describe_versions(),
        machine=describe_machine(compute.device),
    )
