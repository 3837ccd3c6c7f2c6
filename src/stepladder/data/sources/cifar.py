"""CIFAR-10 and CIFAR-100 (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, chapter 3).

60,000 color images of 32×32. From the published archives, python or binary edition, whose SHA-256 is compared before
anything in them is read, or from a folder that the user extracted. Archives are not unpacked.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import cast

from stepladder.data.download import Published, downloads, fetch, kept, sha256_of
from stepladder.data.image_set import ImageSet
from stepladder.data.sources.base import LoadOptions, NamedSource
from stepladder.data.sources.cifar_files import CifarReader, Edition
from stepladder.data.tar_members import members
from stepladder.errors import DataError

_SITE = "https://www.cs.toronto.edu/~kriz"


_BATCHES = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}

#: The editions by set, binary first: it needs no pickle, so it is the one that is downloaded. Sizes and sums of the
#: binary ones are those in TensorFlow Datasets, of the python ones those in Keras and torchvision.
EDITIONS = {
    "cifar10": (
        Edition(
            Published(
                "cifar-10-binary.tar.gz",
                (f"{_SITE}/cifar-10-binary.tar.gz",),
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
            "cifar-10-batches-bin",
            {split: tuple(f"{name}.bin" for name in names) for split, names in _BATCHES.items()},
            {"train": 10_000, "test": 10_000},
            {"fine": ("batches.meta.txt", "")},
            label_bytes=("fine",),
        ),
        Edition(
            Published(
                "cifar-10-python.tar.gz",
                (f"{_SITE}/cifar-10-python.tar.gz",),
                170_498_071,
                "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            ),
            "cifar-10-batches-py",
            _BATCHES,
            {"train": 10_000, "test": 10_000},
            {"fine": ("batches.meta", "label_names")},
            label_keys={"fine": "labels"},
        ),
    ),
    "cifar100": (
        Edition(
            Published(
                "cifar-100-binary.tar.gz",
                (f"{_SITE}/cifar-100-binary.tar.gz",),
                168_513_733,
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            ),
            "cifar-100-binary",
            {"train": ("train.bin",), "test": ("test.bin",)},
            {"train": 50_000, "test": 10_000},
            {"fine": ("fine_label_names.txt", ""), "coarse": ("coarse_label_names.txt", "")},
            label_bytes=("coarse", "fine"),
        ),
        Edition(
            Published(
                "cifar-100-python.tar.gz",
                (f"{_SITE}/cifar-100-python.tar.gz",),
                169_001_437,
                "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
            ),
            "cifar-100-python",
            {"train": ("train",), "test": ("test",)},
            {"train": 50_000, "test": 10_000},
            {"fine": ("meta", "fine_label_names"), "coarse": ("meta", "coarse_label_names")},
            label_keys={"fine": "fine_labels", "coarse": "coarse_labels"},
        ),
    ),
}


def load(options: LoadOptions, name: str = "cifar10", published: str = "cifar10", kind: str = "fine") -> ImageSet:
    """Load CIFAR from ``options.data_dir``, the cache, or, with ``options.download``, its site.

    Raises:
        DataError: the set is not there (the message says how to get it), or a file is not the published one or damaged.
    """
    edition, path = _find(name, EDITIONS[published], options)
    reader = CifarReader(edition, kind, path)
    with _files(edition, path) as files:
        for file_name, file, size in files:
            reader.read(file_name, file, size)
    class_names, splits = reader.finish()
    return ImageSet(name, class_names, splits)


def _find(name: str, editions: tuple[Edition, ...], options: LoadOptions) -> tuple[Edition, Path]:
    """Return the edition and its archive (checked) or folder."""
    given = options.data_dir
    if given is None:
        for edition in editions:
            if (path := kept(edition.archive)) is not None:
                return edition, path
        if options.download:
            return editions[0], fetch(editions[0].archive, options.on_download)
        archive = editions[0].archive
        raise DataError(
            f"{name} is not in {downloads()}; add --download to fetch it ({archive.size / 1e6:.0f} MB from "
            f"{archive.host}), or give --data-dir PATH, an archive or a folder ({_accepted(editions)})"
        )
    for edition in editions:
        for folder in (given, given / edition.folder):
            if folder.is_dir() and any((folder / file).is_file() for file in edition.wanted()):
                return edition, folder
    for edition in editions:
        path = given if given.is_file() else given / edition.archive.name
        if path.is_file() and (given != path or given.stat().st_size == edition.archive.size):
            if path.stat().st_size == edition.archive.size and sha256_of(path) == edition.archive.sha256:
                return edition, path
            raise _not_published(path, edition)
    if given.is_file():
        raise _not_published(given, editions[0])
    raise DataError(f"{given} holds no {name}; give an archive or a folder ({_accepted(editions)})")


def _not_published(path: Path, edition: Edition) -> DataError:
    return DataError(
        f"{path} is not the published archive (its SHA-256 should be {edition.archive.sha256}) and was not read; "
        "get it again, or give the folder that you extracted"
    )


def _accepted(editions: tuple[Edition, ...]) -> str:
    return ", ".join(f"{edition.archive.name} or {edition.folder}/" for edition in editions)


@contextmanager
def _files(edition: Edition, path: Path) -> Iterator[Iterator[tuple[str, BufferedReader, int]]]:
    """Open the archive or folder at ``path``: (name, file at its start, size) of each file that is wanted."""
    wanted = edition.wanted()
    if path.is_dir():
        yield _in_folder(wanted, path)
        return
    try:
        # Buffered once more, in C: pickles are read byte by byte.
        with gzip.open(path) as unpacked, io.BufferedReader(cast(io.RawIOBase, unpacked), 1 << 20) as archive:
            inside = {f"{edition.folder}/{name}": name for name in wanted}
            # The sum has been compared, so the archive is the published one: a gigabyte is more than any of them holds.
            found = members(archive, str(path), 1 << 30)
            yield (
                (inside[member.name], cast("BufferedReader", archive), member.size)
                for member in found
                if member.name in inside
            )
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged ({error}); get it again") from error


def _in_folder(wanted: list[str], path: Path) -> Iterator[tuple[str, BufferedReader, int]]:
    for name in wanted:
        if (path / name).is_file():
            with (path / name).open("rb") as file:
                yield name, file, (path / name).stat().st_size


SOURCES = (
    NamedSource("cifar10", "60,000 color photographs of 10 things, 32×32; --data-dir, the cache or --download", load),
    NamedSource(
        "cifar100",
        "60,000 color photographs of 100 things, 32×32 (fine labels); --data-dir, the cache or --download",
        partial(load, name="cifar100", published="cifar100"),
    ),
    NamedSource(
        "cifar100-coarse",
        "the same with the 20 coarse labels",
        partial(load, name="cifar100-coarse", published="cifar100", kind="coarse"),
    ),
)
