"""What a set holds, counted: images by class and split, color statistics, constant images, balance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stepladder.data.image_set import Split


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
    guess = f"Always naming one class, '{class_names[top]}', is right on {rate:.1%} of the {of}"
    if ratio < 1.5:
        sentence = f"Classes are about even. {guess}: an accuracy means something only above that."
    else:
        sentence = (
            f"Classes are uneven: '{class_names[top]}' has {ratio:.1f} times as many training images as "
            f"'{class_names[bottom]}' ({train[top]:,} to {train[bottom]:,}). {guess}, so that accuracy alone says "
            f"little about '{class_names[bottom]}'; look at the classes one by one."
        )
    return Balance(class_names[top], class_names[bottom], ratio, rate, judged_on, sentence)
