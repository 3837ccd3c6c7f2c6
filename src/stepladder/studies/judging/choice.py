"""The recipe to use now: the simplest of the rungs that lie within noise of the best on validation.

The one-standard-error rule (Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984, section
3.4.3; Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd edition, section 7.10): among rungs
that cannot be told from the best, a technique more is a technique too many. The noise of a rung is the standard error
of its difference to the best, over seeds, which are paired, and over the validation images, which all seeds and rungs
share. Only validation chooses. Test can refuse what it chose, and names nothing in its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev

import numpy as np

from stepladder.studies.files.predictions import read_probabilities
from stepladder.studies.files.records import RungRecord, SavedStudy
from stepladder.studies.judging.distributions import share_error
from stepladder.studies.judging.learning import Learning
from stepladder.studies.judging.statistics import Effect
from stepladder.training.metrics import Metric

#: Means of shares of the same images that are nearer than this differ by rounding alone: a millionth of an image.
SAME = 1e-9


class ChoiceReason(StrEnum):
    """Why a recipe is recommended, or none is."""

    BEST = "best"  # highest on validation, and no simpler rung lies within noise of it
    SIMPLEST = "simplest"  # of the rungs within noise of the best, which is another
    LOWEST = "lowest"  # of all rungs the simplest, and none is above it by more than noise
    NO_VALIDATION = "no validation"  # the test images may not choose
    TOO_FEW = "too few"  # fewer than two rungs without a failed trial
    NOTHING_LEARNED = "nothing learned"  # in no trial, or not in the rung that validation chooses
    CONTRADICTED = "contradicted"  # the rung that validation chooses has a technique that hurt on test


@dataclass(frozen=True)
class Ranking:
    """Rungs by their mean score on validation, by the plan's metric, turned so that higher is better.

    Attributes:
        means: of each rung that may be chosen, in plan order.
        best: the rung with the highest; of equal ones the simplest.
        behind: how far each rung is below the best, by its name; over the seeds of both.
        noise: how far it may be for chance.
        chosen: the simplest rung within noise of the best.
        simplest: the simplest of all of them.
    """

    means: dict[str, float]
    best: str
    behind: dict[str, float]
    noise: dict[str, float]
    chosen: str
    simplest: str


@dataclass(frozen=True)
class Choice:
    """The recipe to use now; figures are those of the plan's metric on validation.

    Attributes:
        rung: the rung chosen; None where there is none to recommend.
        validation: its mean.
        seeds: of its trials.
        best, best_validation: the rung with the best mean, which may be ``rung``.
        behind, noise: how far ``rung`` is below ``best``, and how far it may be for chance.
        without_failed: whether rungs were passed over since a trial of theirs failed.
        refused: the rung that validation chose, where it is not recommended.
        hurt: what that rung has and test judged to hurt.
    """

    reason: ChoiceReason
    rung: str | None = None
    validation: float | None = None
    seeds: int = 0
    best: str | None = None
    best_validation: float | None = None
    behind: float | None = None
    noise: float | None = None
    without_failed: bool = False
    refused: str | None = None
    hurt: tuple[str, ...] = ()


def choose_recipe(study: SavedStudy, effects: Sequence[Effect], learning: Learning) -> Choice:
    """Return the recipe to use now, or why there is none.

    Args:
        effects: of the study, with their verdicts.
        learning: which rungs learned nothing.
    """
    if learning.study is not None:
        return Choice(ChoiceReason.NOTHING_LEARNED)
    if study.record.validation == 0 and not _has_validation_scores(study):
        return Choice(ChoiceReason.NO_VALIDATION)
    ranking = rank_on_validation(study)
    if ranking is None or len(ranking.means) < 2:
        return Choice(ChoiceReason.TOO_FEW)
    chosen, best = ranking.chosen, ranking.best
    sign = study.record.measured_by.sign
    top = sign * ranking.means[best]
    if chosen in learning.rungs:  # refused, not passed over: test, which showed it, may choose no other
        return Choice(ChoiceReason.NOTHING_LEARNED, best=best, best_validation=top, refused=chosen)
    if hurt := _hurt(study, chosen, effects):
        return Choice(ChoiceReason.CONTRADICTED, best=best, best_validation=top, refused=chosen, hurt=hurt)
    reason = ChoiceReason.BEST if chosen == best else ChoiceReason.SIMPLEST
    return Choice(
        ChoiceReason.LOWEST if chosen == ranking.simplest else reason,
        rung=chosen,
        validation=sign * ranking.means[chosen],
        seeds=len(study.of_rung(chosen)),
        best=best,
        best_validation=top,
        behind=ranking.behind[chosen],
        noise=ranking.noise[chosen],
        without_failed=any(trial.result.status == "failed" for trial in study.trials),
    )


def _has_validation_scores(study: SavedStudy) -> bool:
    """Whether another program left validation scores beside those that are judged."""
    return study.record.scores is not None and any(trial.result.val_score is not None for trial in study.trials)


def rank_on_validation(study: SavedStudy) -> Ranking | None:
    """Return the rungs without a failed trial by the plan's metric on validation; None where there is none."""
    metric = study.record.measured_by
    scores: dict[str, dict[int, float]] = {}
    for rung in study.record.rungs:
        results = [(one.seed, one.result) for one in study.of_rung(rung.name)]
        known = {seed: metric.sign * value for seed, one in results if (value := metric.on_validation(one)) is not None}
        if known and len(known) == len(results) and all(one.status == "finished" for _, one in results):
            scores[rung.name] = known
    if not scores:
        return None
    techniques = {rung.name: len(techniques_of(rung)) for rung in study.record.rungs}
    return rank(scores, techniques, _NoiseOfImages(study, metric))


