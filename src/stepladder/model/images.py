"""Images for a model: the files that a user means, and the pixels of whatever holds an image.

The same decoder and the same resizing as in training.
"""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

import numpy as np
from PIL import Image

from stepladder.datasets import filesystem
from stepladder.datasets.archives import OpenArchives
from stepladder.datasets.decode import Wide, decode_fitted, fit_image, upright_pixels, with_channels
from stepladder.datasets.image_set import Fit, Span
from stepladder.datasets.threads import available_cores
from stepladder.datasets.walk import Search, is_image_name, is_of_system
from stepladder.errors import DataError, some_of

# Fewer are read before threads have started.
_FEWEST_IN_THREADS = 4


class TensorLike(Protocol):
    """What a tensor of PyTorch is to those who do not import it."""

    def detach(self) -> Any:
        """Return the same values without their history."""


#: A file or its bytes, or what these can be read from; an image of Pillow; uint8 pixels (H, W), (H, W, C) or
#: (N, H, W, C) with C 1, 3 or 4; or a tensor of PyTorch, (C, H, W) or (N, C, H, W).
ImageLike = str | Path | bytes | BinaryIO | Image.Image | np.ndarray | TensorLike


@dataclass(frozen=True)
class ImageFile:
    """A file to look at.

    Attributes:
        path: as the user will recognize it.
        label: the true class, a position in the model's ``class_names``, where the file lies in a folder of that name.
    """

    path: Path
    label: int | None = None


@dataclass(frozen=True)
class FoundImages:
    """The files that a user means.

    Attributes:
        files: each once, in the order given and by name within a folder.
        notes: a sentence on what was passed over, if anything was.
    """

    files: tuple[ImageFile, ...]
    notes: tuple[str, ...] = ()


def find_images(
    given: Sequence[str],
    class_names: Sequence[str],
    listed: Iterable[str] = (),
    archives: OpenArchives | None = None,
) -> FoundImages:
    """Find the image files that ``given`` means, by the rules of training: see :mod:`stepladder.datasets.walk`.

    Args:
        given: files, folders (all below them, links followed, but what training passes over), archives, which are as
            the folders they would be unpacked to, patterns with ``*`` or ``?``, or ``-`` for those in ``listed``. One
            file or folder alone is taken whatever it is called.
        class_names: of the model; a folder with one of these names labels the files below it, in other capitals or
            another form of Unicode too where that can mean one class alone. As in training, the top folder counts.
        listed: paths, one a line, as from standard input.
        archives: where those are opened that images are found in, and can be read as long as they stay open; None
            takes an archive for the file that it is.

    Raises:
        DataError: something is not there, no file is left, or an archive cannot be read safely.
    """
    classes = _Classes(class_names)
    search = Search()
    found: dict[Path, ImageFile] = {}
    nameless: Counter[str] = Counter()
    lines = (line.rstrip("\r\n") for line in listed if line.strip())
    matches = [_matches(entry, archives) for text in given for entry in (lines if text == "-" else [text])]
    around = _folder_around([match.paths[0] for match in matches if match.start is None])
    alone = len(given) == 1 and given[0] != "-" and matches[0].start is None
    for match in matches:
        start = os.path.join(os.path.abspath(around if match.start is None else match.start), "")  # noqa: PTH100, PTH118
        for path in match.paths:
            if not alone and any(map(is_of_system, _parts_below(start, path))):
                search.pass_over(str(path))
                continue
            if not filesystem.is_folder(path):
                found.setdefault(path, ImageFile(path))
                continue
            files = _files_below(path, classes, search)
            if not files and not search.holds_results(path):
                raise DataError(f"{path} holds no images; give a folder with image files")
            for file in files:
                if found.setdefault(file.path, file) is file and file.label is None:
                    nameless[next(iter(file.path.parts[len(path.parts) : -1]), path.name)] += 1
    if not found:
        told = "; ".join(search.notes())
        raise DataError(
            f"there are no images to look at; give files, folders, archives or patterns{f' ({told})' if told else ''}"
        )
    files = list(found.values())
    labelled = any(file.label is not None for file in files)
    return FoundImages(tuple(files), (*search.notes(), *(_nameless_note(nameless) if labelled else ())))


def _nameless_note(nameless: Counter[str]) -> tuple[str, ...]:
    """Return a note on files without a label, counted by folder, where others have one; none where there are none."""
    if not nameless:
        return ()
    count = nameless.total()
    lie = "1 file lies" if count == 1 else f"{count:,} files lie"
    folders = some_of([f"{name} ({files:,})" for name, files in nameless.items()])
    return (f"{lie} in no folder of a class, and cannot be called right or wrong: {folders}.",)


