"""The leak check before every study: does the test share images, or groups of images, with training?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from stepladder.datasets.audit.audit import judge_balance
from stepladder.datasets.audit.duplicates import Copies, constant_images, find_copies
from stepladder.datasets.groups import joined_groups
from stepladder.datasets.image_set import ImageSet, Split
from stepladder.datasets.splits import SPLIT_SEED, Splits, make_splits
from stepladder.errors import DataError

#: 2·10⁹ pairs of images take about five seconds on two cores: 50,000 training images against 40,000 others.
MOST_PAIRS = 2e9

# The share of drawn validation images with copies that train, from which copies are kept together for their sake: below
# it, a draw is what it was before anybody looked for copies, and saved studies are of the same images.
_MANY_COPIES = 0.1

# Copies of copies that reach further than so many images, and than this share of all, are no longer one picture.
_FEW_COPIES, _LARGEST_CHAIN = 20, 0.1


@dataclass(frozen=True)
class LeakCheck:
    """What a study says of its images before it trains.

    Attributes:
        line: the result in one line, to be shown before anything is trained.
        clean: whether no validation or test image has a copy, exact or near, or is of a group, among images that are
            used before it, or all of these were dropped.
        shared: how many test images have a copy among the training images, or are of a group of these.
        dropped: how many images were taken out of training and validation for that.
    """

    line: str
    clean: bool
    shared: int
    dropped: int


@dataclass(frozen=True)
class _Leak:
    """What two splits share.

    Attributes:
        copies: between them.
        first_of_group, second_of_group: int64, positions of images whose group is also in the other split.
    """

    copies: Copies
    first_of_group: np.ndarray
    second_of_group: np.ndarray

    @property
    def first(self) -> str:
        return self.copies.first

    @property
    def second(self) -> str:
        return self.copies.second

    @property
    def in_first(self) -> np.ndarray:
        return np.union1d(self.copies.in_first, self.first_of_group)

    @property
    def in_second(self) -> np.ndarray:
        return np.union1d(self.copies.in_second, self.second_of_group)


def split_cleanly(
    image_set: ImageSet,
    validation: float,
    *,
    drop_leaks: bool = False,
    seed: int = SPLIT_SEED,
    like: Splits | None = None,
) -> tuple[Splits, LeakCheck]:
    """Split as the protocol says, with copies on one side where we set images aside, and look for leaks.

    Where test images that were set aside have copies among the others, exact, near or mirrored, or many validation
    images have some among the training images, the images are drawn again with all copies as groups. Else the draw is
    what it would be without this.

    Args:
        image_set, validation, seed: see :func:`stepladder.datasets.make_splits`.
        drop_leaks: see :func:`check_leaks`.
        like: splits of another seed, which decide whether copies are drawn together; by default this draw does.

    Raises:
        DataError: see :func:`stepladder.datasets.make_splits` and :func:`check_leaks`.
    """
    splits = make_splits(image_set, validation, seed)
    drawn = {"validation", "test"} & set(_parts(splits)) - set(image_set.splits)
    # Where values were stretched, the test images were chosen before there were pixels.
    if drawn and ("test" in image_set.splits or image_set.span is None):
        found = _find_leaks(splits)
        together = None
        if like.copies_together if like is not None else _shares_copies(splits, found, drawn):
            together = _with_copies_together(image_set, validation, seed)
        if together is None:
            return _settle(splits, found, image_set.class_names, drop_leaks=drop_leaks)
        splits = together
    return check_leaks(splits, image_set.class_names, drop_leaks=drop_leaks)


def check_leaks(splits: Splits, class_names: tuple[str, ...], *, drop_leaks: bool = False) -> tuple[Splits, LeakCheck]:
    """Look for images that are in training and in validation or test: exact or near copies, or of the same group.

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
    return _settle(splits, _find_leaks(splits), class_names, drop_leaks=drop_leaks)


