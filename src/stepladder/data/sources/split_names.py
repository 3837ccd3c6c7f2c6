"""The words by which folders and files say which split they hold."""

from __future__ import annotations

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
