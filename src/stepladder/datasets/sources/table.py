"""A table of paths: CSV or TSV (RFC 4180) with a row an image: its path, its label, and its split if there is one."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stepladder.datasets.decode_all import decode_splits
from stepladder.datasets.encoded import Encoded, file_entry, files
from stepladder.datasets.image_set import SPLIT_NAMES, ImageSet, first_of_each_class
from stepladder.datasets.labels import match_classes, named_labels
from stepladder.datasets.mapped import demand_memory
from stepladder.datasets.sources.base import (
    SPLIT_WORDS,
    LabelOptions,
    LoadOptions,
    PathSource,
    below,
    name_of,
    split_of,
)
from stepladder.datasets.walk import is_image_name, is_left_behind, not_read
from stepladder.errors import DataError, some_of

#: How the columns may be called, in any case; the first is the usual name.
PATH_COLUMNS = ("path", "file", "file_name", "filename", "image")
LABEL_COLUMNS = ("label", "class")
SPLIT_COLUMNS = ("split", "subset")

#: A larger table is none of paths; it would only fill the memory.
MAX_TABLE_BYTES = 500_000_000

# Folders in which images are looked for that the table does not list.
_MOST_FOLDERS = 1_000

# Bytes in memory for each of the file's, about.
_HELD = 6


@dataclass(frozen=True, slots=True)
class _Row:
    """One image: the line where it stands (from 1), and what it says; ``group`` where that was asked for."""

    line: int
    path: str
    label: str
    split: str
    group: str = ""


def matches(path: Path) -> bool:
    """Whether ``path`` is a .csv or .tsv file."""
    return path.suffix.lower() in (".csv", ".tsv") and path.is_file()


def load(path: Path, options: LoadOptions) -> ImageSet:
    """Load the images that the table at ``path`` lists; their paths are relative to its folder, or absolute.

    Raises:
        DataError: a column is missing, a cell is blank, a file does not exist, a file has two labels, a split is
            unknown, there is no training image, or splits whose classes differ.
        DamagedImagesError: files that are no readable image (all listed).
    """
    rows, columns = _read(path, options.labels)
    _check_labels(path, rows)
    by_split: dict[str, list[_Row]] = {}
    for row in rows:
        by_split.setdefault(row.split, []).append(row)
    if "train" not in by_split:
        raise DataError(f"{path} has no row of the split train; name the training rows so, or leave the column out")
    named = {name: named_labels([row.label for row in by_split[name]]) for name in SPLIT_NAMES if name in by_split}
    class_names, labels, class_notes = match_classes(str(path), named)
    groups, group_notes = _groups(path, {name: by_split[name] for name in named}, options.labels)
    encoded = {name: _encoded(path, by_split[name], labels[name], options.limit, groups.get(name)) for name in named}
    decoded = decode_splits(
        encoded, shape=options.shape, skip_damaged=options.skip_damaged, on_progress=options.access.on_progress
    )
    notes = (*class_notes, *group_notes, *_not_listed(rows), *_not_read(columns))
    return decoded.image_set(name_of(path), class_names, notes)


def _groups(
    path: Path, by_split: dict[str, list[_Row]], asked: LabelOptions
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    if asked.group_column is not None:
        return asked.groups_of_column({name: [row.group for row in rows] for name, rows in by_split.items()})
    return asked.groups_of_paths(
        {name: [below(path.parent, row.path) for row in rows] for name, rows in by_split.items()}
    )


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


def _read(path: Path, asked: LabelOptions) -> tuple[list[_Row], list[str]]:
    if (size := path.stat().st_size) > MAX_TABLE_BYTES:
        raise DataError(f"{path} has {size / 1e6:.0f} MB; a table may have {MAX_TABLE_BYTES // 1_000_000} MB")
    demand_memory(f"the lines of {path} take", _HELD * size, "split it into smaller tables")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            start = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=_delimiter(path, start), strict=True)
            columns: list[str] = []
            rows = list(_rows(path, reader, columns, asked))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start:,}); save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as a table ({error}); save it as CSV in UTF-8") from error
    if not rows:
        raise DataError(f"{path} lists no images; give it a row for each")
    return rows, columns


def _delimiter(path: Path, start: str) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    # Spreadsheets write semicolons where the comma is the decimal point.
    return max(",;\t", key=start.count)


def _rows(path: Path, reader: Iterator[list[str]], others: list[str], asked: LabelOptions) -> Iterator[_Row]:
    """Read the rows; the columns that are not read are added to ``others``."""
    header = [name.strip().lower() for name in next(reader, [])]
    path_at = _column(path, header, "path", PATH_COLUMNS)
    label_at = _column(path, header, "label", LABEL_COLUMNS)
    split_at = next((header.index(name) for name in SPLIT_COLUMNS if name in header), None)
    group_at = None
    if asked.group_column is not None:
        group_at = _asked_column(path, header, "group_column", asked.group_column)
    known = (path_at, label_at, split_at, group_at)
    others += [name for at, name in enumerate(header) if at not in known and name]
    for cells in reader:
        line = getattr(reader, "line_num", 0)
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise DataError(f"{path} line {line} has {len(cells)} cells, its header {len(header)}; mend the line")
        file, label = cells[path_at].strip(), cells[label_at].strip()
        group = "-" if group_at is None else cells[group_at].strip()
        for what, cell in (("path", file), ("label", label), ("group", group)):
            if not cell:
                raise DataError(f"{path} line {line} has a blank {what}; fill it in, or remove the line")
        word = "train" if split_at is None else cells[split_at].strip()
        split = split_of(word)
        if split is None:
            raise DataError(
                f"{path} line {line} has the split '{word[:40]}'; it must be one of {', '.join(SPLIT_WORDS)}"
            )
        yield _Row(line, os.path.join(path.parent, file), label, split, group)  # noqa: PTH118 (a str, for speed)


def _column(path: Path, header: list[str], what: str, names: tuple[str, ...]) -> int:
    found = [name for name in names if name in header]
    if not found:
        columns = some_of([name[:40] for name in header], at_most=10) or "none"
        raise DataError(f"{path} has no column with the {what}: call it {' or '.join(names)}; columns: {columns}")
    return header.index(found[0])


def _asked_column(path: Path, header: list[str], option: str, name: str) -> int:
    """Return where the column is that ``option`` names, in any case."""
    if name.strip().lower() not in header:
        columns = some_of([one[:40] for one in header], at_most=10) or "none"
        raise DataError(f"`{option}` is {name}, and {path} has no such column; columns: {columns}")
    return header.index(name.strip().lower())


def _check_labels(path: Path, rows: Sequence[_Row]) -> None:
    first: dict[str, _Row] = {}
    for row in rows:
        other = first.setdefault(row.path, row)
        if other.label != row.label:
            raise DataError(
                f"{path} gives {row.path} two labels: '{other.label}' in line {other.line} and '{row.label}' in line "
                f"{row.line}; keep one"
            )


def _encoded(
    path: Path, rows: Sequence[_Row], labels: np.ndarray, limit: int | None, groups: np.ndarray | None
) -> Encoded:
    kept = np.arange(len(rows)) if limit is None else first_of_each_class(labels, limit, groups)
    taken: list[int] = kept.tolist()
    entries = [file_entry(rows[i].path) for i in taken]
    missing = [f"{entry.path} (line {rows[i].line})" for i, entry in zip(taken, entries, strict=True) if entry.size < 0]
    if missing:
        count = f"{len(missing)} file{'s' if len(missing) > 1 else ''}"
        raise DataError(
            f"{path} lists {count} that cannot be found: {some_of(missing)}; paths are relative to {path.parent}: "
            "mend them"
        )
    places = [f"{rows[i].path} ({path.name} line {rows[i].line})" for i in taken]
    return files(entries, labels[taken], places, None if groups is None else groups[taken])


SOURCE = PathSource(
    "a table of paths", "a .csv or .tsv file with the columns path, label and, if you like, split", matches, load
)
