"""How lists of names appear in messages and notes."""

from __future__ import annotations

from collections.abc import Sequence


def some_of(names: Sequence[str], at_most: int = 5) -> str:
    """Return the first names, and how many more there are.

    >>> some_of(["a", "b", "c"], at_most=2)
    'a, b and 1 more'
    """
    shown = ", ".join(names[:at_most])
    more = len(names) - at_most
    return f"{shown} and {more} more" if more > 0 else shown
