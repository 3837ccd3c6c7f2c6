"""What the site makes of docstrings before it shows them; an extension of Griffe, named in ``mkdocs.yml``."""

from __future__ import annotations

import re
from typing import Any

import griffe

import stepladder


class Roles(griffe.Extension):
    """Docstrings speak Sphinx's ``:class:`name```: names in Markdown, linked where they are public."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Mend the docstring of an object as it is loaded."""
        if obj.docstring is not None:
            text = re.sub(r":[a-z]+:`([^`]*)`", _named, obj.docstring.value)
            obj.docstring.value = re.sub(r"^    (\w+(?:, \w+)+): (.*(?:\n {5,}.*)*)", _apart, text, flags=re.MULTILINE)


def _apart(found: re.Match[str]) -> str:
    """Give each of several parameters that one line explains a line of its own."""
    return "\n".join(f"    {name}: {found[2]}" for name in found[1].split(", "))


def _named(found: re.Match[str]) -> str:
    shown = re.sub(r"<.*>", "", found[1]).strip().removeprefix("~")
    name = shown.rpartition(".")[2]
    return f"[`{name}`][stepladder.{name}]" if name in stepladder.__all__ else f"`{name}`"
