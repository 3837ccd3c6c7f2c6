"""A zip or tar archive of class folders, or of images with a table: read as the folder that it would be unpacked."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

from stepladder.datasets.archives import ENDINGS, is_archive, open_archive
from stepladder.datasets.filesystem import is_file, is_folder, opened
from stepladder.datasets.image_set import ImageSet
from stepladder.datasets.sources import folder, table
from stepladder.datasets.sources.base import LoadOptions, PathSource, read_as, safe_name
from stepladder.datasets.tar_members import members
from stepladder.datasets.walk import is_image_name
from stepladder.errors import DataError

# Members looked at to tell an archive of class folders from a shard of WebDataset.
_LOOKED_AT = 200


def holds(path: Path) -> bool:
    """Whether a plain tar archive surely has images, and is no shard of WebDataset."""
    try:
        with path.open("rb") as file:
            names = [member.name for member in islice(members(file, str(path), path.stat().st_size), _LOOKED_AT)]
    except DataError:
        return False
    return any(map(is_image_name, names)) and not any(name.endswith(".cls") for name in names)


def load(path: Path, options: LoadOptions) -> ImageSet:
    """Load the images in the archive at ``path``, where they lie; see :mod:`stepladder.datasets.archives`.

    Raises:
        DataError: it cannot be read safely, or as of a folder or a table.
        DamagedImagesError: files that are no readable image (all listed).
    """
    stem = next(path.name[: -len(ending)] for ending in ENDINGS if path.name.lower().endswith(ending))
    with opened(path, open_archive):
        return _named(_load_folder(path, options), stem)


def load_in(path: Path, inner: Path, options: LoadOptions) -> ImageSet:
    """Load the images in a folder of the archive at ``path``, or those that a table in it lists.

    Args:
        inner: of the folder or table, below ``path``: ``pets.zip/photos``.

    Raises:
        DataError: there is none, or as of :func:`load`.
    """
    with opened(path, open_archive):
        if is_file(inner) and table.matches(inner):
            return _named(table.load(inner, options), inner.stem)
        if not is_folder(inner):
            raise DataError(
                f"{path} holds no folder or table {inner.relative_to(path).as_posix()}; give one of its own"
            )
        options.labels.refuse_images(str(inner))
        return _named(_load_folder(inner, options), inner.name)


def _load_folder(path: Path, options: LoadOptions) -> ImageSet:
    if options.labels.index is not None:
        return table.load_index(path, options)
    chosen = table.SOURCE if table.matches(path) and table.holds(path) else folder.SOURCE
    found = chosen.load(path, options)
    if chosen is table.SOURCE and folder.holds(path):
        return replace(found, notes=(read_as(path, chosen, [folder.SOURCE]), *found.notes))
    return found


def _named(found: ImageSet, name: str) -> ImageSet:
    """Return what an archive holds by its name, as results beside an archive are none of its images."""
    return replace(found, name=safe_name(name), folders=())


SOURCE = PathSource(
    "an archive of a folder",
    ".zip, .tar, .tar.gz or .tgz with class folders, or with images and a table",
    is_archive,
    load,
    holds,
)
