"""An exported ONNX file with 8-bit weights and activations: smaller, often faster, and a little less accurate."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stepladder.errors import RecipeError, missing_extra
from stepladder.files import replace_bytes
from stepladder.model.onnx_file import INPUT, OnnxModel

#: Images that ranges of activations are taken from at most; more change little and take long.
MOST_CALIBRATION_IMAGES = 512

_BATCH = 32


@dataclass(frozen=True)
class Quantized:
    """What 8 bits cost.

    Attributes:
        bytes_written: size of the file; ``bytes_before`` is that of the file it was made from.
        calibrated: images that ranges were taken from.
        agreement: share of the images on which both files name the same class.
        accuracy: shares of the labelled images that are right, before and after; None without labels.
    """

    path: Path
    bytes_before: int
    bytes_written: int
    calibrated: int
    agreement: float
    accuracy: tuple[float, float] | None


def quantize_file(path: Path, images: np.ndarray, labels: np.ndarray | None = None) -> Quantized:
    """Replace the exported file at ``path`` by one with 8-bit weights and activations.

    Static quantization in the QDQ form: weights a channel at a time, activations by the range that they take on
    ``images`` (Nagel et al., A White Paper on Neural Network Quantization, 2021, sections 2 and 3).

    Args:
        images: uint8 (N, H, W, C), real ones, of the kind that the model will see; the first
            :data:`MOST_CALIBRATION_IMAGES` calibrate, all measure.
        labels: int64 (N,), -1 where unknown.

    Raises:
        RecipeError: the extra ``export`` is not installed.
        StorageError: ``path`` is no exported file, or cannot be written.
    """
    try:
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise RecipeError(missing_extra(error.name or "onnxruntime", "export")) from error

    class Batches(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            chosen = images[:MOST_CALIBRATION_IMAGES]
            self.parts = iter([chosen[start : start + _BATCH] for start in range(0, len(chosen), _BATCH)])

        def get_next(self) -> dict[str, np.ndarray] | None:
            part = next(self.parts, None)
            return None if part is None else {INPUT: part}

    before = OnnxModel.load(path)
    size = path.stat().st_size
    with tempfile.TemporaryDirectory(prefix="stepladder-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepared, small = Path(folder) / "prepared.onnx", Path(folder) / "small.onnx"
        quant_pre_process(str(path), str(prepared))
        quantization.quantize_static(
            str(prepared),
            str(small),
            Batches(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            # Only these gain; the softmax at the end would lose small probabilities.
            op_types_to_quantize=["Conv", "Gemm", "MatMul", "Relu", "MaxPool"],
        )
        content = small.read_bytes()
    after = OnnxModel(content, "the quantized file")
    named, named_now = before.predict(images).labels, after.predict(images).labels
    accuracy = None
    if labels is not None and (known := labels >= 0).any():
        accuracy = (float((named == labels)[known].mean()), float((named_now == labels)[known].mean()))
    replace_bytes(path, content)
    calibrated = min(len(images), MOST_CALIBRATION_IMAGES)
    return Quantized(path, size, len(content), calibrated, float((named == named_now).mean()), accuracy)
