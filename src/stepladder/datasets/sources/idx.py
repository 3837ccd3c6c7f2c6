"""IDX files (LeCun, Cortes and Burges, "The MNIST database", the file format), plain or gzip: one pair or two."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Mapping, Sequence
from io import BufferedReader
from pathlib import Path

import numpy as np

from stepladder.datasets.image_set import ImageSet, Split
from stepladder.datasets.labels import NamedLabels, match_classes
from stepladder.datasets.mapped import demand_memory
from stepladder.datasets.sources.base import LoadOptions, PathSource, beside, name_of, split_of
from stepladder.errors import DataError, some_of

_UNSIGNED_BYTES = 0x08
_GZIP_START = b"\x1f\x8b"
# Deflate cannot shrink further than 1032:1 (zlib, "Technical Details"), so a compressed file bounds what it can hold.
_DEFLATE_LIMIT = 1032
_PIECE = 1 << 20
# The dot is what some unpackers make of the first hyphen.
_NAME = re.compile(
    r"(?P<before>.*?)(?P<what>images|labels)(?P<dot>[-.])idx(?P<kind>[13])(?P<after>-ubyte)(?P<gz>\.gz)?", re.DOTALL
)


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes; compression is told by content.

    Nothing is allocated before the header has been checked against the size of the file.

    Args:
        path: the file.
        dimensions: how many it must have: 3 for images (N, H, W), 1 for labels (N,).

    Returns:
        uint8, writable, of the shape in the header.

    Raises:
        DataError: the file cannot be read, is no such IDX file, or is shorter or longer than its header says.
    """
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == _GZIP_START
            file.seek(0)
            size = path.stat().st_size
            if not compressed:
                return _read(path, file, dimensions, most=size)
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _read(path, unpacked, dimensions, most=size * _DEFLATE_LIMIT)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is truncated or damaged ({error}); get the file again") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def find_pairs(folder: Path, file: Path | None = None) -> dict[str, tuple[Path, Path]]:
    """Return the (images, labels) files in ``folder``, by split; nothing is opened.

    Names are those of MNIST, with anything before them: ``train-images-idx3-ubyte.gz`` and
    ``train-labels-idx1-ubyte.gz``. Plain files win over gzip. A single pair that names no split is the training set.
    What stands before the split names the set, as in EMNIST's ``emnist-letters-train-images-idx3-ubyte``.

    Args:
        file: one of the files. Where the folder holds several sets it chooses its own; else its pair alone, which is
            the training set.

    Raises:
        DataError: images without labels, two pairs for one split, several sets of which none was chosen, or several
            pairs of which one names no split.
    """
    by_name = {path.name: path for path in sorted(folder.iterdir()) if _NAME.fullmatch(path.name) and path.is_file()}
    sets: dict[str, dict[str, re.Match[str]]] = {}
    for name in by_name:
        found = _NAME.fullmatch(name.removesuffix(".gz"))
        assert found is not None
        sets.setdefault(_set_of(found["before"]), {})[f"{found['before']}{found['dot']}{found['after']}"] = found
    stems = {name: list(of_set) for name, of_set in sets.items() if _any_images(of_set, by_name)}
    chosen = None if file is None else _NAME.fullmatch(file.name.removesuffix(".gz"))
    if len(stems) > 1 and chosen is None:
        names = some_of([_said_set(name) for name in stems])
        raise DataError(
            f"{folder} holds several sets of images ({names}); give one of their files, as {next(iter(by_name))}"
        )
    wanted = set(sets) if chosen is None else {_set_of(chosen["before"])}
    pairs: dict[str, tuple[Path, Path]] = {}
    matches = [found for name in wanted for found in sets.get(name, {}).values()]
    if chosen is not None and len(stems) <= 1:
        matches = [found for found in matches if (found["before"], found["dot"]) == (chosen["before"], chosen["dot"])]
    for found in matches:
        images, labels = (_name(found, what, kind) for what, kind in (("images", 3), ("labels", 1)))
        images_path, labels_path = (by_name.get(name, by_name.get(f"{name}.gz")) for name in (images, labels))
        if images_path is None:
            continue  # labels of none
        if labels_path is None:
            raise DataError(f"{folder} has {images} but no {labels} (or {labels}.gz); put the labels beside the images")
        split = _split_of(found["before"]) or ("train" if len(matches) == 1 else None)
        if chosen is not None and len(stems) <= 1:
            split = "train"
        if split is None or split in pairs:
            names = some_of([_name(each, "images", 3) for each in matches])
            raise DataError(
                f"{folder} has {names}, which do not name their splits; keep one pair, or name them "
                "train-images-idx3-ubyte and t10k-images-idx3-ubyte"
            )
        pairs[split] = images_path, labels_path
    return pairs


def _any_images(of_set: Mapping[str, re.Match[str]], by_name: Mapping[str, Path]) -> bool:
    names = [_name(found, "images", 3) for found in of_set.values()]
    return any(name in by_name or f"{name}.gz" in by_name for name in names)


def _name(found: re.Match[str], what: str, kind: int) -> str:
    """Return the name of the file of ``what`` that belongs to one of a pair."""
    return f"{found['before']}{what}{found['dot']}idx{kind}{found['after']}"


def _set_of(before: str) -> str:
    """Return the name of the set that a file belongs to: what its name begins with, without the split."""
    words = [word for word in re.split(r"[-_.]", before) if word]
    return "-".join(word for word in words if word != "t10k" and split_of(word) is None)


def _said_set(name: str) -> str:
    return name or "one without a name"


