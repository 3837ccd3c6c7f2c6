"""WebDataset shards (github.com/webdataset/webdataset): tar archives with ``key.jpg`` and ``key.cls`` an image."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path

import numpy as np

from stepladder.datasets.decode_all import decode_splits
from stepladder.datasets.encoded import CHUNK, CHUNK_BYTES, Encoded, Item, identify
from stepladder.datasets.filesystem import MAX_FILE_BYTES, file_entry
from stepladder.datasets.image_set import ImageSet, first_of_each_class
from stepladder.datasets.labels import match_classes, named_labels
from stepladder.datasets.sources.base import LoadOptions, PathSource, beside, files_by_split, name_of, split_in
from stepladder.datasets.tar_members import Member, members
from stepladder.datasets.walk import IMAGE_ENDINGS as USUAL_ENDINGS
from stepladder.datasets.walk import is_folder, is_image_name, is_left_behind
from stepladder.errors import DataError, some_of

#: The endings of images, lower case. What they hold is told by content.
IMAGE_ENDINGS = frozenset((*USUAL_ENDINGS, "img"))

#: How members are counted that a system or an archiver left there.
LEFT_BEHIND_MEMBER = "hidden or of a system"

_MAX_LABEL_BYTES = 1000
# Members looked at to tell shards from other archives.
_LOOKED_AT = 200


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
    found = _shards_at(path)
    by_split, notes = files_by_split(path, found, "{}-*.tar")
    others: list[str] = []
    samples = {
        name: [sample for shard in shards for sample in _samples(shard, others)] for name, shards in by_split.items()
    }
    named = {name: named_labels([sample.label for sample in part]) for name, part in samples.items()}
    class_names, labels, class_notes = match_classes(str(path), named)
    encoded = {name: _encoded(part, by_split[name], labels[name], options.limit) for name, part in samples.items()}
    decoded = decode_splits(
        encoded, shape=options.shape, skip_damaged=options.skip_damaged, on_progress=options.access.on_progress
    )
    more = (*_not_taken(others), *beside(path, found, "the shards"))
    return decoded.image_set(name_of(path), class_names, (*notes, *class_notes, *more))


def holds(path: Path) -> bool:
    """Whether the first archive of a folder, or its first one for training, has a label among its first members."""
    found = _shards_at(path)
    shard = next((file for file in found if split_in(file, path) == "train"), found[0])
    try:
        with shard.open("rb") as file:
            first = islice(members(file, str(shard), shard.stat().st_size), _LOOKED_AT)
            return any(_split_name(member.name)[1] == "cls" for member in first)
    except DataError:
        return False


def _not_taken(others: Sequence[str]) -> tuple[str, ...]:
    """Return a note on members that are neither image nor label, each by all that follows its first dot."""
    if not others:
        return ()
    counts = Counter(others)
    endings = some_of([f"{ending} ({count:,})" for ending, count in counts.most_common()])
    lost = sum(count for ending, count in counts.items() if is_image_name(ending) and ending != LEFT_BEHIND_MEMBER)
    hint = (
        f"; {lost:,} of them may be images: a key ends at its first dot, so rename what has a dot in its key"
        if lost
        else ""
    )
    were = "1 member was" if len(others) == 1 else f"{len(others):,} members were"
    return (f"Not read: {were} neither image nor label, by ending {endings}{hint}.",)


def _split_name(name: str) -> tuple[str, str]:
    """Return the key and the ending of a member: as of WebDataset, all that follows the first dot of its last part."""
    folder, slash, last = name.rpartition("/")
    stem, _, ending = last.partition(".")
    return f"{folder}{slash}{stem}", ending.lower()


def _shards_at(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".tar" else []
    found = sorted(path.glob("*.tar")) or sorted(_in_folders(path))
    return [file for file in found if file.is_file() and not any(map(is_left_behind, file.relative_to(path).parts))]


def _in_folders(path: Path) -> Iterator[Path]:
    """Find the tar files in the folders of ``path``; these may be class folders with a million images."""
    with os.scandir(path) as entries:
        folders = [entry.path for entry in entries if is_folder(entry)]
    for folder in folders:
        with suppress(PermissionError):
            yield from (Path(folder, name) for name in os.listdir(folder) if name.endswith(".tar"))  # noqa: PTH208 (texts, for speed)


def _samples(shard: Path, others: list[str]) -> list[_Sample]:
    """Return the samples of a shard; the endings of members that are none are added to ``others``."""
    images: dict[str, Member] = {}
    labels: dict[str, str] = {}
    with shard.open("rb") as file:
        for member in members(file, str(shard), shard.stat().st_size):
            if any(map(is_left_behind, member.name.split("/"))):
                others.append(LEFT_BEHIND_MEMBER)
                continue
            key, ending = _split_name(member.name)
            if ending in IMAGE_ENDINGS:
                if key in images:
                    raise DataError(f"{shard} has two images called {key!r}; give each a key of its own")
                images[key] = member
            elif ending == "cls":
                if key in labels:
                    raise DataError(f"{shard} has two labels called {key!r}; give each image one")
                labels[key] = _label(file.read(min(member.size, _MAX_LABEL_BYTES + 1)), shard, key)
            else:
                others.append(f".{ending}" if ending else "no ending")
    if not images:
        there = f", and has members that end in {some_of(list(dict.fromkeys(others)))}" if others else ""
        raise DataError(f"{shard} holds no images; it must hold key.jpg and key.cls for each{there}")
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
    "WebDataset",
    ".tar shards with key.jpg and key.cls: train-*.tar and test-*.tar, or one file",
    matches,
    load,
    holds,
)
