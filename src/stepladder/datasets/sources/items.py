"""Datasets of other libraries, read item by item: torch's ``Dataset`` and the datasets of Hugging Face.

Neither library is imported: which of the two a dataset comes from is told by what it has. Images of several sizes are
brought to one as those of files are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from PIL import Image

from stepladder.datasets.decode import upright_pixels
from stepladder.datasets.decode_all import decode_splits
from stepladder.datasets.encoded import CHUNK_BYTES, Encoded, Item
from stepladder.datasets.image_set import ImageSet
from stepladder.datasets.labels import NamedLabels, match_classes, named_labels
from stepladder.datasets.sources.arrays import as_array, checked_pixels, label_text
from stepladder.datasets.sources.base import LabelOptions, LoadOptions, safe_name
from stepladder.datasets.sources.parquet import IMAGE_COLUMNS, LABEL_COLUMNS
from stepladder.errors import DataError, some_of

#: Items read at a time: few, since the first of them are read twice; and fewer where they are large.
_CHUNK = 32


class _Dataset(Protocol):
    """One split of a dataset.

    Attributes:
        name: of the whole dataset.
        others: columns that are neither its images nor its labels.
    """

    name: str
    others: tuple[str, ...]

    def __len__(self) -> int: ...

    def read(self) -> Iterator[Sequence[Item]]:
        """Start a new pass over the images, in chunks."""
        ...

    def labels(self) -> NamedLabels:
        """Return the labels; called after the first pass."""
        ...

    def column(self, name: str) -> list[object] | None:
        """Return the values of a column that names groups; None where there are no columns."""
        ...


def read_datasets(parts: Mapping[str, Any], name: str | None, options: LoadOptions) -> ImageSet:
    """Return datasets by split as an image set.

    Raises:
        DataError: items or columns are no images and labels, or splits whose classes differ.
        DamagedImagesError: images that cannot be decoded (all listed).
    """
    datasets: dict[str, _Dataset] = {
        split: _HuggingFace(part, split)
        if isinstance(getattr(part, "features", None), Mapping)
        else _Torch(part, split)
        for split, part in parts.items()
    }
    for split, dataset in datasets.items():
        if not len(dataset):
            raise DataError(f"the {split} split is an empty dataset; give it images, or leave it out")
    if options.shape.stretch and "test" not in parts:
        raise DataError(
            "`stretch` goes by the training images, and of a dataset these are known once it is read; give its test "
            "images as a dataset of their own, or save it as files"
        )
    # In place of the labels, which reading brings, the positions of the images.
    encoded = {split: _encoded(split, dataset) for split, dataset in datasets.items()}
    decoded = decode_splits(
        encoded, shape=options.shape, skip_damaged=options.skip_damaged, on_progress=options.access.on_progress
    )
    set_name = safe_name(name or datasets["train"].name)
    class_names, labels, class_notes = match_classes(
        set_name, {split: part.labels() for split, part in datasets.items()}
    )
    others = [name for part in datasets.values() for name in part.others if name != options.labels.group_column]
    if others:
        class_notes = (*class_notes, f"Not read: the columns {some_of(list(dict.fromkeys(others)))}.")
    found = decoded.image_set(set_name, class_names, class_notes)
    groups, group_notes = _groups(datasets, options.labels)
    labelled = {
        name: replace(
            part, labels=labels[name][part.labels], groups=groups[name][part.labels] if name in groups else None
        )
        for name, part in found.splits.items()
    }
    return replace(found, splits=labelled, notes=(*found.notes, *group_notes))


def _groups(datasets: Mapping[str, _Dataset], asked: LabelOptions) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    if asked.group_column is None:
        return {}, ()
    named = {}
    for split, part in datasets.items():
        if (values := part.column(asked.group_column)) is None:
            return {}, ()
        named[split] = values
    return asked.groups_of_column(named)


def _encoded(split: str, dataset: _Dataset) -> Encoded:
    return Encoded(
        np.arange(len(dataset), dtype=np.int64), dataset.read, lambda position: _place(split, position), None
    )


def _place(split: str, position: int) -> str:
    return f"item {position} of {split}"


class _Torch:
    """A torch ``Dataset``: items are pairs (image, label), whatever they are read from."""

    others: tuple[str, ...]

    def __init__(self, dataset: Any, split: str) -> None:
        self._dataset, self._split = dataset, split
        self._texts = [""] * len(dataset)
        self.others = ()
        self.name = type(dataset).__name__

    def __len__(self) -> int:
        return len(self._texts)

    def read(self) -> Iterator[Sequence[Item]]:
        chunk: list[Item] = []
        for position in range(len(self)):
            chunk.append(self._item(position))
            if len(chunk) == _CHUNK or _bytes_of(chunk) > CHUNK_BYTES:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def _item(self, position: int) -> Item:
        place = _place(self._split, position)
        try:
            item = self._dataset[position]
        except OSError as error:  # also of an image that Pillow does not know
            raise DataError(f"{place} cannot be read ({error}); mend or remove it") from error
        except NotImplementedError as error:  # a stream that knows its length
            raise DataError(f"{self.name} gives no items by number; give a dataset that does") from error
        if not isinstance(item, tuple | list) or len(item) != 2:
            of = f" of {len(item)} values" if isinstance(item, tuple | list | dict) else ""
            raise DataError(f"{place} is a {type(item).__name__}{of}; it must be a pair (image, label)")
        image, label = item
        self._texts[position] = label_text(place, label)
        return _pixels(place, image)

    def column(self, name: str) -> list[object] | None:  # noqa: ARG002 (as of a dataset with columns)
        return None

    def labels(self) -> NamedLabels:
        names = _class_names(self._dataset)
        if names is None or not all(text.isdecimal() for text in self._texts):
            return named_labels(self._texts)
        positions = np.array([int(text) for text in self._texts], dtype=np.int64)
        if (wrong := int(positions.argmax())) >= 0 and positions[wrong] >= len(names):
            raise DataError(
                f"{_place(self._split, wrong)} has the label {positions[wrong]}, and the dataset names "
                f"{len(names)} classes, 0 to {len(names) - 1}; mend one of the two"
            )
        return NamedLabels(names, positions)


def _bytes_of(chunk: Sequence[Item]) -> int:
    return sum(item.nbytes if isinstance(item, np.ndarray) else len(item or ()) for item in chunk)


def _class_names(dataset: Any) -> tuple[str, ...] | None:
    """Return the names in ``classes``, torchvision's habit; of a part of a dataset those of the whole."""
    names = getattr(dataset, "classes", None)
    if isinstance(names, list | tuple) and names and all(isinstance(name, str) for name in names):
        return tuple(names)
    whole = getattr(dataset, "dataset", None)
    return None if whole is None else _class_names(whole)


