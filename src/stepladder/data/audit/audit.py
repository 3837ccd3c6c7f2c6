"""An image set looked at before it is trusted: everything that ``stepladder data`` says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from stepladder.data.audit.counts import Balance, count_images, judge_balance, measure_colors
from stepladder.data.audit.duplicates import Copies, Threshold, constant_images, find_copies
from stepladder.data.audit.mirror import MirrorCheck, check_mirror
from stepladder.data.image_set import SPLIT_NAMES, ImageSet

#: 10¹⁰ pairs of images take about half a minute on two cores: all of 140,000 images.
MOST_PAIRS = 1e10


@dataclass(frozen=True)
class ImageAudit:
    """What an image set holds and what is wrong with it.

    Attributes:
        image_set: what was looked at.
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
