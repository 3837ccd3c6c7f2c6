"""A table of paths, with a row an image: its path, its label, and its split and group if there are any.

CSV and TSV (RFC 4180), JSON, JSON lines, parquet, lines of a path and a label, and the ``metadata.csv`` or
``metadata.jsonl`` that Hugging Face's image folders have.
"""

from __future__ import annotations

import re
from pathlib import Path

from stepladder.datasets import filesystem
from stepladder.datasets.image_set import ImageSet
from stepladder.datasets.sources.base import LabelOptions, LoadOptions, PathSource, name_of, split_of, split_of_name
from stepladder.datasets.sources.columns import Columns, Places, find_columns, find_files, has_splits
from stepladder.datasets.sources.json_rows import read_json_rows
from stepladder.datasets.sources.listed import Source, load_tables
from stepladder.datasets.sources.parquet import lists_paths, read_parquet_rows
from stepladder.datasets.sources.rows import JSON, JSON_LINES, LISTS, PARQUET, TABLES, Table, read_lines, read_text
from stepladder.datasets.walk import is_folder, is_left_behind
from stepladder.errors import DataError

# What tables end in.
_ENDINGS = (*TABLES, *JSON, *JSON_LINES, *LISTS, *PARQUET)

# As Hugging Face's image folders have them, beside the images.
_METADATA = ("metadata.csv", "metadata.jsonl")


def matches(path: Path) -> bool:
    """Whether ``path`` is a file that is called as a table, or a folder with ``metadata.csv`` or ``metadata.jsonl``.

    Parquet may hold images; only this looks into the file, and not far.
    """
    if filesystem.is_file(path):
        return is_table_name(path.name) and (path.suffix.lower() not in PARQUET or lists_paths(path))
    return bool(_metadata_at(path))


def is_table_name(name: str) -> bool:
    """Whether a file of that name is a table by its ending."""
    return name.lower().endswith(_ENDINGS)


def holds(path: Path) -> bool:
    """Whether the table surely says paths and labels; a folder may have notes of that name beside class folders.

    One that puts images of one class folder into the class of another does not: the folders' reader names the rows.
    """
    if filesystem.is_file(path):
        return True
    try:
        for split, file in _metadata_at(path).items():
            columns = find_columns(read_table(file), Places(file.parent), LabelOptions())
            if split is None and _contradicts_folders(columns):
                return False
    except DataError:
        return False
    return True


def _contradicts_folders(columns: Columns) -> bool:
    """Whether the paths of a table begin with folders called as its labels, and some with that of another label."""
    if not isinstance(columns.labels, int):
        return False
    labels = columns.table.columns[columns.labels]
    folders = [path.removeprefix("./").partition("/")[0] for path in columns.table.columns[columns.path]]
    return set(folders) <= set(labels) and folders != labels


def files_listed(path: Path, path_column: str | None = None, images: Path | None = None) -> tuple[Table, list[str]]:
    """Return the table at ``path``, and the files that its rows name, in their order; labels need not be there.

    Args:
        path_column, images: see :class:`LabelOptions`.

    Raises:
        DataError: it is no table, or no column names files.
    """
    places = Places(path.parent, None if images is None else images.expanduser())
    return find_files(read_table(path), places, LabelOptions(path_column=path_column))


def read_table(path: Path) -> Table:
    """Read the table at ``path``, whose form its ending tells.

    Raises:
        DataError: it is too large, or no table.
    """
    ending = path.suffix.lower()
    if ending in PARQUET:
        return read_parquet_rows(path)
    text, notes = read_text(path)
    return read_json_rows(path, text, notes) if ending in JSON else read_lines(path, text, notes)


def _metadata_at(path: Path) -> dict[str | None, Path]:
    """Return the tables of one of Hugging Face's image folders, by the split whose folder they are in.

    A repository of there has them in its folder ``data``, beside which no other is one of images.
    """
    found, wrapped = _metadata_in(path), path / "data"
    if found or not filesystem.is_folder(wrapped):
        return found
    folders = [one.name for one in filesystem.scan(path) if not is_left_behind(one.name) and is_folder(one)]
    return _metadata_in(wrapped) if folders == ["data"] else {}


