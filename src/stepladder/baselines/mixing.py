"""What it costs to mix: a cheap model's accuracy where images of one group train and test, and where groups stay apart.

The model is logistic regression on what a pretrained network's frozen layers make of the images (Razavian, Azizpour,
Sullivan and Carlsson, CNN Features off-the-Shelf, 2014), or on how like their pixels are to those of some training
images (Williams and Seeger, Using the Nyström Method to Speed Up Kernel Machines, 2001): of 80 objects with ten shots
each and classes drawn at random, the pixels themselves told 85 % of mixed shots, and these 99. Every training image is
tested once in each way, by a model of the other parts; the given test images are never looked at.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stepladder.datasets import ImageSet, Split
from stepladder.datasets.decode import fit_image, with_channels
from stepladder.datasets.groups import some_groups
from stepladder.datasets.splits import SPLIT_SEED
from stepladder.datasets.suspects import proposed
from stepladder.errors import DataError

if TYPE_CHECKING:
    from stepladder.network.presets import Preset

#: Images whose pixels are looked at themselves have up to so many a side; larger ones are made smaller.
PIXEL_SIDE = 32

#: Images that are taken, of whole groups, at most: of features, and of pixels.
MOST_FEATURES, MOST_PIXELS = 2_000, 4_000

#: The accuracy is of so many splits, in which each image is tested once.
SPLITS = 5

# What C is chosen from, inside the training images of each split; and what is taken where these are too few.
_COSTS, _USUAL_COST = (0.001, 0.01, 0.1, 1.0), 0.01

# Training images that others are compared with, by their pixels.
_COMPARED = 1_000
_ITERATIONS = 300

#: Called with what is done now.
Step = Callable[[str], None]

#: Loads the images again, with groups by the parameters of ``LabelOptions`` that it is called with.
Regroup = Callable[[Mapping[str, Any]], ImageSet]


@dataclass(frozen=True)
class Share:
    """A share of images, or a difference of two, with its 95 % interval; fractions of 1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Mixing:
    """What a cheap model reaches on images whose groups it has seen, and on others.

    Attributes:
        model: what it learned from, in words.
        images, groups: that were tested.
        splits: into how many parts they were cut, each tested by a model of the others.
        mixed: accuracy where images were dealt out one by one.
        apart: accuracy where groups were dealt out whole.
        difference: the first less the second, image by image.
        largest: the share of the largest class.
        left_out: classes of one group alone, which cannot be learned from other groups.
    """

    model: str
    images: int
    groups: int
    splits: int
    mixed: Share
    apart: Share
    difference: Share
    largest: float
    left_out: tuple[str, ...] = ()

    @property
    def misleads(self) -> bool:
        """Whether it is certain that a test which mixes groups promises too much."""
        return self.difference.low > 0

    def sentences(self) -> tuple[str, ...]:
        """Return what a reader should know, most important first."""
        verdict = "No difference is certain between a test that mixes groups and one that keeps them apart."
        if self.misleads:
            verdict = f"A test that mixes groups promises {100 * self.difference.value:.1f} points too much."
        left = f" Left out, as all of their images are of one group: {', '.join(self.left_out)}." * bool(self.left_out)
        return (
            f"{verdict} Right where groups are mixed: {_shown(self.mixed, ' %')}; where they are kept apart: "
            f"{_shown(self.apart, ' %')}; the difference: {_shown(self.difference, ' points')}.",
            f"n = {self.images:,} training images in {self.groups:,} groups, each tested once in {self.splits} splits "
            f"of either kind; intervals are of 95 %, of groups and not of single images. Model: logistic regression on "
            f"{self.model}. Always guessing the largest class is right for {100 * self.largest:.1f} %.{left}",
        )

    def to_document(self) -> dict[str, Any]:
        """Return it as plain values for programs; shares are fractions of 1."""
        return {**asdict(self), "left_out": list(self.left_out), "misleads": self.misleads}


def measure_leaks(image_set: ImageSet, regroup: Regroup, on_step: Step = lambda _: None) -> Mixing:
    """Measure what mixing costs, by groups that were named, or else by those that names, times and pixels suggest.

    Args:
        image_set: with groups or without.
        regroup: called where groups are suspected that nobody named.
        on_step: told what is done now.

    Raises:
        DataError: groups are neither named nor suspected, or there are too few of them.
    """
    suspected = {} if image_set.splits["train"].groups is not None else proposed(image_set.notes)
    return measure_mixing(regroup(suspected) if suspected else image_set, on_step)


