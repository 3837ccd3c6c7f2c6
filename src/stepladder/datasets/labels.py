"""Labels matched between splits by the name of their class, never by its position."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stepladder.errors import DataError, some_of


@dataclass(frozen=True)
class NamedLabels:
    """The labels of one split as its source gives them.

    Attributes:
        class_names: what the labels stand for here, by position.
        labels: int64, shape (N,), positions in ``class_names``.
    """

    class_names: Sequence[str]
    labels: np.ndarray


# As whole numbers are written: with or without zeros before them.
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,18}")


def are_numbers(names: Iterable[str]) -> bool:
    """Whether all names are whole numbers, as ``0`` to ``11`` are, or ``007``."""
    return all(_WHOLE_NUMBER.fullmatch(name) for name in names)


def in_order(names: Iterable[str]) -> list[str]:
    """Return the names of classes in the order that they have everywhere: as numbers if all are, else as text.

    >>> in_order(["10", "9"]), in_order(["b10", "b9"])
    (['9', '10'], ['b10', 'b9'])
    """
    listed = list(names)
    return sorted(listed, key=(lambda name: (int(name), name)) if are_numbers(listed) else None)


def named_labels(values: Sequence[str]) -> NamedLabels:
    """Return labels whose classes are the distinct ``values``, in the order of :func:`in_order`."""
    names = in_order(set(values))
    positions = {name: position for position, name in enumerate(names)}
    return NamedLabels(names, np.array([positions[value] for value in values], dtype=np.int64))


def match_classes(
    where: str, splits: Mapping[str, NamedLabels]
) -> tuple[tuple[str, ...], dict[str, np.ndarray], tuple[str, ...]]:
    """Renumber the labels of all splits by the classes of ``train``.

    Where all names are whole numbers, these are their order, whatever the source's: the same images then are the same
    data as folders, as a table and as arrays. Names that no image has are dropped, with a note: they would be an output
    that nothing can train or test.

    Args:
        where: the source, for messages.
        splits: the labels by split name, ``train`` among them.

    Returns:
        the class names in the order of ``train``, the labels by split, and notes.

    Raises:
        DataError: two classes have the same name, or another split lacks a class of ``train`` or has one that ``train``
            does not have.
    """
    train = splits["train"]
    for split in splits.values():
        refuse_twins(where, split.class_names)
    if blank := [name for split in splits.values() for name in split.class_names if not name.strip()]:
        raise DataError(f"{where} has a class whose name is blank ({blank[0]!r}); give it a name")
    used = {name: _used(split) for name, split in splits.items()}
    ordered = in_order(train.class_names) if are_numbers(train.class_names) else train.class_names
    class_names = tuple(name for name in ordered if name in used["train"])
    for split_name, present in used.items():
        unknown = sorted(present - used["train"])
        if unknown:
            alike = [name for name in train.class_names if _plain(name) == _plain(unknown[0])]
            hint = f" (train has '{alike[0]}': if they are one class, rename one)" if alike else ""
            raise DataError(
                f"{where}: the {split_name} split has the class {some_of(unknown)}, which train does not have{hint}; "
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
    return class_names, renumbered, (*notes, *spelling_notes(class_names))


def refuse_twins(where: str, class_names: Sequence[str]) -> None:
    """Refuse two classes of the same name, which would be one from then on.

    Args:
        where: the source, for messages.

    Raises:
        DataError: there are two.
    """
    if len(set(class_names)) == len(class_names):
        return
    twin = next(name for position, name in enumerate(class_names) if name in class_names[:position])
    places = [position for position, name in enumerate(class_names) if name == twin]
    raise DataError(
        f"{where} names two classes '{twin}' (numbers {' and '.join(map(str, places[:2]))}); rename one, or give their "
        "images one number if they are one class"
    )


def spelling_notes(class_names: Sequence[str]) -> tuple[str, ...]:
    """Return a note that names classes which differ in case, spaces, underscores, hyphens or Unicode's forms alone."""
    by_plain: dict[str, list[str]] = {}
    for name in class_names:
        by_plain.setdefault(_plain(name), []).append(name)
    pairs = [" and ".join(repr(name) for name in names) for names in by_plain.values() if len(names) > 1]
    if not pairs:
        return ()
    return (f"Classes that differ in spelling alone count as different: {some_of(pairs)}; if they are one, rename it.",)


def _plain(name: str) -> str:
    # NFKC: "é" may be one character or two, and macOS stores the latter.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    # A name of nothing but such characters stays what it is, and so does the sign of a number: -1 is not 1.
    return re.sub(r"(?!^-\.?[0-9])[\s_-]+", "", folded.strip()) or name


def _used(split: NamedLabels) -> set[str]:
    return {split.class_names[label] for label in np.unique(split.labels)}
