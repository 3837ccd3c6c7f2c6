"""An exported model in OpenVINO's own form, for Intel's processors and accelerators; checked before it is kept."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stepladder.errors import RecipeError, missing_extra
from stepladder.files import replace_bytes
from stepladder.model.onnx_file import INPUT, METADATA, OUTPUT, OnnxModel, without_checksum

#: The largest difference of a probability between onnxruntime and OpenVINO, both in float32, that is let through.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class OpenVino:
    """A model in two files and how it was checked.

    Attributes:
        path: of the graph, ``.xml``; the weights lie beside it, ``.bin``.
        bytes_written: size of both.
        checked: images that were run through the exported file and through this.
        difference: the largest difference of a probability among them; all have the same class.
        version: of OpenVINO.
    """

    path: Path
    bytes_written: int
    checked: int
    difference: float
    version: str


def save_openvino(exported: Path, path: Path, images: np.ndarray) -> OpenVino:
    """Write the exported ONNX file ``exported`` as OpenVINO's graph ``path`` (``.xml``) with its weights (``.bin``).

    What the ONNX file says of the model (class names, the rule from a file to pixels, the card) is in its ``rt_info``.

    Args:
        images: uint8 (N, H, W, C) of the model's shape, real ones, to compare on; at least one.

    Raises:
        RecipeError: the extra ``openvino`` is not installed, or its results differ.
        StorageError: a file cannot be read or written.
    """
    openvino = _import()
    model = OnnxModel.load(exported)
    core = openvino.Core()
    graph = core.read_model(without_checksum(exported.read_bytes()))
    for name, text in model.metadata.items():
        graph.set_rt_info(text, [METADATA, "facts" if name == METADATA else name])
    with tempfile.TemporaryDirectory(prefix="stepladder-") as folder:
        kept = Path(folder, "model.xml")
        openvino.save_model(graph, str(kept), compress_to_fp16=False)
        contents = {".bin": kept.with_suffix(".bin").read_bytes(), ".xml": kept.read_bytes()}
        # As others read it: from the files.
        run = core.compile_model(str(kept), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        expected, found = model.probabilities(images), np.asarray(run({INPUT: images})[OUTPUT])
        del run
    difference = float(np.abs(found - expected).max())
    agreement = float((found.argmax(axis=1) == expected.argmax(axis=1)).mean())
    if not difference <= TOLERANCE or agreement < 1:
        raise RecipeError(
            f"OpenVINO's file differs from the model by up to {difference:.2g} in a probability ({TOLERANCE:g} is "
            f"allowed) and agrees on {100 * agreement:.2f} % of {len(images)} images; nothing was written"
        )
    for ending, content in contents.items():  # the graph last, which is what others look for
        replace_bytes(path.with_suffix(ending), content)
    return OpenVino(path, sum(map(len, contents.values())), len(images), difference, _version(openvino))


def _import() -> Any:
    """Import OpenVINO without its telemetry, which writes into the user's home folder and calls a server."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise RecipeError(missing_extra("openvino", "openvino")) from error
    return openvino


def _version(openvino: Any) -> str:
    return str(openvino.__version__).partition("-")[0]