def measure_mixing(image_set: ImageSet, on_step: Step = lambda _: None) -> Mixing:
    """Train a cheap model on training images with their groups mixed and kept apart, and compare.

    Both learn from as many images. C is chosen inside the training images of each split, in the way that the split
    itself was drawn. The same images give the same figures.

    Args:
        image_set: with groups.
        on_step: told what is done now.

    Raises:
        DataError: there are no groups, or too few of them.
    """
    train = image_set.splits["train"]
    if train.groups is None:
        raise DataError(
            "there are no groups to keep apart: none are named, and names and pixels suggest none; name them with "
            "`group_pattern`, `group_column`, `group_bursts` or `group_patients`"
        )
    if len(np.unique(train.groups)) == len(train):
        raise DataError("every group has one image, so there is nothing to mix; name groups of several images")
    preset = _preset_for(train)
    train, left_out = _of_several_groups(train, image_set.class_names)
    assert train.groups is not None
    most = MOST_PIXELS if preset is None else MOST_FEATURES
    if len(train) > most:
        train = train.take(some_groups(train.labels, train.groups, most / len(train), SPLIT_SEED))
        train, more = _of_several_groups(train, image_set.class_names)
        left_out += more
    labels, groups = train.labels, train.groups
    assert groups is not None
    on_step("Reading pixels" if preset is None else "Working out features")
    values, model = _pixels(train) if preset is None else _features(train, image_set.num_classes, preset)
    splits = min(SPLITS, int(_groups_of_classes(labels, groups).min()))
    right = {}
    for apart in (False, True):
        on_step("Training with groups kept apart" if apart else "Training with groups mixed")
        right[apart] = _right(values, labels, groups, splits, apart=apart, compare=preset is None)
    return Mixing(
        model,
        len(labels),
        len(np.unique(groups)),
        splits,
        share_of(right[False], groups),
        share_of(right[True], groups),
        difference_of(right[False], right[True], groups),
        float(np.bincount(labels).max() / len(labels)),
        tuple(dict.fromkeys(left_out)),
    )


def share_of(right: np.ndarray, groups: np.ndarray) -> Share:
    """Return the share of ``right``, bool (N,), with Wilson's interval for as many images as their groups are worth.

    Images of one group are right or wrong together, so that n images count for fewer: for n / d, where d is by how much
    the variance between groups exceeds that of single images (Kish, Survey Sampling, 1965).
    """
    share, count, number = float(right.mean()), len(right), len(np.unique(groups))
    error = _cluster_error(right.astype(np.float64) - share, groups)
    worth = float(number) if error == 0 else min(count, max(2.0, share * (1 - share) / error**2))
    z = _quantile(number)
    middle = (share + z**2 / (2 * worth)) / (1 + z**2 / worth)
    half = z / (1 + z**2 / worth) * math.sqrt(share * (1 - share) / worth + z**2 / (4 * worth**2))
    return Share(share, max(0.0, middle - half), min(1.0, middle + half))


def difference_of(first: np.ndarray, second: np.ndarray, groups: np.ndarray) -> Share:
    """Return how much more of ``first`` than of ``second``, bool (N,) of the same images, is true, by groups."""
    differences = first.astype(np.float64) - second
    mean = float(differences.mean())
    half = _quantile(len(np.unique(groups))) * _cluster_error(differences - mean, groups)
    return Share(mean, mean - half, mean + half)


def _cluster_error(residuals: np.ndarray, groups: np.ndarray) -> float:
    """Return the standard error of a mean whose residuals are alike within groups."""
    _, group_of = np.unique(groups, return_inverse=True)
    sums = np.bincount(group_of, weights=residuals)
    return math.sqrt(len(sums) / (len(sums) - 1) * float((sums**2).sum())) / len(residuals)


def _quantile(groups: int) -> float:
    from scipy.stats import t

    return float(t.ppf(0.975, groups - 1))


