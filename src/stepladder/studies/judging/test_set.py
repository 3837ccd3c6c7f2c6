"""The other question: would it hold on new images like these? For accuracy alone, over images and seeds together.

A verdict is about other seeds on these test images. Whoever uses a model asks about images that nobody has seen, and
those differ from the test images by chance, whatever the seeds. Both are random here, and cross: every seed answers to
every image. The variance of the mean is taken apart as in studies of readers and cases, where the readers are few and
the same cases are shown to each (Obuchowski and Rockette, Communications in Statistics 1995), with the degrees of
freedom of Hillis (Statistics in Medicine 2007).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stepladder.studies.files.predictions import read_predictions
from stepladder.studies.files.records import ContrastRecord, SavedStudy
from stepladder.studies.judging.distributions import exact_interval, mcnemar_p_value, t_quantile
from stepladder.studies.judging.statistics import CONFIDENCE, Effect, cut_interval, guess_of
from stepladder.training.metrics import find_metric


@dataclass(frozen=True)
class ModelPair:
    """Two models of one seed on the same test images.

    Attributes:
        only_first, only_second: images that only the one classifies rightly.
        p_value: McNemar's exact test that both are right equally often; of these two models, not of their recipes.
    """

    rung: str
    below: str
    seed: int
    only_first: int
    only_second: int
    p_value: float


@dataclass(frozen=True)
class TestSet:
    """What holds on new images like the test images; for accuracy alone.

    Attributes:
        images: test images.
        rungs: by rung, the 95 % interval of its mean accuracy; of one seed, of that model. None where no predictions
            were saved.
        effects: of every contrast, in plan order, the interval of its mean difference at the level of its verdict,
            never narrower than that on these images; None below two seeds, where predictions are missing, or where
            each seed has drawn its own test images, so that the verdict's own interval is it.
        pairs: every two models that the plan compares.
    """

    __test__ = False  # no test of pytest's, whatever its name

    images: int
    rungs: dict[str, tuple[float, float] | None]
    effects: tuple[tuple[float, float] | None, ...]
    pairs: tuple[ModelPair, ...]

    def __repr__(self) -> str:
        return f"<TestSet of {len(self.rungs)} rungs and {len(self.pairs)} pairs of models>"


def judge_test_set(study: SavedStudy, effects: Sequence[Effect]) -> TestSet:
    """Return what holds on new images, from the predictions that were saved.

    Args:
        effects: of the study, in plan order.

    Raises:
        StorageError: a file of predictions is damaged.
    """
    correct = {rung.name: correct_by_seed(study, rung.name) for rung in study.record.rungs}
    guess = guess_of(study, find_metric("accuracy"))
    # Where each seed has drawn its own test images, the verdicts themselves are for new ones.
    crossed = study.record.metric == "accuracy" and not study.record.resplit
    return TestSet(
        images=study.record.data.counts["test"],
        rungs={
            name: None if study.record.resplit else accuracy_interval(list(found.values()))
            for name, found in correct.items()
        },
        effects=tuple(
            _effect_interval(contrast, effect, correct, guess) if crossed else None
            for contrast, effect in zip(study.record.contrasts, effects, strict=True)
        ),
        pairs=compare_models(study, correct),
    )


def correct_by_seed(study: SavedStudy, rung: str) -> dict[int, np.ndarray]:
    """Return which test images each finished trial of a rung classifies rightly, bool (N,), where they were saved."""
    found = {}
    for trial in study.of_rung(rung):
        predictions = read_predictions(trial.folder)
        if predictions is not None:
            predicted, labels = predictions
            found[trial.seed] = predicted == labels
    return found


def accuracy_interval(correct: Sequence[np.ndarray]) -> tuple[float, float] | None:
    """Return the 95 % interval of a mean accuracy on new images with new seeds; None without models.

    Of one model exactly (Clopper and Pearson, Biometrika 1934).
    """
    if not correct:
        return None
    if len(correct) == 1:
        return exact_interval(int(correct[0].sum()), len(correct[0]), CONFIDENCE)
    low, high = map(float, crossed_interval(np.array(correct, dtype=np.float64), 1 - CONFIDENCE))
    return max(low, 0.0), min(high, 1.0)


def crossed_interval(values: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of a mean over seeds and images, both drawn anew; ends are not cut to what is possible.

    With mean squares S of seeds, I of images and R of what is left of the two-way layout, the variance of the mean is
    (S + max(I - R, 0)) / nN, and its square divided by S² / (n - 1) is the degrees of freedom (Hillis 2007;
    the terms of I and R are added here, and hardly count). It is never narrower than the interval over seeds alone:
    few seeds say too little of their own spread for that.

    Args:
        values: float (..., n, N): what each of N images adds to the mean under each of n seeds, n and N at least 2;
            leading axes are separate studies.
        level: chance that the interval misses.
    """
    seeds, images = values.shape[-2:]
    by_seed, by_image = values.mean(axis=-1), values.mean(axis=-2)
    mean = by_seed.mean(axis=-1)
    of_seeds = images * np.square(by_seed - mean[..., None]).sum(axis=-1)
    of_images = seeds * np.square(by_image - mean[..., None]).sum(axis=-1)
    whole = np.square(values - mean[..., None, None]).sum(axis=(-2, -1))
    s, i = of_seeds / (seeds - 1), of_images / (images - 1)
    r = np.maximum(whole - of_seeds - of_images, 0.0) / ((seeds - 1) * (images - 1))
    added = np.maximum(i - r, 0.0)
    spread = s**2 / (seeds - 1) + (i**2 / (images - 1) + r**2 / ((seeds - 1) * (images - 1))) * (added > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.nan_to_num(np.square(s + added) / spread, nan=seeds - 1, posinf=seeds - 1)
    both = t_quantile(1 - level / 2, np.maximum(freedom, seeds - 1)) * np.sqrt(s + added)
    over_seeds = t_quantile(1 - level / 2, seeds - 1) * np.sqrt(s)
    reach = np.maximum(both, over_seeds) / math.sqrt(seeds * images)
    return mean - reach, mean + reach


def compare_models(study: SavedStudy, correct: Mapping[str, dict[int, np.ndarray]]) -> tuple[ModelPair, ...]:
    """Compare the two models of every seed of every two-rung contrast, where their predictions were saved.

    Args:
        correct: by rung, as :func:`correct_by_seed` returns it.
    """
    pairs = []
    for contrast in study.record.contrasts:
        if not _is_pair(contrast):
            continue
        rung, below = contrast.weights
        for seed in sorted(correct[rung].keys() & correct[below].keys()):
            one, other = correct[rung][seed], correct[below][seed]
            only_one, only_other = int((one & ~other).sum()), int((~one & other).sum())
            p_value = mcnemar_p_value(only_one, only_other)
            pairs.append(ModelPair(rung, below, seed, only_one, only_other, p_value))
    return tuple(pairs)


def _is_pair(contrast: ContrastRecord) -> bool:
    return list(contrast.weights.values()) == [1.0, -1.0]


def _effect_interval(
    contrast: ContrastRecord, effect: Effect, correct: Mapping[str, dict[int, np.ndarray]], guess: float
) -> tuple[float, float] | None:
    """Return the interval of a contrast on new images, of the seeds that its verdict rests on."""
    if effect.interval is None:
        return None
    images = next((len(each) for found in correct.values() for each in found.values()), 0)
    rows = []
    for seed in list(effect.differences)[: effect.n]:
        row = np.zeros(images)
        for rung, weight in contrast.weights.items():
            if seed in correct[rung]:
                row += weight * correct[rung][seed]
            elif seed in effect.failed:
                row += weight * guess  # as the verdict counts it
            else:
                return None
        rows.append(row)
    if images < 2:
        return None
    low, high = map(float, crossed_interval(np.array(rows), effect.level))
    low, high = min(low, effect.interval[0]), max(high, effect.interval[1])
    return cut_interval((low, high), effect.most)
