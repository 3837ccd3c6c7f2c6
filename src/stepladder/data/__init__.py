"""Labelled images: from a name or a path to train, validation and test.

Its names are loaded when they are first used: splitting needs scikit-learn and parquet pyarrow, prediction neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepladder.lazy import lazy_names

if TYPE_CHECKING:
    from stepladder.data.image_set import SPLIT_NAMES, ImageSet, Split
    from stepladder.data.load import load_image_set
    from stepladder.data.sources import SOURCES
    from stepladder.data.split import Splits, make_splits

_HOMES = {
    "SOURCES": "sources",
    "SPLIT_NAMES": "image_set",
    "ImageSet": "image_set",
    "Split": "image_set",
    "Splits": "split",
    "load_image_set": "load",
    "make_splits": "split",
}

__all__ = ["SOURCES", "SPLIT_NAMES", "ImageSet", "Split", "Splits", "load_image_set", "make_splits"]

__getattr__ = lazy_names(__name__, _HOMES)
