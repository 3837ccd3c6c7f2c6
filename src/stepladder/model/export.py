"""A trained model as one file for other programs: preprocessing in the graph, checked before it is kept.

:func:`quantize_file` makes an exported ONNX file smaller, often faster, and a little less accurate: 8-bit weights and
activations.
"""

from __future__ import annotations

import copy
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stepladder.errors import RecipeError, StepladderError, described, missing_extra, printable, unknown
from stepladder.files import replace_bytes
from stepladder.model.folder import Model
from stepladder.model.images import read_pixels
from stepladder.model.onnx_file import (
    FILE_VERSIONS,
    INPUT,
    METADATA,
    OUTPUT,
    OnnxModel,
    with_checksum,
    without_checksum,
)
from stepladder.model.rule import image_rule
from stepladder.techniques import Technique
from stepladder.training.device import Compute
from stepladder.training.evaluate import prepare_images

#: The largest difference of a probability between PyTorch in float32 and the exported file that is let through.
TOLERANCE = 1e-4

#: TorchScript is not among them: its archives are pickles, and PyTorch has retired it.
FORMATS = ("onnx", "exported-program")

#: Images that ranges of activations are taken from at most; more change little and take long.
MOST_CALIBRATION_IMAGES = 512

_CALIBRATION_BATCH = 32

#: Of a module of the user's own.
_FIXES_THE_NUMBER = (
    "the module's forward pass fixes how many images it reads, as len(x) does; let it take x.shape[0], or x.flatten(1)"
)

_ANY_NUMBER = ({0: torch.export.Dim("batch")},)


@dataclass(frozen=True)
class Exported:
    """An exported file and how it was checked.

    Attributes:
        bytes_written: size of the file.
        checked: images that were run through the model and through the file.
        difference: the largest difference of a probability among them; all have the same class.
        versions: of the opset and of the libraries that took part, by name.
    """

    path: Path
    bytes_written: int
    checked: int
    difference: float
    versions: dict[str, str]


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


