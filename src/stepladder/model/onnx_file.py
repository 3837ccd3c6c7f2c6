"""A model exported as one ONNX file, run without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from stepladder.datasets.image_set import FITS, Fit
from stepladder.errors import RecipeError, StorageError, missing_extra
from stepladder.model.classifier import Classifier

#: Names in the file: its one input, its one output, and the metadata entry that makes it ours.
INPUT, OUTPUT, METADATA = "images", "probabilities", "stepladder"

#: Raised with every change that an older Stepladder would misread: 2 brings images to the model's shape by ``fit``.
FILE_VERSIONS = (1, 2)


class OnnxModel(Classifier):
    """An exported model; the preprocessing is part of the file.

    Args:
        content: of the ``.onnx`` file.
        place: where it comes from, for messages.

    Raises:
        StorageError: it is damaged, or was not exported by Stepladder.
        RecipeError: onnxruntime is not installed.
    """

    def __init__(self, content: bytes, place: str) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise RecipeError(missing_extra("onnxruntime", "export")) from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is said below, in one sentence
        try:
            # From memory: a file could point at others beside it for its weights.
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            written = self._session.get_modelmeta().custom_metadata_map.get(METADATA)
        except Exception as error:  # onnxruntime raises classes of its own that share no base
            raise StorageError(
                f"{place} is no readable ONNX file ({_first_line(error)}); export the model again"
            ) from error
        self.class_names, self.image_shape, self.calibrated, self.fit = _facts(place, written)
        self._place = place

    def __repr__(self) -> str:
        return self._described(self._place)

    @classmethod
    def load(cls, path: Path) -> OnnxModel:
        """Read the file at ``path``.

        Raises:
            StorageError: it cannot be read, is damaged, or was not exported by Stepladder.
            RecipeError: onnxruntime is not installed.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
        return cls(content, str(path))

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return float32 probabilities (N, classes) of uint8 ``pixels`` (N, H, W, C) of ``image_shape``.

        Raises:
            RecipeError: pixels of another shape or type.
        """
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != self.image_shape:
            height, width, channels = self.image_shape
            raise RecipeError(
                f"the model reads uint8 images (N, {height}, {width}, {channels}); got {pixels.dtype} {pixels.shape}"
            )
        (probabilities,) = self._session.run([OUTPUT], {INPUT: np.ascontiguousarray(pixels)})
        return np.asarray(probabilities)


def _facts(place: str, written: str | None) -> tuple[tuple[str, ...], tuple[int, int, int], bool, Fit]:
    if written is None:
        raise StorageError(f"{place} was not exported by Stepladder; export the model with Stepladder")
    try:
        facts: dict[str, Any] = json.loads(written)
        version = facts["file_version"]
        if version not in FILE_VERSIONS:
            raise StorageError(
                f"{place} has file version {version}, and this Stepladder reads 1 and 2; export the model again"
            )
        height, width, channels = (int(length) for length in facts["image_shape"])
        fit = next(fit for fit in FITS if fit == facts.get("fit", "crop"))
        return tuple(map(str, facts["class_names"])), (height, width, channels), facts.get("calibrated") is True, fit
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise StorageError(f"{place} holds damaged facts of the model ({error}); export it again") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
