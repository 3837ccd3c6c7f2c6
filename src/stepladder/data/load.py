"""From what the user typed, a name or a path, to an image set."""

from __future__ import annotations

import os
from pathlib import Path

from stepladder.data.decode_all import Progress
from stepladder.data.download import DownloadProgress
from stepladder.data.image_set import ImageSet
from stepladder.data.shape import ShapeOptions, reshaped
from stepladder.data.sources import NAMED_SOURCES, PATH_SOURCES, LoadOptions
from stepladder.errors import DataError, unknown


def load_image_set(
    data: str,
    *,
    data_dir: Path | str | None = None,
    limit: int | None = None,
    skip_damaged: bool = False,
    size: int | None = None,
    channels: int | None = None,
    download: bool = False,
    on_progress: Progress | None = None,
    on_download: DownloadProgress | None = None,
) -> ImageSet:
    """Load a named image set, or the one at a path.

    A name of the table wins over a file or folder of the same name; write ``./digits`` for the latter.

    Args:
        data: a name in :data:`stepladder.data.SOURCES`, or a path that one of its shapes matches.
        data_dir: where the files of a named set are, a folder or an archive; ignored for paths and embedded sets.
        limit: only the first N images of each class in each split.
        skip_damaged: leave damaged images out, with a note in the image set, instead of raising.
        size: bring every image to squares of this many pixels (shorter side, then center); None keeps equal sizes and
            chooses one where they differ.
        channels: 1 makes every image grey, 3 color; None takes grey where all are grey.
        download: fetch a named set that is not on this computer. Nothing is ever fetched without it.
        on_progress: called with (images done, images in all) while images are decoded; where their sizes differ, the
            count starts over once.
        on_download: called with (file name, bytes done, bytes in all) while something is fetched.

    Raises:
        DataError: there is no such name or path, or what is there is no image set that can be read.
        DamagedImagesError: images cannot be decoded; all of them are listed.
    """
    shape = ShapeOptions(size, channels)
    shape.check()
    options = LoadOptions(
        None if data_dir is None else Path(data_dir), limit, skip_damaged, on_progress, shape, download, on_download
    )
    if limit is not None and limit < 1:
        raise DataError(f"--limit is {limit}; it must be at least 1 image a class")
    try:
        image_set = _load(data, options)
    except OSError as error:
        raise DataError(f"cannot read {error.filename or data}: {error.strerror or error}") from error
    return reshaped(image_set if limit is None else image_set.limited(limit), shape)


def _load(data: str, options: LoadOptions) -> ImageSet:
    if data in NAMED_SOURCES:
        return NAMED_SOURCES[data].load(options)
    path = Path(data).expanduser()
    names = [source.name for source in PATH_SOURCES]
    shapes = f"{', '.join(names[:-1])} or {names[-1]} ('stepladder data --list' says more)"
    if path.exists():
        for source in PATH_SOURCES:
            if source.matches(path):
                return source.load(path, options)
        raise DataError(f"{path} is no image set that can be read; a path may be of {shapes}")
    if os.sep in data:
        raise DataError(
            f"there is no file or folder {path}; give a name ({', '.join(NAMED_SOURCES)}), or a path to {shapes}"
        )
    raise DataError(
        f"{unknown('data name', data, NAMED_SOURCES)}; and no file or folder has that name (a path may be {shapes})"
    )
