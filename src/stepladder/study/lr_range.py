"""The learning-rate range test on an image set, with several seeds."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from stepladder.data import ImageSet, make_splits
from stepladder.data.audit import look_first
from stepladder.errors import StudyError
from stepladder.recipe import Recipe
from stepladder.study.design.axes import check_batch
from stepladder.study.design.rules import MOST_SEEDS
from stepladder.study.files.machine import describe_machine, describe_versions
from stepladder.study.files.records import Machine
from stepladder.study.running.watch import Watch
from stepladder.training.device import Compute
from stepladder.training.lr_range import RangeTest, check_range, run_range_test, without_schedules


@dataclass(frozen=True)
class LrRange:
    """Range tests of one recipe on one image set.

    Attributes:
        recipe: as it was tested, without what changes the rate.
        left_out: the techniques that do.
        low, high, steps: what was asked for.
        tests: a test a seed.
        images: training images; no others were looked at.
    """

    data: str
    recipe: Recipe
    left_out: tuple[str, ...]
    low: float
    high: float
    steps: int
    tests: tuple[RangeTest, ...]
    images: int
    classes: int
    precision: str
    device: str
    versions: dict[str, str]
    machine: Machine

    @property
    def suggestions(self) -> tuple[float, ...]:
        """What each test suggests, of those that do."""
        return tuple(test.suggested for test in self.tests if test.suggested is not None)

    @property
    def suggested(self) -> float | None:
        """The median of the suggestions, to two digits; None where any test has none."""
        if len(self.suggestions) < len(self.tests):
            return None
        return float(f"{median(self.suggestions):.2g}")


def run_lr_range(
    image_set: ImageSet,
    recipe: Recipe,
    compute: Compute,
    *,
    seeds: int = 3,
    low: float = 1e-5,
    high: float = 10.0,
    steps: int = 300,
    validation: float = 0.1,
    drop_leaks: bool = False,
    watch: Watch | None = None,
) -> LrRange:
    """Run the range test of ``recipe`` with ``seeds`` seeds on the training images that a study would have.

    Args:
        low, high, steps: see :func:`stepladder.training.lr_range.run_range_test`.
        validation: share of the training images that is held out and not looked at, so that a study with the same share
            trains on the same images.

    Raises:
        StudyError: a number is out of range, or batches are larger than the training set.
        DataError: the images do not fit the splits.
        RecipeError: the recipe does not fit the images.
    """
    watch = watch or Watch()
    if not 1 <= seeds <= MOST_SEEDS:
        raise StudyError(f"--seeds is {seeds}; it must be 1 to {MOST_SEEDS}")
    check_range(low, high, steps)
    splits = make_splits(image_set, validation)
    splits, look = look_first(splits, image_set.class_names, drop_leaks=drop_leaks)
    watch.looked(look)
    check_batch(recipe, splits)
    plain, left_out = without_schedules(recipe)
    tests = []
    for seed in range(seeds):
        watch.point_started(seed + 1, seeds, f"seed {seed}")
        tests.append(
            run_range_test(
                plain,
                splits.train,
                image_set.num_classes,
                seed,
                compute,
                low=low,
                high=high,
                steps=steps,
            )
        )
    return LrRange(
        data=image_set.name,
        recipe=plain,
        left_out=left_out,
        low=low,
        high=high,
        steps=steps,
        tests=tuple(tests),
        images=len(splits.train),
        classes=image_set.num_classes,
        precision=compute.precision,
        device=compute.device.type,
        versions=describe_versions(),
        machine=describe_machine(compute.device),
    )
