"""From the library's words to those of the command line: parameters become flags."""

from __future__ import annotations

import re
import shlex

#: Parameters whose flag has another name; every other one has its own, with hyphens.
_OTHER_NAMES = {
    "settings": "set",
    "techniques": "technique",
    "many": "yes",
    "points": "trials",
    "input_shape": "input",
    "num_classes": "classes",
    "spread": "sd",
    "formats": "format",
}

# Not all that a shell reads as its own: a name with a space or a * stands for one that the reader chooses.
_OF_THE_SHELL = set("()|$[]")

_PARAMETER = re.compile(r"`([a-z][a-z_]*)(?:=([^`]*))?`")


def to_flags(text: str) -> str:
    """Return a sentence of the library as the command line says it.

    The library names parameters in backticks, and writes a suggestion as an argument in Python.

    >>> to_flags("`max_seeds` is 1; it must be 2 to 1000")
    '--max-seeds is 1; it must be 2 to 1000'
    >>> to_flags("add `download=True` to fetch it, or give `validation=0.1`")
    'add --download to fetch it, or give --validation 0.1'
    """
    return _PARAMETER.sub(_flag, text)


def _flag(found: re.Match[str]) -> str:
    name, value = found[1], found[2]
    flag = "--" + _OTHER_NAMES.get(name, name).replace("_", "-")
    if value is None or value == "True":
        return flag
    if value == "False":
        return flag.replace("--", "--no-", 1)
    plain = value.strip("\"'")
    # A pattern, or a name in quotes with spaces, is typed in a shell, which would take its signs for its own.
    quoted = set(plain) & _OF_THE_SHELL or (plain != value and " " in plain)
    return f"{flag} {shlex.quote(plain) if quoted else plain}"