def rank(
    scores: Mapping[str, Mapping[int, float]], techniques: Mapping[str, int], of_images: Callable[[str, str], float]
) -> Ranking:
    """Return rungs by their mean score, more being better.

    Args:
        scores: of each rung, by seed, at least one; in plan order.
        techniques: how many each rung has: the fewer, the simpler; of as many, the earlier in the plan.
        of_images: the standard error that the images alone give to the difference of two rungs' mean scores.
    """
    means = {name: fmean(found.values()) for name, found in scores.items()}
    simple = sorted(means, key=lambda name: techniques[name])  # a stable sort
    top = max(means.values())
    best = next(name for name in simple if math.isclose(means[name], top, abs_tol=SAME))
    behind, noise = {}, {}
    for name, found in scores.items():
        shared = sorted(found.keys() & scores[best].keys())
        differences = [scores[best][seed] - found[seed] for seed in shared] or [means[best] - means[name]]
        behind[name] = fmean(differences)
        over_seeds = stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else 0.0
        noise[name] = 0.0 if name == best else math.hypot(over_seeds, of_images(best, name))
    chosen = next(name for name in simple if behind[name] <= noise[name] + SAME)
    return Ranking(means, best, behind, noise, chosen, simple[0])


#: Times that images are drawn anew, and how many numbers are worked through at most for that, in all of a study.
_DRAWS, _MOST_WORK = 200, 40_000_000
#: Of metrics that take long on many images, no fewer draws than so many.
_FEWEST_DRAWS = 20


class _NoiseOfImages:
    """How far the difference of two rungs depends on which validation images there are.

    The bootstrap's standard error (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 6.2): images
    are drawn anew from each class, as many as it has, the same for both rungs and all seeds. Before what was predicted
    is kept, when test is read, and in studies of earlier versions, it is taken from the mean accuracy: binomial, which
    is that of a rung alone and too large for a difference; 0 for another metric, which has no such formula.
    """

    def __init__(self, study: SavedStudy, metric: Metric) -> None:
        self._study, self._metric = study, metric
        self._draws: list[np.ndarray] | None = None
        self._means: dict[str, np.ndarray | None] = {}

    def __call__(self, one: str, other: str) -> float:
        first, second = self._drawn_means(one), self._drawn_means(other)
        if first is not None and second is not None and not self._study.record.resplit:
            return float(np.std(first - second, ddof=1))
        if self._metric.name != "accuracy" or self._study.record.scores is not None:
            return 0.0
        known = [trial.result.val_accuracy or 0.0 for trial in self._study.of_rung(one)]
        return share_error(fmean(known), self._study.record.data.counts["validation"])

    def _drawn_means(self, rung: str) -> np.ndarray | None:
        """Return the mean of a rung over its seeds on each drawing of the images; None where nothing was kept."""
        if rung not in self._means:
            trials = self._study.of_rung(rung)
            kept = [found for one in trials if (found := read_probabilities(one.folder, "validation")) is not None]
            alike = len(kept) == len(trials) > 0 and len({len(labels) for _, labels in kept}) == 1
            self._means[rung] = self._over_draws(kept) if alike else None
        return self._means[rung]

    def _over_draws(self, kept: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        if self._draws is None:
            self._draws = _draw_images(kept[0][1], kept[0][0].size * len(self._study.trials))
        of_trials = []
        for probabilities, labels in kept:
            # Every metric takes logits, and of a row only differences count.
            logits = np.log(np.maximum(probabilities, np.finfo(np.float16).tiny))
            if self._metric.name == "accuracy":
                right = logits.argmax(axis=1) == labels
                of_trials.append([right[drawn].mean() for drawn in self._draws])
            else:
                of_trials.append([self._metric.measure(logits[drawn], labels[drawn]) for drawn in self._draws])
        return np.asarray(np.mean(of_trials, axis=0))


def _draw_images(labels: np.ndarray, numbers: int) -> list[np.ndarray]:
    """Return positions of images, drawn anew from each class; fewer drawings where each takes long."""
    random = np.random.default_rng(0)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    draws = max(_FEWEST_DRAWS, min(_DRAWS, _MOST_WORK // max(numbers, 1)))
    return [np.concatenate([random.choice(group, len(group)) for group in groups]) for _ in range(draws)]


def techniques_of(rung: RungRecord) -> tuple[str, ...]:
    """Return the techniques of a rung's recipe, by name."""
    return tuple(setting["name"] for setting in rung.recipe.get("techniques", ()))


def techniques_asked_about(study: SavedStudy, effect: Effect) -> frozenset[str]:
    """Return the techniques that a contrast is about: those that the recipes list under its name."""
    return frozenset(
        setting["name"]
        for rung in study.record.rungs
        for setting in rung.recipe.get("techniques", ())
        if setting.get("rung", setting["name"]) == effect.name
    )


def _hurt(study: SavedStudy, chosen: str, effects: Sequence[Effect]) -> tuple[str, ...]:
    """Return what a rung has and test judged to hurt, by the names of the contrasts.

    What hurt on top of others and helped in another place contradicts the one rung that it was judged in.
    """
    rung = next(rung for rung in study.record.rungs if rung.name == chosen)
    have = frozenset(techniques_of(rung))
    helped = {effect.name for effect in effects if effect.verdict == "helped"}
    found = []
    for effect in effects:
        if effect.verdict != "hurt" or effect.is_interaction:
            continue
        about = techniques_asked_about(study, effect)
        if effect.rung == chosen or (about and about <= have and effect.name not in helped):
            found.append(effect.name)
    return tuple(dict.fromkeys(found))
