"""The quick look before every study: does the test share images with training?"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from stepladder.data.audit.counts import judge_balance
from stepladder.data.audit.duplicates import Copies, constant_images, find_copies
from stepladder.data.image_set import Split
from stepladder.data.split import Splits
from stepladder.errors import DataError

#: 2·10⁹ pairs of images take about five seconds on two cores: 50,000 training images against 40,000 others.
MOST_PAIRS = 2e9


@dataclass(frozen=True)
class QuickLook:
    """What a study says of its images before it trains.

    Attributes:
        line: one line for the terminal.
        clean: whether no image that judges has a copy, exact or near, among those that train.
        shared: how many test images have a copy among the training images.
        dropped: how many images were taken out of training and validation for that.
    """

    line: str
    clean: bool
    shared: int
    dropped: int


def look_first(splits: Splits, class_names: tuple[str, ...], *, drop_leaks: bool = False) -> tuple[Splits, QuickLook]:
    """Look for images that are in training and in validation or test, exact or near copies.

    Test images are never touched. With ``drop_leaks`` the copies of test images are taken out of train and validation,
    and the copies of validation images out of train: other splits, so another fingerprint.

    Args:
        splits: as the protocol makes them, so that splits made by Stepladder are looked at like those of a source.
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
    line = _line(parts, class_names, shared, dropped, constant, clean=clean)
    return replace(splits, notes=(*splits.notes, *notes)), QuickLook(line, clean, shared, dropped)


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
                f"every {name} image of the class '{class_names[int(empty.argmax())]}' is a copy of one that judges, "
                "so --drop-leaks would leave none; add images of it, or go without --drop-leaks"
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
    count = len(copies.in_second)
    what = f"{copies.second} image{'s' if total != 1 else ''}"
    have = "has a copy" if count == 1 else "have copies"
    among = "training" if copies.first == "train" else copies.first
    sentence = f"{count:,} of {total:,} {what} {have} among the {among} images ({_kinds(copies)})"
    if copies.second == "test" and copies.first == "train":
        return f"The test is not clean: {sentence}. --drop-leaks takes the training copies out."
    return f"{sentence}."


def _dropped_note(found: dict[tuple[str, str], Copies], dropped: int) -> str:
    each = [
        f"{len(copies.in_first):,} {'training' if copies.first == 'train' else copies.first} "
        f"image{'s' if len(copies.in_first) != 1 else ''} for {copies.second}"
        for copies in found.values()
        if len(copies.in_first)
    ]
    what = (
        "image that is a copy of a held-out one was" if dropped == 1 else "images that are copies of held-out ones were"
    )
    return f"{dropped:,} {what} taken out of training (--drop-leaks): {', '.join(each)}. No test image was touched."


def _line(
    parts: dict[str, Split], class_names: tuple[str, ...], shared: int, dropped: int, constant: int, *, clean: bool
) -> str:
    if dropped:
        copies = f"{dropped:,} training {'copy' if dropped == 1 else 'copies'} of held-out images dropped"
    elif shared:
        share = shared / len(parts["test"])
        have = "image has a copy" if shared == 1 else "images have copies"
        copies = f"NOT CLEAN: {shared:,} test {have} in training, {share:.1%} (--drop-leaks)"
    elif not clean:
        copies = "no test image in training, but validation images have copies"
    else:
        copies = "no copies of test images in training"
    counts = {
        name: tuple(np.bincount(split.labels, minlength=len(class_names)).tolist()) for name, split in parts.items()
    }
    balance = judge_balance(counts, class_names)
    facts = [copies, f"majority rate {balance.majority_rate:.1%}"]
    facts += [f"classes uneven, {balance.ratio:.1f} to 1"] if balance.ratio >= 1.5 else []
    facts += [f"{constant:,} constant image{'s' if constant != 1 else ''}"] if constant else []
    return f"Looked at first: {'; '.join(facts)}."
