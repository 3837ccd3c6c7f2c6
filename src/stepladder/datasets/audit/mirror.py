"""May these images be flipped? Where the nearest images of a mirrored one are, by class."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stepladder.datasets.audit.duplicates import box_means
from stepladder.datasets.image_set import Split
from stepladder.datasets.threads import in_threads

Answer = Literal["safe", "changes the meaning", "unclear"]

#: Mirrored, a class keeps at least this share of its own neighbors, or a mirror changes what it means. Between the two
#: it is unclear. Photographs keep 0.95 to 1.05 (`cifar10-jpeg`), the digits 2 to 7 under 0.6.
_KEEPS, _LOSES = 0.9, 0.75

_BOXES = 8
_NEIGHBORS = 5
# Images that are looked up, in all and at least a class; and images they are looked up in.
_QUERIES, _QUERIES_A_CLASS, _REFERENCES = 2_000, 10, 20_000
_ROWS = 128


@dataclass(frozen=True)
class MirroredClass:
    """One class in the mirror.

    Attributes:
        name: of the class.
        images: training images that were looked up.
        plain: mean share of their nearest training images that are of the same class, 0 to 1.
        mirrored: the same for their mirror images.
        answer: what that means for the class.
    """

    name: str
    images: int
    plain: float
    mirrored: float
    answer: Answer


@dataclass(frozen=True)
class MirrorCheck:
    """Whether flips are a fair augmentation of a set.

    Attributes:
        answer: for the whole set, which one class can spoil.
        classes: by class, in the set's order.
        plain: mean of the classes' shares.
        mirrored: mean of the classes' shares, mirrored.
        neighbors: how many nearest images each share is over.
        sentence: the answer in plain words.
    """

    answer: Answer
    classes: tuple[MirroredClass, ...]
    plain: float
    mirrored: float
    neighbors: int
    sentence: str


def check_mirror(train: Split, class_names: tuple[str, ...]) -> MirrorCheck:
    """Compare the nearest training images of training images and of their mirror images.

    The nearest by the cosine of 8×8 box means without their mean; an image and its own mirror image are no neighbors.
    A set in which a mirrored 2 lies among the 5s and a mirrored cat among the cats says so here. Nothing is
    learned from validation or test. Images of one group, as shots of one object, are no neighbors either.

    Args:
        train: the training split; evenly spaced images stand for all where there are many.
        class_names: by label.
    """
    references = _evenly(train.labels, _REFERENCES // max(1, len(class_names)))
    labels = train.labels[references]
    plain_points = points_of(train.take(references), mirrored=False)
    mirrored_points = points_of(train.take(references), mirrored=True)
    each = max(_QUERIES_A_CLASS, _QUERIES // max(1, len(class_names)))
    queries = _evenly(labels, each)
    neighbors = int(np.clip(np.bincount(labels, minlength=len(class_names)).min() - 1, 1, _NEIGHBORS))
    groups = None if train.groups is None else train.groups[references]
    largest = 1 if groups is None else int(np.unique(groups, return_counts=True)[1].max())
    neighbors = min(neighbors, len(labels) - largest)
    if neighbors < 1:
        return MirrorCheck("unclear", (), 0.0, 0.0, 0, "Too few training images to tell whether a mirror changes them.")
    known = _Known(plain_points, labels, groups)
    plain = _same_class(plain_points[queries], queries, known, neighbors)
    mirrored = _same_class(mirrored_points[queries], queries, known, neighbors)
    of_query = labels[queries]
    classes = tuple(
        _judge(name, plain[of_query == label], mirrored[of_query == label])
        for label, name in enumerate(class_names)
        if (of_query == label).any()
    )
    return _sum_up(classes, neighbors, len(class_names))


def _evenly(labels: np.ndarray, each: int) -> np.ndarray:
    """Return up to ``each`` evenly spaced positions of every class, ascending."""
    kept = []
    for label in np.unique(labels):
        positions = np.flatnonzero(labels == label)
        kept.append(
            positions[np.unique(np.linspace(0, len(positions) - 1, min(each, len(positions))).astype(np.int64))]
        )
    return np.sort(np.concatenate(kept))


def points_of(split: Split, *, mirrored: bool) -> np.ndarray:
    """Return box means without their mean, scaled to length 1: float32, (N, 64 C)."""
    points = np.empty((len(split), _BOXES * _BOXES * split.image_shape[2]), np.float32)
    done = 0
    for images in split.chunks():
        part = slice(done, done := done + len(images))
        boxes = box_means(images[:, :, ::-1] if mirrored else images, _BOXES, _BOXES).reshape(-1, points.shape[1])
        boxes -= boxes.mean(axis=1, keepdims=True)
        points[part] = boxes / np.maximum(np.linalg.norm(boxes, axis=1, keepdims=True), 1e-3)
    return points


@dataclass(frozen=True)
class _Known:
    """Images that others are looked up in.

    Attributes:
        points: see :func:`points_of`.
        labels: int64, (N,).
        groups: likewise; None where nobody named groups.
    """

    points: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None


def _same_class(queries: np.ndarray, own: np.ndarray, known: _Known, neighbors: int) -> np.ndarray:
    """Return the share of each query's nearest neighbors that have its label; ``own`` is where it stands itself."""
    shares = np.empty(len(queries), np.float64)

    def look_up(start: int) -> None:
        rows = slice(start, start + _ROWS)
        cosines = queries[rows] @ known.points.T
        if known.groups is None:
            cosines[np.arange(len(cosines)), own[rows]] = -2
        else:
            cosines[known.groups[own[rows], None] == known.groups] = -2
        nearest = np.argpartition(cosines, -neighbors, axis=1)[:, -neighbors:]
        shares[rows] = (known.labels[nearest] == known.labels[own[rows], None]).mean(axis=1)

    for _ in in_threads(look_up, range(0, len(queries), _ROWS)):
        pass
    return shares


