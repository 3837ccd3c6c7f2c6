"""A zip or tar archive of class folders, or of images with a table: read as the folder that it is when unpacked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from stepladder.datasets.image_set import ImageSet
from stepladder.datasets.sources import folder, table
from stepladder.datasets.sources.base import LoadOptions, PathSource, safe_name
from stepladder.datasets.tar_members import members
from stepladder.datasets.unpack import ENDINGS, unpacked
from stepladder.datasets.walk import is_image_name
from stepladder.errors import DamagedImagesError, DataError

# Members looked at to tell an archive of class folders from a shard of WebDataset.
_LOOKED_AT = 200


def matches(path: Path) -> bool:
    """Whether ``path`` is a file that is called as an archive."""
    return path.name.lower().endswith(ENDINGS) and path.is_file()


def holds(path: Path) -> bool:
    """Whether a plain tar archive surely has folders of images, and is no shard of WebDataset."""
    try:
        with path.open("rb") as file:
            names = [member.name for member in islice(members(file, str(path), path.stat().st_size), _LOOKED_AT)]
    except DataError:
        return False
    return any("/" in name and is_image_name(name) for name in names) and not any(
        name.endswith(".cls") for name in names
    )


def load(path: Path, options: LoadOptions) -> ImageSet:
    """Load the images in the archive at ``path``, unpacked into the cache; see :mod:`stepladder.datasets.unpack`.

    Raises:
        DataError: it cannot be unpacked safely, or as of a folder or a table.
        DamagedImagesError: files that are no readable image (all listed).
    """
    root = unpacked(path)
    with _paths_in_archive(root, path):
        if options.labels.index is not None:
            found = table.load_index(root, options)
        else:
            found = (table if table.matches(root) and table.holds(root) else folder).load(root, options)
    notes = tuple(note.replace(str(root), str(path)) for note in found.notes)
    stem = next(path.name[: -len(ending)] for ending in ENDINGS if path.name.lower().endswith(ending))
    # Nobody writes results into the cache by mistake.
    return replace(found, name=safe_name(stem), notes=notes, folders=())


@contextmanager
def _paths_in_archive(root: Path, path: Path) -> Iterator[None]:
    """Let errors name files in the archive, and not where they were unpacked."""
    try:
        yield
    except DamagedImagesError as error:
        raise DamagedImagesError((place.replace(str(root), str(path)), why) for place, why in error.damaged) from error
    except DataError as error:
        raise DataError(str(error).replace(str(root), str(path))) from error


SOURCE = PathSource(
    "an archive of a folder",
    ".zip, .tar, .tar.gz or .tgz with class folders, or with images and a table; unpacked into the cache",
    matches,
    load,
    holds,
)
