"""The recipe to use now: the simplest of the rungs that lie within noise of the best on validation.

The one-standard-error rule (Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984, section
3.4.3; Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd edition, section 7.10): among rungs
that cannot be told from the best, a technique more is a technique too many. The noise of a rung is the standard error
of its difference to the best, paired over seeds, and at least the binomial error of so many validation images, which
all seeds share. Only validation chooses. Test can refuse what it chose, and names nothing in its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, stdev

from stepladder.studies.files.records import RungRecord, SavedStudy
from stepladder.studies.judging.distributions import share_error
from stepladder.studies.judging.learning import Learning
from stepladder.studies.judging.statistics import Effect

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
    """Rungs by their mean score on validation.

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
    """The recipe to use now; accuracies are fractions of 1, on validation.

    Attributes:
        rung: the rung chosen; None where there is none to recommend.
        validation: its mean accuracy.
        seeds: of its trials.
        best, best_validation: the rung with the highest mean accuracy, which may be ``rung``.
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
    if study.record.validation == 0:
        return Choice(ChoiceReason.NO_VALIDATION)
    ranking = rank_on_validation(study)
    if ranking is None or len(ranking.means) < 2:
        return Choice(ChoiceReason.TOO_FEW)
    chosen, best = ranking.chosen, ranking.best
    top = ranking.means[best]
    if chosen in learning.rungs:  # refused, not passed over: test, which showed it, may choose no other
        return Choice(ChoiceReason.NOTHING_LEARNED, best=best, best_validation=top, refused=chosen)
    if hurt := _hurt(study, chosen, effects):
        return Choice(ChoiceReason.CONTRADICTED, best=best, best_validation=top, refused=chosen, hurt=hurt)
    reason = ChoiceReason.BEST if chosen == best else ChoiceReason.SIMPLEST
    return Choice(
        ChoiceReason.LOWEST if chosen == ranking.simplest else reason,
        rung=chosen,
        validation=ranking.means[chosen],
        seeds=len(study.of_rung(chosen)),
        best=best,
        best_validation=top,
        behind=ranking.behind[chosen],
        noise=ranking.noise[chosen],
        without_failed=any(trial.result.status == "failed" for trial in study.trials),
    )


def rank_on_validation(study: SavedStudy) -> Ranking | None:
    """Return the rungs without a failed trial by their validation accuracy; None where there is none."""
    scores: dict[str, dict[int, float]] = {}
    for rung in study.record.rungs:
        trials = study.of_rung(rung.name)
        known = {one.seed: value for one in trials if (value := one.result.val_accuracy) is not None}
        if known and len(known) == len(trials) and all(one.result.status == "finished" for one in trials):
            scores[rung.name] = known
    if not scores:
        return None
    images = study.record.data.counts["validation"]
    techniques = {rung.name: len(techniques_of(rung)) for rung in study.record.rungs}
    return rank(scores, techniques, lambda accuracy: share_error(accuracy, images))


def rank(
    scores: Mapping[str, Mapping[int, float]], techniques: Mapping[str, int], least_noise: Callable[[float], float]
) -> Ranking:
    """Return rungs by their mean score, more being better.

    Args:
        scores: of each rung, by seed, at least one; in plan order.
        techniques: how many each rung has: the fewer, the simpler; of as many, the earlier in the plan.
        least_noise: the standard error that the images alone give to a mean score like this.
    """
    means = {name: fmean(found.values()) for name, found in scores.items()}
    simple = sorted(means, key=lambda name: techniques[name])  # a stable sort
    top = max(means.values())
    best = next(name for name in simple if math.isclose(means[name], top, abs_tol=SAME))
    floor = least_noise(means[best])
    behind, noise = {}, {}
    for name, found in scores.items():
        shared = sorted(found.keys() & scores[best].keys())
        differences = [scores[best][seed] - found[seed] for seed in shared] or [means[best] - means[name]]
        behind[name] = fmean(differences)
        over_seeds = stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else 0.0
        noise[name] = max(floor, over_seeds)
    chosen = next(name for name in simple if behind[name] <= noise[name] + SAME)
    return Ranking(means, best, behind, noise, chosen, simple[0])


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