def _judge(name: str, plain: np.ndarray, mirrored: np.ndarray) -> MirroredClass:
    before, after = float(plain.mean()), float(mirrored.mean())
    # The images are the same, so their differences are paired; two standard errors are given to chance.
    spread = 2 * float((plain - mirrored).std()) / math.sqrt(len(plain))
    answer: Answer = "unclear"
    if after + spread < _LOSES * before:
        answer = "changes the meaning"
    elif after + spread >= _KEEPS * before:
        answer = "safe"
    return MirroredClass(name, len(plain), before, after, answer)


def _sum_up(classes: tuple[MirroredClass, ...], neighbors: int, num_classes: int) -> MirrorCheck:
    plain = float(np.mean([one.plain for one in classes]))
    mirrored = float(np.mean([one.mirrored for one in classes]))
    shares = (
        f"of the {neighbors} nearest training images of a mirrored one {100 * mirrored:.0f} % are of its class, "
        f"against {100 * plain:.0f} % unmirrored"
    )
    changed = [one.name for one in classes if one.answer == "changes the meaning"]
    safe = [one.name for one in classes if one.answer == "safe"]
    answer: Answer
    if plain < 1.25 / num_classes:
        answer = "unclear"
        sentence = (
            f"Unclear: the nearest images of an image are hardly more often of its class ({100 * plain:.0f} %) than "
            f"chance ({100 / num_classes:.0f} %), so they cannot tell what a mirror does; look at the contact sheet."
        )
    elif changed:
        answer = "changes the meaning"
        sentence = (
            f"No: a mirror changes the meaning of {_names(changed)}, or shows them as this set never does ({shares}); "
            "leave horizontal flips out."
        )
        if safe:
            sentence += f" By themselves safe: {_names(safe)}."
    elif mirrored >= _KEEPS * plain and len(safe) >= len(classes) / 2:
        answer = "safe"
        sentence = f"Safe to flip: mirrored images look like their own class ({shares})."
    else:
        answer = "unclear"
        sentence = f"Unclear ({shares}): mirrored images are somewhat unlike their class; try with and without flips."
    return MirrorCheck(answer, classes, plain, mirrored, neighbors, sentence)


def _names(names: list[str]) -> str:
    shown = [f"'{name}'" for name in names[:10]]
    if len(names) > 10:
        return f"{', '.join(shown)} and {len(names) - 10} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
