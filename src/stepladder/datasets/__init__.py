"""Labelled images: from a name or a path to train, validation and test.

Its names are loaded when they are first used: splitting needs scikit-learn and parquet pyarrow, prediction neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepladder.lazy import lazy_names

if TYPE_CHECKING:
    from stepladder.datasets.image_set import SPLIT_NAMES, ImageSet, Split
    from stepladder.datasets.load import as_image_set, load_image_set
    from stepladder.datasets.shapes import DefaultSize
    from stepladder.datasets.sources import SOURCES, Access, Labelled
    from stepladder.datasets.splits import Splits, make_splits

_HOMES = {
    "Access": "sources",
    "DefaultSize": "shapes",
    "SOURCES": "sources",
    "SPLIT_NAMES": "image_set",
    "ImageSet": "image_set",
    "Labelled": "sources",
    "Split": "image_set",
    "Splits": "splits",
    "as_image_set": "load",
    "load_image_set": "load",
    "make_splits": "splits",
}

__all__ = [
    "SOURCES",
    "SPLIT_NAMES",
    "Access",
    "DefaultSize",
    "ImageSet",
    "Labelled",
    "Split",
    "Splits",
    "as_image_set",
    "load_image_set",
    "make_splits",
]

__getattr__ = lazy_names(__name__, _HOMES)
