"""Bursts: photographs that one camera took within seconds of one another, as EXIF tells. They show the same thing."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from PIL import Image

from stepladder.datasets import filesystem
from stepladder.datasets.decode import HEAD, formats_of
from stepladder.datasets.encoded import Item, Reader
from stepladder.errors import DataError, some_of

#: Photographs of one camera with so few seconds between them are taken for a burst, where nobody says another time.
USUAL_SECONDS = 5

#: The longest time between two photographs of a burst that can be asked for, seconds: a day.
MOST_SECONDS = 86_400

#: Images whose EXIF is read for a suspicion, and those of them that are asked first whether they have any.
LOOKED_AT, _ASKED_FIRST = 4_000, 20

# EXIF 2.32, section 4.6.4 A, and 4.6.5.
_MAKE, _MODEL, _EXIF = 0x010F, 0x0110, 0x8769
_TAKEN, _FRACTION, _SERIAL = 0x9003, 0x9291, 0xA431


@dataclass(frozen=True, slots=True)
class Taken:
    """When a photograph was taken, in seconds since 1970 by the camera's own clock, and by which camera."""

    seconds: float
    camera: str


def taken_at(item: Item) -> Taken | None:
    """Return when and by what an image was taken; None where it does not say both, or cannot be read.

    Only the header of a file is read.
    """
    if not isinstance(item, bytes | str) or (isinstance(item, str) and not filesystem.is_file(item)):
        return None  # opening a pipe would wait for ever for somebody to write
    try:
        with (
            warnings.catch_warnings(),
            io.BytesIO(item) if isinstance(item, bytes) else filesystem.open_file(item) as file,
            Image.open(file, formats=formats_of(file.read(HEAD))) as image,
        ):
            warnings.filterwarnings("ignore", module="PIL")
            exif = image.getexif()
            if not exif:
                return None
            more = exif.get_ifd(_EXIF)
            camera = " ".join(
                str(tag).strip("\0 ") for tag in (exif.get(_MAKE), exif.get(_MODEL), more.get(_SERIAL)) if tag
            )
            moment = datetime.strptime(str(more[_TAKEN]).strip("\0 "), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
            fraction = str(more.get(_FRACTION, "")).strip("\0 ")
            part = float(f"0.{fraction}") if fraction.isascii() and fraction.isdigit() else 0.0
    # Broken EXIF makes Pillow raise nearly anything, and is no reason to call an image damaged.
    except Exception:
        return None
    return Taken(moment.timestamp() + part, camera) if camera else None


def look_for_times(read: Reader, count: int) -> list[Taken | None]:
    """Return when the first :data:`LOOKED_AT` of ``count`` images were taken; nothing where the first ones do not say.

    Of files alone, as only these can be told apart by it. Called where images are decoded anyway, which takes many
    times as long.
    """
    found: list[Taken | None] = []
    for chunk in read():
        for item in chunk:
            if not isinstance(item, str):
                return []
            found.append(taken_at(item))
            if len(found) == min(_ASKED_FIRST, count) and not any(found):
                return []
            if len(found) == LOOKED_AT:
                return found
    return found


def check_seconds(seconds: float | None) -> None:
    """Raise DataError where a time between photographs cannot be."""
    if seconds is not None and not 0 < seconds <= MOST_SECONDS:
        raise DataError(f"`group_bursts` is {seconds:g}; it must be above 0 and at most {MOST_SECONDS:,} seconds")


def name_bursts(taken: Mapping[str, Sequence[Taken | None]], seconds: float) -> dict[str, list[object]]:
    """Return what names the burst of each image, by split: numbers from 0; an image that says nothing is one by itself.

    A photograph belongs to the burst of the one before it by the same camera, in whatever split, where that was taken
    at most ``seconds`` before.
    """
    every = [(split, at, moment) for split, of_split in taken.items() for at, moment in enumerate(of_split)]
    named: dict[str, list[object]] = {split: [0] * len(of_split) for split, of_split in taken.items()}
    told = [one for one in every if one[2] is not None]
    told.sort(key=lambda one: (one[2].camera, one[2].seconds))  # type: ignore[union-attr]
    burst, before = -1, None
    for split, at, moment in told:
        assert moment is not None
        if before is None or before.camera != moment.camera or moment.seconds - before.seconds > seconds:
            burst += 1
        named[split][at], before = burst, moment
    for split, at, moment in every:
        if moment is None:
            burst += 1
            named[split][at] = burst
    return named


def names_by_bursts(files: Mapping[str, Sequence[str]], seconds: float) -> dict[str, list[object]]:
    """Return what names the burst of each file, by split.

    Raises:
        DataError: not one of the files says when and by which camera it was taken.
    """
    taken = {split: [taken_at(file) for file in of_split] for split, of_split in files.items()}
    if not any(moment for of_split in taken.values() for moment in of_split):
        shown = some_of([file for of_split in files.values() for file in of_split], at_most=2)
        raise DataError(
            f"`group_bursts` is {seconds:g}, and no image says in its EXIF when and by which camera it was taken "
            f"({shown}); leave it out, or name groups with `group_pattern`"
        )
    return name_bursts(taken, seconds)


def describe_bursts(named: Mapping[str, Sequence[object]]) -> str:
    """Return a note on the groups that ``group_bursts`` names."""
    sizes = Counter(name for of_split in named.values() for name in of_split)
    images, several = sizes.total(), [size for size in sizes.values() if size > 1]
    if not several:
        return f"`group_bursts` finds {images:,} photographs and no burst, so it keeps nothing together."
    return (
        f"Groups, by `group_bursts`: {len(several):,} bursts of {min(several):,} to {max(several):,} photographs, and "
        f"{images - sum(several):,} photographs by themselves."
    )


def to_plain(taken: Sequence[Taken | None]) -> list[list[float | str] | None]:
    """Return them as plain values, which the cache keeps."""
    return [None if moment is None else [moment.seconds, moment.camera] for moment in taken]


def from_plain(values: object) -> list[Taken | None]:
    """Return what :func:`to_plain` was given.

    Raises:
        TypeError, ValueError: it is something else.
    """
    if not isinstance(values, list):
        raise TypeError("no times of images")
    found: list[Taken | None] = []
    for value in values:
        if value is None:
            found.append(None)
            continue
        seconds, camera = value
        if type(seconds) is not float or not np.isfinite(seconds) or not isinstance(camera, str):
            raise ValueError("no times of images")
        found.append(Taken(seconds, camera))
    return found