def _settle(
    splits: Splits, found: tuple[_Leak, ...], class_names: tuple[str, ...], *, drop_leaks: bool
) -> tuple[Splits, LeakCheck]:
    parts = _parts(splits)
    by_relation = {(copies.first, copies.second): copies for copies in found}
    shared = len(by_relation["train", "test"].in_second)
    notes, dropped = [], 0
    if drop_leaks and any(len(copies.in_first) for copies in found):
        splits, dropped = _without(splits, found, class_names)
        notes.append(_dropped_note(by_relation, dropped))
    else:
        notes += [note for leak in found for note in _shared_notes(leak, len(parts[leak.second]))]
    sampled = [leak.copies for leak in found if leak.copies.compared < len(parts[leak.second])]
    if sampled:
        notes.append(
            f"To bound the time, near copies were looked for of {sampled[0].compared:,} of "
            f"{len(parts[sampled[0].second]):,} {sampled[0].second} images."
        )
    clean = not any(len(copies.in_second) for copies in found) or dropped > 0
    constant = sum(int(constant_images(split).sum()) for split in parts.values())
    line = _line(parts, class_names, found, dropped, constant)
    return replace(splits, notes=(*splits.notes, *notes)), LeakCheck(line, clean, shared, dropped)


def _parts(splits: Splits) -> dict[str, Split]:
    held = {"validation": splits.validation, "test": splits.test}
    return {"train": splits.train, **{name: split for name, split in held.items() if split is not None}}


def _find_leaks(splits: Splits) -> tuple[_Leak, ...]:
    parts = _parts(splits)
    relations = [("train", "test"), ("train", "validation"), ("validation", "test")]
    asked = [relation for relation in relations if set(relation) <= set(parts)]
    found, _ = find_copies(parts, asked, MOST_PAIRS)
    leaks = []
    for copies in found:
        ours, theirs = parts[copies.first].groups, parts[copies.second].groups
        sides = np.empty(0, np.int64), np.empty(0, np.int64)
        if ours is not None and theirs is not None:
            sides = np.flatnonzero(np.isin(ours, theirs)), np.flatnonzero(np.isin(theirs, ours))
        leaks.append(_Leak(copies, *sides))
    return tuple(leaks)


def _shares_copies(splits: Splits, found: tuple[_Leak, ...], drawn: set[str]) -> bool:
    """Whether drawn test images have copies elsewhere, or many drawn validation images some that train."""
    parts = _parts(splits)
    for leak in found:
        copies = len(leak.copies.in_second)
        if leak.second == "test" and "test" in drawn and copies:
            return True
        of_training = leak.first == "train" and leak.second == "validation"
        if of_training and "validation" in drawn and copies > _MANY_COPIES * len(parts["validation"]):
            return True
    return False


def _with_copies_together(image_set: ImageSet, validation: float, seed: int) -> Splits | None:
    """Return splits with copies on one side; None where too many images are copies of copies to be kept together."""
    train = image_set.splits["train"]
    (copies,), _ = find_copies({"train": train}, (("train", "train"),), MOST_PAIRS)
    pairs = np.concatenate([copies.exact, copies.near])
    groups = np.arange(len(train), dtype=np.int64) if train.groups is None else train.groups
    joined = joined_groups(groups, pairs)
    alone = np.bincount(groups).max()
    if np.bincount(joined).max() > max(_FEW_COPIES, alone, _LARGEST_CHAIN * len(train)):
        return None
    renamed = {
        name: replace(split, groups=None if train.groups is None else _renamed(split.groups, train.groups, joined))
        for name, split in image_set.splits.items()
    }
    together = replace(image_set, splits={**renamed, "train": replace(train, groups=joined)})
    try:
        splits = make_splits(together, validation, seed)
    except DataError:  # a class all of whose images are copies of each other
        return None
    note = (
        f"{len(copies.in_first):,} images are copies of others, exact, near or mirrored; each was drawn together with "
        "its copies."
    )
    return replace(splits, notes=(*splits.notes, note), copies_together=True)


def _renamed(others: np.ndarray | None, groups: np.ndarray, joined: np.ndarray) -> np.ndarray | None:
    """Return the groups of another split, int64, where those of training were joined; what only it has stays apart."""
    if others is None:
        return None
    ids, first = np.unique(groups, return_index=True)
    at = np.searchsorted(ids, others).clip(max=len(ids) - 1)
    # Numbers that no training image has, and equal ones where two other splits share a group.
    apart = np.where(others < 0, others, others + joined.max() + 1)
    return np.where(ids[at] == others, joined[first][at], apart)


