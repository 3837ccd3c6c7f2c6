"""The one-line form as data, for a page that reads lines without Python: words, fields, their ranges and defaults.

All of it is asked of the layers themselves, so that a new kind of layer, or another range, is in the page without a
word said here.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from stepladder.network.line import (
    ACTIVATED,
    ACTIVATIONS,
    ALIASES,
    NORMALIZATIONS,
    WORD_OF,
    WORDS,
    Word,
)
from stepladder.network.spec import BaseLayer


def language() -> dict[str, Any]:
    """Return the words of a line and what each takes, as plain values.

    Returns:
        ``words``: by word, ``kind``, ``stem``, ``example``, ``first`` and ``second`` as
        :class:`stepladder.network.line.Word` has them, what the layer is about, and ``fields``, see below, in the order
        in which they are checked. ``aliases``: other libraries' words. ``activated``, ``activations`` and
        ``normalizations``: which words they are.

        A field has a ``type`` (``sides``, ``whole``, ``number``, ``yes or no``, ``choice``, ``name``, ``layers``), what
        it may be beside that (``also``), its bounds, and its ``default``, or ``required``.
    """
    return {
        "words": {name: _word(word) for name, word in WORDS.items()},
        "aliases": dict(ALIASES),
        **{
            key: [WORD_OF[kind] for kind in kinds]
            for key, kinds in (
                ("activated", ACTIVATED),
                ("activations", ACTIVATIONS),
                ("normalizations", NORMALIZATIONS),
            )
        },
    }


def _word(word: Word) -> dict[str, Any]:
    return {
        "kind": word.kind.model_fields["kind"].default,
        "stem": word.stem,
        "example": word.example,
        "about": _about(word.kind),
        "first": word.first,
        "second": word.second,
        "quiet": sorted(word.kind.quiet & set(word.kind.model_fields)),
        "fields": {name: _field(word.kind, name, field) for name, field in word.kind.model_fields.items()},
    }


def _about(kind: type[BaseLayer]) -> str:
    """Return the first sentence of what a kind of layer says of itself, in plain letters and without its papers."""
    said = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    said = re.sub(r" \([^()]*\d{4}[^()]*\)", "", said.replace("``", ""))
    return re.split(r"(?<=\w)[.;:] ", said)[0].rstrip(".")


def _field(kind: type[BaseLayer], name: str, field: FieldInfo) -> dict[str, Any]:
    told: dict[str, Any] = {"required": True} if field.is_required() else {"default": field.default}
    schema = kind.model_json_schema()
    if "properties" not in schema:  # a layer that holds layers refers to itself
        schema = schema["$defs"][kind.__name__]
    schema = schema["properties"][name]
    ways = schema.get("anyOf", [schema])
    also = [way["const"] for way in ways if "const" in way]
    takes = _taker(field)
    if name == "name":
        return told | {"type": "name"}
    if takes((2, 3)):
        return told | {"type": "sides", "least": 0 if takes(0) else 1, "also": also}
    if choices := _choices(field):
        return told | {"type": "choice", "choices": choices}
    for way in ways:
        if way.get("type") in ("integer", "number"):
            bounds = {
                word: way[key]
                for word, key in (
                    ("at most", "maximum"),
                    ("less than", "exclusiveMaximum"),
                    ("at least", "minimum"),
                    ("greater than", "exclusiveMinimum"),
                )
                if key in way
            }
            kind_of_number = "whole" if way["type"] == "integer" else "number"
            finite = (
                way["type"] == "number" and not bounds.keys() & {"at most", "less than"} and not takes(float("inf"))
            )
            return told | {
                "type": kind_of_number,
                "bounds": bounds,
                "finite": finite,
                "yes_is_one": way["type"] == "number" and takes(False),
                "also": also,
            }
        if way.get("type") == "boolean":
            return told | {"type": "yes or no"}
    return told | {"type": "layers"}


def _choices(field: FieldInfo) -> list[str]:
    """Return the texts that a field must be one of; none where it may be anything else."""
    values = get_args(field.annotation)
    return list(values) if values and all(isinstance(value, str) for value in values) else []


def _taker(field: FieldInfo) -> Any:
    """Return what says whether a field takes a value, by the very check that a layer makes."""
    annotation: Any = field.annotation
    adapter = TypeAdapter(Annotated[(annotation, *field.metadata)] if field.metadata else annotation)

    def takes(value: object) -> bool:
        try:
            adapter.validate_python(value)
        except ValidationError:
            return False
        return True

    return takes
