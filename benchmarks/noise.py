"""Does an average over the last epochs lower the noise of what a study compares: differences of rungs, seed by seed?"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from time import perf_counter
from typing import Annotated, Literal

import numpy as np
import torch
from cyclopts import Parameter
from rich.console import Console
from scipy.stats import chi2
from torch import Tensor, nn

from stepladder.cli.bench import at_least_one, finish, progress_of, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.datasets import ImageSet, Splits, load_image_set, make_splits
from stepladder.errors import DataError, RecipeError, StudyError
from stepladder.report.units import UNDEFINED, count, interval, points
from stepladder.studies.design.recipes import RecipeOptions
from stepladder.studies.design.rungs import Rung, ladder
from stepladder.studies.judging.statistics import paired_interval
from stepladder.techniques import Technique
from stepladder.training.assembly import Assembly, TrainingData
from stepladder.training.device import Compute, choose_compute
from stepladder.training.evaluate import compute_logits, prepare_images
from stepladder.training.history import EpochRecord
from stepladder.training.loop import TrainingCallbacks, train_network

#: Draws of seeds for the interval of a median ratio, and the seed of the generator that draws.
_DRAWS, _DRAW_SEED = 2000, 0


@dataclass(frozen=True)
class Candidate:
    """One way to score a trial on held-out images.

    Attributes:
        kind: ``last``, the accuracy after the last epoch. Over the last ``epochs``: ``accuracy``, the mean of the
            accuracies; ``weights``, the accuracy of the mean of the weights, statistics of batch norms taken anew
            (Izmailov et al. 2018, section 3.2); ``outputs``, the accuracy of the mean of the softmax outputs.
        epochs: how many of the last.
    """

    kind: Literal["last", "accuracy", "weights", "outputs"]
    epochs: int

    @property
    def name(self) -> str:
        """What tables call it."""
        return "last epoch" if self.kind == "last" else f"{self.kind}, {self.epochs} epochs"


LAST = Candidate("last", 1)


@dataclass(frozen=True)
class Trial:
    """One rung trained with one seed, scored in every way.

    Attributes:
        accuracies: by the candidate's name, on the held-out images, fractions.
        scoring_seconds: likewise, what evaluating it took.
        seconds: of the training without any of this, its own evaluations included.
    """

    rung: str
    seed: int
    accuracies: dict[str, float]
    scoring_seconds: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Spread:
    """The paired differences of one comparison, scored by one candidate; fractions.

    Attributes:
        rung: compared with the one below it.
        mean, sd: of the differences over seeds.
        sd_interval: 95 %, by the chi-square distribution; it supposes normal differences.
        change: by how much ``mean`` differs from that of the last epoch.
        change_interval: its 95 % t-interval, paired by seed.
    """

    rung: str
    mean: float
    sd: float
    sd_interval: tuple[float, float]
    change: float
    change_interval: tuple[float, float] | None


@dataclass(frozen=True)
class Judged:
    """One candidate over all comparisons.

    Attributes:
        candidate: its name.
        accuracy: mean over rungs and seeds, a fraction.
        ratio: median over comparisons of its standard deviation to that of the last epoch; a comparison whose last
            epochs do not differ over seeds is left out, and None where all are.
        ratio_interval: 95 %, percentiles of a bootstrap over seeds; too narrow with few of them.
        more_time: median over trials of what scoring takes beyond that of the last epoch, a share of the training.
        spreads: one a comparison.
    """

    candidate: str
    accuracy: float
    ratio: float | None
    ratio_interval: tuple[float, float] | None
    more_time: float
    spreads: list[Spread]


def make_candidates(epochs: int, last: Sequence[int] | None = None) -> tuple[Candidate, ...]:
    """Return the candidates for trials of so many epochs, the last epoch alone first.

    Args:
        last: over how many epochs to average; None for 3, 5 and a quarter, as far as there are so many.

    Raises:
        RecipeError: one of ``last`` is no average over some of the epochs.
    """
    for number in last or ():
        if not 2 <= number <= epochs:
            raise RecipeError(f"`last` is {number}; it must be 2 to {epochs}, the epochs of the recipe")
    usual = (number for number in (3, 5, round(epochs / 4)) if 2 <= number <= epochs)
    windows = sorted(set(last or usual))
    return (LAST, *(Candidate(kind, number) for kind in ("accuracy", "weights", "outputs") for number in windows))


def hold_out(images: ImageSet, share: float) -> Splits:
    """Return splits whose validation images are ``share`` of all that are not test, those of the source among them.

    Raises:
        DataError: the share is out of range, or a class has too few images.
    """
    if share == 0:
        raise DataError("`validation` is 0; the candidates are scored on images that are held out: take 0.4 of them")
    every = make_splits(images, validation=0)
    return make_splits(replace(images, splits={"train": every.train, "test": every.test}), share)


@dataclass(frozen=True)
class _Epoch:
    """What an epoch leaves: logits (N, classes) of the held-out images, the weights, and how long the logits took."""

    logits: Tensor
    weights: dict[str, Tensor]
    seconds: float


def score_trial(
    rung: Rung,
    images: TrainingData,
    seed: int,
    compute: Compute,
    candidates: Sequence[Candidate],
    on_epoch: Callable[[], None] | None = None,
) -> Trial:
    """Train ``rung`` with ``seed`` as a study does, and score it on the watched images in every way.

    Args:
        on_epoch: called after each epoch, and once before the first.

    Raises:
        StudyError: the training failed.
    """
    longest = max(candidate.epochs for candidate in candidates)
    kept: deque[_Epoch] = deque(maxlen=longest)
    started: list[Assembly] = []
    keeping = 0.0

    def keep(record: EpochRecord) -> None:
        nonlocal keeping
        if on_epoch:
            on_epoch()
        if record.epoch <= rung.recipe.epochs - longest:
            return
        begun = perf_counter()
        (assembly,) = started
        assert assembly.watched is not None
        logits = compute_logits(assembly.evaluated, assembly.techniques, assembly.watched.batches, compute)
        seconds = perf_counter() - begun
        weights = {name: value.detach().clone() for name, value in assembly.evaluated.state_dict().items()}
        kept.append(_Epoch(logits, weights, seconds))
        keeping += perf_counter() - begun

    told = TrainingCallbacks(on_epoch=keep, on_start=started.append)
    trained = train_network(rung.recipe, images, seed, compute, told)
    if trained.failure:
        raise StudyError(f"rung {rung.name}, seed {seed}: {trained.failure}")
    accuracies, seconds = {}, {}
    for candidate in candidates:
        accuracies[candidate.name], seconds[candidate.name] = _score(candidate, list(kept), started[0], compute)
    assert accuracies[LAST.name] == trained.history[-1].val_accuracy, "what a study writes down"
    return Trial(rung.name, seed, accuracies, seconds, trained.seconds - keeping)


def _score(candidate: Candidate, kept: list[_Epoch], assembly: Assembly, compute: Compute) -> tuple[float, float]:
    """Return the accuracy and the seconds that it takes to get it, beside the training."""
    assert assembly.watched is not None
    labels, epochs = assembly.watched.labels, kept[-candidate.epochs :]
    if candidate.kind == "weights":
        begun = perf_counter()
        module = assembly.evaluated
        module.load_state_dict(mean_weights([epoch.weights for epoch in epochs]))
        renew_statistics(module, assembly.techniques, assembly.sample.batches, compute)
        logits = compute_logits(module, assembly.techniques, assembly.watched.batches, compute)
        return _accuracy(logits, labels), perf_counter() - begun
    seconds = sum(epoch.seconds for epoch in epochs)
    if candidate.kind == "outputs":
        outputs = torch.stack([epoch.logits.double().softmax(dim=1) for epoch in epochs]).mean(dim=0)
        return _accuracy(outputs, labels), seconds
    return sum(_accuracy(epoch.logits, labels) for epoch in epochs) / len(epochs), seconds


def _accuracy(outputs: Tensor, labels: Tensor) -> float:
    return int((outputs.argmax(dim=1) == labels).sum()) / len(labels)


def mean_weights(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of each tensor; of what is no floating point, as a count of batches, the last."""
    return {
        name: torch.stack([state[name] for state in states]).mean(dim=0) if last.is_floating_point() else last
        for name, last in states[-1].items()
    }


