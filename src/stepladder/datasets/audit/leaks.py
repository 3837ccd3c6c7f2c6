"""The leak check before every study: does the test share images with training?"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from stepladder.datasets.audit.audit import judge_balance
from stepladder.datasets.audit.duplicates import Copies, constant_images, find_copies
from stepladder.datasets.image_set import Split
from stepladder.datasets.splits import Splits
from stepladder.errors import DataError

#: 2·10⁹ pairs of images take about five seconds on two cores: 50,000 training images against 40,000 others.
MOST_PAIRS = 2e9


@dataclass(frozen=True)
class LeakCheck:
    """What a study says of its images before it trains.

    Attributes:
        line: the result in one line, to be shown before anything is trained.
        clean: whether no validation or test image has a copy, exact or near, among images that are used before it, or
            all such copies were dropped.
        shared: how many test images have a copy among the training images.
        dropped: how many images were taken out of training and validation for that.
    """

    line: str
    clean: bool
    shared: int
    dropped: int


def check_leaks(splits: Splits, class_names: tuple[str, ...], *, drop_leaks: bool = False) -> tuple[Splits, LeakCheck]:
    """Look for images that are in training and in validation or test, exact or near copies.

    Test images are never touched. With ``drop_leaks`` the copies of test images are taken out of train and validation,
    and the copies of validation images out of train: other splits, so another fingerprint.

    Args:
        splits: as the protocol makes them, so that splits made by Stepladder are checked like those of a source.
        class_names: by label.
        drop_leaks: take the copies out of training instead of only saying so.

    Returns:
        the splits, with a note wherever copies were found, and what to print.

    Raises:
        DataError: without the copies a class would have no image left in train or validation.
    """
    held = {"validation": splits.validation, "test": splits.test}
    parts = {"train": splits.train, **{name: split for name, split in held.items() if split is not None}}
    relations = [("train", "test"), ("train", "validation"), ("validation", "test")]
    asked = [relation for relation in relations if set(relation) <= set(parts)]
    found, _ = find_copies(parts, asked, MOST_PAIRS)
    by_relation = {(copies.first, copies.second): copies for copies in found}
    shared = len(by_relation["train", "test"].in_second)
    notes, dropped = [], 0
    if drop_leaks and any(len(copies.in_first) for copies in found):
        splits, dropped = _without(splits, found, class_names)
        notes.append(_dropped_note(by_relation, dropped))
    else:
        notes += [_shared_note(copies, len(parts[copies.second])) for copies in found if len(copies.in_second)]
    sampled = [copies for copies in found if copies.compared < len(parts[copies.second])]
    if sampled:
        notes.append(
            f"To bound the time, near copies were looked for of {sampled[0].compared:,} of "
            f"{len(parts[sampled[0].second]):,} {sampled[0].second} images."
        )
    clean = not any(len(copies.in_second) for copies in found) or dropped > 0
    constant = sum(int(constant_images(split).sum()) for split in parts.values())
    line = _line(parts, class_names, found, dropped, constant)
    return replace(splits, notes=(*splits.notes, *notes)), LeakCheck(line, clean, shared, dropped)


def _without(splits: Splits, found: tuple[Copies, ...], class_names: tuple[str, ...]) -> tuple[Splits, int]:
    kept: dict[str, Split | None] = {"train": splits.train, "validation": splits.validation}
    digest = hashlib.sha256(f"{splits.fingerprint} without leaks\n".encode())
    dropped = 0
    for name, split in kept.items():
        if split is None:
            continue
        leaks = [copies.in_first for copies in found if copies.first == name]
        gone = np.unique(np.concatenate(leaks)) if leaks else np.empty(0, np.int64)
        rest = np.setdiff1d(np.arange(len(split)), gone)
        empty = np.bincount(split.labels[rest], minlength=len(class_names)) == 0
        if empty.any():
            raise DataError(
                f"every {name} image of the class '{class_names[int(empty.argmax())]}' is a copy of a held-out one, so "
                "`drop_leaks=True` would leave none; add images of it, or leave `drop_leaks` out"
            )
        digest.update(f"{name} {len(gone)}\n".encode())
        digest.update(gone.tobytes())
        dropped += len(gone)
        kept[name] = split.take(rest) if len(gone) else split
    train = kept["train"]
    assert train is not None
    return replace(splits, train=train, validation=kept["validation"], fingerprint=digest.hexdigest()), dropped


def _kinds(copies: Copies) -> str:
    """Say how many of the second split's images have an exact and how many only a near copy."""
    exact = len(copies.exact)
    near = len(copies.in_second) - exact
    parts = [f"{exact:,} exact"] if exact else []
    return " and ".join([*parts, f"{near:,} near"] if near else parts)


def _shared_note(copies: Copies, total: int) -> str:
    sentence = f"{_have_copies(copies, total)} among the {_among(copies)} images ({_kinds(copies)})."
    if copies.second == "test" and copies.first == "train":
        return f"The test is not clean: {sentence} These training images can be dropped."
    return sentence


def _have_copies(copies: Copies, total: int) -> str:
    count = len(copies.in_second)
    have = "has a copy" if count == 1 else "have copies"
    return f"{count:,} of {total:,} {copies.second} image{'s' if total != 1 else ''} {have}"


def _among(copies: Copies) -> str:
    return "training" if copies.first == "train" else copies.first


def _dropped_note(found: dict[tuple[str, str], Copies], dropped: int) -> str:
    each = [
        f"{len(copies.in_first):,} {_among(copies)} image{'s' if len(copies.in_first) != 1 else ''} for {copies.second}"
        for copies in found.values()
        if len(copies.in_first)
    ]
    return f"{_dropped(dropped)}: {', '.join(each)}. No test image was touched."


def _dropped(count: int) -> str:
    if count == 1:
        return "1 image was taken out of training, as it is a copy of a validation or test image"
    return f"{count:,} images were taken out of training, as they are copies of validation or test images"


def _line(
    parts: dict[str, Split], class_names: tuple[str, ...], found: tuple[Copies, ...], dropped: int, constant: int
) -> str:
    counts = {
        name: tuple(np.bincount(split.labels, minlength=len(class_names)).tolist()) for name, split in parts.items()
    }
    balance = judge_balance(counts, class_names)
    sentences = [
        f"{_dropped(dropped)}." if dropped else _finding(parts, found),
        f"Always guessing the largest class is right for {100 * balance.majority_rate:.1f} %.",
    ]
    if balance.ratio >= 1.5:
        sentences.append(f"The largest class has {balance.ratio:.1f} times as many training images as the smallest.")
    if constant:
        sentences.append(f"{constant:,} image{' has' if constant == 1 else 's have'} one color everywhere.")
    return f"Leak check: {' '.join(sentences)}"


def _finding(parts: dict[str, Split], found: tuple[Copies, ...]) -> str:
    leaks = {(copies.first, copies.second): copies for copies in found if len(copies.in_second)}
    if (copies := leaks.get(("train", "test"))) is not None:
        total = len(parts["test"])
        return (
            f"NOT CLEAN: {_have_copies(copies, total)} among the training images "
            f"({100 * len(copies.in_second) / total:.1f} %); add `drop_leaks=True` to take those out of training."
        )
    clean = "no test image is among the training images"
    if ("train", "validation") in leaks:
        return f"{clean}; some validation images have copies there."
    if ("validation", "test") in leaks:
        return f"{clean}; some test images have copies among the validation images."
    return f"{clean}."