def name_images(
    images: ImageLike | Sequence[ImageLike], archives: OpenArchives | None = None
) -> Iterator[tuple[ImageLike, Path | None]]:
    """Yield each of ``images`` with the path of its file, None where it is none.

    Folders, archives and patterns give their files.

    Args:
        archives: see :func:`find_images`.

    Raises:
        DataError: something is no image, a folder holds none, or a pattern matches none.
    """
    for image in _singles(images):
        if not isinstance(image, str | Path):
            yield image, None
            continue
        if "://" in str(image) or re.match(r"https?:/", str(image)):
            raise DataError(f"{image} is an address, and nothing is fetched; download the image, and give its path")
        path = _path_of(image)
        _open(path, archives)
        if filesystem.is_folder(path) or (glob.has_magic(str(image)) and not filesystem.exists(path)):
            yield from ((file.path, file.path) for file in find_images([str(image)], (), archives=archives).files)
        else:
            yield path, path


def read_pixels(
    images: ImageLike | Sequence[ImageLike],
    shape: tuple[int, int, int],
    fit: Fit = "crop",
    span: Span | None = None,
) -> np.ndarray:
    """Bring images of any size and mode to ``shape`` (height, width, channels).

    Args:
        images: one or a sequence of them; of an array's four channels the last is opacity, over white.
        fit, span: as the images that the model learned from were brought to it; see :class:`Classifier`.

    Returns:
        uint8, (N, height, width, channels).

    Raises:
        DataError: something is no image, cannot be read, or is no uint8.
    """
    singles = list(_singles(images))
    pixels = np.empty((len(singles), *shape), dtype=np.uint8)

    def read(position: int) -> None:
        pixels[position] = _read_one(singles[position], shape, fit, Wide(span))

    if len(singles) < _FEWEST_IN_THREADS:
        for position in range(len(singles)):
            read(position)
    else:
        with ThreadPoolExecutor(available_cores()) as pool:
            list(pool.map(read, range(len(singles))))
    return pixels


def _singles(images: Any) -> Iterator[ImageLike]:
    if isinstance(images, np.ndarray) and images.ndim == 4:
        yield from images
    elif isinstance(images, str | Path | bytes | bytearray | Image.Image | np.ndarray) or hasattr(images, "read"):
        yield images
    elif hasattr(images, "detach"):
        yield from _of_tensor(images)
    elif isinstance(images, Sequence):
        for image in images:
            yield from _singles(image)
    else:
        raise DataError(
            f"{type(images).__name__} is no image; give paths, bytes of files, Pillow images, uint8 arrays "
            "(N, H, W, C) or tensors (N, C, H, W)"
        )


def _of_tensor(tensor: Any) -> Iterator[np.ndarray]:
    """Yield the images of a tensor, which has its channels first."""
    pixels: np.ndarray = tensor.detach().cpu().numpy()
    if pixels.ndim not in (3, 4) or pixels.shape[-3] not in (1, 3, 4):
        raise DataError(f"the tensor has the shape {tuple(pixels.shape)}; give (C, H, W) or (N, C, H, W), C 1, 3 or 4")
    yield from np.moveaxis(pixels[None] if pixels.ndim == 3 else pixels, 1, -1)


def _read_one(image: ImageLike, shape: tuple[int, int, int], fit: Fit, wide: Wide) -> np.ndarray:
    height, width, channels = shape
    if isinstance(image, str | Path):
        content = _content(image)
        try:
            return decode_fitted(content, *shape, fit, wide)
        except DataError as error:
            raise DataError(f"{image}: {error}{_table_hint(Path(image).name)}") from error
    try:
        if isinstance(image, bytes | bytearray):
            return decode_fitted(bytes(image), *shape, fit, wide)
        if hasattr(image, "read"):
            return decode_fitted(filesystem.read_open(cast(BinaryIO, image)), *shape, fit, wide)
    except DataError as error:
        raise DataError(f"an image in memory: {error}") from error
    if isinstance(image, np.ndarray):
        image = _as_pillow(image)
    assert isinstance(image, Image.Image)
    return fit_image(with_channels(upright_pixels(image, wide), channels), height, width, fit)


def _table_hint(name: str) -> str:
    """Return what to do with a file that is no image where it is called as a table; else nothing."""
    if is_image_name(name):
        return ""
    from stepladder.datasets.sources.table import is_table_name  # which takes a while

    return "; a table of paths is read where the command predict gets it alone" if is_table_name(name) else ""


def _content(path: str | Path) -> bytes:
    try:
        return filesystem.read_image(str(path))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (DataError, ValueError) as error:
        raise DataError(f"cannot read {path}: {str(error).removeprefix('cannot be read: ')}") from error


def _as_pillow(image: np.ndarray) -> Image.Image:
    if image.dtype != np.uint8:
        raise DataError(
            f"the array is {image.dtype}; give uint8, 0 to 255: (255 * images).round().astype('uint8') for 0 to 1"
        )
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim != 2 and not (image.ndim == 3 and image.shape[2] in (3, 4)):
        raise DataError(f"the array has the shape {image.shape}; give (H, W), (H, W, C) or (N, H, W, C), C 1, 3 or 4")
    if image.size == 0:
        raise DataError(f"the array has the shape {image.shape} and so no pixels")
    return Image.fromarray(image)


