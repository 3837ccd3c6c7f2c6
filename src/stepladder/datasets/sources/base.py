"""What a source is, what it may be asked, and the words by which files and folders name their split."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypedDict

import numpy as np

from stepladder.datasets.bursts import check_seconds, describe_bursts, names_by_bursts
from stepladder.datasets.decode_all import Progress
from stepladder.datasets.dicom import describe_patients, names_by_patients
from stepladder.datasets.download import DownloadProgress
from stepladder.datasets.groups import describe_groups, names_by_pattern, number_groups
from stepladder.datasets.image_set import ImageSet
from stepladder.datasets.labels import in_order
from stepladder.datasets.shapes import ShapeOptions
from stepladder.datasets.walk import is_left_behind, not_read
from stepladder.errors import DataError, some_of, unknown


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
        group_bursts: of files: photographs that one camera took with at most so many seconds between them are of one
            group, as their EXIF tells.
        group_patients: of DICOM files: the images of one patient are of one group.
        label_pattern: of a folder: likewise names the class, in place of class folders.
        level: of a folder: which of the folders that a file lies in is its class: ``top``, ``leaf``, or a number from 1
            below the root or the folder of its split.
        path_column, label_column, split_column: of a table: the columns, where their names or cells do not tell.
        images: of a table: the folder that its paths start from; by default its own, or one in it or beside it.
        index: of a folder: the table that labels its images, whose paths start there; a relative one is looked for in
            the current folder, and then in that of the images.
        fold_labels: of a table or folder: labels that differ by case or spaces alone are one class, in the commonest
            spelling.
    """

    group_column: str | None = None
    group_pattern: str | None = None
    group_bursts: float | None = None
    group_patients: bool = False
    label_pattern: str | None = None
    level: str | None = None
    path_column: str | None = None
    label_column: str | None = None
    split_column: str | None = None
    images: Path | str | None = None
    index: Path | str | None = None
    fold_labels: bool = False

    def refuse_of_folders(self, what: str) -> None:
        """Raise DataError where something was said that only folders can use; ``what`` is there in place of one."""
        for name in ("label_pattern", "level", "index"):
            if getattr(self, name) is not None:
                raise DataError(f"`{name}` is for folders of images, and {what} is none; leave it out")

    @property
    def names_columns(self) -> bool:
        """Whether something was said of the columns of a table."""
        return any((self.path_column, self.label_column, self.split_column))

    def refuse_images(self, what: str) -> None:
        """Raise DataError where ``images`` was said of a folder: a table may lie in it, whose paths start there."""
        if self.images is not None:
            raise DataError(f"`images` is for tables of paths, and {what} is a folder; name its table with `index`")

    def refuse_of_tables(self, what: str) -> None:
        """Raise DataError where something was said that only tables can use; ``what`` is there in place of one."""
        for name in ("path_column", "label_column", "split_column", "images", "fold_labels"):
            if getattr(self, name):
                where = "tables of paths" + (" and folders of images" if name == "fold_labels" else "")
                raise DataError(f"`{name}` is for {where}, and {what} is none; leave it out")

    @property
    def asks_groups(self) -> bool:
        """Whether the source is to name groups."""
        return bool(self._grouping)

    @property
    def _grouping(self) -> list[str]:
        """The parameters that name groups, of those that were given."""
        names = ("group_column", "group_pattern", "group_bursts", "group_patients")
        return [name for name in names if getattr(self, name) not in (None, False)]

    def check(self) -> None:
        """Raise DataError where two options say the same, or one cannot be."""
        naming = [name for name in ("label_pattern", "level", "index") if getattr(self, name) is not None]
        if len(naming) > 1:
            raise DataError(f"`{naming[0]}` and `{naming[1]}` both name the classes; give one of them")
        if self.index is not None and self.images is not None:
            raise DataError("the paths of `index` start at the folder that it is given with; leave `images` out")
        if self.level not in (None, "top", "leaf") and not re.fullmatch("[1-9][0-9]?", str(self.level)):
            raise DataError(f"`level` is {self.level}; it must be top, leaf or a number from 1")
        check_seconds(self.group_bursts)
        if len(self._grouping) > 1:
            first, second, *_ = self._grouping
            raise DataError(f"`{first}` and `{second}` both name the groups; give one of them")

    def groups_of_paths(
        self, paths: Mapping[str, Sequence[str]], files: Callable[[], Mapping[str, Sequence[str]]]
    ) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
        """Return the groups by ``group_pattern``, ``group_bursts`` or ``group_patients``, by split, and a note.

        Nothing where none of these was given.

        Args:
            paths: below the root of the images, by split.
            files: returns the paths by which they are opened.

        Raises:
            DataError: the pattern does not fit, or no file says when it was taken, or of whom.
        """
        if self.group_bursts is not None:
            bursts = names_by_bursts(files(), self.group_bursts)
            return number_groups(bursts), (describe_bursts(bursts),)
        if self.group_patients:
            patients = names_by_patients(files())
            return number_groups(patients), (describe_patients(patients),)
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


