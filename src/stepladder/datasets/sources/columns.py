"""Which column of a table holds what: by what the user says, by usual names, or by what the cells are."""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stepladder.datasets import filesystem
from stepladder.datasets.sources.base import SPLIT_WORDS, LabelOptions, split_of
from stepladder.datasets.sources.rows import LABEL_COLUMNS, PATH_COLUMNS, SPLIT_COLUMNS, Table
from stepladder.datasets.walk import is_folder, is_image_name, is_left_behind
from stepladder.errors import DataError, some_of

# Rows whose cells are looked at to find a column; and classes that a column of labels may have.
_LOOKED_AT, _MOST_CLASSES = 50, 1_000

# Ways in which a table writes 0 and 1: as 0, 0.0, 1, 1.0; and the words for it.
_MOST_BITS = 6
_BITS = {"": 0.0, "false": 0.0, "no": 0.0, "n": 0.0, "true": 1.0, "yes": 1.0, "y": 1.0, "x": 1.0}

# The share of files by which paths are read without their start.
_NEARLY_ALL = 0.8

# Folders in or beside that of a table in which its files are looked for.
_MOST_FOLDERS = 100


# What a column may be called whose values several images share; words that may be classes too need a sign that these
# are no names. And the most different values for each of its cells.
_OF_SEVERAL = re.compile(
    "(burst|clip|film|individual|lesion|participant|patient|sequence|series|session|slide|specimen|subject|track|video)"
    "s?([ _-]?(code|id|name|no|nr|number|uid))?|(animal|case|group|object|person|plate|scene|study)[ _-]?"
    "(code|id|no|nr|number|uid)",
    re.IGNORECASE,
)
_COME_AGAIN = 0.9


class SeveralLabelsError(DataError):
    """Several columns could be the labels.

    Args:
        names: of these columns.
    """

    def __init__(self, message: str, names: Sequence[str]) -> None:
        super().__init__(message)
        self.names = tuple(names)


@dataclass(frozen=True)
class Columns:
    """Where what stands in the rows of a table.

    Attributes:
        table: with all of its rows; a header that was none is one of them.
        path: the position of the column with the paths.
        labels: that of the labels, or those of one column a class.
        split, group: likewise; None where there is none.
        state: how to say what was not said and is not told by usual names, as arguments.
        notes: what was taken for what, where names did not tell.
    """

    table: Table
    path: int
    labels: int | tuple[int, ...]
    split: int | None
    group: int | None
    state: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def labels_from(self) -> str:
        """Where the labels are, in words."""
        names, name = self.table.names, self.table.name
        if isinstance(self.labels, tuple):
            return f"{len(self.labels)} columns of {name}, one a class"
        return self.table.labels_from or f"column '{names[self.labels]}' of {name}"

    @property
    def others(self) -> list[str]:
        """The names of the columns that are not read."""
        labels = self.labels if isinstance(self.labels, tuple) else (self.labels,)
        read = {self.path, self.split, self.group, *labels}
        return [name for at, name in enumerate(self.table.names) if at not in read and name]


