"""The other uncertainty: test images are finite too. Over images, not over seeds; for accuracy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stepladder.studies.files.predictions import read_predictions
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.distributions import exact_interval, mcnemar_p_value
from stepladder.studies.judging.statistics import CONFIDENCE

#: Resamples of the bootstrap; its ends are then known to about a hundredth of the interval's width.
_RESAMPLES = 9999


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
    """What depends on which test images were drawn, with these same models; for accuracy alone.

    Attributes:
        rungs: by rung, the 95 % interval of its mean accuracy; None where no predictions were saved.
        effects: the same of every contrast of two rungs, in plan order; None for other contrasts.
        pairs: every two models that the plan compares.
    """

    __test__ = False  # no test of pytest's, whatever its name

    rungs: dict[str, tuple[float, float] | None]
    effects: tuple[tuple[float, float] | None, ...]
    pairs: tuple[ModelPair, ...]

    def __repr__(self) -> str:
        return f"<TestSet of {len(self.rungs)} rungs and {len(self.pairs)} pairs of models>"


def judge_test_set(study: SavedStudy) -> TestSet:
    """Return what depends on the test images, from the predictions that were saved.

    Raises:
        StorageError: a file of predictions is damaged.
    """
    correct = {rung.name: correct_by_seed(study, rung.name) for rung in study.record.rungs}
    return TestSet(
        rungs={name: accuracy_interval(list(found.values())) for name, found in correct.items()},
        effects=tuple(
            difference_interval(*(correct[name] for name in contrast.weights))
            if list(contrast.weights.values()) == [1.0, -1.0]
            else None
            for contrast in study.record.contrasts
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
    """Return the 95 % interval of a mean accuracy over other test images of the same kind; None without models.

    Of one model exactly (Clopper and Pearson, Biometrika 1934); of several by the bootstrap over images, since they
    are wrong on much the same ones.
    """
    if not correct:
        return None
    if len(correct) == 1:
        return exact_interval(int(correct[0].sum()), len(correct[0]), CONFIDENCE)
    return bootstrap_mean(np.sum(correct, axis=0) / len(correct))


def difference_interval(one: dict[int, np.ndarray], other: dict[int, np.ndarray]) -> tuple[float, float] | None:
    """Return the 95 % bootstrap interval over images of the mean difference in accuracy; None without pairs."""
    seeds = sorted(one.keys() & other.keys())
    if not seeds:
        return None
    return bootstrap_mean(sum(one[seed].astype(np.int64) - other[seed] for seed in seeds) / len(seeds))


def bootstrap_mean(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % percentile-bootstrap interval of a mean; for hundreds of values or more.

    Values of images are few different ones, so a resample of N images is a draw of how often each of them comes: one
    multinomial, the same distribution as N draws with replacement and a thousand times as fast.
    """
    different, times = np.unique(values, return_counts=True)
    draws = np.random.default_rng(0).multinomial(len(values), times / len(values), size=_RESAMPLES)
    low, high = np.quantile(draws @ different / len(values), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def compare_models(study: SavedStudy, correct: Mapping[str, dict[int, np.ndarray]]) -> tuple[ModelPair, ...]:
    """Compare the two models of every seed of every two-rung contrast, where their predictions were saved.

    Args:
        correct: by rung, as :func:`correct_by_seed` returns it.
    """
    pairs = []
    for contrast in study.record.contrasts:
        if list(contrast.weights.values()) != [1.0, -1.0]:
            continue
        rung, below = contrast.weights
        for seed in sorted(correct[rung].keys() & correct[below].keys()):
            one, other = correct[rung][seed], correct[below][seed]
            only_one, only_other = int((one & ~other).sum()), int((~one & other).sum())
            p_value = mcnemar_p_value(only_one, only_other)
            pairs.append(ModelPair(rung, below, seed, only_one, only_other, p_value))
    return tuple(pairs)
