"""The images that tables list: from their columns to rows, and from these to an image set."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from stepladder.datasets import filesystem
from stepladder.datasets.decode_all import decode_splits
from stepladder.datasets.encoded import Encoded, files
from stepladder.datasets.image_set import SPLIT_NAMES, ImageSet, first_of_each_class
from stepladder.datasets.labels import match_classes, named_labels
from stepladder.datasets.sources.base import SPLIT_WORDS, LabelOptions, LoadOptions, all_below, say_labels, split_of
from stepladder.datasets.sources.columns import Columns, Places, as_bit, find_columns, may_be_groups
from stepladder.datasets.sources.rows import Table
from stepladder.datasets.sources.tree import left_out_note
from stepladder.datasets.suspects import paths_of, suspect_bursts, suspect_groups
from stepladder.datasets.walk import is_image_name, is_left_behind, not_read
from stepladder.errors import DataError, some_of

# Folders in which images are looked for that the table does not list.
_MOST_FOLDERS = 1_000

# Whole numbers, also as programs write them that know fractions alone.
_WHOLE = re.compile(r"-?[0-9]+([.]0+)?")

# What stands between several labels in one cell.
_BETWEEN_LABELS = "|;,"

# Folders that all paths begin with, above those of splits, at most.
_MOST_ABOVE = 5


class Source(NamedTuple):
    """A table with what stands around it.

    Attributes:
        table: its cells.
        places: where its paths start.
        split: the split of all its rows; None where a column says it, or all train.
    """

    table: Table
    places: Places
    split: str | None = None


@dataclass(frozen=True)
class Listed:
    """What tables list, a position an image.

    Attributes:
        files: paths, as they are opened and shown.
        below: the same below the folder in which those of their table start, with ``/``.
        labels, splits: of each.
        groups: of each; None where no column names them.
        sources: the tables, whose rows follow one another.
        columns: what was found in each of these.
        notes: what was decided of the rows.
    """

    files: list[str]
    below: list[str]
    labels: list[str]
    splits: list[str]
    groups: list[str] | None
    sources: Sequence[Source]
    columns: Sequence[Columns]
    notes: list[str]

    def place(self, position: int, *, short: bool = False) -> str:
        """Return where an image is listed: ``labels.csv line 7``, or ``line 7``."""
        for columns in self.columns:
            count = len(columns.table.lines)
            if position < count:
                place = columns.table.place(position)
                return place if short else f"{columns.table.name} {place}"
            position -= count
        raise IndexError(position)


def list_images(sources: Sequence[Source], asked: LabelOptions) -> Listed:
    """Find the columns of tables, and return what they list.

    Raises:
        DataError: see :func:`stepladder.datasets.sources.table.load`.
    """
    listed = Listed([], [], [], [], None if asked.group_column is None else [], sources, [], [])
    found = []
    for source in sources:
        columns = find_columns(source.table, source.places, asked, finds_split=source.split is None)
        if isinstance(columns.labels, int):  # all splits have their labels in the same column
            names = columns.table.names
            asked = replace(asked, path_column=names[columns.path], label_column=names[columns.labels])
        _add(listed, columns, source)
        found.append(columns)
    return replace(listed, columns=found)


def _add(listed: Listed, columns: Columns, source: Source) -> None:
    table = columns.table
    paths, labels = table.columns[columns.path], _label_cells(columns)
    groups = None if columns.group is None else table.columns[columns.group]
    for what, cells in (("path", paths), ("label", labels), ("group", groups or ())):
        if "" in cells:
            where = f"{table.where} {table.place(cells.index(''))}"
            raise DataError(f"{where} has a blank {what}; fill it in, or remove the {table.unit}")
    named = _plain_paths(source.places.files(paths))
    below = all_below(source.places.folder, named)
    if source.split is not None:
        splits = [source.split] * len(paths)
    elif columns.split is None:
        splits = _splits_of_paths(below) or ["train"] * len(paths)
        if (counts := Counter(splits)).keys() - {"train"}:
            told = ", ".join(f"{split} ({count:,})" for split, count in counts.items())
            listed.notes.append(f"Splits: from the folders that the paths of {table.name} begin with, {told}.")
    else:
        words = table.columns[columns.split]
        meant = {word: split_of(word) for word in dict.fromkeys(words)}
        if unknown := [word for word, split in meant.items() if split is None]:
            raise DataError(
                f"{table.where} {table.place(words.index(unknown[0]))} has the split '{unknown[0][:40]}'; it must be "
                f"one of {', '.join(SPLIT_WORDS)}"
            )
        splits = [meant[word] or "" for word in words]
    listed.files.extend(named)
    listed.below.extend(below)
    listed.labels.extend(labels)
    listed.splits.extend(splits)
    if listed.groups is not None and groups is not None:
        listed.groups.extend(groups)


def _plain_paths(files: list[str]) -> list[str]:
    """Return paths without ``./`` and ``../`` in them: one file written in two ways is one image."""
    together = "\n".join(files)
    if "/." not in together and "//" not in together:  # as nearly always
        return files
    plain = [os.path.normpath(file) if "/." in file or "//" in file else file for file in files]
    # Where a link lies on the way up, the plain path is another file's or none's.
    return [one if one == file or filesystem.is_file(one) else file for one, file in zip(plain, files, strict=True)]


def _splits_of_paths(below: Sequence[str]) -> list[str] | None:
    """Return the split of each path where all lie below folders of splits, training and others; else None."""
    if not below or not any(map(split_of, below[0].split("/")[: _MOST_ABOVE + 1])):
        return None
    rest: Sequence[str] = below
    for _ in range(_MOST_ABOVE):
        parts = [path.partition("/") for path in rest]
        folders = {folder for folder, slash, _ in parts if slash}
        if not folders or not all(slash for _, slash, _ in parts):
            return None
        meant = {folder: split_of(folder) for folder in folders}
        if "train" in meant.values() and None not in meant.values() and len(set(meant.values())) > 1:
            return [meant[folder] or "" for folder, _, _ in parts]
        if len(folders) > 1:
            return None
        rest = [inner for _, _, inner in parts]
    return None


def _label_cells(columns: Columns) -> list[str]:
    table = columns.table
    if isinstance(columns.labels, int):
        return table.columns[columns.labels]
    labels = [""] * len(table.lines)
    for at in columns.labels:
        for row, cell in enumerate(table.columns[at]):
            if as_bit(cell):
                labels[row] = table.names[at]
    return labels


def load_tables(
    name: str,
    sources: Sequence[Source],
    options: LoadOptions,
    *,
    paired: bool = False,
    state: tuple[str, ...] = (),
) -> ImageSet:
    """Load the images that tables list.

    Args:
        name: of the image set.
        sources: that of the training images first.
        paired: the others were found beside it, and nobody named them.
        state: how a user names these, where nobody did, as arguments.

    Raises:
        DataError, DamagedImagesError: see :func:`stepladder.datasets.sources.table.load`.
    """
    where = sources[0].table.where
    listed = list_images(sources, options.labels)
    labels, spelled = spelled_labels(where, listed.labels, fold=options.labels.fold_labels)
    listed = replace(listed, labels=labels)
    _refuse_several(where, listed)
    _check_labels(where, listed)
    once = _once(listed)
    rows: dict[str, list[int]] = {split: [] for split in dict.fromkeys(listed.splits)}
    for at in once:
        rows[listed.splits[at]].append(at)
    said = [*_what_was_found(listed, once, options.labels, state), *listed.notes]
    if again := len(listed.files) - len(once):
        lists = "1 row lists" if again == 1 else f"{again:,} rows list"
        said.append(f"{lists} a file again, with the same label; each file counts once.")
    if paired and len(sources) > 1:
        more_tables = some_of([source.table.name for source in sources if source.split != "train"])
        said.append(f"Read with {sources[0].table.name}: {more_tables}, as its other splits.")
        said += _leave_out_lacking(rows, labels)
    if "train" not in rows:
        raise DataError(f"{where} has no row of the split train; name the training rows so, or leave the column out")
    ordered = {split: rows[split] for split in SPLIT_NAMES if split in rows}
    named = {split: named_labels(_of(labels, positions)) for split, positions in ordered.items()}
    class_names, numbers, class_notes = match_classes(where, named)
    groups, group_notes = _groups(listed, ordered, options.labels)
    taken = {
        split: np.arange(len(positions))
        if options.limit is None
        else first_of_each_class(numbers[split], options.limit, groups.get(split))
        for split, positions in ordered.items()
    }
    encoded = {}
    for split, positions in ordered.items():
        kept = taken[split]
        of_split = groups[split][kept] if split in groups else None
        encoded[split] = _encoded(where, listed, np.array(positions)[kept], numbers[split][kept], of_split)
    decoded = decode_splits(
        encoded, shape=options.shape, skip_damaged=options.skip_damaged, on_progress=options.access.on_progress
    )
    suspects: tuple[str, ...] = ()
    if not options.labels.asks_groups:
        paths = {split: _of(listed.below, np.array(rows)[taken[split]].tolist()) for split, rows in ordered.items()}
        suspects = suspect_groups(decoded.splits, paths_of(decoded.kept, paths))
        suspects = suspects or suspect_bursts(decoded.splits, decoded.taken)
    notes = (*suspects, *dict.fromkeys(said), *spelled, *class_notes, *group_notes)
    return decoded.image_set(name, class_names, (*notes, *_not_listed(listed), *_not_read(listed, options.labels)))


def _once(listed: Listed) -> Sequence[int]:
    """Return the positions of the first row of each file in each split: a table may have a row for each box in it."""
    if len(set(listed.files)) == len(listed.files):
        return range(len(listed.files))
    first: dict[tuple[str, str], int] = {}
    for at, key in enumerate(zip(listed.files, listed.splits, strict=True)):
        first.setdefault(key, at)
    return list(first.values())


def _of(values: Sequence[str], positions: Sequence[int]) -> list[str]:
    return list(values) if len(positions) == len(values) else [values[at] for at in positions]


def _what_was_found(listed: Listed, once: Sequence[int], asked: LabelOptions, state: tuple[str, ...]) -> list[str]:
    """Return what was taken for labels and for paths, unless the user said it, and what tables say of themselves."""
    first = listed.columns[0]
    told = [note for columns in listed.columns for note in columns.notes]
    if asked.label_column is None:
        return [say_labels(first.labels_from, Counter(_of(listed.labels, once)), (*state, *first.state)), *told]
    if first.state:
        found = f"column '{first.table.names[first.path]}' of {first.table.name}"
        return [f"Paths: from {found}; state it with {first.state[0]}.", *told]
    return told


def _leave_out_lacking(rows: dict[str, list[int]], labels: Sequence[str]) -> tuple[str, ...]:
    """Leave a validation split out that nobody asked for and that lacks classes; some of training validates instead."""
    if "validation" not in rows or "train" not in rows:
        return ()
    lacking = set(_of(labels, rows["train"])) - set(_of(labels, rows["validation"]))
    return left_out_note(len(rows.pop("validation")), len(lacking)) if lacking else ()


def spelled_labels(where: str, labels: list[str], *, fold: bool) -> tuple[list[str], tuple[str, ...]]:
    """Return labels in one spelling each: whole numbers without fractions, and others as ``fold`` allows.

    Raises:
        DataError: labels differ by case or spaces alone, and nobody said that they are one.
    """
    counts = Counter(labels)
    new = {label: label for label in counts}
    if all(map(_WHOLE.fullmatch, counts)):
        new = {label: label.partition(".")[0] for label in counts}
    alike: dict[str, list[str]] = {}
    for label, _ in counts.most_common():
        alike.setdefault(" ".join(label.casefold().split()), []).append(label)
    several = [of_label for of_label in alike.values() if len(of_label) > 1]
    shown = some_of([" and ".join(f"'{label}' ({counts[label]:,})" for label in of_label) for of_label in several])
    if several and not fold:
        raise DataError(
            f"{where} has labels that differ by case or spaces alone: {shown}; if they are one class, add "
            "`fold_labels=True`, else rename one"
        )
    for of_label in several:
        new.update(dict.fromkeys(of_label, of_label[0]))
    if all(old == label for old, label in new.items()):
        return labels, ()
    notes = (f"Labels that differ by case or spaces alone are one class each: {shown}.",) if several else ()
    return [new[label] for label in labels], notes


def _groups(
    listed: Listed, rows: Mapping[str, Sequence[int]], asked: LabelOptions
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    if listed.groups is not None:
        groups, notes = _spelled_groups(listed.groups)
        found, told = asked.groups_of_column({split: _of(groups, positions) for split, positions in rows.items()})
        return found, (*told, *notes)
    if not asked.asks_groups:
        return {}, ()
    return asked.groups_of_paths(
        {split: _of(listed.below, positions) for split, positions in rows.items()},
        lambda: {split: _of(listed.files, positions) for split, positions in rows.items()},
    )


def _spelled_groups(groups: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return groups in one spelling each: a patient who is P1 and p1, or 1 and 1.0, must not be parted."""
    names = dict.fromkeys(groups)
    whole = all(map(_WHOLE.fullmatch, names))
    plain = {name: name.partition(".")[0] if whole else " ".join(name.casefold().split()) for name in names}
    alike: dict[str, list[str]] = {}
    for name, one in plain.items():
        alike.setdefault(one, []).append(name)
    several = [" and ".join(f"'{name}'" for name in ones) for ones in alike.values() if len(ones) > 1]
    if not several:
        return groups, ()
    of_name = {name: ones[0] for ones in alike.values() for name in ones}
    note = f"Groups that differ by case, spaces or fractions alone are one each: {some_of(several)}."
    return [of_name[name] for name in groups], (note,)


