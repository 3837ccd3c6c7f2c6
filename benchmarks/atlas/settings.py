"""Epochs and learning rate for small sets: chosen on validation by all others, and what that costs on one more.

Every set of the atlas, brought to 32×32 and cut to a thousand training images, is trained from scratch by the recipe
``small`` over a grid, and by the report's own recipe. Test is never read: a set left out has no say in what the others
choose, so that its validation images are as good as test for what that costs; against its own best, chosen and measured
on the same images, the cost is rather too high than too low.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from rich.console import Console

import stepladder
from benchmarks.atlas.defaults import choose_best
from benchmarks.atlas.sets import PlacedSet
from stepladder.datasets import ImageSet
from stepladder.files import read_json, replace_json
from stepladder.report.markdown import escape
from stepladder.report.units import count, percent, points
from stepladder.studies.running.execution import Execution

#: What is committed, beside the findings.
SETTINGS = Path(__file__).parent / "settings.json"
#: The recipe whose settings are looked for, and the lab report's: 20 epochs, rate 0.1, batches of 128.
_OURS, _REPORT = "small", "report"
_EPOCHS, _RATES = (12, 25, 50), (0.03, 0.1, 0.3)
#: A sweep has two points at least: the report's rate, and three times as much.
_REPORT_RATES = (0.1, 0.3)
#: Training images of a set at most: what counts as small here.
_MOST_IMAGES = 1000


@dataclass(frozen=True)
class SettingScore:
    """One trained setting.

    Attributes:
        recipe: ``small`` or ``report``.
        epochs, rate: of it; the rate is the optimizer's.
        validation: accuracy on validation images after the last epoch, 0 to 1; a training that diverged counts as
            guessing.
    """

    recipe: str
    epochs: int
    rate: float
    validation: float


@dataclass(frozen=True)
class SetSettings:
    """The settings of one set.

    Attributes:
        image_set: its name.
        images, validation_images: how many.
        seeds: trials a setting.
        machine: processor and version of torch.
        scores: every setting.
    """

    image_set: str
    images: int
    validation_images: int
    seeds: int
    machine: str
    scores: tuple[SettingScore, ...]

    def of(self, recipe: str) -> dict[tuple[int, float], float]:
        """Return the accuracies of a recipe by epochs and rate."""
        return {(one.epochs, one.rate): one.validation for one in self.scores if one.recipe == recipe}

    @property
    def report(self) -> float:
        """Return the accuracy of the report's recipe as it is."""
        return self.of(_REPORT)[(stepladder.load_recipe(_REPORT).epochs, _REPORT_RATES[0])]


@dataclass(frozen=True)
class LeftOut:
    """What the setting that all other sets choose does on a set.

    Attributes:
        image_set: its name.
        chosen, best: epochs and rate, by the others and by its own validation images.
        accuracy: of the chosen one, 0 to 1.
        cost: of it against the best, in fractions of 1; never above 0.
        against_report: of it against the report's recipe.
    """

    image_set: str
    chosen: tuple[int, float]
    best: tuple[int, float]
    accuracy: float
    cost: float
    against_report: float


def run_settings(
    sets: Sequence[PlacedSet], out: Path, seeds: int, console: Console, path: Path = SETTINGS
) -> list[SetSettings]:
    """Train what is missing of some sets, write it beside what the file has of others, and return all."""
    kept = {one.image_set: one for one in read_settings(path)}
    for one in sets:
        if "scratch" not in one.config.runs or one.config.same_images_as is not None:
            continue
        console.print(f"{one.name}: settings", markup=False)
        kept[one.name] = _sweep(one.name, _cut(one), out, seeds)
        replace_json(path, {"sets": [asdict(kept[name]) for name in sorted(kept)]})
    return [kept[name] for name in sorted(kept)]


def read_settings(path: Path = SETTINGS) -> list[SetSettings]:
    """Return what the file has; nothing where there is none."""
    tables = read_json(path)["sets"] if path.is_file() else []
    return [
        SetSettings(**{**table, "scores": tuple(SettingScore(**score) for score in table["scores"])})
        for table in tables
    ]


def leave_one_out(sets: Sequence[SetSettings]) -> list[LeftOut]:
    """Choose for each set by all others, and compare there."""
    found = []
    for one in sets:
        own = one.of(_OURS)
        chosen = choose_setting([other for other in sets if other is not one])
        if chosen is None or chosen not in own:
            continue
        best = max(own, key=lambda key: own[key])
        accuracy = own[chosen]
        found.append(LeftOut(one.image_set, chosen, best, accuracy, accuracy - own[best], accuracy - one.report))
    return found


