"""Images for a model: the files that a user means, and the pixels of whatever holds an image.

The same decoder and the same resizing as in training.
"""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from PIL import Image

from stepladder.datasets import filesystem
from stepladder.datasets.archives import OpenArchives
from stepladder.datasets.decode import Wide, decode_fitted, fit_image, upright_pixels, with_channels
from stepladder.datasets.image_set import Fit, Span
from stepladder.datasets.threads import available_cores
from stepladder.datasets.walk import Search, is_of_system
from stepladder.errors import DataError

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
        class_names: of the model; a folder with one of these names labels the files below it, in other capitals too
            where that can mean one class alone.
        listed: paths, one a line, as from standard input.
        archives: where those are opened that images are found in, and can be read as long as they stay open; None
            takes an archive for the file that it is.

    Raises:
        DataError: something is not there, no file is left, or an archive cannot be read safely.
    """
    positions = _positions(class_names)
    search = Search()
    found: dict[Path, ImageFile] = {}
    for text in given:
        for entry in [line.rstrip("\r\n") for line in listed if line.strip()] if text == "-" else [text]:
            paths = _matches(entry, archives)
            alone = len(given) == 1 and text != "-" and paths == [Path(entry).expanduser()]
            for path in paths:
                if not alone and any(map(is_of_system, path.parts)):
                    search.pass_over(str(path))
                    continue
                files = _files_below(path, positions, search) if filesystem.is_folder(path) else [path]
                if not files and not search.holds_results(path):
                    raise DataError(f"{path} holds no images; give a folder with image files")
                for file in files:
                    found.setdefault(file, ImageFile(file, _label(file, path, positions)))
    if not found:
        told = "; ".join(search.notes())
        raise DataError(
            f"there are no images to look at; give files, folders, archives or patterns{f' ({told})' if told else ''}"
        )
    return FoundImages(tuple(found.values()), search.notes())


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
        path = Path(image).expanduser()
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
        try:
            with filesystem.open_file(image) as file:
                content = file.read()
        except OSError as error:
            raise DataError(f"cannot read {image}: {error.strerror or error}") from error
        try:
            return decode_fitted(content, *shape, fit, wide)
        except DataError as error:
            raise DataError(f"{image}: {error}") from error
    if isinstance(image, bytes | bytearray) or hasattr(image, "read"):
        content = bytes(image) if isinstance(image, bytes | bytearray) else image.read()
        try:
            return decode_fitted(content, *shape, fit, wide)
        except DataError as error:
            raise DataError(f"an image in memory: {error}") from error
    if isinstance(image, np.ndarray):
        image = _as_pillow(image)
    assert isinstance(image, Image.Image)
    return fit_image(with_channels(upright_pixels(image, wide), channels), height, width, fit)


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


def _matches(entry: str, archives: OpenArchives | None) -> list[Path]:
    path = Path(entry).expanduser()
    _open(path, archives)
    if filesystem.exists(path):
        return [path]
    if glob.has_magic(entry):
        matches = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 (takes absolute ones)
        if matches:
            for match in matches:
                _open(match, archives)
            return matches
        raise DataError(f"no file matches {entry}")
    raise DataError(f"there is no file or folder {path}")


def _files_below(folder: Path, positions: dict[str, int], search: Search) -> list[Path]:
    """Return the files below ``folder``; each folder is walked once for each class and folder right below."""
    start = len(folder.parts)

    def on_behalf(path: str) -> tuple[int | None, str]:
        inner = Path(path)
        return _label(inner / "file", folder, positions), inner.parts[start] if len(inner.parts) > start else ""

    return [Path(entry.path) for entry in search.files_below(str(folder), key=on_behalf)]


def _positions(class_names: Sequence[str]) -> dict[str, int]:
    """Return the label of each name, and of each in small letters that is one class's alone."""
    folded = Counter(name.casefold() for name in class_names)
    alike = {name.casefold(): label for label, name in enumerate(class_names) if folded[name.casefold()] == 1}
    return alike | {name: label for label, name in enumerate(class_names)}


def _label(file: Path, given: Path, positions: dict[str, int]) -> int | None:
    """The nearest folder above ``file`` that has a class's name, up to the one that was given."""
    if file == given:
        return None
    for folder in file.parents:
        for name in (folder.name, folder.name.casefold()):
            if name in positions:
                return positions[name]
        if folder == given:
            break
    return None
