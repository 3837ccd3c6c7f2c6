"""Labels in the paths of files: in a level of the folders, or in the names; and folders around the right one."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stepladder.datasets import filesystem
from stepladder.datasets.archives import is_archive
from stepladder.datasets.filesystem import FileEntry
from stepladder.datasets.groups import names_by_pattern
from stepladder.datasets.image_set import SPLIT_NAMES
from stepladder.datasets.labels import NamedLabels, in_order, named_labels
from stepladder.datasets.sources.base import LabelOptions, all_below, below, say_labels, split_in_folder_name, split_of
from stepladder.datasets.walk import Search, is_folder, is_image_name, is_left_behind, not_read
from stepladder.errors import DataError, some_of

# What file names say by themselves: a word, in any script maybe with digits, before a number: cat.0.jpg, 2cv_12.jpg.
# It is shown to users, who type it in a shell, so it has no backslash.
_WORD = "([^/]*?[^/0-9 _.()-][^/]*?)"
_WORD_AND_NUMBER = f"{_WORD}[ _.-]*[(]?[0-9]+[)]?[.][^./]*$"
# The same before two numbers, of which the first may be that of an object: cat_07_3.jpg.
_WORD_AND_NUMBERS = f"{_WORD}[ _.-]*[0-9]+[ _.-]+[(]?[0-9]+[)]?[.][^./]*$"

# The share of files by which one folder is the image set, and those beside it are none of its classes.
_NEARLY_ALL = 0.95

# Of each class that names alone say: fewer images are no habit.
_FEWEST = 3

# The share of the names in several folders that all of these have, where they are called the same.
_SHARED = 0.5


@dataclass(frozen=True)
class Part:
    """A folder whose images are of one split.

    Attributes:
        split: the split.
        folder: the folder, below which the levels of classes begin.
        above: names of the folders above it that are levels of classes, too: of ``cat/train`` its class.
    """

    split: str
    folder: Path
    above: tuple[str, ...] = ()


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
    inner = _innermost(path, search, passes_splits=False)
    return inner, () if inner == path else (
        f"Read from {below(path, str(inner))}, the only folder in {path.name or path}.",
    )


def within_split(folder: Path, search: Search) -> Path:
    """Return the folder that holds the classes of a split, mostly itself: ``test_set/test_set``, ``train/images``."""
    return _innermost(folder, search, passes_splits=True)


def _innermost(path: Path, search: Search, *, passes_splits: bool) -> Path:
    inner = path
    while True:
        folders = search.folders(inner)
        if len(folders) != 1 or any(map(is_image_name, search.names(inner))):
            break
        if split_of(folders[0].name) and not passes_splits:
            break
        below_it = search.folders(folders[0])
        # One folder of images is one class; one with folders of folders is around them.
        if len(below_it) < 1 or any(map(is_image_name, search.names(folders[0]))):
            break
        inner = folders[0]
    return inner if len(search.folders(inner)) > 1 else path


def label_files(path: Path, parts: Sequence[Part], search: Search, asked: LabelOptions) -> LabelledFiles:
    """Label the images below ``path`` as the user says, by ``label_pattern`` or ``level``.

    Args:
        parts: the folders of their splits.

    Raises:
        DataError: there are no images, or a path has no label.
    """
    entries, others = _images_of(parts, search)
    beside: list[str] = []
    notes: tuple[str, ...] = ()
    if asked.label_pattern is not None:
        paths = {
            split: all_below(path, (entry.path for of_part in of_split for entry in of_part))
            for split, of_split in entries.items()
        }
        labels = names_by_pattern("label_pattern", asked.label_pattern, paths)
        kept = {split: [entry for of_part in of_split for entry in of_part] for split, of_split in entries.items()}
    else:
        assert asked.level is not None
        kept, labels, beside, notes = _by_level(asked.level, parts, entries)
    notes = (*_leave_out_lacking(labels), *notes)
    named = {split: named_labels(of_split) for split, of_split in labels.items()}
    by = "label_pattern" if asked.label_pattern is not None else f"level={asked.level}"
    said = f"Labels, by `{by}`: {_counted(labels)}."
    notes = (said, *notes, *not_read(others, "among the images"), *not_read(beside, "beside the class folders"))
    return LabelledFiles({split: kept[split] for split in named}, named, notes)


def _by_level(
    level: str, parts: Sequence[Part], entries: Mapping[str, Sequence[Sequence[FileEntry]]]
) -> tuple[dict[str, list[FileEntry]], dict[str, list[str]], list[str], tuple[str, ...]]:
    """Return images and their labels by split, the names of those that lie beside the folders, and notes."""
    kept: dict[str, list[FileEntry]] = {}
    labels: dict[str, list[str]] = {}
    beside: list[str] = []
    places: dict[str, dict[str, None]] = {}
    for split in entries:
        of_split = [part for part in parts if part.split == split]
        for part, found in zip(of_split, entries[split], strict=True):
            known: dict[str, str | None] = {}  # by folder, since there are many more files
            for entry, inner in zip(found, all_below(part.folder, (entry.path for entry in found)), strict=True):
                folder = inner.rpartition("/")[0]
                if folder not in known:
                    known[folder] = where = _folder_at(level, part, folder, inner)
                    if where is not None:
                        places.setdefault(where.rpartition("/")[2], {})[where] = None
                if (at := known[folder]) is None:
                    beside.append(Path(entry.path).name)
                    continue
                kept.setdefault(split, []).append(entry)
                labels.setdefault(split, []).append(at.rpartition("/")[2])
    if "train" not in labels:
        (root, *_) = (part.folder for part in parts if part.split == "train")
        raise DataError(f"`level` is {level}, and no image lies in a folder below {root}; leave `level` out")
    several = [f"{name} ({some_of(list(where), at_most=3)})" for name, where in places.items() if len(where) > 1]
    notes = (
        (f"Folders of one name are one class, wherever they lie: {some_of(several, at_most=3)}.",) if several else ()
    )
    return kept, labels, beside, notes


def _folder_at(level: str, part: Part, folder: str, example: str) -> str | None:
    """Return the folder at a level, as from that of its split; None for an image beside the folders of classes."""
    folders = [*part.above, *(folder.split("/") if folder else ())]
    if not folders:
        return None
    at = {"top": 1, "leaf": len(folders)}[level] if level in ("top", "leaf") else int(level)
    if at > len(folders):
        raise DataError(
            f"`level` is {level}, and {example} lies in {len(folders)} folder{'s' if len(folders) != 1 else ''} below "
            f"{part.folder}; take top, leaf or a number that all have"
        )
    return "/".join(folders[:at])


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
    parts = _flat_parts(path, search)
    train = [part.folder for part in parts if part.split == "train"]
    if not any(is_image_name(name) for folder in train for name in search.names(folder)):
        return None
    found_files, others = _images_of(parts, search)
    entries = {split: [entry for of_part in of_split for entry in of_part] for split, of_split in found_files.items()}
    notes = not_read(others, "among the images")
    if len(parts) > 1 and any(split_of(part.folder.name) != part.split for part in parts):
        names = ", ".join(f"{part.folder.name} ({part.split})" for part in parts)
        notes = (f"Splits: from the folders {names}.", *notes)
    paths = {split: all_below(path, (entry.path for entry in of_split)) for split, of_split in entries.items()}
    labels = {split: _words_in(of_split) for split, of_split in paths.items()}
    counts = Counter(labels["train"] or ())
    if len(counts) < 2 or min(counts.values()) < _FEWEST:
        return None
    _ask_of_two_numbers(path, paths["train"], counts)
    told = {split: found for split, found in labels.items() if found and counts.keys() >= set(found)}
    untold = [f"{split} ({len(paths[split]):,} images)" for split in paths if split not in told]
    if untold:
        notes = (*notes, f"Left out, as names there say no class of the training images: {some_of(untold)}.")
    state = f"`label_pattern='{_WORD_AND_NUMBER}'`"
    said = say_labels("file names", Counter(name for found in told.values() for name in found), [state])
    named = {split: named_labels(found) for split, found in told.items()}
    return LabelledFiles({split: entries[split] for split in told}, named, (said, *notes), state)


def _flat_parts(path: Path, search: Search) -> list[Part]:
    """Return a folder of images, or its folders of splits with nothing but images in them; none where it is neither."""
    folders = search.folders(path)
    if not folders:
        return [Part("train", path)]
    if any(map(is_image_name, search.names(path))):
        return []
    splits = [split_in_folder_name(folder.name) for folder in folders]
    if len(set(splits)) < len(splits) or any(search.folders(folder) for folder in folders):
        return []
    return [Part(split, folder) for split, folder in zip(splits, folders, strict=True) if split] if all(splits) else []


def _words_in(paths: Sequence[str], pattern: str = _WORD_AND_NUMBER) -> list[str] | None:
    """Return the words before numbers in names; None where not all have one."""
    search = re.compile(pattern).search
    found = []
    for path in paths:
        match = search(path)
        if match is None:
            return None
        found.append(match[1])
    return found


def _ask_of_two_numbers(path: Path, paths: Sequence[str], counts: Counter[str]) -> None:
    """Refuse names with two numbers, a_07_3.png: the first may be that of a class, or of one of its objects.

    Raises:
        DataError: both are classes of several images each.
    """
    shorter = Counter(_words_in(paths, _WORD_AND_NUMBERS) or ())
    if len(shorter) < 2 or len(shorter) == len(counts) or min(shorter.values()) < _FEWEST:
        return
    raise DataError(
        f"names in {path} have two numbers ({paths[0]}), so they may be of {len(shorter):,} classes "
        f"({some_of(in_order(shorter), at_most=3)}) or of {len(counts):,} ({some_of(in_order(counts), at_most=3)}); "
        f"say which with `label_pattern='{_WORD_AND_NUMBERS}'` or `label_pattern='{_WORD_AND_NUMBER}'`"
    )


def splits_in_classes(path: Path, search: Search) -> LabelledFiles | None:
    """Return the images of class folders that hold nothing but folders of splits, ``cat/train/*``, ``cat/test/*``.

    Raises:
        DataError: see :func:`parts_in_classes`.
    """
    root, entered = unwrapped(path, search)
    entries: dict[str, list[FileEntry]] = {}
    labels: dict[str, list[str]] = {}
    for part in parts_in_classes(root, search):
        found = list(search.files_below(str(part.folder)))
        entries.setdefault(part.split, []).extend(found)
        labels.setdefault(part.split, []).extend([*part.above] * len(found))
    if not labels:
        return None
    named = {split: named_labels(of_split) for split, of_split in labels.items()}
    sizes = ", ".join(f"{split} ({len(labels[split]):,})" for split in SPLIT_NAMES if split in labels)
    note = f"Splits: from folders in the class folders, {sizes}; `level=top` takes all as training images."
    return LabelledFiles(entries, named, (*entered, note))


def parts_in_classes(root: Path, search: Search) -> list[Part]:
    """Return the folders of splits in class folders that hold nothing but these; none where they hold others.

    Raises:
        DataError: some class folders are so and others hold images themselves, or one has no folder for training.
    """
    tops = search.folders(root)
    if len(tops) < 2 or any(split_of(folder.name) for folder in tops):
        return []
    splits = {folder: _splits_in(folder, search) for folder in tops}
    split_up = [folder for folder in tops if splits[folder]]
    # A class "train" of vehicles may be a folder in one class; a habit is seen in several.
    if len(split_up) < 2 or not any("train" in splits[folder] for folder in split_up):
        return []
    filled = [folder for folder in tops if splits[folder] or search.holds_files(folder)]
    whole = [folder for folder in filled if "train" not in splits[folder]]
    if whole:
        without = some_of([folder.name for folder in whole])
        raise DataError(
            f"{root} has folders of splits in its class folders ({split_up[0].name}/train), and {without} "
            f"ha{'s' if len(whole) == 1 else 've'} no train folder; add it, or take all images of a class as training "
            "images with `level=top`"
        )
    return [Part(split, inner, (folder.name,)) for folder in filled for split, inner in splits[folder].items()]


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
    _ask_of_same_names(root, parts)
    levels = []
    for level in range(1, deepest + 1):
        places = dict.fromkeys("/".join(one[:level]) for one in parts if len(one) >= level)
        names = dict.fromkeys(place.rpartition("/")[2] for place in places)
        spread = f" in {len(places):,} folders" if len(names) < len(places) else ""
        levels.append(f"level {level}: {len(names):,}{spread} ({some_of(list(names), at_most=3)})")
    last = len({one[-1] for one in parts if one})
    taken = f"The top one was taken; `level=leaf` takes the last ({last:,})."
    return (f"Folders lie {deepest} deep: {'; '.join(levels)}. {taken}",)


def _ask_of_same_names(root: Path, folders: Sequence[Sequence[str]]) -> None:
    """Refuse top folders that all hold folders of the same names: either may be the classes, ``fold0/cat, fold1/cat``.

    Args:
        folders: that hold images, as the names from ``root`` to them.

    Raises:
        DataError: it is so.
    """
    inside: dict[str, list[Sequence[str]]] = {}
    for one in folders:
        if one:
            inside.setdefault(one[0], []).append(one[1:])
    found = []
    for below_top in inside.values():
        # One folder around those that are looked for, amazon/images/mug.
        while all(below_top) and len({one[0] for one in below_top}) == 1:
            below_top = [one[1:] for one in below_top]
        found.append({one[0] for one in below_top} if all(below_top) else set())
    shared, every = set.intersection(*found), set.union(*found)
    if len(found) < 2 or len(shared) < 2 or len(shared) < _SHARED * len(every):
        return
    tops, names = in_order(inside), in_order(shared)
    raise DataError(
        f"{root} has {len(tops):,} folders ({some_of(tops, at_most=3)}) that hold folders of the same names "
        f"({some_of(names, at_most=3)}); either may be the classes: say which with `level=top` or `level=leaf`"
    )


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


def _images_of(parts: Sequence[Part], search: Search) -> tuple[dict[str, list[list[FileEntry]]], list[str]]:
    """Return the image files of parts by split, those of each part by themselves, and the names of other files.

    Raises:
        DataError: there are no images.
    """
    images: dict[str, list[list[FileEntry]]] = {}
    others = []
    for part in parts:
        of_part = []
        for entry in search.files_below(str(part.folder)):
            if is_image_name(entry.path):
                of_part.append(entry)
            else:
                others.append(Path(entry.path).name)
        images.setdefault(part.split, []).append(of_part)
    images = {split: of_split for split, of_split in images.items() if any(of_split)}
    if "train" not in images:
        (folder, *_) = (part.folder for part in parts if part.split == "train")
        raise no_images(folder, search)
    return images, others


def no_images(folder: Path, search: Search) -> DataError:
    """Return what to say of a folder without images: to give what lies in it, where that may hold some."""
    held = [folder / name for name in search.names(folder)]
    given = [str(file) for file in held if is_archive(file) or file.suffix.lower() == ".npz"]
    if given:
        which = "which" if len(given) == 1 else "one of which"
        return DataError(f"{folder} holds no images itself; give {' or '.join(given[:3])}, {which} may hold some")
    return DataError(f"{folder} holds no images; it must hold a folder of image files for each class")


def _counted(labels: Mapping[str, Sequence[str]]) -> str:
    counts = Counter(label for of_split in labels.values() for label in of_split)
    return some_of([f"{name} ({counts[name]:,})" for name in in_order(counts)])
