"""A table of paths, with a row an image: its path, its label, and its split and group if there are any.

CSV and TSV (RFC 4180), JSON lines, lines of a path and a label, and the ``metadata.csv`` or ``metadata.jsonl`` that
Hugging Face's image folders have.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stepladder.datasets.decode_all import decode_splits
from stepladder.datasets.encoded import Encoded, file_entry, files
from stepladder.datasets.image_set import SPLIT_NAMES, ImageSet, first_of_each_class
from stepladder.datasets.labels import match_classes, named_labels
from stepladder.datasets.sources.base import (
    SPLIT_WORDS,
    LabelOptions,
    LoadOptions,
    PathSource,
    below,
    name_of,
    split_of,
    split_of_name,
)
from stepladder.datasets.sources.columns import Columns, Places, find_columns, has_splits
from stepladder.datasets.sources.rows import JSON_LINES, LISTS, TABLES, read_table
from stepladder.datasets.sources.tree import left_out_note
from stepladder.datasets.suspects import paths_of, suspect_groups
from stepladder.datasets.walk import is_image_name, is_left_behind, not_read
from stepladder.errors import DataError, some_of

# Folders in which images are looked for that the table does not list.
_MOST_FOLDERS = 1_000

# As Hugging Face's image folders have them, beside the images.
_METADATA = ("metadata.csv", "metadata.jsonl")

# Whole numbers as programs write them that know fractions alone.
_WHOLE = re.compile(r"-?[0-9]+[.]0+")


@dataclass(frozen=True, slots=True)
class _Row:
    """One image: the table and the line (from 1) where it stands, and what it says; ``group`` where asked for."""

    place: str
    path: str
    below: str
    label: str
    split: str
    group: str = ""


def matches(path: Path) -> bool:
    """Whether ``path`` is a file that is called as a table, or a folder with ``metadata.csv`` or ``metadata.jsonl``."""
    if path.is_file():
        return path.suffix.lower() in (*TABLES, *JSON_LINES, *LISTS)
    return bool(_metadata_at(path))


def holds(path: Path) -> bool:
    """Whether the table surely says paths and labels; a folder may have notes of that name beside class folders."""
    if path.is_file():
        return True
    try:
        for file in _metadata_at(path).values():
            find_columns(file, read_table(file), Places(file, None), LabelOptions())
    except DataError:
        return False
    return True


def _metadata_at(path: Path) -> dict[str | None, Path]:
    """Return the tables of one of Hugging Face's image folders, by the split whose folder they are in."""
    for name in _METADATA:
        if (path / name).is_file():
            return {None: path / name}
    found: dict[str | None, Path] = {}
    if path.is_dir():
        for inner in sorted(path.iterdir()):
            split = split_of(inner.name)
            file = next((inner / name for name in _METADATA if split and (inner / name).is_file()), None)
            if file is not None and split not in found:
                found[split] = file
    return found if "train" in found else {}


def _tables(path: Path, asked: LabelOptions) -> dict[str | None, Path]:
    """Return the table, with those beside it that have its form and the names of other splits: train.txt, test.txt."""
    if split_of_name(path.stem) != "train":
        return {None: path}
    form = read_table(path)
    if asked.split_column is not None or has_splits(form):
        return {None: path}
    found: dict[str | None, Path] = {"train": path}
    for other in sorted(path.parent.iterdir()):
        split = split_of_name(other.stem)
        if split in (None, "train", *found) or other.suffix != path.suffix or _unsplit(other) != _unsplit(path):
            continue
        try:
            table = read_table(other)
        except DataError:
            continue
        if table.header == form.header and table.rows and form.rows and len(table.rows[0]) == len(form.rows[0]):
            found[split] = other
    return found if len(found) > 1 else {None: path}


def _leave_out_lacking(by_split: dict[str, list[_Row]]) -> tuple[str, ...]:
    """Leave a validation split out that nobody asked for and that lacks classes; some of training validates instead."""
    lacking = {row.label for row in by_split["train"]} - {row.label for row in by_split.get("validation", [])}
    if "validation" not in by_split or not lacking:
        return ()
    images = len(by_split.pop("validation"))
    return left_out_note(images, len(lacking))