def _not_read(listed: Listed, asked: LabelOptions) -> tuple[str, ...]:
    """Return a note on columns that are not read, and on those of them that seem to name groups."""
    others: dict[str, list[str]] = {}
    for columns in listed.columns:
        names = columns.table.names
        for name in columns.others:
            others.setdefault(name, []).extend(columns.table.columns[names.index(name)])
    if not others:
        return ()
    note = f"Not read: the columns {some_of([name[:40] for name in others])}."
    classes = len(set(listed.labels))
    for name, cells in others.items():
        if asked.asks_groups or not may_be_groups(name, cells) or len(set(cells)) <= classes:
            continue
        return (
            f"{note} {name[:40]} has {len(set(cells)):,} values in {len(cells):,} rows: where these are images of the "
            f"same thing, keep them on one side of the split with `group_column={name!r}`.",
        )
    return (note,)


def _not_listed(listed: Listed) -> tuple[str, ...]:
    """Return a note on image files beside those that the table lists; none where there are too many folders to look."""
    written: dict[str, list[str]] = {}
    for file in listed.files:
        folder, _, name = file.rpartition(os.sep)
        written.setdefault(folder, []).append(name)
    known: dict[str, set[str]] = {}
    for folder, names in written.items():  # one folder may be written in several ways
        known.setdefault(os.path.normpath(folder or "."), set()).update(names)
    if len(known) > _MOST_FOLDERS:
        return ()
    others = [
        name
        for folder, names in known.items()
        for name in set(filesystem.names_in(folder)) - names
        if is_image_name(name) and not is_left_behind(name)
    ]
    return not_read(others, "beside those in the table, which does not list them")


