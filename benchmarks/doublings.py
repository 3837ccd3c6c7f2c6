"""Does ``curve`` keep its word? Each size of a ladder is held back, predicted from those below it, and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from rich.console import Console

from stepladder.cli.bench import at_least_one, finish, progress_of, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.datasets import ImageSet, Split, load_image_set, make_splits
from stepladder.datasets.splits import SPLIT_SEED
from stepladder.errors import DataError, StudyError
from stepladder.files import read_json
from stepladder.recipe import Recipe
from stepladder.report.units import UNDEFINED, count
from stepladder.studies.curve import Budget, with_equal_steps
from stepladder.studies.design.recipes import RecipeOptions
from stepladder.studies.judging.distributions import exact_interval
from stepladder.studies.judging.power_law import Measured, fit_power_law, is_above_guessing
from stepladder.training.assembly import TrainingData
from stepladder.training.device import Compute, choose_compute
from stepladder.training.loop import train_network

#: Confidence of the intervals that are checked here: more of them are missed, and so more is learned, than with 95 %.
CONFIDENCE = 0.9
#: Sizes that a doubling is predicted from, at least, those at chance among them.
_FEWEST = 3


@dataclass(frozen=True)
class Ladder:
    """One recipe trained on halves of halves of the same images; accuracies are fractions of 1.

    Attributes:
        draw: which images test, and which are in each half.
        guess: share of the largest class in test.
        sizes: by number of training images, from the smallest on, the test accuracy of each seed.
    """

    data: str
    recipe: str
    budget: str
    draw: int
    test_images: int
    guess: float
    sizes: dict[int, list[float]]


@dataclass(frozen=True)
class Doubling:
    """One size of a ladder, predicted from all below it; errors are fractions of 1.

    Attributes:
        above: sizes above chance that it was predicted from; where fewer than two are, nothing is predicted.
        before: the error of the largest of them.
        came: the error that was held back.
    """

    data: str
    recipe: str
    budget: str
    draw: int
    images: int
    above: int
    came: float
    before: float | None = None
    predicted: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def holds(self) -> bool:
        """Whether what came is in the interval."""
        return self.interval is not None and self.interval[0] <= self.came <= self.interval[1]


@dataclass(frozen=True)
class Training:
    """How the sizes of a ladder are trained.

    Attributes:
        halvings: sizes below the largest, each half of the next.
        most: images of the largest size at most, drawn anew for each ladder.
    """

    recipe: Recipe
    budget: Budget
    seeds: int
    halvings: int
    most: int | None
    compute: Compute
    on_trial: Callable[[], None] = field(default=lambda: None)


def train_ladder(images: ImageSet, draw: int, how: Training) -> Ladder:
    """Train every size of one ladder with every seed, and score each on the test images.

    Raises:
        StudyError: a training failed.
        DataError: the images do not fit the splits.
    """
    splits = make_splits(images, 0, SPLIT_SEED + draw)
    largest = min(1.0, (how.most or len(splits.train)) / len(splits.train))
    parts = [nested(splits.train, largest / 2**level, draw) for level in range(how.halvings, -1, -1)]
    sizes: dict[int, list[float]] = {}
    for part in parts:
        equal = how.budget == "steps"
        recipe = with_equal_steps(how.recipe, len(part), len(parts[-1])) if equal else how.recipe
        sizes[len(part)] = []
        for seed in range(how.seeds):
            # Scored after the last epoch, which nothing chooses: a validation split could not be told from it.
            trained = train_network(recipe, TrainingData(part, splits.test, images.num_classes), seed, how.compute)
            if trained.failure:
                raise StudyError(f"{len(part)} images, seed {seed}: {trained.failure}")
            sizes[len(part)].append(trained.history[-1].val_accuracy or 0.0)
            how.on_trial()
    if len(sizes) < len(parts):
        raise DataError(f"{images.name} has too few training images for {how.halvings} `halvings`; take fewer")
    guess = float(np.bincount(splits.test.labels).max() / len(splits.test))
    words = f"{how.recipe.name}, {how.recipe.epochs} epochs, {len(how.recipe.techniques)} techniques"
    return Ladder(images.name, words, how.budget, draw, len(splits.test), guess, sizes)


def nested(train: Split, share: float, draw: int) -> Split:
    """Return a share of the images of every class, at least one; a smaller share is within a larger one."""
    chosen = []
    for label in np.unique(train.labels):
        positions = np.flatnonzero(train.labels == label)
        order = np.random.default_rng([draw, int(label)]).permutation(positions)
        chosen.append(order[: max(1, round(share * len(positions)))])
    return train.take(np.sort(np.concatenate(chosen)))


def hold_back(ladder: Ladder) -> Iterator[Doubling]:
    """Yield every size of a ladder that has three below it, predicted from these and compared with what came."""
    sizes = list(ladder.sizes.items())
    for position in range(_FEWEST, len(sizes)):
        images, accuracies = sizes[position]
        below = [
            Measured(size, tuple(1 - accuracy for accuracy in scores))
            for size, scores in sizes[:position]
            if is_above_guessing(fmean(scores), ladder.guess, ladder.test_images)
        ]
        named = (ladder.data, ladder.recipe, ladder.budget, ladder.draw, images, len(below), 1 - fmean(accuracies))
        if len(below) < 2 or below[-1].images != sizes[position - 1][0]:
            yield Doubling(*named)
            continue
        law = fit_power_law(below, ladder.test_images, 1 - ladder.guess, CONFIDENCE)
        yield Doubling(*named, law.error, law.predicted, law.interval)


def doublings(
    data: Annotated[
        list[str] | None, Parameter(help="Names or paths, as for study; none to judge earlier ones.")
    ] = None,
    *,
    recipe: Annotated[str, Parameter(help="That is trained, as for study.")] = "small",
    network: Annotated[str | None, Parameter(help="In place of the recipe's own.")] = None,
    rung: Annotated[str | None, Parameter(help="Leave out all techniques above this rung.")] = None,
    epochs: Annotated[int | None, Parameter(help="The recipe's own by default.")] = None,
    budget: Annotated[Budget, Parameter(help="What all sizes have as much of.")] = "epochs",
    halvings: Annotated[int, Parameter(help="Sizes below the largest.")] = 5,
    most: Annotated[int | None, Parameter(help="Images of the largest size at most.")] = None,
    size: Annotated[int | None, Parameter(help="Pixels of a side.")] = None,
    limit: Annotated[int | None, Parameter(help="Use only the first N images a class of each split.")] = None,
    draws: Annotated[int, Parameter(help="Ladders of each, on other images.")] = 3,
    first_draw: Annotated[int, Parameter(help="Draws run from here on.")] = 0,
    seeds: Annotated[int, Parameter(help="Trials a size.")] = 3,
    earlier: Annotated[
        list[Path] | None, Parameter(name="--with", help="Judge the ladders of an earlier --json as well.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Train ladders of sizes, predict each size from those below it, and count what the 90 % intervals hold."""
    at_least_one(halvings=halvings, draws=draws, seeds=seeds)
    if halvings < _FEWEST:
        raise DataError(f"`halvings` is {halvings}; a size is predicted from {_FEWEST} below it, so take at least that")
    console = make_console(as_json)
    compute = choose_compute("cpu", "float32", threads=1)
    ladders = [ladder for path in earlier or () for ladder in read_ladders(path)]
    settings = {} if epochs is None else {"epochs": epochs}
    with progress_of(console, len(data or ()) * draws * (halvings + 1) * seeds) as advance:
        for name in data or ():
            images = load_image_set(name, size=size, limit=limit, skip_damaged=True)
            made = RecipeOptions(recipe, network, settings=settings, rung=rung).make(images)
            how = Training(made, budget, seeds, halvings, most, compute, advance)
            ladders += [train_ladder(images, draw, how) for draw in range(first_draw, first_draw + draws)]
    if not ladders:
        raise DataError("there is nothing to judge; name image sets, or the ladders of an earlier run with `with`")
    held = [doubling for ladder in ladders for doubling in hold_back(ladder)]
    _print_table(console, held)
    words = (
        f"{count(len(ladders), 'ladder')} of sizes. Each size that has {_FEWEST} below it was predicted from these and "
        f"then compared: the interval is for the mean over as many seeds on as many test images. Between the brackets, "
        f"the exact 95 % interval of a share; ladders share images, so it is too narrow. Nothing is predicted where "
        f"fewer than two sizes, or not the largest, are above guessing."
    )
    finish(console, words, compute, {"ladders": ladders, "doublings": held} if as_json else None)
    return 0


