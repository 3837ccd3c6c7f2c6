"""A network as a TOML table: ``layers`` as a list of tables, or ``line`` as one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepladder.check import check
from stepladder.errors import RecipeError
from stepladder.network.line import parse_line
from stepladder.network.spec import Network


def network_of_table(table: Mapping[str, Any]) -> Network:
    """Return the network of a table.

    Raises:
        RecipeError: it does not fit.
    """
    if "line" not in table:
        return check(Network, table, "", whole="the network")
    if not isinstance(table["line"], str) or len(table) > 1:
        others = ", ".join(key for key in table if key != "line")
        raise RecipeError(
            f"a network's table has a line and also {others}; keep one of layers and line"
            if others
            else f"line is {table['line']!r}; it must be a text, as: conv5-32 pool2 fc"
        )
    return parse_line(table["line"])