def _unsplit(path: Path) -> list[str]:
    """Return the words of a file's name without that of its split."""
    return [word for word in re.split(r"[-_. ]", path.stem) if split_of(word) is None]


def load(path: Path, options: LoadOptions) -> ImageSet:
    """Load the images that the table at ``path`` lists; their paths are relative to its folder, or absolute.

    Raises:
        DataError: no column fits, a cell is blank, a file does not exist, a file has two labels, labels differ by case
            or spaces alone, a split is unknown, there is no training image, or splits whose classes differ.
        DamagedImagesError: files that are no readable image (all listed).
    """
    tables = _tables(path, options.labels) if path.is_file() else _metadata_at(path)
    rows: list[_Row] = []
    said: list[str] = []
    others: list[str] = []
    asked = options.labels
    if path.is_file() and len(tables) > 1:
        more_files = some_of([file.name for split, file in tables.items() if split != "train"])
        said.append(f"Read with {path.name}: {more_files}, as its other splits.")
    for split, file in tables.items():
        places = Places(file, None if asked.images is None else Path(asked.images).expanduser())
        columns = find_columns(file, read_table(file), places, asked)
        if isinstance(columns.labels, int):  # all splits have their labels in the same column
            asked = replace(asked, path_column=columns.names[columns.path], label_column=columns.names[columns.labels])
        rows += _rows(file, columns, places, split)
        said += columns.notes
        others += columns.others
    rows, spelled = _spelled(path, rows, fold=options.labels.fold_labels)
    _check_labels(path, rows)
    by_split: dict[str, list[_Row]] = {}
    for row in rows:
        by_split.setdefault(row.split, []).append(row)
    if path.is_file() and len(tables) > 1:
        said += _leave_out_lacking(by_split)
    if "train" not in by_split:
        raise DataError(f"{path} has no row of the split train; name the training rows so, or leave the column out")
    named = {name: named_labels([row.label for row in by_split[name]]) for name in SPLIT_NAMES if name in by_split}
    class_names, labels, class_notes = match_classes(str(path), named)
    groups, group_notes = _groups({name: by_split[name] for name in named}, options.labels)
    taken = {
        name: np.arange(len(labels[name]))
        if options.limit is None
        else first_of_each_class(labels[name], options.limit, groups.get(name))
        for name in named
    }
    encoded = {
        name: _encoded(path, places.folder, by_split[name], labels[name], taken[name], groups.get(name))
        for name in named
    }
    decoded = decode_splits(
        encoded, shape=options.shape, skip_damaged=options.skip_damaged, on_progress=options.access.on_progress
    )
    suspects: tuple[str, ...] = ()
    if not options.labels.asks_groups:
        paths = {name: [by_split[name][i].below for i in taken[name].tolist()] for name in named}
        suspects = suspect_groups(decoded.splits, paths_of(decoded.kept, paths))
    notes = (*suspects, *dict.fromkeys(said), *spelled, *class_notes, *group_notes)
    more = (*_not_listed(rows), *_not_read(list(dict.fromkeys(others))))
    return decoded.image_set(name_of(path), class_names, (*notes, *more))


def _rows(path: Path, columns: Columns, places: Places, split: str | None) -> Iterable[_Row]:
    ones = columns.labels if isinstance(columns.labels, tuple) else None
    label_at = None if isinstance(columns.labels, tuple) else columns.labels
    for line, cells in zip(columns.lines, columns.rows, strict=True):
        label = (
            next(columns.names[at] for at in ones if cells[at] not in ("0", "") and float(cells[at]))
            if ones is not None
            else cells[label_at or 0]
        )
        group = "-" if columns.group is None else cells[columns.group]
        for what, cell in (("path", cells[columns.path]), ("label", label), ("group", group)):
            if not cell:
                raise DataError(f"{path} line {line} has a blank {what}; fill it in, or remove the line")
        word = "train" if columns.split is None else cells[columns.split]
        of_row = split if split is not None else split_of(word)
        if of_row is None:
            raise DataError(
                f"{path} line {line} has the split '{word[:40]}'; it must be one of {', '.join(SPLIT_WORDS)}"
            )
        file = places.file(cells[columns.path])
        yield _Row(f"{path.name} line {line}", file, below(places.folder, file), label, of_row, group)