def _open(path: Path, archives: OpenArchives | None) -> None:
    """Open the archive that ``path`` is or lies in, if it is to be."""
    if archives is not None:
        archives.open(path)


def _path_of(entry: str | Path) -> Path:
    if not str(entry).strip():
        raise DataError("a path is blank; give files, folders, archives or patterns")
    return Path(entry).expanduser()


class _Match(NamedTuple):
    """What an entry means.

    Attributes:
        paths: at least one.
        start: the folder that a pattern starts from; None where it is none.
    """

    paths: list[Path]
    start: Path | None = None


def _matches(entry: str, archives: OpenArchives | None) -> _Match:
    path = _path_of(entry)
    _open(path, archives)
    if filesystem.exists(path):
        return _Match([path])
    if glob.has_magic(entry):
        matches = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 (takes absolute ones)
        if matches:
            for match in matches:
                _open(match, archives)
            return _Match(matches, Path(*takewhile(lambda part: not glob.has_magic(part), path.parts)))
        raise DataError(f"no file matches {entry}")
    raise DataError(f"there is no file or folder {path}")


def _folder_around(paths: Sequence[Path]) -> Path:
    """Return the folder that all ``paths`` lie in.

    A shell that found them, or a list, begins there; what lies above it somebody gave.
    """
    folders = dict.fromkeys(os.path.dirname(os.path.abspath(path)) for path in paths)  # noqa: PTH100, PTH120 (for speed)
    try:
        return Path(os.path.commonpath(folders)) if folders else Path()
    except ValueError:  # they lie on several drives of Windows
        return Path()


def _parts_below(start: str, path: Path) -> list[str]:
    """Return the name of ``path`` and those of the folders above it, up to the one whose path is ``start``."""
    return os.path.abspath(path).removeprefix(start).split(os.sep)  # noqa: PTH100, PTH206 (for speed)


def _files_below(given: Path, classes: _Classes, search: Search) -> list[ImageFile]:
    """Return the files below a folder; each folder is walked once for each class and folder right below."""
    start = len(given.parts)

    def on_behalf(path: str) -> tuple[tuple[int, ...], str]:
        parts = Path(path).parts[start:]
        named = [label for label in map(classes.called, parts) if label is not None]
        return (*named[:1], *named[-1:]), next(iter(parts), "")

    # Folders as texts: there are far fewer of them, and a Path of each file's would take longer than finding it.
    inside = [(entry.path, os.path.dirname(entry.path)) for entry in search.files_below(str(given), key=on_behalf)]  # noqa: PTH120
    labels = classes.labels(given, dict.fromkeys(folder for _, folder in inside))
    return [ImageFile(Path(file), labels[folder]) for file, folder in inside]


class _Classes:
    """Which folders the classes of a model are called as.

    Args:
        names: of the classes.
    """

    def __init__(self, names: Sequence[str]) -> None:
        alike = Counter(map(_alike, names))
        self._exact = {name: label for label, name in enumerate(names)}
        self._alike = {key: label for label, name in enumerate(names) if alike[key := _alike(name)] == 1}

    def called(self, name: str) -> int | None:
        """Return the label of the class that a folder of that name is one of, None where there is none."""
        label = self._exact.get(name)
        return self._alike.get(_alike(name)) if label is None else label

    def labels(self, given: Path, folders: Iterable[str]) -> Mapping[str, int | None]:
        """Return the labels of ``folders`` with files, each of which is the folder ``given`` or lies below it.

        As in training, the top folder with a class's name tells it, ``dog`` for what lies in ``dog/cat``; but a level
        with several classes is that of the classes: ``train`` may be one, and ``train/cat`` beside ``train/dog`` of
        cats.
        """
        parts_of = {folder: Path(folder).parts[len(given.parts) :] for folder in folders}
        named = {
            folder: [(depth, label) for depth, name in enumerate(parts) if (label := self.called(name)) is not None]
            for folder, parts in parts_of.items()
        }
        inside: dict[tuple[str, ...], set[int]] = {}
        for folder, found in named.items():
            for depth, label in found:
                inside.setdefault(parts_of[folder][:depth], set()).add(label)
        own = self.called(given.name)

        def label_of(folder: str) -> int | None:
            for depth, label in named[folder]:
                if len(inside[parts_of[folder][:depth]]) > 1:
                    return label
            return own if own is not None else next((label for _, label in named[folder]), None)

        return {folder: label_of(folder) for folder in parts_of}


def _alike(name: str) -> str:
    """Return what names share that differ in capitals, or in how Unicode writes them: macOS parts é into two signs."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