def _groups_of_classes(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return how many groups each class has that is there, int64."""
    pairs = np.unique(np.column_stack([labels, groups]), axis=0)
    return np.unique(pairs[:, 0], return_counts=True)[1]


def _of_several_groups(train: Split, names: tuple[str, ...]) -> tuple[Split, list[str]]:
    """Return the images of classes of several groups, and the names of the other classes."""
    assert train.groups is not None
    present, counts = np.unique(train.labels), _groups_of_classes(train.labels, train.groups)
    if (counts > 1).sum() < 2:
        raise DataError(
            "fewer than two classes have images of several groups, so none can be learned from other groups; name "
            "smaller groups, or more of them"
        )
    if (counts > 1).all():
        return train, []
    kept = np.flatnonzero(np.isin(train.labels, present[counts > 1]))
    return train.take(kept), [names[label] for label in present[counts == 1].tolist()]


def _preset_for(train: Split) -> Preset | None:
    """Return the pretrained network whose frozen layers see the images; None where there is none, or they are small."""
    if min(train.image_shape[:2]) <= PIXEL_SIDE:
        return None
    from stepladder.recipe import transfer_preset

    return transfer_preset()


def _features(train: Split, num_classes: int, preset: Preset) -> tuple[np.ndarray, str]:
    """Return what the frozen layers of the recipe for photographs make of the images, float32 (N, F); and in words."""
    import torch

    from stepladder.recipe import TRANSFER, load_recipe
    from stepladder.training.assembly import TrainingData, assemble
    from stepladder.training.device import choose_compute

    recipe = load_recipe(TRANSFER)
    # Its first two rungs freeze all layers but the output, and give these their weights; the others augment and train.
    rungs = list(dict.fromkeys(one.rung for one in recipe.techniques))[:2]
    frozen = recipe.with_techniques(one for one in recipe.techniques if one.rung in rungs)
    images = np.stack([with_channels(image, 3) for image in train.images])
    data = TrainingData(Split(images, train.labels), None, num_classes)
    assembled = assemble(frozen, data, 0, choose_compute("auto", "float32"), rehearsal=True)
    features, _ = assembled.data.take(torch.arange(len(images)))
    return features.flatten(1).cpu().numpy(), f"frozen features of {preset.name}"


def _pixels(train: Split) -> tuple[np.ndarray, str]:
    """Return pixels of at most :data:`PIXEL_SIDE` a side, float32 (N, F); and in words."""
    height, width = (min(PIXEL_SIDE, side) for side in train.image_shape[:2])
    images = np.stack([fit_image(image, height, width, "stretch") for image in train.images])
    return images.reshape(len(images), -1).astype(np.float32), f"{width}×{height} pixels"


def _right(
    values: np.ndarray, labels: np.ndarray, groups: np.ndarray, splits: int, *, apart: bool, compare: bool
) -> np.ndarray:
    """Return which images, bool (N,), are told right by a model of images in other parts.

    Args:
        compare: see images by how like they are to some of those that the model learns from.
    """
    right = np.zeros(len(labels), dtype=bool)
    for fitted, tested in _parts(labels, groups, splits, apart=apart):
        seen, others = (_likeness if compare else _standardized)(values[fitted], values[tested])
        cost = _choose_cost(seen, labels[fitted], groups[fitted], apart=apart)
        right[tested] = _told(seen, labels[fitted], others, cost) == labels[tested]
    return right


def _standardized(values: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both with the mean of ``values`` taken away, over their standard deviation."""
    mean, scale = values.mean(axis=0), values.std(axis=0)
    scale[scale == 0] = 1
    return (values - mean) / scale, (others - mean) / scale


def _likeness(values: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how like both are to some of ``values``: Gaussian, of their squared distance over half of its median."""
    from sklearn.kernel_approximation import Nystroem

    values, others = _standardized(values, others)
    few = values[np.linspace(0, len(values) - 1, min(len(values), 200)).astype(np.int64)]
    squares = (few**2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * few @ few.T
    width = float(np.median(distances[np.triu_indices(len(few), 1)]))
    kernel = Nystroem(gamma=2 / max(width, 1e-6), n_components=min(_COMPARED, len(values)), random_state=0).fit(values)
    return _standardized(kernel.transform(values), kernel.transform(others))


def _parts(
    labels: np.ndarray, groups: np.ndarray, splits: int, *, apart: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions to fit and to test, stratified by class: of single images, or of whole groups."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    kind = StratifiedGroupKFold if apart else StratifiedKFold
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a class has fewer images than there are parts
        yield from kind(splits, shuffle=True, random_state=SPLIT_SEED % 2**31).split(labels, labels, groups)


def _choose_cost(values: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, apart: bool) -> float:
    """Return the C that is right most often on a quarter of the images, by a model of the others."""
    present, fewest = np.unique(labels), int(_groups_of_classes(labels, groups).min())
    parts = min(4, fewest)
    if parts < 2:
        return _USUAL_COST
    fitted, tested = next(_parts(labels, groups, parts, apart=apart))
    if len(np.unique(labels[fitted])) < len(present):
        return _USUAL_COST
    shares = [
        float((_told(values[fitted], labels[fitted], values[tested], cost) == labels[tested]).mean()) for cost in _COSTS
    ]
    return _COSTS[int(np.argmax(shares))]


def _told(values: np.ndarray, labels: np.ndarray, others: np.ndarray, cost: float) -> np.ndarray:
    """Return the class, int64, that a model of ``values`` tells of ``others``."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is near enough by then
        model = LogisticRegression(C=cost, max_iter=_ITERATIONS).fit(values, labels)
    told: np.ndarray = model.predict(others)
    return told


def _shown(share: Share, unit: str) -> str:
    shown = f"{100 * share.value:.1f}{unit} ({100 * share.low:.1f} to {100 * share.high:.1f})"
    return shown.replace("-", "−")
