"""The words by which folders and files say which split they hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from stepladder.data.wording import some_of
from stepladder.errors import DataError

#: Word (lower case) to split. People write all of these; "Training" taken for a class would silently teach nonsense.
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def split_of(word: str) -> str | None:
    """Return the split that ``word`` names, in any case, or None."""
    return SPLIT_WORDS.get(word.lower())


def split_of_name(name: str) -> str | None:
    """Return the split that a word of a file name tells: ``train-00000-of-00001.parquet``, ``pets_test_03.tar``."""
    return next((split for word in re.split(r"[-_. ]", name) if (split := split_of(word))), None)


def files_by_split(path: Path, found: Sequence[Path], pattern: str) -> tuple[dict[str, list[Path]], tuple[str, ...]]:
    """Sort files by the split that their names tell, or the folder below ``path`` that they lie in.

    One file alone is the training set, whatever its name.

    Args:
        path: what the user gave.
        found: the files.
        pattern: how such files are called, with ``{}`` for the split, for messages.

    Returns:
        the files by split, and a note about those that name none.

    Raises:
        DataError: none of them is for training.
    """
    if len(found) == 1:
        return {"train": list(found)}, ()
    by_split: dict[str, list[Path]] = {}
    others = []
    for file in found:
        split = split_of_name(file.name) or (split_of(file.parent.name) if file.parent != path else None)
        if split is None:
            others.append(file.name)
        else:
            by_split.setdefault(split, []).append(file)
    if "train" not in by_split:
        raise DataError(
            f"{path} has {some_of([file.name for file in found])} but no train file; name the files "
            f"{pattern.format('train')}, {pattern.format('test')} and {pattern.format('validation')}, or give one file"
        )
    notes = (f"Files whose name has no split were left out: {some_of(others)}.",) if others else ()
    return by_split, notes
