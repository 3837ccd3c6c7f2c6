"""A folder of image files: ``<split>/<class>/**/*`` or ``<class>/**/*``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stepladder.datasets.decode_all import decode_splits
from stepladder.datasets.encoded import FileEntry, entry_of, files
from stepladder.datasets.image_set import ImageSet
from stepladder.datasets.labels import NamedLabels, match_classes
from stepladder.datasets.sources.base import LoadOptions, PathSource, name_of, split_of
from stepladder.errors import DataError, some_of

# What file managers and archivers leave behind; hidden names (.DS_Store, .ipynb_checkpoints) are left out by their dot.
_LEFT_BEHIND = ("thumbs.db", "desktop.ini", "__macosx")


def load(path: Path, options: LoadOptions) -> ImageSet:
    """Load the images under ``path``; folders nested in a class folder belong to it.

    Every file in a class folder must be an image, whatever its suffix; hidden ones and Thumbs.db are passed over.

    Raises:
        DataError: no images, one class, an empty class folder, or splits whose classes differ.
        DamagedImagesError: files that are no readable image (all listed).
    """
    split_folders, notes = _split_folders(path)
    entries, named = {}, {}
    for split_name, folder in split_folders.items():
        class_names, by_class = _by_class(folder, options.limit)
        entries[split_name] = [file for class_files in by_class for file in class_files]
        labels = np.repeat(np.arange(len(by_class), dtype=np.int64), [len(class_files) for class_files in by_class])
        named[split_name] = NamedLabels(class_names, labels)
    class_names, labels_by_split, class_notes = match_classes(str(path), named)
    encoded = {name: files(entries[name], labels_by_split[name]) for name in entries}
    decoded = decode_splits(
        encoded, shape=options.shape, skip_damaged=options.skip_damaged, on_progress=options.access.on_progress
    )
    return decoded.image_set(name_of(path), class_names, (*notes, *class_notes))


def _split_folders(path: Path) -> tuple[dict[str, Path], tuple[str, ...]]:
    # The layout has splits if there is a train folder, or nothing but split names. A lone "test" beside other names is
    # a class: test and control, say.
    folders = _folders(path)
    by_split: dict[str, Path] = {}
    others = []
    for folder in folders:
        split = split_of(folder.name)
        if split is None:
            others.append(folder.name)
        elif split in by_split:
            raise DataError(
                f"{path} has two folders for the {split} split, {by_split[split].name} and {folder.name}; keep one"
            )
        else:
            by_split[split] = folder
    if not by_split or (others and "train" not in by_split):
        return {"train": path}, ()
    if "train" not in by_split:
        names = some_of([folder.name for folder in folders])
        raise DataError(f"{path} has {names} but no train folder; add train/<class>/*")
    notes = (f"Folders that name no split were left out: {some_of(others)}.",) if others else ()
    return by_split, notes


def _by_class(folder: Path, limit: int | None) -> tuple[tuple[str, ...], list[list[FileEntry]]]:
    classes = _folders(folder)
    by_class = [list(_files_below(str(class_folder))) for class_folder in classes]
    if not any(by_class):
        raise DataError(f"{folder} holds no images; it must hold a folder of image files for each class")
    for class_folder, class_files in zip(classes, by_class, strict=True):
        if not class_files:
            raise DataError(f"the class folder {class_folder} is empty; add images or remove the folder")
    if len(classes) == 1:
        raise DataError(
            f"{folder} holds one class, '{classes[0].name}', and it takes at least two to tell apart; add a folder for "
            f"each further class, or if the classes lie deeper, give {classes[0]}"
        )
    return tuple(class_folder.name for class_folder in classes), [class_files[:limit] for class_files in by_class]


def _folders(path: Path) -> list[Path]:
    with os.scandir(path) as entries:
        return sorted(path / entry.name for entry in entries if not _is_ignored(entry.name) and entry.is_dir())


def _files_below(folder: str) -> Iterator[FileEntry]:
    """Find the files under ``folder``, in the order of their names; links are followed, each folder is walked once.

    Once, because links can lead back to a folder above, or make a few folders look like millions. Entries and not
    paths, because looking at 60,000 files a second time would take as long as decoding many of them.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [_listed(folder, seen)]
    while waiting:
        entry = next(waiting[-1], None)
        if entry is None:
            waiting.pop()
        elif _is_folder(entry):
            waiting.append(_listed(entry.path, seen))
        else:
            try:
                found = entry.stat()
            except OSError:
                yield FileEntry(entry.path, -1, 0)  # a broken link, say: it stays in the list, so that it is reported
                continue
            # A pipe or device is no image that somebody forgot; opening one could wait for ever.
            if entry.is_file():
                yield entry_of(entry.path, found)


def _listed(folder: str, seen: set[tuple[int, int]]) -> Iterator[os.DirEntry[str]]:
    found = os.stat(folder)  # noqa: PTH116 (a str, as scandir gives it)
    if (found.st_dev, found.st_ino) in seen:
        return iter(())
    seen.add((found.st_dev, found.st_ino))
    with os.scandir(folder) as entries:
        return iter(sorted((entry for entry in entries if not _is_ignored(entry.name)), key=lambda entry: entry.name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


SOURCE = PathSource(
    "a folder of images",
    "train/<class>/*, test/<class>/* (and val, valid or validation), or <class>/* split for you",
    Path.is_dir,
    load,
)
