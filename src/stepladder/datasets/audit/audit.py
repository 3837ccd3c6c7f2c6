"""An image set before it is trusted: everything that ``stepladder data`` says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from stepladder.datasets.audit.duplicates import Copies, Threshold, constant_images, find_copies
from stepladder.datasets.audit.mirror import MirrorCheck, check_mirror
from stepladder.datasets.image_set import SPLIT_NAMES, ImageSet, Split

#: 10¹⁰ pairs of images take about half a minute on two cores: all of 140,000 images.
MOST_PAIRS = 1e10


@dataclass(frozen=True)
class Balance:
    """How even the classes are, and what that does to accuracy.

    Attributes:
        largest: name of the class with the most training images.
        smallest: name of the class with the fewest.
        ratio: training images of the largest class for each of the smallest.
        majority_rate: share of the judged images, 0 to 1, that one gets right by always naming ``largest``.
        judged_on: the split that the rate is of: ``test``, or ``train`` where the set has no test split.
        sentence: the same in words.
    """

    largest: str
    smallest: str
    ratio: float
    majority_rate: float
    judged_on: str
    sentence: str


@dataclass(frozen=True)
class ImageAudit:
    """What an image set holds and what is wrong with it.

    Attributes:
        image_set: what was audited.
        counts: images of each class by split, in the order of the class names.
        mean: by channel, of all pixels of the training images, 0 to 1.
        std: standard deviation, likewise.
        balance: how even the classes are, and what that does to accuracy.
        damaged: (place, reason) of each image that could not be read; they are in none of the other figures.
        constant: (split, position) of each image of one single color.
        copies: exact and near copies inside each split and across splits.
        threshold: what was asked of a near copy.
        mirror: whether the images may be flipped.
    """

    image_set: ImageSet
    counts: dict[str, tuple[int, ...]]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    balance: Balance
    damaged: tuple[tuple[str, str], ...]
    constant: tuple[tuple[str, int], ...]
    copies: tuple[Copies, ...]
    threshold: Threshold
    mirror: MirrorCheck

    def __repr__(self) -> str:
        across = [copies for copies in self.copies if copies.first != copies.second and len(copies.in_second)]
        shared = [f"{len(copies.in_second):,} {copies.second} images are also in {copies.first}" for copies in across]
        total = sum(sum(of_class) for of_class in self.counts.values())
        facts = [
            f"{total:,} images",
            f"{self.image_set.num_classes:,} classes",
            *([f"{len(self.damaged):,} damaged"] if self.damaged else []),
            *([f"{len(self.constant):,} of one color"] if self.constant else []),
            *(shared or ["no copies across splits"]),
            f"mirror: {self.mirror.answer}",
        ]
        return f"ImageAudit({self.image_set.name[:40]!r}, {', '.join(facts)})"


def audit_image_set(
    image_set: ImageSet,
    damaged: tuple[tuple[str, str], ...] = (),
    on_step: Callable[[str], None] | None = None,
) -> ImageAudit:
    """Look at an image set: counts, colors, balance, constant images, copies, and whether a mirror changes it.

    The whole of 60,000 images of 32×32×3 takes about ten seconds on two cores. Statistics (mean, standard deviation,
    mirror) are of training images alone.

    Args:
        image_set: as loaded; not changed.
        damaged: (place, reason) of images that loading left out, for the record.
        on_step: called with what begins, in words.
    """

    def say(step: str) -> None:
        if on_step is not None:
            on_step(step)

    splits = {name: image_set.splits[name] for name in SPLIT_NAMES if name in image_set.splits}
    say("Counting")
    counts = count_images(splits, image_set.num_classes)
    mean, std = measure_colors(splits["train"])
    constant = tuple(
        (name, int(position)) for name, split in splits.items() for position in np.flatnonzero(constant_images(split))
    )
    say("Looking for copies")
    copies, threshold = find_copies(splits, tuple(combinations_with_replacement(splits, 2)), MOST_PAIRS)
    say("Looking in the mirror")
    mirror = check_mirror(splits["train"], image_set.class_names)
    return ImageAudit(
        image_set,
        counts,
        mean,
        std,
        judge_balance(counts, image_set.class_names),
        damaged,
        constant,
        copies,
        threshold,
        mirror,
    )


def count_images(splits: Mapping[str, Split], num_classes: int) -> dict[str, tuple[int, ...]]:
    """Return images of each class by split."""
    return {name: tuple(np.bincount(split.labels, minlength=num_classes).tolist()) for name, split in splits.items()}


def measure_colors(split: Split) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel over all pixels of a split, in 0 to 1."""
    total, squares = np.zeros(split.image_shape[2]), np.zeros(split.image_shape[2])
    count = 0
    for images in split.chunks():
        # Counted by value, which is exact and needs no copy in floats.
        flat = images.reshape(-1, images.shape[3])
        seen = np.stack([np.bincount(flat[:, channel], minlength=256) for channel in range(images.shape[3])])
        values = np.arange(256)
        total += seen @ values
        squares += seen @ values**2
        count += len(flat)
    mean = total / count
    variance = squares / count - mean**2
    return tuple((mean / 255).tolist()), tuple((np.sqrt(np.maximum(variance, 0)) / 255).tolist())


def judge_balance(counts: Mapping[str, tuple[int, ...]], class_names: tuple[str, ...]) -> Balance:
    """Say how even the classes are and what always naming the largest would score."""
    train = np.asarray(counts["train"])
    judged_on = "test" if "test" in counts else "train"
    judged = np.asarray(counts[judged_on])
    top, bottom = int(train.argmax()), int(train.argmin())
    rate = float(judged[top] / max(1, judged.sum()))
    ratio = float(train[top] / max(1, train[bottom]))
    of = "test images" if judged_on == "test" else "images"
    guess = f"Always naming one class, '{class_names[top]}', is right for {100 * rate:.1f} % of the {of}"
    if ratio < 1.5:
        sentence = f"Classes are about even. {guess}: an accuracy means something only above that."
    else:
        sentence = (
            f"Classes are uneven: '{class_names[top]}' has {ratio:.1f} times as many training images as "
            f"'{class_names[bottom]}' ({train[top]:,} to {train[bottom]:,}). {guess}, so that accuracy alone says "
            f"little about '{class_names[bottom]}'; look at the classes one by one."
        )
    return Balance(class_names[top], class_names[bottom], ratio, rate, judged_on, sentence)
