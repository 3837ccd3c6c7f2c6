"""What the atlas runs, in how much time: a rule cuts images and then epochs, no taste does, and no seed is cut.

Images first: a set with fewer of them is still what some reader has, where a recipe that ends after a third of its
epochs is nobody's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console

import stepladder
from benchmarks.atlas.sets import Kind, PlacedSet
from stepladder.datasets import ImageSet
from stepladder.files import read_json, replace_json
from stepladder.recipe import TRANSFER, load_recipe
from stepladder.report.units import duration
from stepladder.studies.design.recipes import RecipeOptions

#: The recipe of each kind of run.
RECIPES: dict[Kind, str] = {"scratch": str(Path(__file__).parent / "scratch.toml"), "transfer": TRANSFER}
#: Both questions of every technique: added to those below it, and taken from all.
PLAN = "ladder+leave-one-out"
#: Images are cut to no fewer for training than this, and to no fewer of a class; then epochs are.
FEWEST_IMAGES, FEWEST_OF_A_CLASS = 400, 10
#: Epochs are cut to no fewer than this share of the recipe's own.
FEWEST_EPOCHS = 1 / 3

#: Files in the folder of studies: runs as they are, and as they were measured before the rule.
_SETTLED, _MEASURED = "plan.json", "measured.json"


@dataclass(frozen=True)
class Run:
    """One study of the atlas.

    Attributes:
        image_set, kind: which.
        images, classes: training images of the run, and their classes.
        trials: of its plan and ``seeds``.
        wanted_epochs, wanted_seconds: of the recipe as it is, on all images, on a machine that does nothing else.
        epochs, limit: after the rule; the limit is of images a class, None for all.
        seconds: with these.
        busy: how many times as long everything took when it was measured.
    """

    image_set: str
    kind: Kind
    images: int
    classes: int
    trials: int
    seeds: int
    wanted_epochs: int
    wanted_seconds: float
    epochs: int
    limit: int | None
    seconds: float
    busy: float

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.image_set}-{self.kind}"


def describe_rule(budget: float, seeds: int) -> str:
    """Say how a budget is kept to."""
    return (
        f"The rule: each run may take an equal share of {duration(budget)}, and what a run leaves goes to the others. "
        f"A run that would take more by the measured speed gets fewer images, down to {FEWEST_IMAGES} and "
        f"{FEWEST_OF_A_CLASS} of each class; then fewer epochs, down to a third of its recipe's. "
        f"Every rung has {seeds} seeds."
    )


def plan_runs(sets: Sequence[PlacedSet], out: Path, budget: float, seeds: int, console: Console) -> list[Run]:
    """Return the runs of some sets within ``budget`` seconds: those of an earlier call as they were planned then.

    Measuring a run trains a few steps of each of its rungs, some ten seconds; what was measured before, in the same
    folder of studies, is not measured again.
    """
    settled = {run.name: run for run in read_plan(out)}
    measured, found = read_plan(out, _MEASURED), []
    for one in sets:
        for kind in one.config.runs:
            if f"{one.name}-{kind}" in settled:
                found.append(settled[f"{one.name}-{kind}"])
                continue
            run = next((run for run in measured if run.name == f"{one.name}-{kind}" and run.seeds == seeds), None)
            if run is None:
                console.print(f"Measuring {one.name}, {kind} …", markup=False)
                run = _measure(one, kind, seeds)
                measured.append(run)
                replace_json(out / _MEASURED, {"runs": [asdict(each) for each in measured]})
            found.append(run)
    new = [run for run in found if run.name not in settled]
    left = max(budget - sum(run.seconds for run in found if run.name in settled), 0.0)
    fitted = dict(zip([run.name for run in new], fit_to_budget(new, left), strict=True))
    return [fitted.get(run.name, run) for run in found]


def fit_to_budget(runs: Sequence[Run], budget: float) -> list[Run]:
    """Return the runs cut by the rule, so that together they take ``budget`` seconds, or as little as it allows.

    >>> run = Run("a", "scratch", 1000, 10, 60, 5, 24, 600.0, 24, None, 600.0, 1.0)
    >>> [(one.limit, one.images, one.epochs) for one in fit_to_budget([run], 300.0)]
    [(50, 500, 24)]
    """
    share = _equal_share([run.wanted_seconds for run in runs], budget)
    return [_cut(run, min(run.wanted_seconds, share)) for run in runs]


def read_plan(out: Path, name: str = _SETTLED) -> list[Run]:
    """Return the runs that an earlier call has settled in the folder of studies; none where there are none."""
    path = out / name
    return [Run(**table) for table in read_json(path)["runs"]] if path.is_file() else []


def write_plan(out: Path, runs: Sequence[Run]) -> None:
    """Settle runs, beside those that are there: from then on they are gone on with as they are."""
    kept = {run.name: run for run in read_plan(out)}
    kept |= {run.name: run for run in runs}
    replace_json(out / _SETTLED, {"runs": [asdict(run) for run in kept.values()]})


def options_of(run: Run) -> RecipeOptions:
    """Return the recipe of a run."""
    return RecipeOptions(RECIPES[run.kind], settings={"epochs": run.epochs})


def images_of(one: PlacedSet, run: Run) -> ImageSet:
    """Return the images of a run."""
    return one.load(run.kind, run.limit)


def _measure(one: PlacedSet, kind: Kind, seeds: int) -> Run:
    forecast = stepladder.plan(one.load(kind), RecipeOptions(RECIPES[kind]), plan=PLAN, seeds=seeds, progress=False)
    busy = forecast.estimate.busy
    quiet = forecast.shortest.middle / busy
    epochs = load_recipe(RECIPES[kind]).epochs
    images = forecast.record.data.counts["train"]
    classes = len(forecast.record.data.class_names)
    return Run(one.name, kind, images, classes, forecast.fewest, seeds, epochs, quiet, epochs, None, quiet, busy)


def _equal_share(wanted: Sequence[float], budget: float) -> float:
    """Return what each may take at most, so that all together take the budget; what one leaves goes to the others."""
    left, share = budget, 0.0
    for place, seconds in enumerate(sorted(wanted)):
        share = left / (len(wanted) - place)
        if seconds > share:
            return share
        left -= seconds
    return max([share, *wanted])


def _cut(run: Run, allowed: float) -> Run:
    """Return the run with fewer images, so many a class at most as give the share where all classes are alike.

    Where these still take too long, it has fewer epochs too.
    """
    if run.wanted_seconds <= allowed * (1 + 1e-9):
        return run
    wanted = allowed / run.wanted_seconds * run.images
    limit = max(-(-FEWEST_IMAGES // run.classes), FEWEST_OF_A_CLASS, int(wanted / run.classes + 1e-9))
    left = min(1.0, limit * run.classes / run.images)
    seconds = left * run.wanted_seconds
    fewest = -(-run.wanted_epochs // round(1 / FEWEST_EPOCHS))
    epochs = max(fewest, min(run.wanted_epochs, int(allowed / seconds * run.wanted_epochs + 1e-9)))
    return replace(
        run,
        limit=limit if left < 1 else None,
        images=int(left * run.images),
        epochs=epochs,
        seconds=seconds * epochs / run.wanted_epochs,
    )
