"""DICOM, as scanners write it: window, inversion and bits applied, and what was applied told. By pydicom.

The attributes are those of DICOM PS3.3: C.7.6.3 (image pixel), C.11.1 (modality LUT), C.11.2 (VOI LUT).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from stepladder.datasets import filesystem
from stepladder.errors import DataError, some_of

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

#: What files that pydicom must be there for are counted under.
NEEDS_DICOM = "DICOM needs pydicom; install it with: pip install 'stepladder[dicom]'"

_GRAY = ("MONOCHROME1", "MONOCHROME2")


@dataclass(frozen=True)
class Scan:
    """What a DICOM image holds once its file is read.

    Attributes:
        values: uint8 (H, W, 3) of color; uint8 (H, W, 1) of gray of 8 bits or to which a window was applied; of other
            gray uint32 (H, W), 0 to ``largest``.
        largest: the largest value that such other gray can have.
        inverted: whether of it the largest value is black.
        applied: what was done, in words, by which images are counted.
        patient: a digest of the patient's ID, hex; empty where it has none. The ID itself is kept nowhere.
    """

    values: np.ndarray
    largest: int
    inverted: bool
    applied: tuple[str, ...]
    patient: str


def is_dicom(content: bytes) -> bool:
    """Whether that is a DICOM file, by its mark."""
    return content[128:132] == b"DICM"


def scan_shape(content: bytes) -> tuple[int, int, int]:
    """Return (height, width, channels), from the header alone.

    Raises:
        DataError: pydicom is not installed, or there is no image in the file.
    """
    found = _read(content, header_alone=True)
    return int(found.Rows), int(found.Columns), 1 if found.PhotometricInterpretation in _GRAY else 3


def read_scan(content: bytes) -> Scan:
    """Return the image in a DICOM file, the first of several.

    Gray goes through the rescale slope and intercept, then through its window (the first of several), or its table of
    gray levels; without either, all values that its bits can hold become black to white. MONOCHROME1, in which the
    largest value is black, is inverted.

    Raises:
        DataError: as :func:`scan_shape`; or the pixels are compressed in a way that is not read.
    """
    found = _read(content)
    try:
        return _scan(found)
    except (NotImplementedError, RuntimeError) as error:
        name = found.file_meta.TransferSyntaxUID.name
        raise DataError(f"DICOM compressed as {name} is not read; save it as uncompressed or PNG") from error


def names_by_patients(files: Mapping[str, Sequence[str]]) -> dict[str, list[object]]:
    """Return what names the patient of each file, by split: a digest; a file that names none is one by itself.

    Raises:
        DataError: not one of the files names a patient, or pydicom is not installed.
    """
    named: dict[str, list[object]] = {}
    for split, of_split in files.items():
        named[split] = [_patient_of(file) or f"file {split} {at}" for at, file in enumerate(of_split)]
    if all(str(name).startswith("file ") for of_split in named.values() for name in of_split):
        shown = some_of([file for of_split in files.values() for file in of_split], at_most=2)
        raise DataError(
            f"`group_patients` asks for the patients of DICOM images, and no image names one ({shown}); leave it out"
        )
    return named


def describe_patients(named: Mapping[str, Sequence[object]]) -> str:
    """Return a note on the groups that ``group_patients`` names; no ID is in it."""
    names = [str(name) for of_split in named.values() for name in of_split]
    alone = sum(name.startswith("file ") for name in names)
    rest = f", and {alone:,} images that name none" if alone else ""
    return f"Groups, by `group_patients`: {len(set(names)) - alone:,} patients of {len(names) - alone:,} images{rest}."


def _patient_of(file: str) -> str:
    with suppress(OSError), filesystem.open_file(file) as opened:
        if is_dicom(opened.read(132)):
            opened.seek(0)
            return _patient(_read(opened, header_alone=True))
    return ""


def _read(content: bytes | BinaryIO, *, header_alone: bool = False) -> FileDataset:
    found = _dcmread()(io.BytesIO(content) if isinstance(content, bytes) else content, stop_before_pixels=header_alone)
    needed = ("Rows", "Columns", "PhotometricInterpretation", *(() if header_alone else ("PixelData",)))
    if any(name not in found for name in needed):
        raise DataError("a DICOM file without an image in it (a report, or an index of others); remove it")
    return found


@cache
def _dcmread() -> Callable[..., FileDataset]:
    try:
        from pydicom import config, dcmread
    except ImportError as error:
        raise DataError(NEEDS_DICOM) from error
    # It would warn of every value that breaks the standard and harms nothing, from within threads.
    config.settings.reading_validation_mode = config.IGNORE
    return dcmread


def _scan(found: FileDataset) -> Scan:
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    patient, kind = _patient(found), str(found.PhotometricInterpretation)
    pixels = pixel_array(found, index=0)
    if kind not in _GRAY:
        if kind == "PALETTE COLOR":
            pixels = apply_color_lut(pixels, found)
        if pixels.dtype != np.uint8:
            pixels = (pixels >> (max(8, int(found.BitsStored)) - 8)).astype(np.uint8)
        return Scan(np.ascontiguousarray(pixels[:, :, :3]), 255, inverted=False, applied=("color",), patient=patient)
    inverted = kind == "MONOCHROME1"
    applied = [f"{int(found.BitsStored)} bits"]
    rescaled = _rescaled(found, pixels, applied)
    shown = _windowed(found, rescaled, applied)
    applied += ["inverted (MONOCHROME1)"] if inverted else []
    if shown is not None:
        levels = np.rint(255 * shown).astype(np.uint8)[:, :, None]
        return Scan(255 - levels if inverted else levels, 255, inverted=False, applied=tuple(applied), patient=patient)
    applied.append("no window, so the full range")
    bits, signed = int(found.BitsStored), bool(found.PixelRepresentation)
    # A slope below 0 alone matters here, as the range is rescaled with the values.
    inverted ^= float(found.get("RescaleSlope") or 1) < 0
    largest = 2**bits - 1
    values = np.clip(pixels.astype(np.int64) + (2 ** (bits - 1) if signed else 0), 0, largest)
    if bits <= 8:
        levels = ((values * 255 + largest // 2) // largest).astype(np.uint8)[:, :, None]
        return Scan(255 - levels if inverted else levels, 255, inverted=False, applied=tuple(applied), patient=patient)
    return Scan(values.astype(np.uint32), largest, inverted, tuple(applied), patient)


def _rescaled(found: FileDataset, pixels: np.ndarray, applied: list[str]) -> np.ndarray:
    from pydicom.pixels.processing import apply_modality_lut

    if "ModalityLUTSequence" in found or "RescaleSlope" in found:
        applied.append("rescaled")
    rescaled: np.ndarray = apply_modality_lut(pixels, found)
    return rescaled


def _windowed(found: FileDataset, values: np.ndarray, applied: list[str]) -> np.ndarray | None:
    """Return what a window or a table of gray levels makes of values, 0 to 1; None where there is neither."""
    center, width = _first(found.get("WindowCenter")), _first(found.get("WindowWidth"))
    if center is not None and width is not None and width > 0:
        applied.append("windowed")
        return window(values, center, width, str(found.get("VOILUTFunction") or "LINEAR"))
    if found.get("VOILUTSequence"):
        from pydicom.pixels.processing import apply_voi_lut

        applied.append("by its table of gray levels")
        bits = int(found.VOILUTSequence[0].LUTDescriptor[2])
        levels: np.ndarray = apply_voi_lut(values, found).astype(np.float64) / (2**bits - 1)
        return levels
    return None


def window(values: np.ndarray, center: float, width: float, function: str = "LINEAR") -> np.ndarray:
    """Return values as gray from 0 to 1, float64; PS3.3, C.11.2.1.2 and C.11.2.1.3.

    Args:
        function: ``LINEAR``, ``LINEAR_EXACT`` or ``SIGMOID``.
    """
    values = values.astype(np.float64)
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))
    if function != "LINEAR_EXACT":
        center, width = center - 0.5, width - 1
    if width <= 0:  # of a width of 1 a threshold is left
        return (values > center).astype(np.float64)
    gray: np.ndarray = np.clip((values - center) / width + 0.5, 0, 1)
    return gray


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    several = not isinstance(value, str | int | float) and isinstance(value, Sequence)
    return float(value[0]) if several else float(value)


def _patient(found: FileDataset) -> str:
    name = str(found.get("PatientID") or "").strip()
    return hashlib.sha256(name.encode()).hexdigest()[:16] if name else ""