def _without(splits: Splits, found: tuple[_Leak, ...], class_names: tuple[str, ...]) -> tuple[Splits, int]:
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
                f"every {name} image of the class '{class_names[int(empty.argmax())]}' is a copy of a held-out one"
                f"{', or of its group' if any(len(leak.first_of_group) for leak in found) else ''}, so "
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


def _shared_notes(leak: _Leak, total: int) -> list[str]:
    sentences = []
    if len(leak.copies.in_second):
        sentences.append(f"{_have_copies(leak.copies, total)} among the {_among(leak)} images ({_kinds(leak.copies)}).")
    if len(leak.second_of_group):
        sentences.append(f"{_of_groups(leak, total)}.")
    if leak.second == "test" and leak.first == "train":
        return [f"The test is not clean: {sentence} These training images can be dropped." for sentence in sentences]
    return sentences


def _of_groups(leak: _Leak, total: int) -> str:
    count = len(leak.second_of_group)
    return f"{count:,} of {total:,} {leak.second} images are of groups that are also among the {_among(leak)} images"


def _have_copies(copies: Copies, total: int) -> str:
    count = len(copies.in_second)
    have = "has a copy" if count == 1 else "have copies"
    return f"{count:,} of {total:,} {copies.second} image{'s' if total != 1 else ''} {have}"


def _among(leak: _Leak | Copies) -> str:
    return "training" if leak.first == "train" else leak.first


def _dropped_note(found: dict[tuple[str, str], _Leak], dropped: int) -> str:
    each = [
        f"{len(leak.in_first):,} {_among(leak)} image{'s' if len(leak.in_first) != 1 else ''} for {leak.second}"
        for leak in found.values()
        if len(leak.in_first)
    ]
    return f"{_dropped(dropped, found.values())}: {', '.join(each)}. No test image was touched."


def _dropped(count: int, found: Iterable[_Leak]) -> str:
    of_groups = any(len(leak.first_of_group) for leak in found)
    if count == 1:
        group = ", or of the group of one" if of_groups else ""
        return f"1 image was taken out of training, as it is a copy of a validation or test image{group}"
    group = ", or of their groups" if of_groups else ""
    return f"{count:,} images were taken out of training, as they are copies of validation or test images{group}"


def _line(
    parts: dict[str, Split], class_names: tuple[str, ...], found: tuple[_Leak, ...], dropped: int, constant: int
) -> str:
    counts = {
        name: tuple(np.bincount(split.labels, minlength=len(class_names)).tolist()) for name, split in parts.items()
    }
    balance = judge_balance(counts, class_names)
    sentences = [
        f"{_dropped(dropped, found)}." if dropped else _finding(parts, found),
        f"Always guessing the largest class is right for {100 * balance.majority_rate:.1f} %.",
    ]
    if balance.ratio >= 1.5:
        sentences.append(f"The largest class has {balance.ratio:.1f} times as many training images as the smallest.")
    if constant:
        sentences.append(f"{constant:,} image{' has' if constant == 1 else 's have'} one color everywhere.")
    return f"Leak check: {' '.join(sentences)}"


def _finding(parts: dict[str, Split], found: tuple[_Leak, ...]) -> str:
    leaks = {(leak.first, leak.second): leak for leak in found if len(leak.in_second)}
    if (leak := leaks.get(("train", "test"))) is not None:
        total = len(parts["test"])
        what = [f"{_have_copies(leak.copies, total)} among the training images"] if len(leak.copies.in_second) else []
        what += [_of_groups(leak, total)] if len(leak.second_of_group) else []
        return (
            f"NOT CLEAN: {', and '.join(what)} "
            f"({100 * len(leak.in_second) / total:.1f} %); add `drop_leaks=True` to take those out of training."
        )
    clean = "no test image is among the training images"
    if parts["test"].groups is not None:
        clean += ", nor of a group of these"
    if (leak := leaks.get(("train", "validation"))) is not None:
        have = "are of groups that train" if len(leak.second_of_group) else "have copies there"
        return f"{clean}; some validation images {have}."
    if (leak := leaks.get(("validation", "test"))) is not None:
        have = "are of groups of" if len(leak.second_of_group) else "have copies among"
        return f"{clean}; some test images {have} the validation images."
    return f"{clean}."
