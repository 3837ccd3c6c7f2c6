"""A table against the model of what it must be, and what is wrong with it in one clear sentence."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stepladder.errors import RecipeError, unknown

Model = TypeVar("Model", bound=BaseModel)
_NONE: Mapping[str, type[BaseModel]] = MappingProxyType({})


def check(
    model: type[Model],
    table: Mapping[str, Any],
    place: str,
    parts: Mapping[str, type[BaseModel]] = _NONE,
    whole: str = "the recipe",
) -> Model:
    """Return ``table`` as a ``model``.

    Args:
        place: where the table stands, for the message; empty for a whole recipe.
        whole: what the table is, where ``place`` is empty.
        parts: models within the model, by the key or kind that they stand under.

    Raises:
        RecipeError: it does not fit; one sentence with the value, what is allowed and the fix.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise RecipeError(_sentence(error.errors(), model, table, place, parts, whole)) from error


def _sentence(
    errors: list[ErrorDetails],
    model: type[BaseModel],
    table: Mapping[str, Any],
    place: str,
    parts: Mapping[str, type[BaseModel]],
    whole: str,
) -> str:
    """Say the first of pydantic's errors in one sentence with the value, what is allowed and the fix."""
    first = errors[0]
    *parents, name = _readable(first["loc"], table, place)
    location = ".".join([*parents, name])
    if first["type"] == "extra_forbidden":
        holder = model if len(first["loc"]) == 1 else parts.get(str(first["loc"][-2]))
        if holder is None or not holder.model_fields:
            return f"unknown setting '{location}'; {'.'.join(parents)} has none of that name, remove it"
        known = holder.model_fields
        return unknown("setting", location, [".".join([*parents, field]) for field in known])
    if first["type"] == "missing":
        return f"{location} is missing; add it to {'.'.join(parents) or whole}"
    if place and len(first["loc"]) == 1 and first["type"] in _OUT_OF_RANGE and name in model.model_fields:
        return f"{location} is {_shown(first['input'])}; it must be {range_of(model, name)}"
    # One value, several ways to be right ("classes" or a number): an error each.
    allowed = dict.fromkeys(_allowed(error) for error in errors if _readable(error["loc"], table, place)[-1] == name)
    return f"{location} is {_shown(first['input'])}; it must be {' or '.join(allowed)}"


def _readable(loc: tuple[int | str, ...], table: Any, place: str) -> list[str]:
    """Return where in ``table`` an error is, a list's entries by their names; pydantic's own words are left out."""
    words = [place] if place else []
    value = table
    for part in loc:
        if isinstance(part, int):
            value = value[part]
            words.append(str(value["name"] if isinstance(value, Mapping) and "name" in value else part + 1))
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
            words.append(part)
        elif part == loc[-1] and isinstance(value, Mapping):
            words.append(part)  # the missing one
    return words


_OUT_OF_RANGE = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


def range_of(model: type[BaseModel], name: str) -> str:
    """Return what a field takes, in words: ``0 to 1``, ``above 0 and at most 1``, ``true or false``."""
    return _range(model.model_json_schema()["properties"][name])


def _range(schema: Mapping[str, Any]) -> str:
    # A field that may be None is a choice of two schemas.
    for part in schema.get("anyOf", ()):
        if part.get("type") != "null":
            return _range(part)
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    if schema.get("type") == "boolean":
        return "true or false"
    if schema.get("type") == "array" and schema.get("items"):
        return f"a list, each {_range(schema['items'])}"
    if schema.get("type") not in ("number", "integer"):
        return "a text"
    low, above, high, below = (
        schema.get(key) for key in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
    )
    if low is not None and high is not None:
        return f"{low:,.12g} to {high:,.12g}"
    bounds = ((above, "above"), (low, "at least"), (below, "below"), (high, "at most"))
    words = [f"{word} {value:,.12g}" for value, word in bounds if value is not None]
    return " and ".join(words) or ("a whole number" if schema["type"] == "integer" else "a number")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _allowed(error: ErrorDetails) -> str:
    if error["type"] == "string_pattern_mismatch":
        spaced = " " in error["ctx"]["pattern"]
        return "a name of letters, digits, spaces and . + - _" if spaced else "a word of letters, digits and _"
    if error["type"] in _ALLOWED:
        return _ALLOWED[error["type"]]
    if error["type"] == "union_tag_invalid":
        return f"of one of the kinds {error['ctx']['expected_tags']}"
    message = error["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    for wordy, plain in {"greater than or equal to": "at least", "less than or equal to": "at most"}.items():
        message = message.replace(wordy, plain)
    return message[0].lower() + message[1:]


_ALLOWED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "a text",
    "string_unicode": "a text of Unicode characters",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "finite_number": "a finite number",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "union_tag_not_found": "a table with a kind",
}
