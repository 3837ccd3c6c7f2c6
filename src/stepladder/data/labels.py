"""Labels matched between splits by the name of their class, never by its position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stepladder.data.wording import some_of
from stepladder.errors import DataError


@dataclass(frozen=True)
class NamedLabels:
    """The labels of one split as its source gives them.

    Attributes:
        class_names: what the labels stand for here, by position.
        labels: int64, shape (N,), positions in ``class_names``.
    """

    class_names: Sequence[str]
    labels: np.ndarray


def match_classes(
    where: str, splits: Mapping[str, NamedLabels]
) -> tuple[tuple[str, ...], dict[str, np.ndarray], tuple[str, ...]]:
    """Renumber the labels of all splits by the classes of ``train``.

    Names that no image has are dropped, with a note: they would be an output that nothing can train or test.

    Args:
        where: the source, for messages.
        splits: the labels by split name, ``train`` among them.

    Returns:
        the class names in the order of ``train``, the labels by split, and notes.

    Raises:
        DataError: another split lacks a class of ``train`` or has one that ``train`` does not have.
    """
    train = splits["train"]
    used = {name: _used(split) for name, split in splits.items()}
    class_names = tuple(name for name in train.class_names if name in used["train"])
    for split_name, present in used.items():
        unknown = sorted(present - used["train"])
        if unknown:
            raise DataError(
                f"{where}: the {split_name} split has the class {some_of(unknown)}, which train does not have; "
                f"give train images of it, or remove it from {split_name}"
            )
        lacking = [name for name in class_names if name not in present]
        if lacking:
            raise DataError(
                f"{where}: the {split_name} split lacks the class {some_of(lacking)}, which train has; "
                f"add images of it to {split_name}, or remove the class from train"
            )
    positions = {name: position for position, name in enumerate(class_names)}
    renumbered = {}
    for split_name, split in splits.items():
        table = np.array([positions.get(name, -1) for name in split.class_names], dtype=np.int64)
        renumbered[split_name] = table[split.labels]
    unused = [name for name in train.class_names if name not in positions]
    notes = (f"Classes without any image were left out: {some_of(unused)}.",) if unused else ()
    return class_names, renumbered, notes


def _used(split: NamedLabels) -> set[str]:
    return {split.class_names[label] for label in np.unique(split.labels)}