class _HuggingFace:
    """A Hugging Face dataset: a column of images, and one of class labels, numbers or texts."""

    def __init__(self, dataset: Any, split: str) -> None:
        self._split = split
        # As the data is stored: somebody may have asked for tensors, or for a transform at every reading.
        if hasattr(dataset, "with_format"):
            dataset = dataset.with_format(None)
        features: Mapping[str, Any] = dataset.features
        images = [name for name, feature in features.items() if _kind(feature) == "Image"]
        self._image = _column(split, features, "image", IMAGE_COLUMNS, images)
        named = [name for name, feature in features.items() if _names(feature) is not None]
        plain = [name for name in LABEL_COLUMNS if name in features and _is_plain(features[name])]
        self._label = _column(split, features, "label", LABEL_COLUMNS, named or plain)
        self.others = tuple(name for name in features if name not in (self._image, self._label))
        self._names = _names(features[self._label])
        feature = features[self._image]
        if hasattr(dataset, "cast_column") and getattr(feature, "mode", None) is None:
            # The encoded bytes: decoded here, in threads, they give the same pixels as from a file.
            dataset = dataset.cast_column(self._image, type(feature)(decode=False))
        self._dataset = dataset
        info = getattr(dataset, "info", None)
        self.name = getattr(info, "dataset_name", None) or getattr(info, "builder_name", None) or "Dataset"

    def __len__(self) -> int:
        return len(self._dataset)

    def read(self) -> Iterator[Sequence[Item]]:
        start, count = 0, 1
        while start < len(self):
            rows = self._dataset[start : start + count][self._image]
            chunk = [_pixels(_place(self._split, start + at), image) for at, image in enumerate(rows)]
            start += len(chunk)
            each = max(1, _bytes_of(chunk) // len(chunk))
            count = max(1, min(_CHUNK, CHUNK_BYTES // each))
            yield chunk

    def column(self, name: str) -> list[object] | None:
        if name not in self.others:
            raise DataError(
                f"`group_column` is {name}, and the {self._split} dataset has no such column; columns: "
                f"{some_of(self.others, at_most=10) or 'none'}"
            )
        values = list(self._dataset[name])
        if not all(isinstance(value, str | int) for value in values):
            raise DataError(f"`group_column` is {name}, and it must hold a number or a text for each image")
        return values

    def labels(self) -> NamedLabels:
        values = list(self._dataset[self._label])
        texts = [label_text(_place(self._split, at), value) for at, value in enumerate(values)]
        if self._names is None:
            return named_labels(texts)
        positions = np.array([int(text) for text in texts], dtype=np.int64)
        wrong = np.flatnonzero((positions < 0) | (positions >= len(self._names)))
        if len(wrong):
            raise DataError(
                f"{_place(self._split, int(wrong[0]))} has the label {positions[wrong[0]]}, which is none of its "
                f"{len(self._names)} classes; leave such items out, or the split where none has a label"
            )
        return NamedLabels(self._names, positions)


def _column(split: str, features: Mapping[str, Any], what: str, usual: tuple[str, ...], fitting: list[str]) -> str:
    """Return the column with images or labels: of those that fit the one with a usual name, else the only one."""
    if chosen := [name for name in usual if name in fitting]:
        return chosen[0]
    if len(fitting) == 1:
        return fitting[0]
    columns = some_of([f"{name} ({_kind(feature)})" for name, feature in features.items()], at_most=10)
    problem = f"several {what} columns, {some_of(fitting)}" if fitting else f"no {what} column"
    raise DataError(
        f"the {split} dataset has {problem}; keep one and call it {usual[0]}, with rename_column; columns: {columns}"
    )


def _kind(feature: Any) -> str:
    """Return the name of a feature's class: ``Image``, ``ClassLabel``, ``Value`` …"""
    return type(feature).__name__


def _is_plain(feature: Any) -> bool:
    return str(getattr(feature, "dtype", "")).startswith(("int", "uint", "string", "large_string"))


def _names(feature: Any) -> tuple[str, ...] | None:
    names = getattr(feature, "names", None)
    return tuple(names) if isinstance(names, list | tuple) else None


def _pixels(place: str, image: Any) -> Item:
    """Return an image as its encoded bytes, its path, or its pixels, uint8 (H, W, C)."""
    if isinstance(image, Image.Image):
        try:
            return upright_pixels(image)
        except (DataError, OSError) as error:
            raise DataError(f"{place}: {error}") from error
    if isinstance(image, Mapping):  # Hugging Face's {bytes, path}
        stored: Item = image.get("bytes") or image.get("path")
        return stored
    if isinstance(image, bytes) or image is None:
        return image
    what = f"the pixels of {place}"
    pixels: np.ndarray = checked_pixels(what, as_array(what, image)[None])[0]
    return pixels
