"""Labels in the paths of files: in a level of the folders, or in the names; and folders around the right one."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stepladder.datasets import filesystem
from stepladder.datasets.filesystem import FileEntry
from stepladder.datasets.groups import names_by_pattern
from stepladder.datasets.image_set import SPLIT_NAMES
from stepladder.datasets.labels import NamedLabels, in_order, named_labels
from stepladder.datasets.sources.base import LabelOptions, all_below, below, say_labels, split_of
from stepladder.datasets.walk import Search, is_folder, is_image_name, is_left_behind, not_read
from stepladder.errors import DataError, some_of

# What file names say by themselves: letters before a number, cat.0.jpg, Abyssinian_12.jpg.
_WORD_AND_NUMBER = "([A-Za-z][^/]*?)[ _.-]*[(]?[0-9]+[)]?[.][^./]*$"

# The share of files by which one folder is the image set, and those beside it are none of its classes.
_NEARLY_ALL = 0.95

# Of each class that names alone say: fewer images are no habit.
_FEWEST = 3


@dataclass(frozen=True)
class LabelledFiles:
    """The files of a tree by split, with their labels.

    Attributes:
        entries: of the images.
        named: their labels.
        notes: what was taken, and how to state it.
        state: the argument by which a user says the same; empty where none does.
    """

    entries: dict[str, list[FileEntry]]
    named: dict[str, NamedLabels]
    notes: tuple[str, ...]
    state: str = ""


def unwrapped(path: Path, search: Search) -> tuple[Path, tuple[str, ...]]:
    """Return the folder that holds the classes or splits, below folders with nothing but one folder; and a note."""
    inner = path
    while True:
        folders = search.folders(inner)
        if len(folders) != 1 or split_of(folders[0].name) or any(map(is_image_name, search.names(inner))):
            break
        below_it = search.folders(folders[0])
        # One folder of images is one class; one with folders of folders is around them.
        if len(below_it) < 1 or any(map(is_image_name, search.names(folders[0]))):
            break
        inner = folders[0]
    if inner == path or len(search.folders(inner)) < 2:
        return path, ()
    return inner, (f"Read from {below(path, str(inner))}, the only folder in {path.name or path}.",)


def label_files(path: Path, search: Search, asked: LabelOptions) -> LabelledFiles:
    """Label the images below ``path`` as the user says, by ``label_pattern`` or ``level``.

    Raises:
        DataError: there are no images, or a path has no label.
    """
    entries, paths, notes = _images_below(path, search)
    if asked.label_pattern is not None:
        labels = names_by_pattern("label_pattern", asked.label_pattern, paths)
    else:
        assert asked.level is not None
        labels = {split: _at_level(asked.level, split, of_split, path) for split, of_split in paths.items()}
    notes = (*_leave_out_lacking(labels), *notes)
    named = {split: named_labels(of_split) for split, of_split in labels.items()}
    entries = {split: entries[split] for split in named}
    by = "label_pattern" if asked.label_pattern is not None else f"level={asked.level}"
    return LabelledFiles(entries, named, (f"Labels, by `{by}`: {_counted(labels)}.", *notes))


def _leave_out_lacking(labels: dict[str, list[str]]) -> tuple[str, ...]:
    """Leave a validation split out that lacks classes, as of fine ones; some of training validates in its place."""
    lacking = set(labels["train"]) - set(labels.get("validation", ()))
    if "validation" not in labels or not lacking:
        return ()
    return left_out_note(len(labels.pop("validation")), len(lacking))


def left_out_note(images: int, classes: int) -> tuple[str, ...]:
    """Return the note on a validation split of so many images that lacks so many classes."""
    return (
        f"The validation split ({images:,} image{'s' if images != 1 else ''}) was left out, as it lacks {classes:,} "
        f"class{'es' if classes > 1 else ''} of the training images; some of these validate instead.",
    )


def labels_in_names(path: Path, search: Search) -> LabelledFiles | None:
    """Return the images of a folder, or of its folders of splits, labelled by words before a number; None where not so.

    >>> labels_in_names(folder, search).notes  # doctest: +SKIP
    ("Labels: from file names, cat (30), dog (30); state it with `label_pattern='…'`.",)
    """
    folders = search.folders(path)
    flat = [path] if not folders else [] if any(map(is_image_name, search.names(path))) else folders
    if folders and any(split_of(folder.name) is None or search.folders(folder) for folder in folders):
        return None
    if not any(is_image_name(name) for folder in flat for name in search.names(folder)):
        return None
    entries, paths, notes = _images_below(path, search)
    labels = {split: _words_in(of_split) for split, of_split in paths.items()}
    counts = Counter(labels["train"] or ())
    if len(counts) < 2 or min(counts.values()) < _FEWEST:
        return None
    told = {split: found for split, found in labels.items() if found and counts.keys() >= set(found)}
    untold = [f"{split} ({len(paths[split]):,} images)" for split in paths if split not in told]
    if untold:
        notes = (*notes, f"Left out, as names there say no class of the training images: {some_of(untold)}.")
    state = f"`label_pattern='{_WORD_AND_NUMBER}'`"
    said = say_labels("file names", Counter(name for found in told.values() for name in found), [state])
    named = {split: named_labels(found) for split, found in told.items()}
    return LabelledFiles({split: entries[split] for split in told}, named, (said, *notes), state)


def _words_in(paths: Sequence[str]) -> list[str] | None:
    """Return the words before numbers in names; None where not all have one."""
    found = [match[1] for path in paths if (match := re.search(_WORD_AND_NUMBER, path))]
    return found if len(found) == len(paths) else None


def splits_in_classes(path: Path, search: Search) -> LabelledFiles | None:
    """Return the images of class folders that hold nothing but folders of splits, ``cat/train/*``, ``cat/test/*``.

    Raises:
        DataError: some class folders are so and others hold images themselves, or one has no folder for training.
    """
    root, entered = unwrapped(path, search)
    tops = search.folders(root)
    if len(tops) < 2 or any(split_of(folder.name) for folder in tops):
        return None
    splits = {folder: _splits_in(folder, search) for folder in tops}
    split_up = [folder for folder in tops if splits[folder]]
    # A class "train" of vehicles may be a folder in one class; a habit is seen in several.
    if len(split_up) < 2 or not any("train" in splits[folder] for folder in split_up):
        return None
    filled = [folder for folder in tops if splits[folder] or search.holds_files(folder)]
    whole = [folder for folder in filled if "train" not in splits[folder]]
    if whole:
        without = some_of([folder.name for folder in whole])
        raise DataError(
            f"{root} has folders of splits in its class folders ({split_up[0].name}/train), and {without} "
            f"ha{'s' if len(whole) == 1 else 've'} no train folder; add it, or take all images of a class as training "
            "images with `level=top`"
        )
    entries: dict[str, list[FileEntry]] = {}
    labels: dict[str, list[str]] = {}
    for folder in filled:
        for split, inner in splits[folder].items():
            found = list(search.files_below(str(inner)))
            entries.setdefault(split, []).extend(found)
            labels.setdefault(split, []).extend([folder.name] * len(found))
    named = {split: named_labels(of_split) for split, of_split in labels.items()}
    sizes = ", ".join(f"{split} ({len(labels[split]):,})" for split in SPLIT_NAMES if split in labels)
    note = f"Splits: from folders in the class folders, {sizes}; `level=top` takes all as training images."
    return LabelledFiles(entries, named, (*entered, note))


def _splits_in(folder: Path, search: Search) -> dict[str, Path]:
    """Return the folders of a class folder by split, where it holds nothing but these; none where it holds others."""
    found: dict[str, Path] = {}
    for entry in filesystem.scan(folder):
        if is_left_behind(entry.name):
            continue
        split = split_of(entry.name) if is_folder(entry) else None
        if split is not None:
            found[split] = Path(entry.path)
        elif is_folder(entry) or is_image_name(entry.name):
            return {}  # mostly the first entry, an image, so that no class folder is listed once more
    return {split: inner for split, inner in sorted(found.items()) if search.holds_files(inner)}


def level_notes(by_split: Mapping[str, Path], entries: Sequence[FileEntry]) -> tuple[str, ...]:
    """Return a note on the levels of folders below the class folders, with their counts; none where there is none."""
    root = by_split["train"]
    # The class folders themselves hold the files of most sets, which is seen without taking a million paths apart.
    if len(dict.fromkeys(entry.path.count(os.sep) for entry in entries)) == 1 and _depth(root, entries[0]) < 2:
        return ()
    # Of each folder once, since there are many more files.
    folders = dict.fromkeys(path.rpartition("/")[0] for path in all_below(root, (entry.path for entry in entries)))
    parts = [folder.split("/") if folder else [] for folder in folders]
    deepest = max(map(len, parts), default=0)
    if deepest < 2:
        return ()
    levels = []
    for level in range(1, deepest + 1):
        names = dict.fromkeys("/".join(one[:level]) for one in parts if len(one) >= level)
        shown = some_of([name.rpartition("/")[2] for name in names], at_most=3)
        levels.append(f"level {level}: {len(names):,} ({shown})")
    last = len(folders)
    taken = f"The top one was taken; `level=leaf` takes the last ({last:,})."
    return (f"Folders lie {deepest} deep: {'; '.join(levels)}. {taken}",)


def _depth(root: Path, entry: FileEntry) -> int:
    return below(root, entry.path).count("/")


def refuse_set_among_others(root: Path, search: Search, counts: Mapping[str, int]) -> None:
    """Refuse a folder of which one "class" is an image set, and the others are examples, code and documents.

    Args:
        counts: files by the name of their folder in ``root``.

    Raises:
        DataError: one has nearly all images, and several folders of them.
    """
    name, most = max(counts.items(), key=lambda one: one[1])
    total = sum(counts.values())
    if len(counts) < 2 or most < _NEARLY_ALL * total:
        return
    classes = [folder for folder in search.folders(root / name) if search.holds_files(folder)]
    if len(classes) > 1:
        raise DataError(
            f"{root} holds an image set among other things: {name} has {most:,} of its {total:,} files, in "
            f"{len(classes):,} folders ({some_of([folder.name for folder in classes])}); give {root / name}"
        )


def _images_below(
    path: Path, search: Search
) -> tuple[dict[str, list[FileEntry]], dict[str, list[str]], tuple[str, ...]]:
    """Return the image files below ``path`` and their paths from there, by split, and a note on the others."""
    found = list(search.files_below(str(path)))
    images = [entry for entry in found if is_image_name(entry.path)]
    if not images:
        raise DataError(f"{path} holds no images")
    others = [Path(entry.path).name for entry in found if not is_image_name(entry.path)]
    inner = all_below(path, (entry.path for entry in images))
    tops = {entry.path: split_of(one.partition("/")[0]) for entry, one in zip(images, inner, strict=True)}
    by_split: dict[str, list[FileEntry]] = {}
    # Folders that are called as splits are these where everything lies in them.
    are_splits = None not in tops.values() and "train" in tops.values()
    for entry in images:
        by_split.setdefault((tops[entry.path] or "train") if are_splits else "train", []).append(entry)
    paths = {split: all_below(path, (entry.path for entry in of_split)) for split, of_split in by_split.items()}
    return by_split, paths, not_read(others, "among the images")


def _at_level(level: str, split: str, paths: Sequence[str], root: Path) -> list[str]:
    labels = []
    for path in paths:
        folders = path.split("/")[:-1]
        if folders and split_of(folders[0]) == split and len(folders) > 1:
            folders = folders[1:]
        at = {"top": 1, "leaf": len(folders)}.get(level) or int(level)
        if not folders or at > len(folders):
            raise DataError(
                f"`level` is {level}, and {path} lies in {len(folders)} folder{'s' if len(folders) != 1 else ''} below "
                f"{root}; take top, leaf or a number that all have"
            )
        labels.append(folders[at - 1])
    return labels


def _counted(labels: Mapping[str, Sequence[str]]) -> str:
    counts = Counter(label for of_split in labels.values() for label in of_split)
    return some_of([f"{name} ({counts[name]:,})" for name in in_order(counts)])