def _metadata_in(path: Path) -> dict[str | None, Path]:
    for name in _METADATA:
        if filesystem.is_file(path / name):
            return {None: path / name}
    found: dict[str | None, Path] = {}
    if filesystem.is_folder(path):
        for inner in sorted(path / name for name in filesystem.names_in(path) if split_of(name)):
            split = split_of(inner.name)
            file = next((inner / name for name in _METADATA if filesystem.is_file(inner / name)), None)
            if file is not None and split not in found:
                found[split] = file
    return found if "train" in found else {}


def _tables(path: Path, asked: LabelOptions) -> dict[str | None, Table]:
    """Return the table, with those beside it that have its form and the names of other splits: train.txt, test.txt."""
    table = read_table(path)
    if _split_word(path) != "train" or asked.split_column is not None or has_splits(table):
        return {None: table}
    found: dict[str | None, Table] = {"train": table}
    for file in sorted(path.parent / name for name in filesystem.names_in(path.parent)):
        split = _split_word(file)
        if split in (None, "train", *found) or file.suffix != path.suffix or _unsplit(file) != _unsplit(path):
            continue
        try:
            other = read_table(file)
        except DataError:
            continue
        if other.header == table.header and len(other.columns) == len(table.columns) and table.lines and other.lines:
            found[split] = other
    return found if len(found) > 1 else {None: table}


def _split_word(path: Path) -> str | None:
    return next((split for word in _words(path) if (split := split_of_name(word))), None)


def _unsplit(path: Path) -> list[str]:
    """Return the words of a file's name without that of its split."""
    return [word for word in _words(path) if split_of_name(word) is None]


def _words(path: Path) -> list[str]:
    return re.split(r"[-_. ]|(?<=[a-z])(?=[A-Z])", path.stem)  # trainLabels.csv


def load(path: Path, options: LoadOptions) -> ImageSet:
    """Load the images that the table at ``path`` lists; their paths are relative to its folder, or absolute.

    Raises:
        DataError: no column fits, a cell is blank, a file does not exist, a file has two labels, labels differ by case
            or spaces alone, a split is unknown, there is no training image, or splits whose classes differ.
        DamagedImagesError: files that are no readable image (all listed).
    """
    images = None if options.labels.images is None else Path(options.labels.images).expanduser()
    if filesystem.is_file(path):
        return load_tables(name_of(path), _beside(path, options.labels, path.parent, images), options, paired=True)
    found = sorted(_metadata_at(path).items(), key=lambda one: one[0] != "train")
    sources = [Source(read_table(file), Places(file.parent, images), split) for split, file in found]
    return load_tables(name_of(path), sources, options)


def _beside(path: Path, asked: LabelOptions, folder: Path, images: Path | None) -> list[Source]:
    return [Source(table, Places(folder, images), split) for split, table in _tables(path, asked).items()]


def load_index(folder: Path, options: LoadOptions) -> ImageSet:
    """Load the images in ``folder`` that the table ``index`` lists; see :func:`load`.

    Raises:
        DataError: ``folder`` is none, there is no such table, or as of :func:`load`.
    """
    index = Path(options.labels.index or "").expanduser()
    if not filesystem.is_folder(folder):
        raise DataError(
            f"`index` is the table of a folder of images, and {folder} is none; give the folder, or the table alone"
        )
    file = next((one for one in (index, folder / index) if filesystem.is_file(one)), None)
    if file is None or not matches(file):
        what = "there is no such file" if file is None else "that is no table of paths"
        raise DataError(f"`index` is {index}, and {what}; it may be a table that ends in {', '.join(_ENDINGS)}")
    return load_beside(name_of(folder), file, folder, options)


def load_beside(name: str, file: Path, folder: Path, options: LoadOptions, state: tuple[str, ...] = ()) -> ImageSet:
    """Load the images that a table and those of its other splits list, with paths that start at ``folder``.

    Args:
        name: of the image set.
        file: the table.
        state: how a user says that it is this one, where nobody did, as arguments.

    Raises:
        DataError, DamagedImagesError: see :func:`load`.
    """
    return load_tables(name, _beside(file, options.labels, folder, None), options, paired=True, state=state)


SOURCE = PathSource(
    "a table of paths",
    "a .csv, .tsv, .json, .jsonl or .parquet file with paths, labels and, if you like, splits; a .txt file of these; "
    "COCO's annotations; metadata.jsonl",
    matches,
    load,
    holds,
)
