"""Tables as JSON: COCO's annotations, records, columns, and mappings of paths to labels or of labels to paths."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stepladder.datasets.sources.rows import PATH_COLUMNS, Table, cell_of, objects_table
from stepladder.datasets.walk import is_image_name
from stepladder.errors import DataError, some_of

_FORMS = (
    'COCO\'s annotations, a list of records as [{"path": "1.jpg", "label": "cat"}], or a mapping as {"1.jpg": "cat"}'
)


#: What COCO says of every image, of which only the name of its file matters here.
_COCO_FIELDS = frozenset(
    {"id", "file_name", "label", "width", "height", "license", "flickr_url", "coco_url", "date_captured", "url"}
)


def read_json_rows(path: Path, text: str, notes: tuple[str, ...] = ()) -> Table:
    """Return what the JSON document of a file lists, told by its form.

    Raises:
        DataError: it is no JSON, or of none of these forms; or of COCO, an image has several labels.
    """
    try:
        found: Any = json.loads(text, object_pairs_hook=_each_key_once)
    except _TwiceError as error:
        raise DataError(f"{path} has the key '{error}' twice, with different values; keep one") from None
    except (ValueError, RecursionError) as error:
        if (lines := _objects_in_lines(text)) is not None:
            return objects_table((str(path), path.name), lines, range(1, len(lines) + 1), "record", notes)
        raise DataError(f"{path} is no JSON ({error}); mend it") from error
    where = (str(path), path.name)
    if isinstance(found, dict):
        if isinstance(found.get("annotations"), list) and isinstance(found.get("images"), list):
            return _coco(where, found, notes)
        lists = [value for value in found.values() if _are_objects(value)]
        if len(lists) == 1:  # {"data": [{…}], "version": 1}
            return objects_table(where, lists[0], range(1, len(lists[0]) + 1), "record", notes)
        if (table := _columns(where, found, notes) or _mapping(where, found, notes)) is not None:
            return table
    elif _are_objects(found):
        return objects_table(where, found, range(1, len(found) + 1), "record", notes)
    elif _are_pairs(found):
        return _pairs(where, [(cell_of(file), cell_of(label)) for file, label in found], notes)
    raise DataError(f"{path} is JSON, but no list of labels; it may be {_FORMS}")


class _TwiceError(Exception):
    """A key that an object has twice."""


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next((key for key, value in pairs if found[key] != value), None)
        if twice is not None:
            raise _TwiceError(twice[:100])
    return found


def _objects_in_lines(text: str) -> list[dict[str, Any]] | None:
    """Return the objects of JSON lines under the ending of JSON; None where some line is none."""
    try:
        found = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return None
    return found if _are_objects(found) else None


def _are_objects(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _are_pairs(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, list) and len(one) == 2 for one in value)


def _pairs(where: tuple[str, str], pairs: Sequence[tuple[str, str]], notes: tuple[str, ...]) -> Table:
    columns = [[file for file, _ in pairs], [label for _, label in pairs]]
    lines = range(1, len(pairs) + 1)
    return Table(*where, ["path", "label"], columns, lines, notes, "record", f"the labels in {where[1]}")


def _columns(where: tuple[str, str], found: Mapping[str, Any], notes: tuple[str, ...]) -> Table | None:
    """Return columns as pandas writes them: ``{"path": {"0": …}, "label": {"0": …}}``, or lists in place of these.

    Or the names of the columns apart: ``{"columns": ["path", "label"], "data": [["1.jpg", "cat"], …]}``.
    """
    names, rows = found.get("columns"), found.get("data")
    if isinstance(names, list) and names and isinstance(rows, list):
        if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
            return None
        cells = [[cell_of(row[at]) for row in rows] for at in range(len(names))]
        return Table(*where, list(map(str, names)), cells, range(1, len(rows) + 1), notes, "record")
    if not any(name.strip().lower() in PATH_COLUMNS for name in found):
        return None
    if all(isinstance(column, dict) for column in found.values()):
        keys = list(dict.fromkeys(key for column in found.values() for key in column))
        cells = [[cell_of(column.get(key)) for key in keys] for column in found.values()]
    elif all(isinstance(column, list) for column in found.values()) and len(set(map(len, found.values()))) == 1:
        cells = [list(map(cell_of, column)) for column in found.values()]
    else:
        return None
    return Table(*where, list(found), cells, range(1, len(cells[0]) + 1), notes, "record")


def _mapping(where: tuple[str, str], found: Mapping[str, Any], notes: tuple[str, ...]) -> Table | None:
    """Return ``{path: label}``, ``{path: {"label": …}}``, ``{label: [path, …]}`` or ``{"labels": [[path, …], …]}``."""
    if list(found) == ["labels"] and _are_pairs(found["labels"]):  # of StyleGAN
        return _pairs(where, [(cell_of(file), cell_of(label)) for file, label in found["labels"]], notes)
    if found and all(isinstance(value, dict) for value in found.values()) and all(map(is_image_name, found)):
        objects = [{**value, "path": key} for key, value in found.items()]
        return objects_table(where, objects, range(1, len(objects) + 1), "record", notes)
    if found and all(isinstance(value, str | int | float) for value in found.values()):
        return _pairs(where, [(key.strip(), cell_of(value)) for key, value in found.items()], notes)
    texts = [isinstance(value, list) and all(isinstance(one, str) for one in value) for value in found.values()]
    if found and all(texts) and all(map(is_image_name, found)):  # {path: [label]}
        return _pairs(where, [(key.strip(), cell_of(value)) for key, value in found.items()], notes)
    if found and all(texts):
        return _pairs(where, [(one.strip(), key.strip()) for key, value in found.items() for one in value], notes)
    return None


def _coco(where: tuple[str, str], found: Mapping[str, Any], notes: tuple[str, ...]) -> Table:
    """Return the images of COCO's annotations (cocodataset.org, "Data format") with the name of their one category."""
    files = {_id(where, "images", one, "id"): one.get("file_name") for one in found["images"]}
    categories = found.get("categories")
    if not isinstance(categories, list) or not categories:
        raise DataError(f"{where[0]} has images and annotations, and no categories; add them, with id and name")
    names = {_id(where, "categories", one, "id"): cell_of(one.get("name", one.get("id"))) for one in categories}
    twins = [name for name, count in Counter(names.values()).items() if count > 1]
    if twins:
        raise DataError(f"{where[0]} names two categories '{twins[0]}'; rename one")
    labels: dict[object, dict[str, None]] = {}
    for one in found["annotations"]:
        image, category = _id(where, "annotations", one, "image_id"), _id(where, "annotations", one, "category_id")
        for what, key, known in (("image", image, files), ("category", category, names)):
            if key not in known:
                raise DataError(f"{where[0]} has an annotation of the {what} {key}, which it does not list; mend it")
        labels.setdefault(image, {})[names[category]] = None
    several = [f"{files[image]} ({', '.join(of_image)})" for image, of_image in labels.items() if len(of_image) > 1]
    if several:
        raise DataError(
            f"{where[0]} gives {len(several):,} of {len(files):,} images annotations of several categories, as "
            f"{some_of(several, at_most=2)}; several labels an image are not supported: keep one category an image"
        )
    listed = {image: file for image, file in files.items() if image in labels}
    bare = len(files) - len(listed)
    if bare:
        were = "1 image has no annotation and was" if bare == 1 else f"{bare:,} images have no annotation and were"
        notes = (*notes, f"{were} left out, as {where[1]} gives no label.")
    positions = {image: at for at, image in enumerate(files, 1)}
    columns = [[cell_of(file) for file in listed.values()], [next(iter(labels[image])) for image in listed]]
    lines = [positions[image] for image in listed]
    # What sets of their own say of an image: a place, a sequence, a split.
    objects = [found["images"][at - 1] for at in lines]
    more = [key for key in dict.fromkeys(key for one in objects for key in one) if key not in _COCO_FIELDS]
    columns += [[cell_of(one.get(key)) for one in objects] for key in more]
    header = ["file_name", "label", *map(str, more)]
    return Table(*where, header, columns, lines, notes, "image", f"the categories of {where[1]}")


def _id(where: tuple[str, str], part: str, one: object, key: str) -> object:
    value = one.get(key) if isinstance(one, dict) else None
    if not isinstance(value, str | int):
        raise DataError(f"{where[0]} has {part} without {key}; as of COCO, each must have one, a number")
    return value