class LabelColumns(TypedDict, total=False):
    """Where what stands in a table or data frame, spread out: ``sl.study(frame, path="file", label="kind")``.

    They are :class:`LabelOptions` by short names: ``path_column``, ``label_column``, ``split_column``, ``group_column``
    and ``images``.
    """

    path: str
    label: str
    split: str
    group: str
    images: Path | str


def labelled(data: object, columns: LabelColumns) -> object:
    """Return ``data`` with ``columns`` as its labels; as it is where there are none.

    Raises:
        DataError: one of them is called otherwise, or was said before.
    """
    if not columns:
        return data
    if wrong := [name for name in columns if name not in LabelColumns.__annotations__]:
        raise DataError(unknown("argument", wrong[0], LabelColumns.__annotations__))
    named = {name if name == "images" else f"{name}_column": value for name, value in columns.items()}
    if not isinstance(data, Labelled):
        return Labelled(data, **named)  # type: ignore[arg-type]
    if twice := [name for name in named if getattr(data, name) is not None]:
        raise DataError(f"`{twice[0]}` is given twice, by `Labelled` and beside it; give it once")
    return replace(data, **named)  # type: ignore[arg-type]


def say_labels(source: str, counts: Mapping[str, int], state: Sequence[str] = ()) -> str:
    """Return the one line that says what was taken for labels that nobody stated.

    >>> say_labels("the folders' names", {"cat": 30, "dog": 30})
    "Labels: from the folders' names, cat (30), dog (30)."

    Args:
        source: where they are.
        counts: images by class, of all splits.
        state: the arguments by which a user says the same.
    """
    shown = some_of([f"{name} ({counts[name]:,})" for name in in_order(counts)])
    listed = [", ".join(state[:-1]), *state[-1:]] if len(state) > 1 else state
    how = f"; state it with {' and '.join(listed)}" if state else ""
    return f"Labels: from {source}, {shown}{how}."


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


def read_as(path: Path, chosen: PathSource, others: Sequence[PathSource]) -> str:
    """Return the note on a folder that was read as one shape of files and surely holds others, too."""
    return (
        f"{path.name or path} was read as {chosen.name}; it also holds {' and '.join(one.name for one in others)}: to "
        f"read that, move it into a folder of its own, or the files of {chosen.name} out of this one."
    )


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


# What is written behind a split's word, where that is not all of a folder's name: trainset, val2017, test1.
_BEHIND_WORDS = re.compile("(?<=.)(?:set|data|dataset|images|imgs)?[0-9]*$")


def split_in_folder_name(name: str) -> str | None:
    """Return the one split that a word in a folder's name tells: ``seg_train``, ``test_images``, ``TrainSet``.

    Classes have such names too, train_station, so what the folder holds must tell which it is.
    """
    words = re.split(r"[-_. ]|(?<=[a-z])(?=[A-Z])", name)
    told = {split for word in words if (split := split_of(word) or split_of(_BEHIND_WORDS.sub("", word.lower())))}
    return told.pop() if len(told) == 1 else None


def split_of_name(name: str) -> str | None:
    """Return the split that a word of a file name tells: ``train-0-of-2.parquet``, ``instances_val2017.json``."""
    words = (re.sub("(?<=[a-z])20[0-9][0-9]$", "", word) for word in re.split(r"[-_. ]", name))
    return next((split for word in words if (split := split_of(word))), None)


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
