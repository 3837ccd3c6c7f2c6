"""Which column of a table holds what: by what the user says, by usual names, or by what the cells are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stepladder.datasets.sources.base import LabelOptions
from stepladder.datasets.sources.rows import Table
from stepladder.datasets.walk import is_image_name, is_left_behind
from stepladder.errors import DataError, some_of

#: How the columns may be called, in any case; the first is the usual name.
PATH_COLUMNS = ("path", "file", "file_name", "filename", "image", "filepath", "file_path", "image_path", "img_path")
LABEL_COLUMNS = ("label", "class")
SPLIT_COLUMNS = ("split", "subset")

# Rows whose cells are looked at to find a column; and classes that a column of labels may have.
_LOOKED_AT, _MOST_CLASSES = 50, 1_000


@dataclass(frozen=True)
class Columns:
    """Where what stands in each row.

    Attributes:
        names: of all columns, as messages show them.
        path, split, group: positions; None where there is none.
        labels: the position of the labels, or those of one column a class.
        rows, lines: of the images, without a header.
        notes: what was taken for what, where names did not tell.
    """

    names: list[str]
    path: int
    labels: int | tuple[int, ...]
    split: int | None
    group: int | None
    rows: list[list[str]]
    lines: list[int]
    notes: tuple[str, ...]

    @property
    def others(self) -> list[str]:
        """The names of the columns that are not read."""
        labels = self.labels if isinstance(self.labels, tuple) else (self.labels,)
        read = {self.path, self.split, self.group, *labels}
        return [name for at, name in enumerate(self.names) if at not in read and name]


class Places:
    """Where the files are that a table names: below its folder, below another, with their ending or without.

    Args:
        table: its path.
        images: the folder that the user names; None for that of the table, and else one in it.
    """

    def __init__(self, table: Path, images: Path | None) -> None:
        if images is not None and not images.is_dir():
            raise DataError(f"`images` is {images}, and there is no such folder")
        self._named = images is not None
        self.folder = table.parent if images is None else images
        self._stems: dict[str, dict[str, str]] | None = None

    def settle(self, cells: Sequence[str]) -> int:
        """Choose the folder, and whether endings are added, by which most of ``cells`` are files; return how many."""
        folders = [self.folder]
        if not self._named:
            with os.scandir(self.folder) as entries:
                inner = sorted(entry.name for entry in entries if not is_left_behind(entry.name) and entry.is_dir())
            folders += [self.folder / name for name in inner[:100]]
        best = (0, self.folder, False)
        for folder in folders:
            for stems in (False, True):
                place = Places.__new__(Places)
                place._named, place.folder, place._stems = True, folder, {} if stems else None
                there = sum(os.path.isfile(place.file(cell)) for cell in cells if cell and "\0" not in cell)  # noqa: PTH113
                if there > best[0]:
                    best = (there, folder, stems)
            if best[0] == len(cells):
                break
        there, self.folder, stems = best
        self._stems = {} if stems else None
        return there

    def file(self, cell: str) -> str:
        """Return the path that a cell names; it may not be there."""
        path = os.path.join(self.folder, cell)  # noqa: PTH118 (a str, for speed)
        if "\\" in cell and os.sep == "/" and not os.path.exists(path):  # noqa: PTH110
            path = os.path.join(self.folder, cell.replace("\\", "/"))  # noqa: PTH118
        if self._stems is None or is_image_name(path):
            return path
        folder, _, stem = path.rpartition(os.sep)
        return os.path.join(folder, self._listed(folder).get(stem, stem))  # noqa: PTH118

    def _listed(self, folder: str) -> dict[str, str]:
        assert self._stems is not None
        if folder not in self._stems:
            try:
                names = sorted(os.listdir(folder))  # noqa: PTH208 (texts, for speed)
            except (OSError, ValueError):
                names = []
            self._stems[folder] = {name.rpartition(".")[0]: name for name in names if is_image_name(name)}
        return self._stems[folder]


def find_columns(path: Path, table: Table, places: Places, asked: LabelOptions) -> Columns:
    """Find the columns of a table.

    Raises:
        DataError: there is none that fits, several do, or one that was asked for is not there.
    """
    rows, lines, header = table.rows, table.lines, table.header
    notes = list(table.notes)
    if header is not None and (any(map(is_image_name, header)) or _is_file(places, header)):
        rows, lines, header = [header, *rows], [1, *lines], None
        notes.append(f"{path.name} has no header: its first line is that of an image.")
    width = len(rows[0]) if header is None and rows else len(header or ())
    names = [f"column {at + 1}" for at in range(width)] if header is None else header
    if not rows and names and header is not None and any(names):
        by_name = _named(names, PATH_COLUMNS)
        if by_name is not None and _named(names, LABEL_COLUMNS) is not None:
            raise DataError(f"{path} lists no images; give it a row for each")
    split = _column(path, names, "split_column", asked.split_column, SPLIT_COLUMNS)
    group = _column(path, names, "group_column", asked.group_column, ())
    path_at = _column(path, names, "path_column", asked.path_column, PATH_COLUMNS)
    some = [rows[at] for at in np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _LOOKED_AT))).astype(int)]
    taken = {split, group} - {None}
    if path_at is None:
        path_at = _find_paths(path, names, some, places, {one for one in taken if one is not None})
        notes.append(f"The paths were found in {names[path_at]}, by its cells; say so with `path_column`.")
    else:
        places.settle([row[path_at] for row in some])
    label: int | tuple[int, ...] | None = _column(path, names, "label_column", asked.label_column, LABEL_COLUMNS)
    if label is None:
        others = [at for at in range(width) if at not in (path_at, split, group)]
        label, note = _find_labels(path, names, rows, others)
        notes.append(note)
    if not rows:
        raise DataError(f"{path} lists no images; give it a row for each")
    return Columns(names, path_at, label, split, group, rows, lines, tuple(notes))


def has_splits(table: Table) -> bool:
    """Whether a table has a column that is called as one of splits."""
    return table.header is not None and _named(table.header, SPLIT_COLUMNS) is not None


def _is_file(places: Places, cells: Sequence[str]) -> bool:
    return any(
        ("/" in cell or "\\" in cell) and "\0" not in cell and os.path.isfile(places.file(cell))  # noqa: PTH113
        for cell in cells
    )


def _named(names: Sequence[str], usual: Sequence[str]) -> int | None:
    lower = [name.strip().lower() for name in names]
    return next((lower.index(name) for name in usual if name in lower), None)


def _column(path: Path, names: list[str], option: str, asked: str | None, usual: Sequence[str]) -> int | None:
    """Return the column that ``option`` names, in any case, or one with a usual name."""
    if asked is None:
        return _named(names, usual)
    found = _named(names, (asked.strip().lower(),))
    if found is None:
        raise DataError(f"`{option}` is {asked}, and {path} has no such column; columns: {_shown(names)}")
    return found


def _shown(names: Sequence[str]) -> str:
    return some_of([name[:40] for name in names], at_most=10) or "none"


def _find_paths(path: Path, names: list[str], some: list[list[str]], places: Places, taken: set[int]) -> int:
    """Return the column whose cells are files, with ending or without."""
    found: list[tuple[int, int]] = []
    for at in range(len(names)):
        if at in taken or not some:
            continue
        cells = [row[at] for row in some]
        if sum(bool(cell) for cell in cells) < len(cells) or len(set(cells)) < min(2, len(cells)):
            continue
        found.append((places.settle(cells), at))
    there, best = max(found, default=(0, -1), key=lambda one: (one[0], -one[1]))
    if there < 0.5 * len(some) or not there:
        endings = sum(any(is_image_name(row[at]) for row in some) for at in range(len(names)))
        hint = " (say where the images are with `images`)" if endings else ""
        raise DataError(
            f"{path} has no column with the path: call it {' or '.join(PATH_COLUMNS[:5])}, or name it with "
            f"`path_column`{hint}; columns: {_shown(names)}"
        )
    places.settle([row[best] for row in some])
    return best


def _find_labels(
    path: Path, names: list[str], rows: list[list[str]], others: list[int]
) -> tuple[int | tuple[int, ...], str]:
    """Return the one column with few distinct values, or those of one column a class; and a note."""
    values = {at: Counter(row[at] for row in rows) for at in others}
    ones = tuple(at for at in others if {_number(value) for value in values[at]} == {0.0, 1.0})
    if len(ones) >= 2:
        sums = np.array([sum(_number(row[at]) == 1.0 for at in ones) for row in rows])
        if (sums == 1).all():
            return ones, (
                f"Labels were read from {len(ones)} columns, one a class ({some_of([names[at] for at in ones])})."
            )
        if (sums > 1).any() and len(ones) == len(others):
            raise DataError(
                f"{path} has a column for each class, and {int((sums > 1).sum()):,} rows have several; several labels "
                "an image are not supported: name one column with `label_column`"
            )
    few = [at for at in others if 2 <= len(values[at]) <= min(len(rows) // 2, _MOST_CLASSES)]
    if len(few) == 1:
        (at,) = few
        return at, (
            f"The labels were found in {names[at]}, the one column with few different values "
            f"({len(values[at])}); say so with `label_column`."
        )
    if few:
        counted = some_of([f"{names[at]} ({len(values[at])})" for at in few], at_most=10)
        raise DataError(
            f"{path} has no column called {' or '.join(LABEL_COLUMNS)}, and several could be labels, by how many "
            f"different values they have: {counted}; name one with `label_column`"
        )
    raise DataError(
        f"{path} has no column with the label: call it {' or '.join(LABEL_COLUMNS)}, or name it with `label_column`; "
        f"columns: {_shown(names)}"
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
