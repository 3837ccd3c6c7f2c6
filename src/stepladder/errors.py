"""Everything a user can do wrong, as one family of exceptions.

Each message is one clear sentence that names the value, what is allowed and the fix. The command line prints it without
a traceback and exits with :attr:`StepladderError.exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class StepladderError(Exception):
    """Base of every error that a user can cause and mend."""

    exit_code = 2


class DataError(StepladderError):
    """An image set that cannot be found, read or split."""


class DamagedImagesError(DataError):
    """Images that cannot be decoded.

    Args:
        damaged: one (place, reason) pair for each damaged image, place being a path or ``file.parquet row 7``.
    """

    def __init__(self, damaged: Iterable[tuple[str, str]]) -> None:
        self.damaged = tuple(damaged)
        count = len(self.damaged)
        listing = "\n".join(f"  {place}: {reason}" for place, reason in self.damaged)
        super().__init__(
            f"{count} damaged image{'s' if count != 1 else ''}; mend or remove {'them' if count != 1 else 'it'}, "
            f"or leave {'them' if count != 1 else 'it'} out with --skip-damaged:\n{listing}"
        )


class RecipeError(StepladderError):
    """A recipe, technique, network or setting that does not exist or does not fit."""


class StudyError(StepladderError):
    """A study that cannot be started, continued or read."""


class StorageError(StepladderError):
    """A folder or file that cannot be written or read."""


def missing_extra(library: str, extra: str) -> str:
    """Return the sentence for a library that only an extra brings."""
    return f"this needs {library}, which is not installed; install it with: pip install 'stepladder[{extra}]'"


def unknown(kind: str, value: str, known: Iterable[str]) -> str:
    """Return the sentence for a name that does not exist, with the nearest one that does.

    >>> unknown("technique", "mixpu", ["mixup", "cutmix"])
    "unknown technique 'mixpu'; did you mean 'mixup'? Known: cutmix, mixup"
    """
    names = sorted(known)
    near = difflib.get_close_matches(value, names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    return f"unknown {kind} '{value}'{hint} Known: {', '.join(names)}"