@torch.no_grad()
def renew_statistics(
    module: nn.Module, techniques: Sequence[Technique], batches: Iterable[Tensor], compute: Compute
) -> None:
    """Give every batch norm that training moves the mean statistics of ``batches``, uint8 (B, C, H, W) or features.

    Everything else, dropout above all, is in evaluation mode meanwhile. Izmailov et al. 2018, section 3.2.
    """
    every = (part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm))
    norms = [norm for norm in every if not getattr(norm, "held", False)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    module.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # of all batches the plain mean
        norm.train()
    with compute.autocast():
        for images in batches:
            if len(images) > 1:  # a lone image has no statistics
                module(prepare_images(images, techniques))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    module.eval()


def judge(trials: Sequence[Trial], rungs: Sequence[str], candidates: Sequence[Candidate]) -> list[Judged]:
    """Return every candidate, judged over the comparisons of each rung with the one below it.

    Args:
        trials: of every rung with the same seeds.
        rungs: from below, two or more.
        candidates: the first one is what the others are held against.
    """
    seeds = sorted({trial.seed for trial in trials})
    by_key = {(trial.rung, trial.seed): trial for trial in trials}
    draws = np.random.default_rng(_DRAW_SEED).integers(0, len(seeds), (_DRAWS, len(seeds)))
    found: list[Judged] = []
    reference = np.empty(0)
    for candidate in candidates:
        scores = np.array([[by_key[rung, seed].accuracies[candidate.name] for seed in seeds] for rung in rungs])
        differences = np.diff(scores, axis=0)
        if not found:
            reference = differences
        drawn = [_ratio(differences[:, draw], reference[:, draw]) for draw in draws]
        known = [ratio for ratio in drawn if ratio is not None]
        low, high = np.percentile(known, (2.5, 97.5)) if known else (0.0, 0.0)
        found.append(
            Judged(
                candidate=candidate.name,
                accuracy=float(scores.mean()),
                ratio=_ratio(differences, reference),
                ratio_interval=(float(low), float(high)) if known else None,
                more_time=median(_more_time(trial, candidate, candidates[0]) for trial in trials),
                spreads=[_spread(rung, *pair) for rung, *pair in zip(rungs[1:], differences, reference, strict=True)],
            )
        )
    return found


def _ratio(differences: np.ndarray, reference: np.ndarray) -> float | None:
    """Return the median over comparisons (rows) of the ratios of standard deviations over seeds (columns)."""
    sd, against = differences.std(axis=1, ddof=1), reference.std(axis=1, ddof=1)
    told = against > 1e-9  # less is rounding of equal differences
    return float(np.median(sd[told] / against[told])) if told.any() else None


def _more_time(trial: Trial, candidate: Candidate, reference: Candidate) -> float:
    return (trial.scoring_seconds[candidate.name] - trial.scoring_seconds[reference.name]) / trial.seconds


def _spread(rung: str, differences: np.ndarray, reference: np.ndarray) -> Spread:
    sd = float(differences.std(ddof=1))
    low, high = _sd_bounds(len(differences))
    changes = differences - reference
    return Spread(
        rung=rung,
        mean=float(differences.mean()),
        sd=sd,
        sd_interval=(low * sd, high * sd),
        change=float(changes.mean()),
        change_interval=paired_interval(changes.tolist()) if changes.any() else None,
    )


def _sd_bounds(n: int) -> tuple[float, float]:
    """Return the bounds of a standard deviation's 95 % interval, as shares of that of the sample of ``n`` values."""
    low, high = (float(np.sqrt((n - 1) / chi2.ppf(share, n - 1))) for share in (0.975, 0.025))
    return low, high


def noise(
    data: Annotated[str, Parameter(help="A name or a path, as for study.")] = "digits",
    *,
    recipe: Annotated[str, Parameter(help="Whose ladder is trained; auto chooses as study does.")] = "auto",
    network: Annotated[str | None, Parameter(help="In place of the recipe's own.")] = None,
    rung: Annotated[str | None, Parameter(help="Leave out all rungs above this one.")] = None,
    epochs: Annotated[int | None, Parameter(help="The recipe's own by default.")] = None,
    last: Annotated[
        list[int] | None, Parameter(help="Epochs to average over; 3, 5 and a quarter of all by default.")
    ] = None,
    limit: Annotated[int | None, Parameter(help="Use only the first N images a class of each split.")] = None,
    validation: Annotated[float, Parameter(help="Share of the training images that is held out and scores.")] = 0.4,
    seeds: Annotated[int, Parameter(help="Of every rung; two or more.")] = 10,
    first_seed: Annotated[int, Parameter(help="Seeds run from here on.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure whether averages over the last epochs lower the spread of the paired differences between rungs."""
    at_least_one(seeds=seeds)
    if seeds < 2:
        raise DataError(f"`seeds` is {seeds}; a spread takes at least 2")
    console = make_console(as_json)
    compute = choose_compute("cpu", threads=1)
    settings = {} if epochs is None else {"epochs": epochs}
    options = RecipeOptions(recipe, network, settings=settings, rung=rung)
    images = load_image_set(data, limit=limit, size=options.default_size())
    splits, whole = hold_out(images, validation), options.make(images)
    assert splits.validation is not None
    held = splits.validation
    rungs, candidates = ladder(whole), make_candidates(whole.epochs, last)
    if len(rungs) < 2:
        raise StudyError("the ladder has one rung, and nothing to compare it with; choose a higher `rung`")
    watched = TrainingData(splits.train, held, len(images.class_names))
    trials = []
    with progress_of(console, seeds * len(rungs) * (whole.epochs + 1)) as advance:
        for seed in range(first_seed, first_seed + seeds):
            trials += [score_trial(one, watched, seed, compute, candidates, advance) for one in rungs]
    names = [one.name for one in rungs]
    judged = judge(trials, names, candidates)

    _print_tables(console, judged, names[1:])
    pairs = ", ".join(f"{above} against {below}" for below, above in pairwise(names))
    low, high = _sd_bounds(seeds)
    words = (
        f"{data}, {count(len(splits.train), 'training image')}, {len(held):,} held out of the training images "
        f"(`validation` {validation:g}); recipe {whole.name}, {count(whole.epochs, 'epoch')}; {pairs}; "
        f"{count(seeds, 'seed')} from {first_seed} on. Sd to the last epoch's: median over the comparisons, 95 % by a "
        f"bootstrap over seeds; seeds: its square, so many times the seeds give the same precision. An sd has a 95 % "
        f"interval of {low:.2f} to {high:.2f} times itself (chi-square). Change: of the mean difference from the last "
        f"epoch's, 95 % t-interval. More time: median over trials. Test was not read."
    )
    document = {
        "recipe": whole.to_table(),
        "images": {"train": len(splits.train), "held_out": len(held)},
        "judged": judged,
        "trials": trials,
    }
    finish(console, words, compute, document if as_json else None)


def _print_tables(console: Console, judged: Sequence[Judged], comparisons: Sequence[str]) -> None:
    """Print of each candidate its noise and its cost, the spread of each comparison, and what became of its mean."""
    table = table_of("scored by", "sd, to the last epoch's", "seeds", "largest change", "accuracy, %", "more time, %")
    spreads = table_of("sd of differences, points", *comparisons)
    changes = table_of("mean difference; its change, points", *comparisons)
    for one in judged:
        ratio, square = UNDEFINED, UNDEFINED
        if one.ratio is not None and one.ratio_interval is not None:
            ratio = f"{one.ratio:.2f} [{one.ratio_interval[0]:.2f}, {one.ratio_interval[1]:.2f}]"
            square = f"{one.ratio**2:.2f}"
        largest = max(one.spreads, key=lambda spread: abs(spread.change))
        told = f"{points(largest.change)} {largest.rung}" if largest.change else UNDEFINED
        table.add_row(one.candidate, ratio, square, told, f"{100 * one.accuracy:.2f}", f"{100 * one.more_time:.1f}")
        spreads.add_row(one.candidate, *(f"{100 * spread.sd:.2f}" for spread in one.spreads))
        first = one is judged[0]
        changes.add_row(
            one.candidate,
            *(
                points(spread.mean) if first else f"{points(spread.change)} {interval(spread.change_interval)}"
                for spread in one.spreads
            ),
        )
    for each in (table, spreads, changes):
        console.print(each)
        console.print()