def choose_setting(sets: Sequence[SetSettings]) -> tuple[int, float] | None:
    """Return the epochs and the rate with the highest mean log odds over some sets; None of none."""
    return choose_best([one.of(_OURS) for one in sets])


def render_settings(sets: Sequence[SetSettings]) -> list[str]:
    """Return the page's paragraphs and tables, as Markdown; none where nothing was measured, or of one set alone."""
    found, chosen = leave_one_out(sets), choose_setting(sets)
    if not found or chosen is None:
        return []
    ours = stepladder.load_recipe(_OURS)
    fewest, most = min(one.images for one in sets), max(one.images for one in sets)
    own = (ours.epochs, ours.optimizer.lr)
    default = fmean(one.of(_OURS)[own] for one in sets) if all(own in one.of(_OURS) for one in sets) else None
    return [
        f"{count(len(sets), 'set')} of {fewest:,} to {most:,} training images, 32×32 at most, each trained by the "
        f"recipe `{_OURS}` with {_listed(_EPOCHS)} epochs and rates of {_listed(_RATES)}, "
        f"{count(sets[0].seeds, 'seed')} a setting; the highest mean log odds on validation is chosen. "
        f"Together they choose {_written(chosen)}"
        + (f", and `{_OURS}` has {_written(own)}" if default is not None else "")
        + ". Each line below: what all *other* sets choose, and what that costs on a set that had no say. "
        f"Made by `python -m benchmarks atlas --settings`; {escape(sets[0].machine)}.",
        "| set | training / validation images | the others choose | accuracy, % | against its own best, points | "
        "against the report's recipe, points |\n| --- | ---: | --- | ---: | ---: | ---: |\n"
        + "\n".join(
            f"| {one.image_set} | {size.images:,} / {size.validation_images:,} | {_written(one.chosen)} | "
            f"{100 * one.accuracy:.1f} | {points(one.cost)} ({_written(one.best)}) | {points(one.against_report)} |"
            for one, size in zip(found, sets, strict=True)
        ),
        f"Mean cost on the set left out {points(fmean(one.cost for one in found))} points, at worst "
        f"{points(min(one.cost for one in found))}; against the report's recipe "
        f"{points(fmean(one.against_report for one in found))} on average"
        + (f"; mean accuracy of `{_OURS}` as it is {percent(default)}" if default is not None else "")
        + ".",
    ]


def _cut(one: PlacedSet) -> ImageSet:
    """Return a set's images as they are trained from scratch, a thousand of them for training at most."""
    images = one.load("scratch")
    trained = len(images.splits["train"])
    if trained <= _MOST_IMAGES:
        return images
    return one.load("scratch", max(1, _MOST_IMAGES // images.num_classes))


def _sweep(name: str, images: ImageSet, out: Path, seeds: int) -> SetSettings:
    scores, record = [], None
    for recipe, epochs, rates in ((_OURS, _EPOCHS, _RATES), (_REPORT, None, _REPORT_RATES)):
        over = {"optimizer.lr": rates} if epochs is None else {"epochs": epochs, "optimizer.lr": rates}
        sweep = stepladder.sweep(
            images, over, recipe, seeds=seeds, out=out / f"{name}-{recipe}-settings",
            execution=Execution(command="python -m benchmarks atlas --settings"),
        )  # fmt: skip
        record = sweep.record
        for point in sweep.points:
            length = stepladder.load_recipe(recipe).epochs if epochs is None else int(str(point.values[0]))
            rate = float(str(point.values[-1]))
            scores.append(SettingScore(recipe, length, rate, fmean(point.scores.values())))
    assert record is not None
    counts = record.data.counts
    machine = f"{record.machine.processor}, {count(record.machine.cores, 'core')}, torch {record.versions['torch']}"
    return SetSettings(name, counts["train"], counts["validation"], seeds, machine, tuple(scores))


def _written(setting: tuple[int, float]) -> str:
    return f"{setting[0]} epochs, rate {setting[1]:g}"


def _listed(values: Sequence[float]) -> str:
    *first, last = [f"{value:g}" for value in values]
    return f"{', '.join(first)} and {last}"
