"""What a source is, what it may be asked, and the words by which files and folders name their split."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stepladder.datasets.decode_all import Progress, ShapeOptions
from stepladder.datasets.download import DownloadProgress
from stepladder.datasets.groups import describe_groups, names_by_pattern, number_groups
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


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """What the user says of how labels are kept, and of which images belong together.

    Attributes:
        group_column: of a table, parquet or a Hugging Face dataset: the column that names the group of each image, as
            a patient or an object. Groups stay on one side of every split.
        group_pattern: of files: a regular expression that is looked for in the path below the root of the images. Its
            first group, or the whole match, names the group.
        label_pattern: of a folder: likewise names the class, in place of class folders.
        level: of a folder: which of the folders that a file lies in is its class: ``top``, ``leaf``, or a number from 1
            below the root or the folder of its split.
        path_column, label_column, split_column: of a table: the columns, where their names or cells do not tell.
        images: of a table: the folder that its paths start from; by default its own, or one in it.
        fold_labels: of a table: labels that differ by case or spaces alone are one class, in the commonest spelling.
    """

    group_column: str | None = None
    group_pattern: str | None = None
    label_pattern: str | None = None
    level: str | None = None
    path_column: str | None = None
    label_column: str | None = None
    split_column: str | None = None
    images: Path | str | None = None
    fold_labels: bool = False

    def refuse_of_folders(self, what: str) -> None:
        """Raise DataError where something was said that only folders can use; ``what`` is there in place of one."""
        for name in ("label_pattern", "level"):
            if getattr(self, name) is not None:
                raise DataError(f"`{name}` is for folders of images, and {what} is none; leave it out")

    def refuse_of_tables(self, what: str) -> None:
        """Raise DataError where something was said that only tables can use; ``what`` is there in place of one."""
        for name in ("path_column", "label_column", "split_column", "images", "fold_labels"):
            if getattr(self, name):
                raise DataError(f"`{name}` is for tables of paths, and {what} is none; leave it out")

    @property
    def asks_groups(self) -> bool:
        """Whether the source is to name groups."""
        return self.group_column is not None or self.group_pattern is not None

    def check(self) -> None:
        """Raise DataError where two options say the same, or one cannot be."""
        if self.label_pattern is not None and self.level is not None:
            raise DataError("`label_pattern` and `level` both name the classes; give one of them")
        if self.level not in (None, "top", "leaf") and not re.fullmatch("[1-9][0-9]?", str(self.level)):
            raise DataError(f"`level` is {self.level}; it must be top, leaf or a number from 1")
        if self.group_column is not None and self.group_pattern is not None:
            raise DataError("`group_column` and `group_pattern` both name the groups; give one of them")

    def groups_of_paths(self, paths: Mapping[str, Sequence[str]]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
        """Return the groups of images by ``group_pattern``, by split, and a note; nothing where that was not given.

        Args:
            paths: below the root of the images, by split.

        Raises:
            DataError: the pattern does not fit.
        """
        if self.group_pattern is None:
            return {}, ()
        named = names_by_pattern("group_pattern", self.group_pattern, paths)
        return number_groups(named), (describe_groups(named, "group_pattern"),)

    def groups_of_column(self, named: Mapping[str, Sequence[object]]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
        """Return groups as ``group_column`` names them, by split, and a note."""
        return number_groups(named), (describe_groups(named, "group_column"),)


@dataclass(frozen=True)
class Labelled(LabelOptions):
    """Images together with how their labels are kept; every function that takes images takes it in their place.

    >>> sl.study(sl.Labelled("pets.csv", group_column="animal"), seeds=5)  # doctest: +SKIP

    Attributes:
        data: a name, a path, arrays, a dataset or an image set; see :func:`stepladder.load_image_set`.
        groups: of arrays, datasets and image sets: the group of each image, numbers or texts; or a mapping of splits to
            these.
    """

    data: object
    groups: Sequence[object] | np.ndarray | Mapping[str, Sequence[object] | np.ndarray] | None = field(
        default=None, kw_only=True
    )


def below(root: Path, path: str) -> str:
    """Return ``path``, which lies below the folder ``root``, as from there and with ``/`` on every system."""
    return all_below(root, (path,))[0]


def all_below(root: Path, paths: Iterable[str]) -> list[str]:
    """Return ``paths``, as :func:`below` does each."""
    start = str(root)
    prefix = "" if start == "." else f"{start.rstrip(os.sep)}{os.sep}"
    inner = [path.removeprefix(prefix) for path in paths]
    return inner if os.sep == "/" else [path.replace(os.sep, "/") for path in inner]


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
        labels: how labels are kept, and which images belong together.
    """

    limit: int | None = None
    skip_damaged: bool = False
    shape: ShapeOptions = field(default_factory=ShapeOptions)
    access: Access = field(default_factory=Access)
    labels: LabelOptions = field(default_factory=LabelOptions)


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