def read_ladders(path: Path) -> list[Ladder]:
    """Return the ladders of a document that an earlier run printed.

    Raises:
        StorageError, DataError: it cannot be read.
    """
    document: Any = read_json(path)
    try:
        return [
            Ladder(**{**one, "sizes": {int(images): scores for images, scores in one["sizes"].items()}})
            for one in document["ladders"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path} holds no ladders; name what `doublings` printed with `json`") from error


def _print_table(console: Console, held: Sequence[Doubling]) -> None:
    table = table_of("data", "doublings", "predicted", "held by 90 %", "width, points", "gain off by, points")
    names = list(dict.fromkeys(one.data for one in held))
    for name, rows in [*((name, [one for one in held if one.data == name]) for name in names), ("all", list(held))]:
        told = [one for one in rows if one.interval is not None]
        if not told:
            table.add_row(name, str(len(rows)), "0", UNDEFINED, UNDEFINED, UNDEFINED)
            continue
        inside = sum(one.holds for one in told)
        low, high = exact_interval(inside, len(told), 0.95)
        share = f"{inside} = {100 * inside / len(told):.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
        width = median(100 * (one.interval[1] - one.interval[0]) for one in told if one.interval)
        off = median(100 * abs(one.came - one.predicted) for one in told if one.predicted is not None)
        table.add_row(name, str(len(rows)), str(len(told)), share, f"{width:.1f}", f"{off:.1f}")
    console.print(table)
    for one in held:
        if one.interval is not None and not one.holds:
            low, high = (100 * end for end in one.interval)
            console.print(
                f"Missed: {one.data}, {one.recipe}, equal {one.budget}, draw {one.draw}: {one.images:,} images came to "
                f"an error of {100 * one.came:.1f} %, predicted {100 * (one.predicted or 0):.1f} "
                f"[{low:.1f}, {high:.1f}]",
                markup=False,
            )