def _spelled(path: Path, rows: list[_Row], *, fold: bool) -> tuple[list[_Row], tuple[str, ...]]:
    """Return the rows with one spelling a label: whole numbers without fractions, and others as ``fold`` allows.

    Raises:
        DataError: labels differ by case or spaces alone, and nobody said that they are one.
    """
    counts = Counter(row.label for row in rows)
    new = {label: label for label in counts}
    if all(_WHOLE.fullmatch(label) for label in counts):
        new = {label: label.partition(".")[0] for label in counts}
    alike: dict[str, list[str]] = {}
    for label, _ in counts.most_common():
        alike.setdefault(" ".join(label.casefold().split()), []).append(label)
    several = [labels for labels in alike.values() if len(labels) > 1]
    shown = some_of([" and ".join(f"'{label}' ({counts[label]:,})" for label in labels) for labels in several])
    if several and not fold:
        raise DataError(
            f"{path} has labels that differ by case or spaces alone: {shown}; if they are one class, add "
            "`fold_labels=True`, else rename one"
        )
    for labels in several:
        new.update(dict.fromkeys(labels, labels[0]))
    if all(old == label for old, label in new.items()):
        return rows, ()
    notes = (f"Labels that differ by case or spaces alone are one class each: {shown}.",) if several else ()
    return [_Row(row.place, row.path, row.below, new[row.label], row.split, row.group) for row in rows], notes


def _groups(by_split: dict[str, list[_Row]], asked: LabelOptions) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    if asked.group_column is not None:
        return asked.groups_of_column({name: [row.group for row in rows] for name, rows in by_split.items()})
    return asked.groups_of_paths({name: [row.below for row in rows] for name, rows in by_split.items()})


def _not_read(columns: Sequence[str]) -> tuple[str, ...]:
    return (f"Not read: the columns {some_of([name[:40] for name in columns])}.",) if columns else ()


def _not_listed(rows: Sequence[_Row]) -> tuple[str, ...]:
    """Return a note on image files beside those that the table lists; none where there are too many folders to look."""
    written: dict[str, set[str]] = {}
    for row in rows:
        folder, _, name = row.path.rpartition(os.sep)
        written.setdefault(folder, set()).add(name)
    listed: dict[str, set[str]] = {}
    for folder, names in written.items():  # one folder may be written in several ways
        listed.setdefault(os.path.normpath(folder or "."), set()).update(names)
    if len(listed) > _MOST_FOLDERS:
        return ()
    others = [
        name
        for folder, names in listed.items()
        for name in set(os.listdir(folder)) - names  # noqa: PTH208 (texts, for speed)
        if is_image_name(name) and not is_left_behind(name)
    ]
    return not_read(others, "beside those in the table, which does not list them")


def _check_labels(path: Path, rows: Sequence[_Row]) -> None:
    first: dict[str, _Row] = {}
    for row in rows:
        other = first.setdefault(row.path, row)
        if other.label != row.label:
            raise DataError(
                f"{path} gives {row.path} two labels: '{other.label}' in {_line(other)} and '{row.label}' in "
                f"{_line(row)}; keep one"
            )


def _line(row: _Row) -> str:
    return row.place[row.place.rindex("line ") :]


def _encoded(
    path: Path, folder: Path, rows: Sequence[_Row], labels: np.ndarray, kept: np.ndarray, groups: np.ndarray | None
) -> Encoded:
    taken: list[int] = kept.tolist()
    entries = [file_entry(rows[i].path) for i in taken]
    missing = [f"{entry.path} ({_line(rows[i])})" for i, entry in zip(taken, entries, strict=True) if entry.size < 0]
    if missing:
        count = f"{len(missing)} file{'s' if len(missing) > 1 else ''}"
        raise DataError(
            f"{path} lists {count} that cannot be found: {some_of(missing)}; paths are relative to {folder}: mend them"
        )
    places = [f"{rows[i].path} ({rows[i].place})" for i in taken]
    return files(entries, labels[taken], places, None if groups is None else groups[taken])


SOURCE = PathSource(
    "a table of paths",
    "a .csv, .tsv or .jsonl file with paths, labels and, if you like, splits; a .txt file of these; metadata.jsonl",
    matches,
    load,
    holds,
)
