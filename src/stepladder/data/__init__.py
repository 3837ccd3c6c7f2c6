"""Labelled images: from a name or a path to train, validation and test."""

from __future__ import annotations

from stepladder.data.image_set import ImageSet, Split
from stepladder.data.load import load_image_set
from stepladder.data.sources import SOURCES
from stepladder.data.split import Splits, make_splits

__all__ = ["SOURCES", "ImageSet", "Split", "Splits", "load_image_set", "make_splits"]
