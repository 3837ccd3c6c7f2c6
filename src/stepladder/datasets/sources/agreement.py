"""Tables that lie in a folder of images: whether they agree with its folders, or label its images in their place."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stepladder.datasets import filesystem
from stepladder.datasets.filesystem import FileEntry
from stepladder.datasets.image_set import SPLIT_NAMES, ImageSet
from stepladder.datasets.labels import NamedLabels
from stepladder.datasets.sources.base import LabelOptions, LoadOptions, name_of, split_of, split_of_name
from stepladder.datasets.sources.columns import Places, SeveralLabelsError, may_be_groups
from stepladder.datasets.sources.listed import Listed, Source, list_images, load_tables, spelled_labels
from stepladder.datasets.sources.rows import Table
from stepladder.datasets.sources.table import is_table_name, load_beside, matches, read_table
from stepladder.datasets.walk import is_folder, is_image_name, is_left_behind
from stepladder.errors import DataError, some_of

# Tables in one folder that are looked at, and their size: what only lies beside the images must cost little.
_MOST_TABLES, _MOST_BYTES = 20, 50_000_000

# The share of rows whose files are there, for a table to be one of these images; and of images, to speak for them all.
_THERE, _MOST_OF_ALL = 0.5, 0.5

# Rows whose files are looked for.
_LOOKED_AT = 50


def compare_tables(
    path: Path, entries: Mapping[str, Sequence[FileEntry]], named: Mapping[str, NamedLabels], state: str
) -> tuple[str, ...] | None:
    """Compare the labels that folders or names give with those in the tables of the folder ``path``.

    Args:
        entries: the images, by split.
        named: their labels, likewise.
        state: the argument by which a user says that these hold; empty where none does.

    Returns:
        notes on tables that agree, or give finer or coarser classes; None where a table labels the images and all of
        these lie in one folder, so that folders are no classes.

    Raises:
        DataError: a table gives the same images other labels.
    """
    tables = _tables_in(path)
    if not tables:
        return ()
    classes: dict[str, str] = {}
    for split, of_split in entries.items():
        names = named[split].class_names
        for entry, label in zip(of_split, named[split].labels.tolist(), strict=True):
            classes[entry.path] = names[label]
    agree: list[str] = []
    unread: list[str] = []
    others: dict[Path, list[str]] = {}
    for file in tables:
        found = [(pairs, _compare(pairs, len(classes))) for pairs in _pairs_of(file, classes)]
        if any(relation == "same" for _, relation in found):
            agree.append(f"{file.name} ({_rows(found[0][0])})")
            if more := _beyond_labels(found[0][0].listed):
                columns, verb, them = ("columns", "are", "them") if len(more) > 1 else ("column", "is", "it")
                unread.append(
                    f"{file.name} also has the {columns} {' and '.join(more)}, which {verb} not read beside class "
                    f"folders: take {them} with `index={file.name!r}`."
                )
            continue
        for pairs, relation in found:
            if relation == "one folder" and pairs.column is None:
                return None
            if relation == "other" and pairs.column is None:
                raise DataError(_disagreement(file, path, pairs, state))
            if relation in ("finer", "coarser"):
                what = f"{len(set(pairs.labels)):,} {relation}"
                others.setdefault(file, []).append(what if pairs.column is None else f"{what} in {pairs.column}")
    notes = []
    if agree:
        notes.append(f"{some_of(agree)} agree{'s' if len(agree) == 1 else ''} with the labels of the images.")
        notes += unread
    # Of a table for each split, that for training speaks for all.
    train = [file for file in others if split_of_name(file.stem) == "train"]
    for file in train or others:
        columns = ", ".join(others[file])
        notes.append(f"{file.name} has other classes of these images, {columns}: take it with `index={file.name!r}`.")
    return tuple(notes)


def _beyond_labels(listed: Listed) -> list[str]:
    """Return the columns of splits and of what may be groups in a table whose labels say nothing new."""
    found = []
    for columns in listed.columns:
        table = columns.table
        if columns.split is not None:
            found.append(table.names[columns.split])
        found += [name for name in columns.others if may_be_groups(name, table.columns[table.names.index(name)])]
    return found


def load_listed(path: Path, options: LoadOptions, error: DataError | None = None) -> ImageSet:
    """Load the images of a folder by the one table in it that lists them.

    Args:
        error: why its folders are no classes; raised where there is no such table. None where there is one.

    Raises:
        DataError: there is none, or several.
    """
    found, wrong = _fitting(path, options.labels)
    # Those of other splits are read with the one for training.
    train = [file for file in found if split_of_name(file.stem) == "train"]
    chosen = train if len(train) == 1 else found
    if not chosen:
        if in_splits := _tables_of_splits(path, options.labels):
            return load_tables(name_of(path), in_splits, options)
        if options.labels.names_columns and wrong:
            raise wrong[0]
        replace(options.labels, fold_labels=False).refuse_of_tables(str(path))  # which folders have, too
        raise _unlabelled(path) or error or DataError(f"{path} has no table that lists its images")
    if len(chosen) > 1:
        ways = " or ".join(f"`index={file.relative_to(path).as_posix()!r}`" for file in chosen[:5])
        raise DataError(f"{path} has {len(chosen)} tables that list its images; choose one with {ways}")
    state = f"`index={chosen[0].relative_to(path).as_posix()!r}`"
    return load_beside(name_of(path), chosen[0], chosen[0].parent, options, (state,))


def _fitting(path: Path, asked: LabelOptions) -> tuple[list[Path], list[DataError]]:
    """Return the tables in a folder that list files which are there, and what is wrong with the others.

    Raises:
        DataError: several columns of one could be the labels.
    """
    found, wrong = [], []
    for file in _tables_in(path):
        try:
            source = Source(read_table(file), Places(file.parent))
            if _are_answers(source.table):
                continue
            listed = list_images([source], asked)
        except SeveralLabelsError as several:
            how = f"`index={file.relative_to(path).as_posix()!r}`"
            raise DataError(f"{several}, and name the table with {how}") from several
        except DataError as unfit:
            wrong.append(unfit)
            continue
        some = listed.files[:: max(1, len(listed.files) // _LOOKED_AT)]
        if sum(map(filesystem.is_file, some)) >= _THERE * len(some):
            found.append(file)
    return found, wrong


def _are_answers(table: Table) -> bool:
    """Whether a table is what ``predict`` wrote, of which no column was a label: its answers are none either."""
    names = set(table.header or ())
    return "probability" in names and "label" not in names and not names.isdisjoint(("class", "predicted"))


def _tables_of_splits(path: Path, asked: LabelOptions) -> list[Source]:
    """Return the one table in each folder of a split, ``train/_classes.csv``; none where training has none."""
    found: dict[str, Source] = {}
    for folder in sorted(
        Path(entry.path) for entry in filesystem.scan(path) if split_of(entry.name) and is_folder(entry)
    ):
        tables, _ = _fitting(folder, asked)
        split = split_of(folder.name)
        if len(tables) == 1 and split is not None and split not in found:
            found[split] = Source(read_table(tables[0]), Places(tables[0].parent), split)
    return [found[split] for split in SPLIT_NAMES if split in found] if "train" in found else []


def _unlabelled(path: Path) -> DataError | None:
    """Return what to say of images in one folder that nothing labels."""
    entries = [entry for entry in filesystem.scan(path) if not is_left_behind(entry.name)]
    images = [entry.name for entry in entries if is_image_name(entry.name)]
    if not images or any(map(is_folder, entries)):
        return None
    return DataError(
        f"{path} holds {len(images):,} images ({some_of(sorted(images), at_most=2)}), and no class folders; say what "
        "labels them, with `label_pattern` for their names or `index` for a table, or make a folder of each class"
    )


def _tables_in(path: Path) -> list[Path]:
    """Return the files in a folder that may be tables of its images, by name; or those in the only folder in it."""
    found = (entry for entry in filesystem.scan(path) if not is_left_behind(entry.name))
    entries = sorted(found, key=lambda entry: entry.name)
    files = [Path(entry.path) for entry in entries if is_table_name(entry.name) and filesystem.is_file(entry.path)]
    if not files and len(entries) == 1 and is_folder(entries[0]):
        return _tables_in(Path(entries[0].path))
    return [file for file in files[:_MOST_TABLES] if filesystem.file_entry(file).size <= _MOST_BYTES and matches(file)]


@dataclass(frozen=True)
class _Pairs:
    """The labels that a table and the folders give the same images.

    Attributes:
        listed: what the table lists.
        rows: of these, those that are among the images.
        labels, classes: by the table and by the folders, of each.
        column: of the labels, where several may be meant.
    """

    listed: Listed
    rows: list[int]
    labels: list[str]
    classes: list[str]
    column: str | None


def _pairs_of(file: Path, classes: Mapping[str, str]) -> list[_Pairs]:
    """Return what a table says of the images, for each column that may be meant; nothing where it is none of these."""
    found = []
    try:
        source = Source(read_table(file), Places(file.parent))
        if _are_answers(source.table):
            return []
        columns: tuple[str | None, ...] = (None,)
        try:
            found_one = [list_images([source], LabelOptions())]
        except SeveralLabelsError as several:
            columns = several.names
            found_one = []
        for column in columns:
            listed = found_one.pop() if found_one else list_images([source], LabelOptions(label_column=column))
            in_folders = [classes.get(written) or classes.get(os.path.normpath(written)) for written in listed.files]
            rows = [at for at, name in enumerate(in_folders) if name is not None]
            if rows:
                labels, _ = spelled_labels(file.name, listed.labels, fold=True)
                of_rows = [name for name in in_folders if name is not None]
                found.append(_Pairs(listed, rows, [labels[at] for at in rows], of_rows, column))
    except DataError:
        return []
    return found


def _rows(pairs: _Pairs) -> str:
    return f"{len(pairs.rows):,} row{'s' if len(pairs.rows) != 1 else ''}"


def _compare(found: _Pairs, images: int) -> str:
    """Return what the labels of a table are to those of the folders: same, finer, coarser, other, or nothing to say."""
    pairs = set(zip(found.labels, found.classes, strict=True))
    labels, classes = {label for label, _ in pairs}, {name for _, name in pairs}
    if all(_same(label, name) for label, name in pairs):
        return "same"
    if sum(any(_same(label, name) for name in classes) for label in labels) >= _THERE * len(labels):
        return "other"
    if len(pairs) == len(labels) == len(classes):  # by other names, or by numbers
        return "same"
    if len(classes) == 1:
        return "one folder"
    if len(pairs) in (len(labels), len(classes)):
        return "finer" if len(pairs) == len(labels) else "coarser"
    return "other" if len(found.rows) >= _MOST_OF_ALL * images else ""


def _disagreement(file: Path, path: Path, found: _Pairs, state: str) -> str:
    listed = found.listed
    shown = [
        f"{listed.below[row]} is '{label}' ({listed.place(row, short=True)}) and lies in {name}"
        for row, label, name in zip(found.rows, found.labels, found.classes, strict=True)
        if not _same(label, name)
    ]
    how = f"`index={file.relative_to(path).as_posix()!r}`" + (f" or {state}" if state else "")
    return (
        f"{file} and the folders of {path.name or path} disagree on {len(shown):,} of {_rows(found)}: "
        f"{some_of(shown, at_most=3)}; mend one, or say which holds: {how}"
    )


def _same(label: str, name: str) -> bool:
    if label == name or label.casefold().strip() == name.casefold().strip():
        return True
    return label.isdecimal() and name.isdecimal() and int(label) == int(name)
