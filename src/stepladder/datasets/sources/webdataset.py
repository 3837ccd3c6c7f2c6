"""WebDataset shards (github.com/webdataset/webdataset): tar archives with ``key.jpg`` and ``key.cls`` an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from stepladder.datasets.decode_all import decode_splits
from stepladder.datasets.encoded import CHUNK, CHUNK_BYTES, MAX_FILE_BYTES, Encoded, Item, file_entry, identify
from stepladder.datasets.image_set import ImageSet, first_of_each_class
from stepladder.datasets.labels import match_classes, named_labels
from stepladder.datasets.sources.base import LoadOptions, PathSource, files_by_split, name_of
from stepladder.datasets.tar_members import Member, members
from stepladder.errors import DataError

#: The endings of images, lower case. What they hold is told by content.
IMAGE_ENDINGS = ("jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif", "img")

_MAX_LABEL_BYTES = 1000


@dataclass(frozen=True, slots=True)
class _Sample:
    """One image: the shard that holds it, its member, and its label."""

    shard: Path
    image: Member
    label: str


def matches(path: Path) -> bool:
    """Whether ``path`` is a .tar file, or a folder with some in it or one folder below."""
    return bool(_shards_at(path))


def load(path: Path, options: LoadOptions) -> ImageSet:
    """Load the shard or folder of shards at ``path``; one shard alone is all training images.

    Labels are what the ``.cls`` files hold: numbers, or names. Nothing is unpacked; images are read where they lie.

    Raises:
        DataError: a shard is damaged or points outside itself, an image has no label or a label no image, no train
            shard, or splits whose classes differ.
        DamagedImagesError: members that are no readable image (all listed).
    """
    by_split, notes = files_by_split(path, _shards_at(path), "{}-*.tar")
    samples = {name: [sample for shard in shards for sample in _samples(shard)] for name, shards in by_split.items()}
    named = {name: named_labels([sample.label for sample in part]) for name, part in samples.items()}
    class_names, labels, class_notes = match_classes(str(path), named)
    encoded = {name: _encoded(part, by_split[name], labels[name], options.limit) for name, part in samples.items()}
    decoded = decode_splits(
        encoded, shape=options.shape, skip_damaged=options.skip_damaged, on_progress=options.access.on_progress
    )
    return decoded.image_set(name_of(path), class_names, (*notes, *class_notes))


def _shards_at(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".tar" else []
    return [file for file in sorted(path.glob("*.tar")) or sorted(path.glob("*/*.tar")) if file.is_file()]


def _samples(shard: Path) -> list[_Sample]:
    images: dict[str, Member] = {}
    labels: dict[str, str] = {}
    with shard.open("rb") as file:
        for member in members(file, str(shard), shard.stat().st_size):
            # WebDataset: the key is all up to the first dot of the last part, the ending what follows.
            folder, slash, last = member.name.rpartition("/")
            stem, _, ending = last.partition(".")
            key, ending = f"{folder}{slash}{stem}", ending.lower()
            if not stem:
                continue  # hidden, as what some archivers add
            if ending in IMAGE_ENDINGS:
                if key in images:
                    raise DataError(f"{shard} has two images called {key!r}; give each a key of its own")
                images[key] = member
            elif ending == "cls":
                if key in labels:
                    raise DataError(f"{shard} has two labels called {key!r}; give each image one")
                labels[key] = _label(file.read(min(member.size, _MAX_LABEL_BYTES + 1)), shard, key)
    if not images:
        raise DataError(f"{shard} holds no images; it must hold key.jpg and key.cls for each")
    if lacking := [key for key in images if key not in labels]:
        raise DataError(
            f"{shard} has {lacking[0]!r} without a label; add {lacking[0]}.cls with its class, or remove it"
        )
    if lacking := [key for key in labels if key not in images]:
        raise DataError(
            f"{shard} has a label for {lacking[0]!r}, but no image; add {lacking[0]}.jpg, or remove the label"
        )
    return [_Sample(shard, member, labels[key]) for key, member in images.items()]


def _label(content: bytes, shard: Path, key: str) -> str:
    try:
        label = content.decode().strip()
    except UnicodeDecodeError:
        label = ""
    if not label or len(content) > _MAX_LABEL_BYTES or "\n" in label:
        raise DataError(f"{shard} has no readable label in {key}.cls; it must hold a number or a name, in UTF-8")
    return label


def _encoded(samples: Sequence[_Sample], shards: Sequence[Path], labels: np.ndarray, limit: int | None) -> Encoded:
    rows = np.arange(len(labels)) if limit is None else first_of_each_class(labels, limit)

    def read() -> Iterator[Sequence[Item]]:
        chunk: list[Item] = []
        weight = 0
        # Samples stand in the order of their shards, and so do the rows.
        for shard, of_shard in groupby(rows, key=lambda row: samples[row].shard):
            with shard.open("rb") as file:
                for row in of_shard:
                    image = samples[row].image
                    file.seek(image.offset)
                    chunk.append(file.read(min(image.size, MAX_FILE_BYTES)))
                    weight += image.size
                    if len(chunk) == CHUNK or weight > CHUNK_BYTES:
                        yield chunk
                        chunk, weight = [], 0
        if chunk:
            yield chunk

    def place(position: int) -> str:
        sample = samples[rows[position]]
        return f"{sample.shard.name} member {sample.image.name}"

    entries = [file_entry(shard.resolve()) for shard in shards]
    return Encoded(labels[rows], read, place, identify(Path(), entries, taken=rows.astype("<i8").tobytes()))


SOURCE = PathSource(
    "WebDataset", ".tar shards with key.jpg and key.cls: train-*.tar and test-*.tar, or one file", matches, load
)
