"""From an image set to train, validation and test: stratified, and the same for every trial."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from stepladder.datasets.groups import draw_groups
from stepladder.datasets.image_set import ImageSet, Split
from stepladder.errors import DataError, some_of

#: Part of the protocol: the split never depends on a trial's seed, or rungs and seeds could not be compared.
SPLIT_SEED = 20_260_101

#: The share that is set aside as test where the data has no test split.
TEST_SHARE = 0.2

#: The smallest and largest share for validation, beside 0. A smaller one would leave classes out of most sets.
MIN_VALIDATION, MAX_VALIDATION = 0.001, 0.9


@dataclass(frozen=True)
class Splits:
    """Train to fit, validation to choose, test to read once.

    Attributes:
        train: what a trial trains on.
        validation: what it is judged by while choosing; None where validation is 0.
        test: read once, at the end.
        notes: sentences that whoever reads a result must know of the split.
        fingerprint: SHA-256, hex, of the image set's content and of which images are in which split.
        copies_together: whether images were drawn together with their copies, as one draw without that had shared some.
    """

    train: Split
    validation: Split | None
    test: Split
    notes: tuple[str, ...]
    fingerprint: str
    copies_together: bool = False

    def __repr__(self) -> str:
        parts = (("train", self.train), ("validation", self.validation), ("test", self.test))
        counts = ", ".join(f"{name} {len(part):,}" for name, part in parts if part is not None)
        height, width, channels = self.train.image_shape
        return f"Splits({counts} images of {height}×{width}×{channels})"


def check_validation(share: float) -> None:
    """Refuse a share for validation that cannot be.

    Raises:
        DataError: it is out of range.
    """
    if share != 0 and not MIN_VALIDATION <= share <= MAX_VALIDATION:
        raise DataError(
            f"`validation` is {share}; it must be 0 (train on everything) or {MIN_VALIDATION} to {MAX_VALIDATION}"
        )


def drawn_fingerprint(split: str, seed: int) -> str:
    """Return the fingerprint of the splits that a seed draws anew, from that of the protocol's own."""
    return hashlib.sha256(f"{split} drawn anew by seed {seed}\n".encode()).hexdigest()


def make_splits(image_set: ImageSet, validation: float = 0.1, seed: int = SPLIT_SEED) -> Splits:
    """Split ``image_set`` as the protocol says; the same set and share always give the same splits.

    Splits that the source brings are used as they are. Without a test split, :data:`TEST_SHARE` of the training images
    is set aside first; then ``validation`` of the remaining training images, each stratified by class and in the order
    of the source. With ``validation=0`` all of them train, a validation split of the source included. Where images have
    groups, whole groups are set aside, balanced by class as far as these allow; see
    :func:`stepladder.datasets.groups.draw_groups`.

    Args:
        image_set: as loaded; not changed.
        validation: share of the training images: 0, or 0.001 to 0.9.
        seed: of the draw. Only studies of which each seed draws its own images have another than the protocol's.

    Raises:
        DataError: the share is out of range, there are fewer than two classes, a class has fewer images than the splits
            need, or a split of the source lacks a class.
    """
    check_validation(validation)
    if image_set.num_classes < 2:
        raise DataError(f"{image_set.name} has {image_set.num_classes} class; it takes at least two: add another")
    splits = image_set.splits
    _check_classes(image_set)
    notes: list[str] = []
    test_share = 0.0 if "test" in splits else TEST_SHARE
    validation_share = 0.0 if "validation" in splits else validation

    chosen = np.arange(len(splits["train"]), dtype=np.int64)
    shares = (test_share, validation_share)
    chosen, from_test = _set_aside(image_set, chosen, test_share, shares, seed)
    chosen, from_validation = _set_aside(image_set, chosen, validation_share, shares, seed)

    train = splits["train"] if len(chosen) == len(splits["train"]) else splits["train"].take(chosen)
    if "test" in splits:
        test = splits["test"]
    else:
        test = splits["train"].take(from_test)
        stratified = f"{100 * TEST_SHARE:.0f} %, stratified by class"
        if test.groups is not None:
            stratified = f"{100 * len(test) / len(splits['train']):.1f} %, in whole groups"
        notes.append(f"The data has no test split: {len(test):,} images ({stratified}) were set aside as test.")
    held: Split | None = None
    if "validation" in splits and validation > 0:
        held = splits["validation"]
        notes.append(f"The data has its own validation split ({len(held):,} images), which was used as it is.")
    elif "validation" in splits:
        train = _join(train, splits["validation"])
        notes.append(
            f"Nothing is set aside for validation: the {len(splits['validation']):,} images of the data's own "
            "validation split train, too."
        )
    elif validation > 0:
        held = splits["train"].take(from_validation)
    drawn = {"validation": from_validation, "test": from_test}
    notes += _group_notes(splits["train"], {name: part for name, part in drawn.items() if len(part)})
    digest = hashlib.sha256(f"{image_set.fingerprint} joined={validation == 0}\n".encode())
    for part in (chosen, from_validation, from_test):
        digest.update(f"{len(part)}\n".encode())
        digest.update(part.tobytes())
    return Splits(train, held, test, tuple(notes), digest.hexdigest())