class WithPreprocessing(nn.Module):
    """From uint8 images (N, H, W, C) to probabilities (N, classes): all that a program needs to call."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = model.module
        self.techniques = model.techniques
        self.temperature = model.temperature

    def forward(self, images: Tensor) -> Tensor:
        """Prepare, run the network in float32, and scale to probabilities."""
        prepared = prepare_images(images.permute(0, 3, 1, 2), self.techniques)
        logits: Tensor = self.network(prepared).float() / self.temperature
        return logits.softmax(dim=1)


def export_model(model: Model, path: Path, images: np.ndarray, *, form: str = "onnx", card: str = "") -> Exported:
    """Write ``model`` into the file ``path``; nothing is left there when it would say something else than the model.

    Args:
        images: uint8 (N, H, W, C) of ``model.image_shape``, real ones, to compare on; at least one.
        form: one of :data:`FORMATS`; ``exported-program`` is PyTorch's own, which ``torch.export.load`` reads.
        card: the model card, kept as metadata.

    Raises:
        RecipeError: an unknown format, the extra ``export`` is not installed, or the export gives other results.
        StorageError: the file cannot be written.
    """
    assert len(images), "nothing to compare on"
    if form not in FORMATS:
        raise RecipeError(unknown("format", form, FORMATS))
    # Float32 on the CPU: what the file will compute.
    compute = Compute(torch.device("cpu"), "float32")
    techniques = [_on_cpu(technique) for technique in model.techniques]
    model = replace(model, module=copy.deepcopy(model.module).cpu(), techniques=techniques, compute=compute)
    facts = {
        "file_version": FILE_VERSIONS[0] if model.fit == "crop" and model.span is None else FILE_VERSIONS[1],
        "class_names": model.class_names,
        "image_shape": model.image_shape,
        "calibrated": model.calibrated,
    }
    facts["image_rule"] = image_rule(model.image_shape, model.fit, model.span)
    facts |= {} if model.fit == "crop" else {"fit": model.fit}
    facts |= {} if model.span is None else {"span": model.span}
    metadata = {METADATA: printable(json.dumps(facts, ensure_ascii=False), as_json=True), "card": printable(card)}
    export = _to_onnx if form == "onnx" else _to_program
    try:
        content, run, versions = export(model, metadata)
    except Exception as error:
        if isinstance(error, StepladderError) or not hasattr(model.module, "own"):
            raise
        if "Constraints violated (batch)" in str(error):
            raise RecipeError(_FIXES_THE_NUMBER) from error
        raise RecipeError(f"PyTorch cannot export this module of your own: {described(error)}") from error
    expected, found = model.probabilities(images), run(images)
    difference = float(np.abs(found - expected).max())
    agreement = float((found.argmax(axis=1) == expected.argmax(axis=1)).mean())
    if not difference <= TOLERANCE or agreement < 1:
        raise RecipeError(
            f"the exported file differs from the model by up to {difference:.2g} in a probability ({TOLERANCE:g} is "
            f"allowed) and agrees on {100 * agreement:.2f} % of {len(images)} images; nothing was written"
        )
    content = with_checksum(content) if form == "onnx" else content
    replace_bytes(path, content)
    return Exported(path, len(content), len(images), difference, versions)


def quantize_file(path: Path, images: np.ndarray, labels: np.ndarray | None = None) -> Quantized:
    """Replace the exported file at ``path`` by one with 8-bit weights and activations.

    Static quantization in the QDQ form: weights a channel at a time in 7 of the 8 bits, activations by the range
    that they take on ``images`` (Nagel et al., A White Paper on Neural Network Quantization, 2021, sections 2 and 3).

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
            starts = range(0, len(chosen), _CALIBRATION_BATCH)
            self.parts = iter([chosen[start : start + _CALIBRATION_BATCH] for start in starts])

        def get_next(self) -> dict[str, np.ndarray] | None:
            part = next(self.parts, None)
            return None if part is None else {INPUT: part}

    before = OnnxModel.load(path)
    size = path.stat().st_size
    with tempfile.TemporaryDirectory(prefix="stepladder-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole, prepared, small = (Path(folder) / f"{name}.onnx" for name in ("whole", "prepared", "small"))
        whole.write_bytes(without_checksum(path.read_bytes()))
        quant_pre_process(str(whole), str(prepared))
        quantization.quantize_static(
            str(prepared),
            str(small),
            Batches(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            # Weights of 7 bits: processors without VNNI add two products of 8 bits in 16, which then overflow, so that
            # the same file would answer worse there (ONNX Runtime, Quantize ONNX models, "U8S8 on AVX2").
            reduce_range=True,
            # Only these gain; the softmax at the end would lose small probabilities.
            op_types_to_quantize=["Conv", "Gemm", "MatMul", "Relu", "MaxPool"],
        )
        content = with_checksum(small.read_bytes())
    after = OnnxModel(content, "the quantized file")
    named, named_now = before.predict(images).labels, after.predict(images).labels
    accuracy = None
    if labels is not None and (known := labels >= 0).any():
        accuracy = (float((named == labels)[known].mean()), float((named_now == labels)[known].mean()))
    replace_bytes(path, content)
    calibrated = min(len(images), MOST_CALIBRATION_IMAGES)
    return Quantized(path, size, len(content), calibrated, float((named == named_now).mean()), accuracy)


def sample_photographs(shape: tuple[int, int, int], count: int = 64) -> np.ndarray:
    """Return crops of scikit-learn's two photographs (a temple and a flower) as uint8 (count, *shape): real images."""
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(0)
    photographs = load_sample_images().images
    crops = []
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        height, width = photograph.shape[:2]
        side = int(random.integers(40, min(height, width)))
        top, left = random.integers(0, height - side), random.integers(0, width - side)
        crops.append(photograph[top : top + side, left : left + side])
    return read_pixels(crops, shape)


#: Runs the exported file in memory: uint8 (N, H, W, C) to float32 probabilities (N, classes).
_Run = Callable[[np.ndarray], np.ndarray]


def _to_onnx(model: Model, metadata: dict[str, str]) -> tuple[bytes, _Run, dict[str, str]]:
    try:
        import onnx
        import onnxruntime
        import onnxscript
    except ImportError as error:
        raise RecipeError(missing_extra(error.name or "onnx", "export")) from error
    with _quiet():
        program = torch.onnx.export(
            WithPreprocessing(model).eval(),
            (_example(model),),
            dynamo=True,
            dynamic_shapes=_ANY_NUMBER,
            input_names=[INPUT],
            output_names=[OUTPUT],
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    if graph.graph.input[0].type.tensor_type.shape.dim[0].HasField("dim_value"):
        raise RecipeError(_FIXES_THE_NUMBER)
    onnx.helper.set_model_props(graph, metadata)
    onnx.checker.check_model(graph, full_check=True)
    content: bytes = graph.SerializeToString()
    opset = next(entry.version for entry in graph.opset_import if not entry.domain)
    versions = {"opset": str(opset)}
    versions |= {library.__name__: library.__version__ for library in (onnx, onnxscript, onnxruntime, torch)}
    return content, OnnxModel(content, "the exported file").probabilities, versions


def _to_program(model: Model, metadata: dict[str, str]) -> tuple[bytes, _Run, dict[str, str]]:
    with _quiet():
        program = torch.export.export(WithPreprocessing(model).eval(), (_example(model),), dynamic_shapes=_ANY_NUMBER)
    # They would be saved as a pickle; the rest of the archive is JSON and raw weights.
    program._example_inputs = None
    file = io.BytesIO()
    torch.export.save(program, file, extra_files=metadata)
    file.seek(0)
    loaded = torch.export.load(file).module()

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return loaded(torch.from_numpy(images)).numpy()  # type: ignore[no-any-return]

    return file.getvalue(), run, {"torch": torch.__version__}


def _example(model: Model) -> Tensor:
    # Two: an example of one image would fix the number at one.
    return torch.zeros((2, *model.image_shape), dtype=torch.uint8)


def _on_cpu(technique: Technique) -> Technique:
    moved = technique.model_copy()
    moved.restore(technique.learned, torch.device("cpu"))
    return moved


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which prints its progress and warns of its own internals."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