def _refuse_several(where: str, listed: Listed) -> None:
    """Refuse cells that hold several labels, as ``Effusion|Mass`` among rows of Effusion and of Mass alone."""
    counts = Counter(listed.labels)
    for mark in _BETWEEN_LABELS:
        joined = {label: [part.strip() for part in label.split(mark)] for label in counts if mark in label}
        several = [label for label, parts in joined.items() if all(part in counts for part in parts)]
        if not several:
            several = [label for label in joined if label[0] == "[" and label[-1] == "]"]  # a list, as JSON writes it
        if several:
            at = listed.labels.index(several[0])
            images = sum(counts[label] for label in several)
            raise DataError(
                f"{where} has {images:,} row{'s' if images != 1 else ''} with several labels in one cell, as "
                f"'{several[0][:60]}' in {listed.place(at, short=True)}; several labels an image are not supported: "
                "keep one, or name another column with `label_column`"
            )


def _check_labels(where: str, listed: Listed) -> None:
    """Refuse a file with two labels, or in two groups."""
    if len(set(listed.files)) == len(listed.files):
        return
    groups = listed.groups and _spelled_groups(listed.groups)[0]
    first: dict[str, int] = {}
    for at, file in enumerate(listed.files):
        other = first.setdefault(file, at)
        for what, values in (("labels", listed.labels), ("groups", groups)):
            if values and values[other] != values[at]:
                raise DataError(
                    f"{where} gives {file} two {what}: '{values[other]}' in {listed.place(other, short=True)} and "
                    f"'{values[at]}' in {listed.place(at, short=True)}; keep one"
                )


def _encoded(where: str, listed: Listed, rows: np.ndarray, labels: np.ndarray, groups: np.ndarray | None) -> Encoded:
    taken: list[int] = rows.tolist()
    entries = [filesystem.file_entry(listed.files[at]) for at in taken]
    missing = [
        f"{entry.path} ({listed.place(at, short=True)})"
        for at, entry in zip(taken, entries, strict=True)
        if entry.size < 0
    ]
    if missing:
        count = f"{len(missing)} file{'s' if len(missing) > 1 else ''}"
        starts = some_of(list(dict.fromkeys(str(source.places.folder) for source in listed.sources)))
        raise DataError(
            f"{where} lists {count} that cannot be found: {some_of(missing)}; paths are relative to {starts}: mend them"
        )
    found = files(entries, labels, groups=groups)
    # Not as texts, one an image, which hardly anybody reads.
    return replace(found, place=lambda at: f"{entries[at].path} ({listed.place(taken[at])})")
