"""Trials of one process in another, their images without a copy each: through a file that both map into memory."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stepladder.datasets import Split, Splits
from stepladder.datasets.cache import cache_folder
from stepladder.errors import StorageError
from stepladder.recipe import parse_recipe
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import DataRecord
from stepladder.studies.running.execution import Job
from stepladder.training.metrics import find_metric

_ALIGNMENT = 64  # bytes: a cache line


@dataclass(frozen=True)
class SharedJobs:
    """Trials as another process gets them: :func:`read_shared_jobs` reads them.

    Attributes:
        descriptor: the open file that the other process must inherit under the same number.
        start: where in it, in bytes, the list of trials begins; the images lie before it.
    """

    descriptor: int
    start: int


@contextmanager
def share_jobs(jobs: Sequence[Job]) -> Iterator[SharedJobs]:
    """Write what trials read into a file without a name, which ends with the last process that has it open.

    The test images are in it only where they are watched, because no image was left for validation. Images that lie in
    the cache's mapped file are not copied, nor is what trials share: pixels, recipes.

    Raises:
        StorageError: the cache's folder has no room.
    """
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            document = describe_jobs(jobs, _Writer(file).add)
            start = file.seek(0, os.SEEK_END)
            file.write(json.dumps(document).encode())
            file.flush()
            yield SharedJobs(file.fileno(), start)
    except OSError as error:
        raise StorageError(
            f"cannot write to {folder}: {error.strerror or error}; set STEPLADDER_CACHE to a folder with room, or use "
            "`workers=1`"
        ) from error


def read_shared_jobs(shared: SharedJobs) -> list[Job]:
    """Return the trials that another process shared; the arrays of their images are read-only.

    Techniques of files must have been registered before.
    """
    with os.fdopen(shared.descriptor, "rb") as file:
        # All processes that inherited the file share one position in it, which must not be moved to read.
        document = json.loads(os.pread(file.fileno(), os.fstat(file.fileno()).st_size - shared.start, shared.start))
        return read_jobs(document, file)


def read_jobs(document: Mapping[str, Any], file: BinaryIO | Path) -> list[Job]:
    """Return the trials of :func:`describe_jobs`.

    Args:
        file: what holds the arrays that are in no file of their own: an open file, or the folder of one file each.
    """
    image_sets = [(read_splits(one, file), DataRecord.model_validate(one["data"])) for one in document["images"]]
    recipes = [parse_recipe(table) for table in document["recipes"]]
    jobs = []
    for one in document["jobs"]:
        splits, data = image_sets[one["images"]]
        recipe, seed = recipes[one["recipe"]], one["seed"]
        key = find_metric(one["metric"], data.class_names, one["costs"]).key
        trial = Trial(one["rung"], recipe, seed, splits.fingerprint, one["precision"], one["select"], key)
        jobs.append(Job(trial, splits, data, Path(one["folder"]), one["metric"], one["costs"]))
    return jobs


def describe_jobs(jobs: Sequence[Job], place: Callable[[np.ndarray], dict[str, Any]]) -> dict[str, Any]:
    """Return the jobs as plain values; images and recipes, which many share, are in lists of their own, once each.

    Args:
        place: keeps an array, and returns where it is: ``shape``, ``dtype`` and ``path``, ``offset`` or both.
    """
    images, recipes = _Places(), _Places()
    described = [
        {
            "rung": job.trial.rung,
            "recipe": recipes.find(job.trial.recipe, job.trial.recipe.to_table),
            "seed": job.trial.seed,
            "precision": job.trial.precision,
            "select": job.trial.select,
            "metric": job.metric,
            "costs": job.costs,
            "images": images.find(job.splits, partial(describe_splits, job.splits, job.data, place)),
            "folder": str(job.folder),
        }
        for job in jobs
    ]
    return {"images": images.values, "recipes": recipes.values, "jobs": described}


class _Places:
    """A list with a description of each object, in the order in which they were first looked for."""

    def __init__(self) -> None:
        self.values: list[dict[str, Any]] = []
        self._places: dict[int, int] = {}

    def find(self, thing: object, describe: Callable[[], dict[str, Any]]) -> int:
        """Return where ``thing`` is in the list."""
        place = self._places.setdefault(id(thing), len(self.values))
        if place == len(self.values):
            self.values.append(describe())
        return place


class _Writer:
    """Puts arrays into the file, each of them once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._placed: dict[int, dict[str, Any]] = {}

    def add(self, array: np.ndarray) -> dict[str, Any]:
        """Return where an array lies, in this file or in one of its own."""
        place = self._placed.get(id(array))
        if place is None:
            place = {"shape": list(array.shape), "dtype": array.dtype.str}
            mapped = _mapped_file(array)
            if mapped is not None:
                place["path"], place["offset"] = mapped
            else:
                self._file.seek(-(-self._file.tell() // _ALIGNMENT) * _ALIGNMENT)
                place["offset"] = self._file.tell()
                self._file.write(np.ascontiguousarray(array).data)
            self._placed[id(array)] = place
        return place


def describe_splits(splits: Splits, data: DataRecord, place: Callable[[np.ndarray], dict[str, Any]]) -> dict[str, Any]:
    """Return what :func:`read_splits` reads back."""
    return {
        "train": _describe_split(splits.train, place),
        "watched": _describe_split(splits.validation or splits.test, place),
        "has_validation": splits.validation is not None,
        "notes": splits.notes,
        "fingerprint": splits.fingerprint,
        "data": data.model_dump(mode="json"),
    }


def _describe_split(split: Split, place: Callable[[np.ndarray], dict[str, Any]]) -> dict[str, Any]:
    return {
        "pixels": place(split.pixels),
        "labels": place(split.labels),
        "rows": None if split.rows is None else place(split.rows),
    }


def _mapped_file(array: np.ndarray) -> tuple[str, int] | None:
    """Return the file that ``array`` is a map of, and where in it the array begins."""
    root: Any = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if not isinstance(root, np.memmap) or root.filename is None or not array.flags.c_contiguous:
        return None
    return str(root.filename), root.offset + array.ctypes.data - root.ctypes.data


def read_splits(place: Mapping[str, Any], file: BinaryIO | Path) -> Splits:
    """Return the splits of :func:`describe_splits`; without test images where there are validation images."""
    train, watched = _read_split(place["train"], file), _read_split(place["watched"], file)
    has_validation = place["has_validation"]
    return Splits(
        train=train,
        validation=watched if has_validation else None,
        test=train.take(np.arange(0)) if has_validation else watched,
        notes=tuple(place["notes"]),
        fingerprint=place["fingerprint"],
    )


def _read_split(part: Mapping[str, Any], file: BinaryIO | Path) -> Split:
    rows = part["rows"]
    return Split(_map(part["pixels"], file), _map(part["labels"], file), None if rows is None else _map(rows, file))


def _map(place: Mapping[str, Any], file: BinaryIO | Path) -> np.ndarray:
    shape: Sequence[int] = place["shape"]
    if 0 in shape:
        return np.empty(shape, place["dtype"])
    source = file / place["path"] if isinstance(file, Path) else place.get("path", file)
    return np.memmap(source, dtype=place["dtype"], mode="r", offset=place.get("offset", 0), shape=tuple(shape))
