"""The sources of image sets: one file a format, and the one table that lists them."""

from __future__ import annotations

from stepladder.datasets.sources import (
    archive,
    cifar,
    digits,
    folder,
    idx,
    mnist,
    npz,
    parquet,
    table,
    webdataset,
)
from stepladder.datasets.sources.base import Access, Labelled, LabelOptions, LoadOptions, NamedSource, PathSource

__all__ = [
    "NAMED_SOURCES",
    "PATH_SOURCES",
    "SOURCES",
    "Access",
    "LabelOptions",
    "Labelled",
    "LoadOptions",
    "NamedSource",
    "PathSource",
]

#: Every source. Paths are tried in this order, so the plain folder, which takes any folder, stands last.
SOURCES: tuple[NamedSource | PathSource, ...] = (
    digits.SOURCE,
    *cifar.SOURCES,
    *mnist.SOURCES,
    idx.SOURCE,
    table.SOURCE,
    parquet.SOURCE,
    npz.SOURCE,
    webdataset.SOURCE,
    archive.SOURCE,
    folder.SOURCE,
)

#: The sources that are asked for by name, by that name.
NAMED_SOURCES = {source.name: source for source in SOURCES if isinstance(source, NamedSource)}

#: The sources that recognize a path, in the order in which they are asked.
PATH_SOURCES = tuple(source for source in SOURCES if isinstance(source, PathSource))
