"""A folder of image files: ``<split>/<class>/**/*`` or ``<class>/**/*``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from stepladder.datasets import filesystem
from stepladder.datasets.decode_all import DecodedSplits, decode_splits
from stepladder.datasets.encoded import Encoded, files
from stepladder.datasets.filesystem import FileEntry
from stepladder.datasets.image_set import ImageSet, first_of_each_class
from stepladder.datasets.labels import NamedLabels, in_order, match_classes, named_labels
from stepladder.datasets.sources.agreement import compare_tables, load_listed
from stepladder.datasets.sources.base import (
    LabelOptions,
    LoadOptions,
    PathSource,
    all_below,
    name_of,
    say_labels,
    split_in_folder_name,
    split_of,
)
from stepladder.datasets.sources.listed import spelled_labels
from stepladder.datasets.sources.tree import (
    LabelledFiles,
    Part,
    label_files,
    labels_in_names,
    level_notes,
    no_images,
    parts_in_classes,
    refuse_set_among_others,
    splits_in_classes,
    unwrapped,
    within_split,
)
from stepladder.datasets.suspects import paths_of, suspect_bursts, suspect_groups
from stepladder.datasets.walk import Search, is_image_name, is_result_folder, not_read
from stepladder.errors import DataError, some_of

# Of the images in a folder that is called as a split, so many lie in each of those beside it where all are classes.
_LEAST_BESIDE = 0.1


def load(path: Path, options: LoadOptions) -> ImageSet:
    """Load the images under ``path``; folders nested in a class folder belong to it.

    Every file in a class folder that is called as an image must be one; what is none by its ending and content, what
    systems and tools leave behind, and results of Stepladder are passed over, and what was is said; see
    :mod:`stepladder.datasets.walk`. A folder without images is no class.

    Raises:
        DataError: no images, one class, two readings that are equally good, or splits whose classes differ.
        DamagedImagesError: files that are no readable image (all listed).
    """
    if is_result_folder(path):
        raise DataError(
            f"{path} holds results of Stepladder and would be read as images; give the folder of the images, and move "
            "results out of it"
        )
    search = Search()
    if options.labels.names_columns:
        return load_listed(path, options)
    stated = options.labels.label_pattern is not None or options.labels.level is not None
    by_paths: LabelledFiles | None
    if stated:
        parts, around, notes = _stated_parts(path, search, options.labels)
        by_paths = label_files(path, parts, search, options.labels)
        by_paths = replace(by_paths, notes=(*by_paths.notes, *notes))
    else:
        around = ()
        by_paths = labels_in_names(path, search) or splits_in_classes(path, search)
    if by_paths is not None:
        layout = _Layout({"train": path}, by_paths.notes)
        entries, named = by_paths.entries, by_paths.named
    else:
        try:
            layout, entries, named = _read_classes(path, search)
        except DataError as error:
            return load_listed(path, options, error)
    named, spelled = _spelled(str(path), named, fold=options.labels.fold_labels)
    class_names, labels_by_split, class_notes = match_classes(str(path), named)
    state = "`level=top`" if by_paths is None else by_paths.state
    agreed = () if stated else compare_tables(path, entries, named, state)
    if agreed is None:
        return load_listed(path, options)
    paths = {name: all_below(path, (entry.path for entry in entries[name])) for name in entries}
    groups, group_notes = options.labels.groups_of_paths(
        paths, lambda: {name: [entry.path for entry in entries[name]] for name in entries}
    )
    encoded = {
        name: _encoded(entries[name], labels_by_split[name], groups.get(name), options.limit) for name in entries
    }
    decoded = decode_splits(
        encoded, shape=options.shape, skip_damaged=options.skip_damaged, on_progress=options.access.on_progress
    )
    suspects = () if options.labels.asks_groups else _suspects(decoded, paths)
    if by_paths is None:
        around = tuple(dict.fromkeys((path, *layout.by_split.values())))
    beside = [name for folder in around for name in search.names(folder)]
    notes = (
        *suspects,
        *layout.notes,
        *agreed,
        *spelled,
        *class_notes,
        *group_notes,
        *not_read(beside, "beside the class folders"),
        *search.notes(),
    )
    linked = [inner for folder in layout.by_split.values() for inner in (folder, *search.folders(folder))]
    read = (path, *(inner for inner in linked if inner.is_symlink()))
    labels = np.concatenate([split.labels for split in decoded.splits.values()])
    counts = dict(zip(class_names, np.bincount(labels, minlength=len(class_names)).tolist(), strict=True))
    return replace(
        decoded.image_set(name_of(path), class_names, notes),
        folders=tuple(dict.fromkeys(inner.resolve() for inner in read)),
        labels_from="" if by_paths is not None else say_labels("the folders' names", counts),
    )


def _stated_parts(
    path: Path, search: Search, asked: LabelOptions
) -> tuple[list[Part], tuple[Path, ...], tuple[str, ...]]:
    """Return the folders of the splits where the user says what labels the images, as they are where nobody does.

    Returns:
        these; folders around them, whose files are not read; and notes.
    """
    root, entered = unwrapped(path, search)
    if asked.level != "top" and (parts := parts_in_classes(root, search)):
        return parts, (), entered
    layout = _layout(root, search, stated=True)
    parts = [Part(split, folder) for split, folder in layout.by_split.items()]
    around = dict.fromkeys(folder for folder in (path, root) if folder not in layout.by_split.values())
    return parts, tuple(around), (*entered, *layout.notes)


def _spelled(
    where: str, named: Mapping[str, NamedLabels], *, fold: bool
) -> tuple[dict[str, NamedLabels], tuple[str, ...]]:
    """Return the labels of all splits in one spelling each, as those of a table; see :func:`spelled_labels`."""
    names = list(dict.fromkeys(name for of_split in named.values() for name in of_split.class_names))
    if spelled_labels(where, names, fold=True)[0] == names:
        return dict(named), ()
    labels = [of_split.class_names[label] for of_split in named.values() for label in of_split.labels.tolist()]
    new, notes = spelled_labels(where, labels, fold=fold)
    ends = np.cumsum([len(of_split.labels) for of_split in named.values()]).tolist()
    return {
        split: named_labels(new[end - len(of_split.labels) : end])
        for (split, of_split), end in zip(named.items(), ends, strict=True)
    }, notes


def _suspects(decoded: DecodedSplits, paths: dict[str, list[str]]) -> tuple[str, ...]:
    by_names = suspect_groups(decoded.splits, paths_of(decoded.kept, paths))
    return by_names or suspect_bursts(decoded.splits, decoded.taken)


def _encoded(entries: list[FileEntry], labels: np.ndarray, groups: np.ndarray | None, limit: int | None) -> Encoded:
    if limit is None:
        return files(entries, labels, groups=groups)
    kept = first_of_each_class(labels, limit, groups)
    of_kept = None if groups is None else groups[kept]
    return files([entries[position] for position in kept.tolist()], labels[kept], groups=of_kept)


def _read_classes(path: Path, search: Search) -> tuple[_Layout, dict[str, list[FileEntry]], dict[str, NamedLabels]]:
    """Find the files of class folders, and their labels, by split."""
    root, entered = unwrapped(path, search)
    layout = _layout(root, search)
    entries, named = {}, {}
    lacking: list[str] = []
    # What is wrong with the training images is said first.
    for split_name, folder in sorted(layout.by_split.items(), key=lambda one: one[0] != "train"):
        class_names, by_class, without = _by_class(search, root, folder)
        lacking += without
        entries[split_name] = [file for class_files in by_class for file in class_files]
        labels = np.repeat(np.arange(len(by_class), dtype=np.int64), [len(class_files) for class_files in by_class])
        named[split_name] = NamedLabels(class_names, labels)
        if folder == root:
            counts = {name: len(of_class) for name, of_class in zip(class_names, by_class, strict=True)}
            refuse_set_among_others(root, search, counts)
    levels = level_notes(layout.by_split, entries["train"])
    no_classes = (f"Folders without images are no classes: {some_of(lacking)}.",) if lacking else ()
    in_order_of_folders = {split: entries[split] for split in layout.by_split}
    return replace(layout, notes=(*entered, *levels, *layout.notes, *no_classes)), in_order_of_folders, named


def holds(path: Path) -> bool:
    """Whether ``path`` surely is a folder of images: two class folders with image files, or a split folder of some."""
    search = Search()
    folders = search.folders(path)
    if any(split_of(folder.name) and _holds_classes(search, folder) for folder in folders):
        return True
    found = (folder for folder in folders if _holds_images(search, folder))
    return next(found, None) is not None and next(found, None) is not None


@dataclass(frozen=True)
class _Layout:
    """The folders of the splits, and what was decided about them."""

    by_split: dict[str, Path]
    notes: tuple[str, ...] = ()


def _layout(path: Path, search: Search, *, stated: bool = False) -> _Layout:
    """Tell splits from classes by what the folders hold.

    A folder that is called as a split is one where it holds class folders. A lone "test" beside other names is a class:
    test and control, say; and so is a "train" of locomotives.

    Args:
        stated: the user says what labels the images, so that a split needs no class folders.
    """
    folders = search.folders(path)
    called, notes = _called(folders, search)
    others = [folder for folder in folders if folder not in called]
    splits = [folder for folder in called if _holds_classes(search, folder)]
    flat = [folder for folder in called if folder not in splits and _holds_images(search, folder)]
    with_train = any(called[folder] == "train" for folder in splits)
    if stated and (with_train or len({called[folder] for folder in flat}) > 1):
        with_train = with_train or any(called[folder] == "train" for folder in flat)
        splits, flat = [*splits, *flat], []
    if not called or (others and not with_train and not _agree(search, splits)):
        return _Layout({"train": path}, _called_as_splits(flat) if others else ())
    if len(called) == 1 and _are_classes(search, next(iter(called)), others):
        return _Layout({"train": path}, _classes_called_as_splits(next(iter(called)), others))
    if not others and not splits and flat and not stated:
        raise DataError(
            f"{path} has {some_of([folder.name for folder in flat])}, and there are no class folders in "
            f"{'it' if len(flat) == 1 else 'them'}; make {flat[0].name}/<class>/*"
        )
    by_split: dict[str, Path] = {}
    for folder, split in called.items():
        if folder in flat:
            continue
        if split in by_split:
            raise DataError(
                f"{path} has two folders for the {split} split, {by_split[split].name} and {folder.name}; keep one"
            )
        by_split[split] = folder
    if "train" not in by_split:
        names = some_of([folder.name for folder in folders])
        raise DataError(f"{path} has {names} but no train folder; add train/<class>/*")
    if not stated:
        flat += _unlabelled(search, by_split)
        by_split = {split: folder for split, folder in by_split.items() if folder not in flat}
    by_split = {split: within_split(folder, search) for split, folder in by_split.items()}
    return _Layout(by_split, (*notes, *_left_out(search, others), *_no_classes(search, flat)))


def _called(folders: Sequence[Path], search: Search) -> tuple[dict[Path, str], tuple[str, ...]]:
    """Return the folders that are called as splits, with these; and a note where a word in their names tells.

    Where no word is all of a name, classes of the same names must be in them: ``seg_train/sea``, ``seg_test/sea``.
    """
    called = {folder: split for folder in folders if (split := split_of(folder.name))}
    if len(set(called.values())) > 1:
        return called, ()
    told = {folder: split for folder in folders if (split := split_in_folder_name(folder.name))}
    splits = [split for folder, split in told.items() if _holds_classes(search, folder)]
    if "train" not in splits or len(splits) < 2 or len(set(told.values())) < len(told):
        return called, ()
    if not _agree(search, [folder for folder in told if _holds_classes(search, folder)]):
        return called, ()
    names = ", ".join(f"{folder.name} ({split})" for folder, split in told.items())
    return told, (f"Splits: from the folders {names}, which hold the same classes.",)


def _agree(search: Search, splits: list[Path]) -> bool:
    """Whether several folders that are called as splits hold the same classes, so that they are splits indeed."""
    inside = [_classes_in(search, split) for split in splits]
    return len(inside) > 1 and all(names == inside[0] for names in inside)


def _classes_in(search: Search, split: Path) -> set[str]:
    return {folder.name for folder in search.folders(within_split(split, search)) if search.holds_files(folder)}


def _are_classes(search: Search, called: Path, others: Sequence[Path]) -> bool:
    """Whether a folder that is called as a split is a class, as those beside it hold as much and other folders."""
    shaped = [folder for folder in others if _holds_images(search, folder)]
    if not shaped or not all(_holds_classes(search, folder) for folder in shaped):
        return False
    inside = _classes_in(search, called)
    if len(shaped) < (2 if len(inside) > 1 else 1):
        return False
    if any(inside & _classes_in(search, folder) for folder in shaped):
        return False
    least = _LEAST_BESIDE * sum(1 for _ in search.files_below(str(called)))
    return all(sum(1 for _ in search.files_below(str(folder))) >= least for folder in shaped)


def _classes_called_as_splits(called: Path, others: Sequence[Path]) -> tuple[str, ...]:
    beside = some_of([folder.name for folder in others])
    return (
        f"{called.name} is taken for a class, as what is beside it ({beside}) holds folders of other names; if it has "
        f"the training images, give {called}.",
    )


def _unlabelled(search: Search, by_split: Mapping[str, Path]) -> list[Path]:
    """Return folders of splits that hold one folder, none of the training classes: of images that nobody labelled."""
    others = {folder: search.folders(folder) for split, folder in by_split.items() if split != "train"}
    alone = {folder: inside[0] for folder, inside in others.items() if len(inside) == 1}
    classes = _classes_in(search, by_split["train"]) if alone else set()
    return [
        folder
        for folder, inside in alone.items()
        if len(classes) > 1 and inside.name not in classes and not search.folders(inside)
    ]


def _called_as_splits(flat: list[Path]) -> tuple[str, ...]:
    if not flat:
        return ()
    names = " and ".join(folder.name for folder in flat)
    if len(flat) == 1:
        return (f"{names} is taken for a class: it holds images itself and no class folders.",)
    return (f"{names} are taken for classes: they hold images themselves and no class folders.",)


def _left_out(search: Search, others: list[Path]) -> tuple[str, ...]:
    if not others:
        return ()
    counts = {folder: sum(1 for _ in search.files_below(str(folder))) for folder in others}
    left = [folder for folder in others if counts[folder] or not search.holds_results(folder)]
    names = [
        f"{folder.name} ({counts[folder]:,} file{'s' if counts[folder] > 1 else ''})" if counts[folder] else folder.name
        for folder in left
    ]
    return (f"Folders that name no split were left out: {some_of(names)}.",) if names else ()


def _no_classes(search: Search, flat: list[Path]) -> tuple[str, ...]:
    return tuple(
        f"{folder.name} holds images and no class folders, so it is no split: its "
        f"{sum(1 for _ in search.files_below(str(folder))):,} files were left out."
        for folder in flat
    )


def _holds_classes(search: Search, folder: Path) -> bool:
    """Whether ``folder`` holds folders with files, and more of these than images beside them."""
    beside = sum(map(is_image_name, search.names(folder)))
    below = chain.from_iterable(search.files_below(str(inner)) for inner in search.folders(folder))
    return sum(1 for _ in islice(below, beside + 1)) > beside


def _holds_images(search: Search, folder: Path) -> bool:
    """Whether there is a file below ``folder`` that is called as an image."""
    return any(is_image_name(entry.path) for entry in search.files_below(str(folder)))


def _by_class(search: Search, root: Path, folder: Path) -> tuple[tuple[str, ...], list[list[FileEntry]], list[str]]:
    """Return the classes in a folder, their files, and the folders without any, which are no classes."""
    found = {inner.name: inner for inner in search.folders(folder)}
    above = (str(root), str(folder))
    by_class = {name: list(search.files_below(str(found[name]), above)) for name in in_order(found)}
    if not any(by_class.values()):
        raise no_images(folder, search)
    without = [str(found[name]) for name, images in by_class.items() if not images]
    # Results of ours are said by themselves.
    lacking = [name for name in without if not search.holds_results(Path(name))]
    by_class = {name: images for name, images in by_class.items() if images}
    if len(by_class) == 1:
        (name,) = by_class
        raise DataError(
            f"{folder} holds one class, '{name}', and it takes at least two to tell apart; add a folder for "
            f"each further class, or if the classes lie deeper, give {found[name]}"
        )
    return tuple(by_class), list(by_class.values()), lacking


SOURCE = PathSource(
    "a folder of images",
    "train/<class>/*, test/<class>/* (and val, valid or validation), or <class>/* split for you",
    filesystem.is_folder,
    load,
    holds,
)