def _group_notes(train: Split, drawn: dict[str, np.ndarray]) -> tuple[str, ...]:
    """Return a note on how many groups were set aside whole, how large they are, and how even classes came out."""
    if train.groups is None or not drawn:
        return ()
    sizes = np.unique(train.groups, return_counts=True)[1]
    of_class = np.bincount(train.labels)
    parts = []
    for name, positions in drawn.items():
        share = np.bincount(train.labels[positions], minlength=len(of_class)) / np.maximum(of_class, 1)
        share = share[of_class > 0]
        parts.append(
            f"{len(np.unique(train.groups[positions])):,} to {name} ({100 * share.min():.1f} to "
            f"{100 * share.max():.1f} % of each class)"
        )
    return (
        f"Groups stay whole: of {len(sizes):,} groups, with {sizes.min():,} to {sizes.max():,} images each, "
        f"{' and '.join(parts)} went.",
    )


def outside_test(labels: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """Return which of the training images are not set aside as test where the data has no test split of its own.

    Args:
        labels: int64, (N,), of the training images in the order of the source.
        groups: int64, (N,), theirs; None where they have none.

    Returns:
        their positions, int64, ascending; all of them where they are too few for a test split.
    """
    positions = np.arange(len(labels), dtype=np.int64)
    drawn = _draw(labels, groups, positions, TEST_SHARE, SPLIT_SEED)
    return positions if drawn is None else np.sort(drawn[0])


def _draw(
    labels: np.ndarray, groups: np.ndarray | None, positions: np.ndarray, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Split positions into (kept, set aside); None where there are too few of a class."""
    if groups is not None:
        of_class = draw_groups(labels[positions], groups[positions], share, seed)
        return None if of_class is None else (positions[~of_class], positions[of_class])
    from sklearn.model_selection import train_test_split  # a second that looking at images does not wait for

    try:
        kept, aside = train_test_split(positions, test_size=share, random_state=seed, stratify=labels[positions])
    except ValueError:  # fewer images than classes, or a class with one image
        return None
    return kept, aside


def _set_aside(
    image_set: ImageSet, positions: np.ndarray, share: float, shares: tuple[float, ...], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split positions in train into (kept, set aside), both sorted, each class in both."""
    if share == 0:
        return positions, positions[:0]
    train = image_set.splits["train"]
    labels = train.labels
    drawn = _draw(labels, train.groups, positions, share, seed)
    if drawn is None:
        raise _too_few(image_set, shares) if train.groups is None else _too_few_groups(image_set, train, shares)
    kept, aside = drawn
    for part in drawn:
        if (np.bincount(labels[part], minlength=image_set.num_classes) == 0).any():
            raise _too_few(image_set, shares)
    return np.sort(kept), np.sort(aside)


def _too_few(image_set: ImageSet, shares: tuple[float, ...]) -> DataError:
    counts = np.bincount(image_set.splits["train"].labels, minlength=image_set.num_classes)
    smallest = int(counts.argmin())
    return DataError(
        f"{image_set.name}: the class '{image_set.class_names[smallest]}' has {counts[smallest]} training image"
        f"{'s' if counts[smallest] != 1 else ''}, fewer than the splits need; it needs {_images_needed(shares)}: add "
        "images, leave the class out, change `validation`, or raise `limit`"
    )


def _too_few_groups(image_set: ImageSet, train: Split, shares: tuple[float, ...]) -> DataError:
    assert train.groups is not None
    groups = [len(np.unique(train.groups[train.labels == label])) for label in range(image_set.num_classes)]
    smallest = int(np.argmin(groups))
    needed = 1 + sum(share > 0 for share in shares)
    have = f"{groups[smallest]} group{'s' if groups[smallest] != 1 else ''}"
    why = f"fewer than the splits need; it needs {needed}"
    if groups[smallest] >= needed:
        why = "and no draw of whole groups was found that has each class in every split"
    return DataError(
        f"{image_set.name}: the class '{image_set.class_names[smallest]}' has {have} of images that belong together, "
        f"{why}: add images of other groups, leave the class out, change `validation`, or raise `limit`"
    )


def _images_needed(shares: tuple[float, ...]) -> int:
    """Return the size from which a class has an image in every part, whatever the rounding.

    Of c images, a share s surely sets aside floor(c·s) and leaves floor(c·(1 - s)); solved for c, from the last share.
    """
    needed = 1
    for share in reversed([share for share in shares if share > 0]):
        # The small term keeps 1 / (1 - 0.9) = 10.000000000000002 from becoming 11.
        needed = max(math.ceil(1 / share - 1e-9), math.ceil(needed / (1 - share) - 1e-9))
    return needed


def _check_classes(image_set: ImageSet) -> None:
    for split_name, split in image_set.splits.items():
        counts = np.bincount(split.labels, minlength=image_set.num_classes)
        lacking = [name for name, count in zip(image_set.class_names, counts, strict=True) if count == 0]
        if lacking:
            raise DataError(
                f"{image_set.name}: the {split_name} split has no image of the class {some_of(lacking)}; add images of "
                "it, or leave the class out everywhere"
            )


def join_all(splits: Splits) -> Splits:
    """Return splits of which every image trains; test stays what it was, and is no test of what is trained so."""
    held = [part for part in (splits.validation, splits.test) if part is not None]
    train = reduce(_join, held, splits.train)
    fingerprint = hashlib.sha256(f"{splits.fingerprint} all train\n".encode()).hexdigest()
    return replace(splits, train=train, validation=None, fingerprint=fingerprint)


def _join(first: Split, second: Split) -> Split:
    labels = np.concatenate([first.labels, second.labels])
    groups = None
    if first.groups is not None and second.groups is not None:
        groups = np.concatenate([first.groups, second.groups])
    block = _common_block(first.pixels, second.pixels)
    if block is None:
        # Two splits of a source that lie in different blocks of memory are copied; nothing else is.
        return Split(np.concatenate([first.images, second.images]), labels, groups=groups)
    rows = [_rows_in(block, part) for part in (first, second)]
    return Split(block, labels, np.concatenate(rows), groups)


def _common_block(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    """Return the array that both are whole rows of, as all splits that were decoded together are; None if none is."""
    block = first.base
    if not isinstance(block, np.ndarray) or block is not second.base:
        return None
    parts = (block, first, second)
    rows = all(part.shape[1:] == block.shape[1:] and part.flags.c_contiguous for part in parts)
    return block if rows else None


def _rows_in(block: np.ndarray, part: Split) -> np.ndarray:
    """Return where in ``block`` the images of ``part`` are, int64."""
    start = (part.pixels.ctypes.data - block.ctypes.data) // block[:1].nbytes
    return start + (np.arange(len(part)) if part.rows is None else part.rows)