def matches(path: Path) -> bool:
    """Whether ``path`` is a folder with IDX files of images, or such a file."""
    if path.is_dir():
        return any(_NAME.fullmatch(file.name) for file in path.iterdir())
    return _NAME.fullmatch(path.name) is not None


def load(path: Path, options: LoadOptions) -> ImageSet:
    """Load the IDX pairs in a folder, or the pair or set that a file belongs to; classes are the numbers that occur.

    Raises:
        DataError: as :func:`find_pairs` and :func:`read_idx_split`; splits whose classes or image sizes differ.
    """
    del options
    folder = path if path.is_dir() else path.parent
    pairs = find_pairs(folder, None if path.is_dir() else path)
    if not pairs:
        raise DataError(f"{path} has labels but no images (*-images-idx3-ubyte); put them beside the labels")
    if "train" not in pairs:
        raise DataError(f"{path} has no training images (train-images-idx3-ubyte); add them, or give one file")
    raw = {split: read_idx_split(*pair, num_classes=256) for split, pair in pairs.items()}
    names = tuple(str(number) for number in range(256))
    class_names, labels, _ = match_classes(
        str(path), {name: NamedLabels(names, part.labels) for name, part in raw.items()}
    )
    splits = {name: Split(part.images, labels[name]) for name, part in raw.items()}
    check_sizes(path, splits)
    taken = [file for pair in pairs.values() for file in pair]
    return ImageSet(name_of(path), class_names, splits, _not_taken(folder, path, taken))


def _not_taken(folder: Path, path: Path, taken: Sequence[Path]) -> tuple[str, ...]:
    """Return a note on the IDX files in ``folder`` that were not read, or on all else there where it was given."""
    # Plain files win over gzip, so the other one of the same name holds the same.
    names = {file.name.removesuffix(".gz") for file in taken}
    if path.is_dir():
        same = [file for file in folder.iterdir() if file.name.removesuffix(".gz") in names]
        return beside(path, [*taken, *same], "the IDX files")
    found = (file.name.removesuffix(".gz") for file in sorted(folder.iterdir()) if _NAME.fullmatch(file.name))
    others = [name for name in dict.fromkeys(found) if name not in names]
    return (f"Not read: other IDX files beside {path.name}, {some_of(others)}.",) if others else ()


def check_sizes(where: Path, splits: dict[str, Split]) -> None:
    """Raise DataError where the images of the splits differ in size."""
    sizes = {name: split.images.shape[1:] for name, split in splits.items()}
    if len(set(sizes.values())) > 1:
        said = " and ".join(f"{name} {'×'.join(map(str, size))}" for name, size in sizes.items())
        raise DataError(f"images in {where} differ in size ({said}); get the files that belong together")


def read_idx_split(images_path: Path, labels_path: Path, num_classes: int) -> Split:
    """Read an IDX pair as gray images and their labels.

    Raises:
        DataError: as :func:`read_idx`; the counts differ; a label is ``num_classes`` or more.
    """
    images = read_idx(images_path, 3)
    labels = read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} holds {len(images)} images but {labels_path} holds {len(labels)} labels; "
            "get the two files that belong together"
        )
    if labels.max() >= num_classes:
        raise DataError(f"{labels_path} holds the label {labels.max()}; labels must be 0 to {num_classes - 1}")
    return Split(images[:, :, :, None], labels.astype(np.int64))


def _read(path: Path, file: BufferedReader | gzip.GzipFile, dimensions: int, most: int) -> np.ndarray:
    header = file.read(4 + 4 * dimensions)
    if len(header) < 4 + 4 * dimensions:
        raise DataError(f"{path} is truncated: it ends inside its header; get the file again")
    magic = bytes([0, 0, _UNSIGNED_BYTES, dimensions])
    if header[:4] != magic:
        raise DataError(
            f"{path} starts with 0x{header[:4].hex()}, not with 0x{magic.hex()} as an IDX file of unsigned bytes with "
            f"{dimensions} dimension{'s' if dimensions > 1 else ''} does; give the file of that kind"
        )
    shape = tuple(int(length) for length in np.frombuffer(header, dtype=">u4", offset=4))
    expected = 1
    for length in shape:
        expected *= length
    if expected == 0:
        raise DataError(f"{path} says that it holds {'×'.join(map(str, shape))} values; get the file again")
    if expected > most:
        raise DataError(
            f"{path} is truncated: its header promises {expected:,} bytes, more than the file holds; get the file again"
        )
    demand_memory(
        f"{path} unpacks to",
        expected,
        "take fewer images, or save them as a folder of images or as parquet, which are read piece by piece",
    )
    values = np.empty(expected, dtype=np.uint8)
    filled = 0
    view = values.data
    # A piece at a time, because gzip's readinto unpacks all that is asked for before it copies.
    while filled < expected and (count := file.readinto(view[filled : filled + _PIECE])):
        filled += count
    # Reading past the end also makes gzip compare its checksum.
    longer = bool(file.read(1))
    if filled < expected or longer:
        problem = f"only {filled:,} of" if filled < expected else "more than"
        raise DataError(f"{path} holds {problem} the {expected:,} bytes that its header promises; get the file again")
    return values.reshape(shape)


def _split_of(before: str) -> str | None:
    words = [word for word in re.split(r"[-_.]", before) if word]
    return next((split for word in reversed(words) if (split := "test" if word == "t10k" else split_of(word))), None)


SOURCE = PathSource(
    "idx",
    "a folder with MNIST's four files or one pair (*-images-idx3-ubyte and *-labels-idx1-ubyte), plain or gzip",
    matches,
    load,
)
