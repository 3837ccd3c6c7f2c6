"""From what the user gives, a name, a path or what a program holds, to an image set."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from stepladder.datasets.decode_all import NOTHING_TO_STRETCH, reshaped
from stepladder.datasets.groups import describe_groups, number_groups
from stepladder.datasets.image_set import SPLIT_NAMES, Fit, ImageSet
from stepladder.datasets.shapes import DefaultSize, ShapeOptions
from stepladder.datasets.sources import NAMED_SOURCES, PATH_SOURCES, Access, Labelled, LabelOptions, LoadOptions
from stepladder.datasets.sources.archive import SOURCE as ARCHIVE
from stepladder.datasets.sources.archive import load_in
from stepladder.datasets.sources.arrays import read_arrays
from stepladder.datasets.sources.base import SPLIT_WORDS, PathSource, read_as, safe_name, split_of
from stepladder.datasets.sources.folder import SOURCE as FOLDER
from stepladder.datasets.sources.frames import are_frames, read_frames
from stepladder.datasets.sources.hub import is_address, load_hub
from stepladder.datasets.sources.items import read_datasets
from stepladder.datasets.sources.table import SOURCE as TABLE
from stepladder.datasets.sources.table import load_index
from stepladder.errors import DataError, unknown

_NOTHING = Access()

_FORMS = (
    "give a pair of arrays (x, y), a dataset whose items are (image, label), two of these for train and test, a "
    "mapping of splits to them as {'train': (x, y), 'test': (x_test, y_test)}, or an image set"
)


def load_image_set(
    data: object,
    *,
    limit: int | None = None,
    size: int | DefaultSize | None = None,
    fit: Fit | None = None,
    channels: int | None = None,
    stretch: bool = False,
    skip_damaged: bool = False,
    access: Access = _NOTHING,
) -> ImageSet:
    """Load an image set.

    A name of the table wins over a file or folder of the same name; write ``./digits`` for the latter.

    Args:
        data: a name in :data:`stepladder.datasets.SOURCES`; a path that one of its shapes matches; or what a program
            holds, as :func:`as_image_set` takes it: arrays, a torch ``Dataset``, a Hugging Face dataset, a data frame
            of paths, an image set. Or a :class:`Labelled` around one of these, which says how it is labelled, and which
            images belong together.
        limit: only the first N images of each class in each split.
        size: bring every image to squares of this many pixels, 1 to 1024. With None, images of one size up to 64 pixels
            keep it, and all others become squares of their median shorter side, at most 64. The images of an image set
            keep theirs. A :class:`DefaultSize` takes the place of that rule, and is no size that was asked for: a
            pretrained network's own. The functions that train know it of their recipe.
        fit: how an image becomes a square: ``crop`` resizes the shorter side and keeps the center, ``pad`` resizes the
            longer side and adds black, ``stretch`` resizes both sides by themselves. With None, ``pad`` where a crop
            would take more than a tenth of the median training image away, else ``crop``. Models keep to it.
        channels: 1 makes every image gray, 3 color; None takes gray where all are gray.
        stretch: of gray images of more than 8 bits, let what the training images use of their values become black to
            white, in place of 0 and 65,535. Images set aside as test have no part in it, and models keep to it.
        skip_damaged: leave damaged images out, with a note in the image set, instead of raising.
        access: where the files of a named set are, whether they may be fetched, and who is told of progress:
            ``Access(data_dir="archives/", download=True)``.

    Raises:
        DataError: there is no such name or path, or what is there is no image set that can be read.
        DamagedImagesError: images cannot be decoded; all of them are listed.
    """
    labels: LabelOptions = LabelOptions()
    groups = None
    if isinstance(data, Labelled):
        labels, groups, data = data, data.groups, data.data
    asked, default_size = (None, size) if isinstance(size, DefaultSize) else (size, None)
    shape = ShapeOptions(asked, channels, fit, default_size, stretch)
    options = _checked(LoadOptions(limit, skip_damaged, shape, access, labels))
    if not isinstance(data, str | os.PathLike):
        if not are_frames(data):
            labels.refuse_of_tables("what a program holds")
        labels.refuse_of_folders("what a program holds")
    if isinstance(data, ImageSet):
        return _finished_set(_grouped(data, groups), options)
    if not isinstance(data, str | os.PathLike):
        return _finished(_grouped(_read_held(data, None, options), groups), options)
    if groups is not None:
        raise DataError("groups as values are for arrays and datasets; of files give `group_pattern` or `group_column`")
    try:
        image_set = load_hub(str(data), options) if is_address(str(data)) else _load(os.fspath(data), options)
    except OSError as error:
        raise DataError(f"cannot read {error.filename or data}: {error.strerror or error}") from error
    image_set = _finished(image_set, options)
    return replace(image_set, loading=_loading(image_set, options))


def _loading(image_set: ImageSet, options: LoadOptions) -> dict[str, Any]:
    """Return how another machine loads these images: as they became, whatever the defaults were that made them so."""
    height, _, channels = image_set.image_shape
    labels = {field.name: getattr(options.labels, field.name) for field in fields(LabelOptions)}
    return {
        "labels": {
            name: str(value) if isinstance(value, Path) else value
            for name, value in labels.items()
            if value is not None
        },
        "limit": options.limit,
        "size": height if image_set.original_side else None,
        "fit": image_set.fit,
        "channels": channels,
        "stretch": options.shape.stretch,
        "skip_damaged": options.skip_damaged,
    }


def as_image_set(data: object, *, name: str | None = None) -> ImageSet:
    """Return what a program holds as an image set.

    Args:
        data: one of these, of which the first three stand for training images alone:

            - a pair of arrays ``(x, y)``: ``x`` uint8, (N, H, W), (N, H, W, C) or (N, C, H, W) with C 1 or 3, values 0
              to 255; ``y`` whole numbers or texts, (N,). ``x`` is not copied where its order in memory allows and its
              images have up to 64 pixels a side; larger ones become smaller, as :func:`load_image_set` says;
            - a torch ``Dataset`` with a length, whose items are ``(image, label)``: a Pillow image, a uint8 array or a
              uint8 tensor, and a number or text. Its ``classes``, if it has them, name the numbers. Or a Hugging Face
              dataset with a column of images and one of labels;
            - a data frame of pandas or polars with a row an image: its path, its label, and its split and group if
              there are any. Its columns are found as those of a table; a :class:`Labelled` around it names them;
            - a pair of the first two, for train and test: ``((x, y), (x_test, y_test))``;
            - a mapping of splits to the above: ``{"train": (x, y), "validation": …, "test": …}``, a ``DatasetDict``;
            - an image set, which is returned as it is.
        name: under which results are reported; by default ``arrays``, the name of a Hugging Face dataset, or of the
            class of a torch dataset.

    Raises:
        DataError: it is none of these, or does not fit; one sentence says what is wrong and how to mend it.
    """
    if isinstance(data, ImageSet):
        return data if name is None else replace(data, name=safe_name(name))
    return _finished(_read_held(data, name, LoadOptions()), LoadOptions())


def _checked(options: LoadOptions) -> LoadOptions:
    options.shape.check()
    options.labels.check()
    if options.limit is not None and options.limit < 1:
        raise DataError(f"`limit` is {options.limit}; it must be at least 1 image a class")
    return options


def _grouped(image_set: ImageSet, groups: Any) -> ImageSet:
    """Return the image set with the groups that a program gives."""
    if groups is None:
        return image_set
    given = groups if isinstance(groups, Mapping) else {"train": groups}
    named = {split_of(str(name)) or str(name): np.asarray(of_split).tolist() for name, of_split in given.items()}
    if set(named) != set(image_set.splits):
        raise DataError(f"groups are given for {', '.join(named)}; give them for {', '.join(image_set.splits)}")
    for name, of_split in named.items():
        if len(of_split) != len(image_set.splits[name]):
            raise DataError(
                f"there are {len(of_split):,} groups for the {len(image_set.splits[name]):,} {name} images; give "
                "each image one"
            )
    numbers = number_groups(named)
    splits = {name: replace(split, groups=numbers[name]) for name, split in image_set.splits.items()}
    return replace(image_set, splits=splits, notes=(*image_set.notes, describe_groups(named, "groups")))


def _finished(image_set: ImageSet, options: LoadOptions) -> ImageSet:
    _refuse_unnamed_groups(image_set, options)
    if options.shape.stretch and image_set.span is None:
        raise DataError(NOTHING_TO_STRETCH)
    limited = image_set if options.limit is None else image_set.limited(options.limit)
    return _with_fit(reshaped(limited, options.shape), options.shape.fit)


def _finished_set(image_set: ImageSet, options: LoadOptions) -> ImageSet:
    """Return an image set that was made before: its size was chosen then, and changes only where one is asked for."""
    _refuse_unnamed_groups(image_set, options)
    if options.shape.stretch and image_set.span is None:
        raise DataError("`stretch` is for images as they are decoded, and this image set is; load it with `stretch`")
    limited = image_set if options.limit is None else image_set.limited(options.limit)
    shape = options.shape
    if shape.fit is None and image_set.fit != "crop":
        shape = replace(shape, fit=image_set.fit)
    return _with_fit(reshaped(limited, shape, keeps_size=shape.size is None), shape.fit)


def _refuse_unnamed_groups(image_set: ImageSet, options: LoadOptions) -> None:
    if not options.labels.asks_groups or image_set.splits["train"].groups is not None:
        return
    if options.labels.group_column is not None:
        raise DataError(
            f"`group_column` is a column of a table, of parquet or of a Hugging Face dataset, and {image_set.name} is "
            "none of these; leave it out, or name the table of a folder with `index`"
        )
    for option in ("group_bursts", "group_patients"):
        if getattr(options.labels, option) not in (None, False):
            raise DataError(f"`{option}` is read from image files, and {image_set.name} has none; leave it out")
    raise DataError(
        f"`group_pattern` is looked for in the paths of image files, and {image_set.name} has none; leave it out"
    )


def _with_fit(image_set: ImageSet, fit: Fit | None) -> ImageSet:
    """Return the image set with the fit that was asked for, which counts where all images had their shape, too."""
    return image_set if fit in (None, image_set.fit) else replace(image_set, fit=fit)


def _load(data: str, options: LoadOptions) -> ImageSet:
    if data in NAMED_SOURCES:
        options.labels.refuse_of_tables(data)
        options.labels.refuse_of_folders(data)
        return NAMED_SOURCES[data].load(options)
    path = Path(data).expanduser()
    names = [source.name for source in PATH_SOURCES]
    shapes = f"{', '.join(names[:-1])} or {names[-1]}"
    if path.exists():
        if options.access.data_dir is not None:
            raise DataError(f"`data_dir` is where a named image set is, and {data} is a path; leave it out")
        if options.labels.index is not None and not ARCHIVE.matches(path):
            return load_index(path, options)
        if fitting := [source for source in PATH_SOURCES if source.matches(path)]:
            return _read_path(path, fitting, options)
        raise DataError(f"{path} is no image set that can be read; a path may be of {shapes}")
    if (archive := next(filter(ARCHIVE.matches, path.parents), None)) is not None:
        return load_in(archive, path, options)
    if os.sep in data:
        raise DataError(
            f"there is no file or folder {path}; give a name ({', '.join(NAMED_SOURCES)}), or a path to {shapes}"
        )
    raise DataError(
        f"{unknown('data name', data, NAMED_SOURCES)}; and no file or folder has that name (a path may be {shapes})"
    )


def _read_path(path: Path, fitting: Sequence[PathSource], options: LoadOptions) -> ImageSet:
    """Read what surely is there, looking into files where their names do not tell; a folder may hold several shapes.

    The more special shape comes first: a backup beside class folders is no shard, a parquet file of images is one.
    """
    if len(fitting) == 1:
        _refuse_of_others(fitting[0], path, options)
        return fitting[0].load(path, options)
    sure = [source for source in fitting if source.holds is None or source.holds(path)]
    chosen = sure[0] if sure else fitting[0]
    _refuse_of_others(chosen, path, options)
    image_set = chosen.load(path, options)
    others = [source for source in sure if source is not chosen]
    if not others:
        return image_set
    return replace(image_set, notes=(read_as(path, chosen, others), *image_set.notes))


def _refuse_of_others(chosen: PathSource, path: Path, options: LoadOptions) -> None:
    """Refuse what the chosen shape of files does not use."""
    if chosen in (FOLDER, ARCHIVE):
        options.labels.refuse_images(str(path))
    elif chosen is not TABLE:
        options.labels.refuse_of_tables(str(path))
    if chosen not in (FOLDER, ARCHIVE):
        options.labels.refuse_of_folders(str(path))


def _read_held(data: object, name: str | None, options: LoadOptions) -> ImageSet:
    """Return arrays, datasets or frames as an image set; its limit, and the shape of arrays, are left to the caller."""
    if are_frames(data):
        return read_frames(data, safe_name(name or "frame"), options)
    parts = _by_split(data)
    datasets = [split for split, part in parts.items() if _is_dataset(part)]
    if not datasets:
        return read_arrays({split: _pair(split, part) for split, part in parts.items()}, safe_name(name or "arrays"))
    if len(datasets) < len(parts):
        other = next(split for split in parts if split not in datasets)
        raise DataError(f"{datasets[0]} is a dataset and {other} is none; give all splits in one form")
    return read_datasets(parts, name, options)


def _by_split(data: object) -> dict[str, Any]:
    """Return the parts of ``data`` by split, in the usual order."""
    if isinstance(data, Mapping):
        return _by_name(data)
    if isinstance(data, tuple | list):
        if len(data) != 2:
            raise DataError(f"the data is a {type(data).__name__} of {len(data)} values; {_FORMS}")
        # Two pairs are tuples; a list in their place is a list of images.
        if all(_is_dataset(part) or (isinstance(part, tuple) and len(part) == 2) for part in data):
            return {"train": data[0], "test": data[1]}
        return {"train": tuple(data)}
    if _is_dataset(data):
        return {"train": data}
    raise DataError(f"the data is {_kind(data)}")


def _kind(data: object) -> str:
    """Say what ``data`` is that is no image set, and what to give."""
    kind = type(data).__name__
    if hasattr(data, "__array__"):
        return "an array without labels; give a pair (x, y)"
    if hasattr(data, "dataset") and hasattr(data, "batch_size"):
        return f"a loader of batches ({kind}); give its dataset, whose items are (image, label)"
    if hasattr(data, "__iter__") and not hasattr(data, "__len__"):
        return f"a stream ({kind}); give a dataset that has a length and gives its items by number (streaming=False)"
    return f"of the type {kind}; {_FORMS}"


def _by_name(data: Mapping[Any, Any]) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    for key, part in data.items():
        split = split_of(str(key))
        if split is None:
            raise DataError(
                f"there is no split called '{str(key)[:40]}'; a mapping's keys are {', '.join(SPLIT_WORDS)}: rename "
                "it, or leave it out"
            )
        if split in parts:
            raise DataError(f"the {split} split is there twice, the second time as '{str(key)[:40]}'; keep one")
        parts[split] = part
    if "train" not in parts:
        raise DataError(f"there is no train split, only {', '.join(parts) or 'an empty mapping'}; add it")
    return {split: parts[split] for split in SPLIT_NAMES if split in parts}


def _is_dataset(part: object) -> bool:
    """Whether ``part`` has numbered items without being an array or a plain collection."""
    numbered = hasattr(part, "__getitem__") and hasattr(part, "__len__") and not hasattr(part, "__array__")
    return numbered and not isinstance(part, tuple | list | str | bytes | Mapping)


def _pair(split: str, part: object) -> tuple[object, object]:
    if not isinstance(part, tuple | list):
        raise DataError(f"{split} is {_kind(part)}")
    if len(part) != 2:
        raise DataError(f"{split} is a {type(part).__name__} of {len(part)} values; it must be a pair (x, y)")
    return part[0], part[1]