class Places:
    """Where the files are that a table names: below a folder, or one in it or beside it, with their ending or without.

    Args:
        folder: that of the table, or of the images.
        images: the folder that the user names for the paths to start from; None looks for it.
    """

    def __init__(self, folder: Path, images: Path | None = None) -> None:
        if images is not None and not filesystem.is_folder(images):
            raise DataError(f"`images` is {images}, and there is no such folder")
        self._start = folder if images is None else images
        self._named = images is not None
        self.folder = self._start
        self._stems: dict[str, dict[str, str]] | None = None
        self._left_out = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to find the files, where a user would not expect it."""
        if not self._left_out:
            return ()
        return (f"Paths were read without {self._left_out!r}, with which they start and which is not here.",)

    def settle(self, cells: Sequence[str]) -> int:
        """Choose the folder, and whether endings are added, by which most of ``cells`` are files; return how many."""
        asked = [cell for cell in cells if cell and "\0" not in cell]
        self._left_out = ""
        best = self._try([self._start], asked, (0, self._start, False))
        if not self._named and best[0] < len(cells):
            best = self._try(_folders_in(self._start), asked, best)
            if 2 * best[0] < len(cells):  # annotations/train.csv beside images/
                above = filesystem.folder_above(self._start)
                best = self._try([above, *_folders_in(above)], asked, best)
        if not best[0]:
            best = self._try_without_start(asked, best)
        there, self.folder, stems = best
        self._stems = {} if stems else None
        return there

    def _try_without_start(self, cells: list[str], best: tuple[int, Path, bool]) -> tuple[int, Path, bool]:
        """Look for files whose paths start as on another computer: ``/kaggle/input/pets/cat/1.jpg``."""
        written = [cell.replace("\\", "/") for cell in cells]
        if len(set(written)) < 2 or len({cell.startswith("/") for cell in written}) > 1:
            return best
        parts = posixpath.commonpath(written).split("/")
        for count in range(1, len(parts) + 1):
            self._left_out = "/".join(parts[:count]) + "/"
            found = self._try([self._start], cells, best)
            if found[0] > _NEARLY_ALL * len(cells):  # single ones may be there by chance
                return found
        self._left_out = ""
        return best

    def _try(self, folders: Iterable[Path], cells: list[str], best: tuple[int, Path, bool]) -> tuple[int, Path, bool]:
        for folder in folders:
            for stems in (False, True):
                self.folder, self._stems = folder, {} if stems else None
                there = sum(map(filesystem.is_file, self.files(cells)))
                if there > best[0]:
                    best = (there, folder, stems)
                if best[0] == len(cells):
                    return best
        return best

    def files(self, cells: Sequence[str]) -> list[str]:
        """Return the paths that cells name; they may not be there."""
        start = "" if str(self.folder) == "." else f"{str(self.folder).rstrip(os.sep)}{os.sep}"
        if self._left_out:
            cells = [cell.replace("\\", "/").removeprefix(self._left_out) for cell in cells]
        absolute = os.path.isabs
        paths = [cell if cell.startswith("/") or absolute(cell) else start + cell for cell in cells]
        if os.sep == "/" and any("\\" in cell for cell in cells):
            paths = [_with_slashes(path, start) for path in paths]
        if self._stems is None:
            return paths
        return [path if is_image_name(path) else self._with_ending(path) for path in paths]

    def _with_ending(self, path: str) -> str:
        assert self._stems is not None
        folder, slash, stem = path.rpartition(os.sep)
        if folder not in self._stems:
            try:
                names = sorted(filesystem.names_in(folder or slash or "."))
            except (OSError, ValueError):
                names = []
            self._stems[folder] = {name.rpartition(".")[0]: name for name in names if is_image_name(name)}
        return f"{folder}{slash}{self._stems[folder].get(stem, stem)}"


def _folders_in(folder: Path) -> list[Path]:
    try:
        entries = list(filesystem.scan(folder))
    except OSError:
        return []
    inner = sorted(one.name for one in entries if not is_left_behind(one.name) and is_folder(one))
    return [folder / name for name in inner[:_MOST_FOLDERS]]


def _with_slashes(path: str, start: str) -> str:
    if "\\" not in path or filesystem.exists(path):
        return path
    inner = path.removeprefix(start)
    return path[: len(path) - len(inner)] + inner.replace("\\", "/")


def find_columns(table: Table, places: Places, asked: LabelOptions, *, finds_split: bool = True) -> Columns:
    """Find the columns of a table.

    Args:
        finds_split: look for a column of splits that has no usual name.

    Raises:
        DataError: there is none that fits, several do, or one that was asked for is not there.
    """
    table = _without_false_header(table, places)
    names, count = table.names, len(table.lines)
    if not count and _named(names, PATH_COLUMNS) is not None and _named(names, LABEL_COLUMNS) is not None:
        raise DataError(f"{table.where} lists no images; give it a row for each")
    split = _column(table, "split_column", asked.split_column, SPLIT_COLUMNS)
    group = _column(table, "group_column", asked.group_column, ())
    taken = {at for at in (split, group) if at is not None}
    path, told = _paths(table, places, asked, taken)
    state = [] if told else [f"`path_column={names[path]!r}`"]
    label: int | tuple[int, ...] | None = _column(table, "label_column", asked.label_column, LABEL_COLUMNS)
    others = [at for at in range(len(names)) if at not in (path, split, group, label)]
    notes = [*table.notes, *places.notes]
    if split is None and finds_split and (split := _find_splits(table, others)) is not None:
        others.remove(split)
        notes.append(
            f"Splits: from column '{names[split]}' of {table.name}; state it with `split_column={names[split]!r}`."
        )
    if label is None:
        label = _find_labels(table, others)
    if not count:
        raise DataError(f"{table.where} lists no images; give it a row for each")
    if asked.label_column is None and isinstance(label, int) and not table.labels_from:
        state.append(f"`label_column={names[label]!r}`")
    return Columns(table, path, label, split, group, tuple(state), tuple(notes))


def find_files(table: Table, places: Places, asked: LabelOptions) -> tuple[Table, list[str]]:
    """Return a table, without labels maybe, and the files that its rows name, in their order.

    Raises:
        DataError: no column names files, or the one that was asked for is not there.
    """
    table = _without_false_header(table, places)
    if not len(table.lines):
        raise DataError(f"{table.where} lists no images; give it a row for each")
    path, _ = _paths(table, places, asked, set())
    return table, places.files(table.columns[path])


def _without_false_header(table: Table, places: Places) -> Table:
    """Return the table with its first row among the others where that names a file."""
    header = table.header
    if header is not None and (any(map(is_image_name, header)) or _is_file(places, header)):
        return table.without_header()
    return table


def _paths(table: Table, places: Places, asked: LabelOptions, taken: set[int]) -> tuple[int, bool]:
    """Return the column with the paths, none of those that are ``taken``, and whether its name tells it."""
    count = len(table.lines)
    path = _column(table, "path_column", asked.path_column, PATH_COLUMNS)
    some = np.unique(np.linspace(0, count - 1, min(count, _LOOKED_AT))).astype(int).tolist() if count else []
    if path is None:
        return _find_paths(table, some, places, taken), False
    if not places.settle([table.columns[path][row] for row in some]) and asked.path_column is None:
        with suppress(DataError):  # no file of it is there, but those of another column may be
            return _find_paths(table, some, places, taken), False
    return path, True


def has_splits(table: Table) -> bool:
    """Whether a table has a column that is called as one of splits."""
    return table.header is not None and _named(table.header, SPLIT_COLUMNS) is not None


def _is_file(places: Places, cells: Sequence[str]) -> bool:
    asked = [cell for cell in cells if ("/" in cell or "\\" in cell) and "\0" not in cell]
    return any(map(filesystem.is_file, places.files(asked)))


def _named(names: Sequence[str], usual: Sequence[str]) -> int | None:
    lower = [name.strip().lower() for name in names]
    return next((lower.index(name) for name in usual if name in lower), None)


def _column(table: Table, option: str, asked: str | None, usual: Sequence[str]) -> int | None:
    """Return the column that ``option`` names, in any case, or one with a usual name."""
    found = _named(table.names, usual if asked is None else (asked.strip().lower(),))
    if found is None:
        if asked is None:
            return None
        raise DataError(f"`{option}` is {asked}, and {table.where} has no such column; columns: {_shown(table.names)}")
    called = table.names[found].strip().lower()
    for at, name in enumerate(table.names):
        if name.strip().lower() == called and table.columns[at] != table.columns[found]:
            raise DataError(
                f"{table.where} has two columns called '{table.names[found]}', of different cells; rename one of them"
            )
    return found


def _shown(names: Sequence[str]) -> str:
    return some_of([name[:40] for name in names], at_most=10) or "none"


def _find_paths(table: Table, some: list[int], places: Places, taken: set[int]) -> int:
    """Return the column whose cells are files, with ending or without."""
    found: list[tuple[int, int]] = []
    shown = [[cells[row] for row in some] for cells in table.columns]
    for at, cells in enumerate(shown):
        if at in taken or not all(cells) or len(set(cells)) < min(2, len(cells)):
            continue
        found.append((places.settle(cells), at))
    there, best = max(found, default=(0, -1), key=lambda one: (one[0], -one[1]))
    if there < 0.5 * len(some) or not there:
        endings = any(is_image_name(cell) for cells in shown for cell in cells)
        hint = " (say where the images are with `images`)" if endings else ""
        raise DataError(
            f"{table.where} has no column with the path: call it {' or '.join(PATH_COLUMNS[:5])}, or name it with "
            f"`path_column`{hint}; columns: {_shown(table.names)}"
        )
    places.settle(shown[best])
    return best


def _find_splits(table: Table, others: list[int]) -> int | None:
    """Return the one column all of whose cells name splits, training and others."""
    found = []
    for at in others:
        words = set(table.columns[at])
        splits = {split_of(word) for word in words} if len(words) <= len(SPLIT_WORDS) else set()
        if "train" in splits and len(splits) > 1 and None not in splits:
            found.append(at)
    return found[0] if len(found) == 1 else None


def _find_labels(table: Table, others: list[int]) -> int | tuple[int, ...]:
    """Return the one column with few distinct values, or those of one column a class."""
    names, rows = table.names, len(table.lines)
    values = {at: Counter(table.columns[at]) for at in others}
    ones = tuple(
        at for at in others if len(values[at]) <= _MOST_BITS and {as_bit(value) for value in values[at]} == {0.0, 1.0}
    )
    few = [
        at
        for at in others
        if 2 <= len(values[at]) <= min(rows // 2, _MOST_CLASSES) and not may_be_groups(names[at], table.columns[at])
    ]
    if len(ones) >= 2:
        sums = np.sum([[as_bit(cell) == 1.0 for cell in table.columns[at]] for at in ones], axis=0)
        if (sums == 1).all():
            return ones
        if set(few) <= set(ones):  # and nothing else could be the label
            more, none = int((sums > 1).sum()), int((sums == 0).sum())
            if more:
                raise DataError(
                    f"{table.where} has a column for each class, and {more:,} rows have several; several labels an "
                    "image are not supported: name one column with `label_column`"
                )
            if len(ones) >= 3:
                raise DataError(
                    f"{table.where} has a column for each class, and {none:,} rows have none of them; give these a "
                    "column of their own, remove them, or name one column with `label_column`"
                )
    if len(few) > 1 and all(_same_classes(table, few[0], at) for at in few[1:]):
        # Numbers and names of the same classes: names are for people.
        few = [next((at for at in few if any(_number(value) is None for value in values[at])), few[0])]
    if len(few) == 1:
        return few[0]
    if few:
        counted = some_of([f"{names[at]} ({len(values[at])})" for at in few], at_most=10)
        ways = " or ".join(f"`label_column={names[at]!r}`" for at in few[:10])
        raise SeveralLabelsError(
            f"{table.where} has no column called {' or '.join(LABEL_COLUMNS)}, and several could be labels, by how "
            f"many different values they have: {counted}; choose one with {ways}",
            [names[at] for at in few],
        )
    raise DataError(
        f"{table.where} has no column with the label: call it {' or '.join(LABEL_COLUMNS)}, or name it with "
        f"`label_column`; columns: {_shown(names)}"
    )


def _same_classes(table: Table, first: int, second: int) -> bool:
    """Whether each value of one column always stands beside the same one of the other."""
    one, other = table.columns[first], table.columns[second]
    return len(set(zip(one, other, strict=True))) == len(set(one)) == len(set(other))


def as_bit(cell: str) -> float | None:
    """Return 0 or 1 where a cell writes one of them, as a number or in words; any other number as it is, else None."""
    return _BITS.get(cell.lower(), _number(cell))


def may_be_groups(name: str, cells: Sequence[str]) -> bool:
    """Whether a column is called as what several images may be of, and its values come more than once."""
    return _OF_SEVERAL.fullmatch(name.strip()) is not None and 1 < len(set(cells)) <= _COME_AGAIN * len(cells)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
