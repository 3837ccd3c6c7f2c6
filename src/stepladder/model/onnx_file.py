"""A model exported as one ONNX file, run without PyTorch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stepladder.datasets.image_set import FITS, Fit, Span
from stepladder.datasets.mapped import fits_memory
from stepladder.errors import RecipeError, StorageError, missing_extra
from stepladder.files import parse_json, read_plain
from stepladder.model.claims import check_names, check_shape, check_span
from stepladder.model.classifier import Classifier
from stepladder.model.limits import Limits

#: Names in the file: its one input, its output, and the metadata entry that makes it ours.
INPUT, OUTPUT, METADATA = "images", "probabilities", "stepladder"

#: The second output, of a model that has it: how unlike the training images each image is, float32 (N,), above 0 for
#: unlike.
UNLIKENESS = "unlikeness"

#: Raised with every change that an older Stepladder would misread: 2 brings images to the model's shape by ``fit``,
#: or those of 16 bits to 8 by ``span``; 3 has a second output; 4 reads
#: images of any size.
FILE_VERSIONS = (1, 2, 3, 4)


#: The checksum of a file is its last entry of ONNX's ``metadata_props``; this is how, in protobuf, that begins.
_CHECKSUM_KEY = b"stepladder sha256"
_CHECKSUM_SIZES = bytes([2 + len(_CHECKSUM_KEY) + 2 + 64]), bytes([len(_CHECKSUM_KEY)])
_CHECKSUM_START = b"\x72" + _CHECKSUM_SIZES[0] + b"\x0a" + _CHECKSUM_SIZES[1] + _CHECKSUM_KEY + b"\x12\x40"
_CHECKSUM_LENGTH = len(_CHECKSUM_START) + 64


def with_checksum(content: bytes) -> bytes:
    """Return an ONNX file with the SHA-256 of itself as its last entry of metadata, which changes nothing else."""
    return content + _CHECKSUM_START + hashlib.sha256(content).hexdigest().encode()


def without_checksum(content: bytes) -> bytes:
    """Return an ONNX file without that entry."""
    return content[:-_CHECKSUM_LENGTH] if content[-_CHECKSUM_LENGTH:].startswith(_CHECKSUM_START) else content


def has_its_checksum(path: Path) -> bool | None:
    """Return whether an exported file is as it was written; None where it has no checksum, as older ones have none.

    Raises:
        StorageError: it cannot be read.
    """
    content = _content(path)
    if _CHECKSUM_KEY not in content:
        return None
    return with_checksum(without_checksum(content)) == content


class OnnxModel(Classifier):
    """An exported model; the preprocessing is part of the file.

    Args:
        content: of the ``.onnx`` file.
        place: where it comes from, for messages.
        threads: of one call at most; None is all cores.

    Raises:
        StorageError: it is damaged, or was not exported by Stepladder.
        RecipeError: onnxruntime is not installed.
    """

    def __init__(self, content: bytes, place: str, threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise RecipeError(missing_extra("onnxruntime", "export")) from error
        if threads is not None and threads < 1:
            raise RecipeError(f"`threads` is {threads}; a call needs at least 1")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0  # 0 is all cores
        options.log_severity_level = 4  # what goes wrong is said below, in one sentence
        try:
            # From memory: a file could point at others beside it for its weights.
            # Without the fallback, which would only print, and try the same again.
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
            #: What the file says of itself, by name: the facts, the card.
            self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
            reads = [(one.name, one.type, one.shape[1:]) for one in self._session.get_inputs()]
            gives = [(one.name, one.shape[1:]) for one in self._session.get_outputs()]
        except Exception as error:  # onnxruntime raises classes of its own that share no base
            raise StorageError(
                f"{place} is no readable ONNX file ({_first_line(error)}); export the model again"
            ) from error
        facts = _facts(place, self.metadata.get(METADATA))
        self.class_names, self.image_shape = facts.class_names, facts.image_shape
        self.calibrated, self.fit, self.span, self.limits = facts.calibrated, facts.fit, facts.span, facts.limits
        self.any_size = facts.any_size
        # What the facts claim is allocated for every image: it must be what the graph itself reads and gives.
        first, *more = gives
        self.tells_unlikeness = more == [(UNLIKENESS, [])]
        right = first == (OUTPUT, [len(self.class_names)]) and (not more or self.tells_unlikeness)
        if self.any_size:
            reads = [
                (name, kind, list(self.image_shape[: sum(isinstance(side, str) for side in shape)]) + shape[2:])
                for name, kind, shape in reads
            ]
        if reads != [(INPUT, "tensor(uint8)", list(self.image_shape))] or not right:
            raise StorageError(
                f"{place} says that it tells {len(self.class_names)} classes apart on images of "
                f"{'×'.join(map(str, self.image_shape))}, and its graph is another; export the model again"
            )
        self._place = place
        self.arithmetic = "float32 by onnxruntime"

    def __repr__(self) -> str:
        return self._described(self._place)

    @classmethod
    def load(cls, path: Path, threads: int | None = None) -> OnnxModel:
        """Read the file at ``path``.

        Raises:
            StorageError: it cannot be read, is damaged, or was not exported by Stepladder.
            RecipeError: onnxruntime is not installed.
        """
        return cls(_content(path), str(path), threads)

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return float32 probabilities (N, classes) of uint8 ``pixels`` (N, H, W, C) of ``image_shape``.

        Raises:
            RecipeError: pixels of another shape or type.
        """
        return self._run([OUTPUT], pixels)[0]

    def of_any_size(self, images: np.ndarray) -> np.ndarray:
        """Return float32 probabilities (N, classes) of uint8 ``images`` (N, H, W, C), which the file itself resizes.

        Only a file has this that was exported so; H and W are 1 or more.
        """
        assert self.any_size
        return np.asarray(self._session.run([OUTPUT], {INPUT: np.ascontiguousarray(images)})[0])

    def with_unlikeness(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities as above, and how unlike the training images each image is, float32 (N,).

        Raises:
            RecipeError: pixels of another shape or type.
        """
        probabilities, unlikeness = self._run([OUTPUT, UNLIKENESS], pixels)
        return probabilities, unlikeness

    def _run(self, outputs: list[str], pixels: np.ndarray) -> list[np.ndarray]:
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != self.image_shape:
            height, width, channels = self.image_shape
            raise RecipeError(
                f"the model reads uint8 images (N, {height}, {width}, {channels}); got {pixels.dtype} {pixels.shape}"
            )
        try:
            found = self._session.run(outputs, {INPUT: np.ascontiguousarray(pixels)})
        except Exception as error:  # a graph that can be read, and not be run
            raise StorageError(f"{self._place} cannot be run ({_first_line(error)}); export the model again") from error
        return [np.asarray(values) for values in found]


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if not fits_memory(size):
            raise StorageError(f"{path} has {size / 1e9:,.1f} GB, more than half of the memory here")
        return read_plain(path, size)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error


@dataclass(frozen=True)
class _Facts:
    """What the metadata of a file says of the model; see :class:`Classifier`.

    Attributes:
        any_size: whether the graph itself brings images to ``image_shape``.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    calibrated: bool
    fit: Fit
    span: Span | None
    limits: Limits | None
    any_size: bool


def _facts(place: str, written: str | None) -> _Facts:
    if written is None:
        raise StorageError(f"{place} was not exported by Stepladder; export the model with Stepladder")
    try:
        facts: dict[str, Any] = parse_json(written)
        version = facts["file_version"]
        if version not in FILE_VERSIONS:
            raise StorageError(
                f"{place} has file version {version}, and this Stepladder reads 1 to 4; export the model again"
            )
        height, width, channels = (int(length) for length in facts["image_shape"])
        fit = next(fit for fit in FITS if fit == facts.get("fit", "crop"))
        check_shape((height, width, channels))
        span = None
        if facts.get("span") is not None:
            low, high = (int(value) for value in facts["span"])
            span = low, high
        check_span(span)
        calibrated = facts.get("calibrated") is True
        limits = Limits.from_json(facts["limits"]) if "limits" in facts else None
        names, any_size = tuple(map(str, facts["class_names"])), facts.get("any_size") is True
        check_names(names)
        return _Facts(names, (height, width, channels), calibrated, fit, span, limits, any_size)
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise StorageError(f"{place} holds damaged facts of the model ({error}); export it again") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
