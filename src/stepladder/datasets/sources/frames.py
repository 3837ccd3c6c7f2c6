"""Data frames of paths: pandas, polars, or whatever gives its columns by name. None of these libraries is imported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepladder.datasets.image_set import SPLIT_NAMES, ImageSet
from stepladder.datasets.sources.base import LoadOptions, split_of
from stepladder.datasets.sources.columns import Places
from stepladder.datasets.sources.listed import Source, load_tables
from stepladder.datasets.sources.rows import Table, cell_of
from stepladder.errors import DataError, some_of

# How pandas writes that there is nothing.
_NOTHING = ("<NA>", "NaT", "nan")


def are_frames(data: object) -> bool:
    """Whether ``data`` is a data frame, or a mapping of splits to some."""
    if isinstance(data, Mapping):
        return bool(data) and all(map(_is_frame, data.values()))
    return _is_frame(data)


def read_frames(data: Any, name: str, options: LoadOptions) -> ImageSet:
    """Return the images that data frames list, with their columns found as those of a table.

    Args:
        data: a frame, or frames by split. Paths start at the current folder, one in it, or ``images``.
        name: of the image set.

    Raises:
        DataError: see :func:`stepladder.datasets.sources.table.load`.
        DamagedImagesError: files that are no readable image (all listed).
    """
    images = None if options.labels.images is None else Path(options.labels.images).expanduser()
    if not isinstance(data, Mapping):
        return load_tables(name, [Source(_table(data, "the frame"), Places(Path(), images))], options)
    frames = {split_of(str(key)): frame for key, frame in data.items()}
    if None in frames or len(frames) < len(data) or "train" not in frames:
        raise DataError(
            f"there are frames for {some_of([str(key)[:40] for key in data])}; the keys are train, and if there are "
            "any, validation and test, each once"
        )
    sources = [
        Source(_table(frames[split], f"the {split} frame"), Places(Path(), images), split)
        for split in SPLIT_NAMES
        if split in frames
    ]
    return load_tables(name, sources, options)


def _is_frame(data: object) -> bool:
    return all(hasattr(data, part) for part in ("columns", "dtypes", "shape", "__getitem__"))


def _table(frame: Any, name: str) -> Table:
    header = [str(column) for column in frame.columns]
    if twins := [column for column in header if header.count(column) > 1]:
        raise DataError(f"{name} has two columns called '{twins[0][:40]}'; rename one")
    columns = [list(map(_cell, frame[column].to_list())) for column in frame.columns]
    return Table(name, name, header, columns, range(len(frame)), unit="row")


def _cell(value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    cell = cell_of(plain)
    return "" if cell.strip('"') in _NOTHING else cell
