"""What a source is: a name or a shape of path, one line about it, and the function that reads it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from stepladder.data.decode_all import Progress
from stepladder.data.download import DownloadProgress
from stepladder.data.image_set import ImageSet
from stepladder.data.shape import ShapeOptions


@dataclass(frozen=True)
class LoadOptions:
    """What the user asked for beside the data itself.

    Attributes:
        data_dir: the folder with the files of a named set, or its archive; sources without files of their own ignore
            it.
        limit: only the first N images of each class and split will be used. A source may save itself the rest; the
            limit is applied to what it returns in any case.
        skip_damaged: leave damaged images out, with a note, instead of raising.
        on_progress: called with (images done, images in all) while images are decoded.
        shape: the size and channels that images are to have. Sources of encoded images pass it to the decoder; pixels
            that a source returns in another shape are brought to it in any case.
        download: whether a named set that is not on this computer may be fetched.
        on_download: called with (file name, bytes done, bytes in all) while it is.
    """

    data_dir: Path | None = None
    limit: int | None = None
    skip_damaged: bool = False
    on_progress: Progress | None = None
    shape: ShapeOptions = field(default_factory=ShapeOptions)
    download: bool = False
    on_download: DownloadProgress | None = None


@dataclass(frozen=True)
class NamedSource:
    """A published image set that is asked for by its name.

    Attributes:
        name: what the user types.
        description: one line.
        load: reads it; raises DataError.
    """

    name: str
    description: str
    load: Callable[[LoadOptions], ImageSet]


@dataclass(frozen=True)
class PathSource:
    """A shape of files that the user brings.

    Attributes:
        name: the shape, in the words of a list.
        description: one line.
        matches: whether an existing path has this shape; looks at names, opens nothing.
        load: reads the path; raises DataError.
    """

    name: str
    description: str
    matches: Callable[[Path], bool]
    load: Callable[[Path, LoadOptions], ImageSet]


def name_of(path: Path) -> str:
    """Return a name for the image set at ``path`` that is safe as a part of a folder name on every system."""
    resolved = path.resolve()
    name = resolved.stem if resolved.is_file() else resolved.name
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "images"
