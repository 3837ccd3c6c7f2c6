"""What a source is, what it may be asked, and the words by which files and folders name their split."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stepladder.datasets.decode_all import Progress, ShapeOptions
from stepladder.datasets.download import DownloadProgress
from stepladder.datasets.image_set import ImageSet
from stepladder.datasets.walk import is_left_behind, not_read
from stepladder.errors import DataError, some_of


@dataclass(frozen=True)
class Access:
    """How the images are got at, and who is told meanwhile; most sets need none of it.

    Attributes:
        data_dir: where the files of a named set are, a folder or an archive; refused for paths and for sets that come
            with Stepladder.
        download: whether a named set that is not on this computer may be fetched. Nothing is ever fetched without it.
        on_progress: called with (images done, images in all) while images are decoded; where their sizes differ, the
            count starts over once.
        on_download: called with (file name, bytes done, bytes in all) while something is fetched.
    """

    data_dir: Path | str | None = None
    download: bool = False
    on_progress: Progress | None = None
    on_download: DownloadProgress | None = None

    @property
    def path(self) -> Path | None:
        """``data_dir`` as a path."""
        return None if self.data_dir is None else Path(self.data_dir).expanduser()


@dataclass(frozen=True)
class LoadOptions:
    """What a source is told beside the data itself.

    Attributes:
        limit: only the first N images of each class and split will be used. A source may save itself the rest; the
            limit is applied to what it returns in any case.
        skip_damaged: leave damaged images out, with a note, instead of raising.
        shape: the size and channels that images are to have. Sources of encoded images pass it to the decoder; pixels
            that a source returns in another shape are brought to it in any case.
        access: where the files of named sets are, and who is told of progress.
    """

    limit: int | None = None
    skip_damaged: bool = False
    shape: ShapeOptions = field(default_factory=ShapeOptions)
    access: Access = field(default_factory=Access)


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
        holds: whether a folder that matches surely is of this shape; looks into files where names do not tell. None
            where the names are enough. Of several shapes that match, the first that surely is there is read.
    """

    name: str
    description: str
    matches: Callable[[Path], bool]
    load: Callable[[Path, LoadOptions], ImageSet]
    holds: Callable[[Path], bool] | None = None


def name_of(path: Path) -> str:
    """Return a name for the image set at ``path`` that is safe as a part of a folder name on every system."""
    resolved = path.resolve()
    return safe_name(resolved.stem if resolved.is_file() else resolved.name)


def safe_name(text: str) -> str:
    """Return ``text`` with every character replaced that a folder's name cannot have on some system."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "images"


#: Word (lower case) to split. People write all of these; "Training" taken for a class would silently teach nonsense.
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


def split_of(word: str) -> str | None:
    """Return the split that ``word`` names, in any case, or None."""
    return SPLIT_WORDS.get(word.lower())


def split_of_name(name: str) -> str | None:
    """Return the split that a word of a file name tells: ``train-00000-of-00001.parquet``, ``pets_test_03.tar``."""
    return next((split for word in re.split(r"[-_. ]", name) if (split := split_of(word))), None)


def split_in(file: Path, root: Path) -> str | None:
    """Return the split that a file's name tells, or the folder below ``root`` that it lies in; None where neither."""
    return split_of_name(file.name) or (split_of(file.parent.name) if file.parent != root else None)


def beside(path: Path, taken: Iterable[Path], what: str) -> tuple[str, ...]:
    """Return a note on files in the folder ``path`` that a source did not take; none where ``path`` is a file.

    Args:
        taken: files that it took.
        what: they are, as ``the shards``.
    """
    if not path.is_dir():
        return ()
    known = {file.name for file in taken if file.parent == path}
    with os.scandir(path) as entries:
        found = [(entry.name, entry.is_dir()) for entry in entries if not is_left_behind(entry.name)]
    inside = {file.parent.name for file in taken}
    folders = sorted(name for name, is_dir in found if is_dir and name not in inside)
    files = [name for name, is_dir in found if not is_dir and name not in known]
    note = (f"Not read: folders beside {what}, {some_of(folders)}.",) if folders else ()
    return (*not_read(files, f"beside {what}"), *note)


def files_by_split(path: Path, found: Sequence[Path], pattern: str) -> tuple[dict[str, list[Path]], tuple[str, ...]]:
    """Sort files by the split that their names tell, or the folder below ``path`` that they lie in.

    One file alone is the training set, whatever its name.

    Args:
        path: what the user gave.
        found: the files.
        pattern: how such files are called, with ``{}`` for the split, for messages.

    Returns:
        the files by split, and a note about those that name none.

    Raises:
        DataError: none of them is for training.
    """
    if len(found) == 1:
        return {"train": list(found)}, ()
    by_split: dict[str, list[Path]] = {}
    others = []
    for file in found:
        split = split_in(file, path)
        if split is None:
            others.append(file.name)
        else:
            by_split.setdefault(split, []).append(file)
    if "train" not in by_split:
        raise DataError(
            f"{path} has {some_of([file.name for file in found])} but no train file; name the files "
            f"{pattern.format('train')}, {pattern.format('test')} and {pattern.format('validation')}, or give one file"
        )
    notes = (f"Files whose name has no split were left out: {some_of(others)}.",) if others else ()
    return by_split, notes
