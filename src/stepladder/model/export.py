"""A trained model as one file for other programs: preprocessing in the graph, checked before it is kept."""

from __future__ import annotations

import copy
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stepladder.errors import RecipeError, StepladderError, described, missing_extra, printable, unknown
from stepladder.files import replace_bytes
from stepladder.model.image_statistics import image_statistics
from stepladder.model.onnx_file import INPUT, METADATA, OUTPUT, UNLIKENESS, OnnxModel, with_checksum
from stepladder.model.rule import image_rule
from stepladder.model.torch_model import Model
from stepladder.model.unlikeness import Looks, with_features
from stepladder.techniques import Technique
from stepladder.training.device import Compute
from stepladder.training.evaluate import prepare_images

#: The largest difference of a probability between PyTorch in float32 and the exported file that is let through.
TOLERANCE = 1e-4

#: Likewise of the unlikeness, as a part of it where it is above 1: features have no end as probabilities have.
UNLIKENESS_TOLERANCE = 1e-3

#: TorchScript is not among them: its archives are pickles, and PyTorch has retired it.
FORMATS = ("onnx", "exported-program")

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


class WithPreprocessing(nn.Module):
    """From uint8 images (N, H, W, C) to probabilities (N, classes): all that a program needs to call."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network: nn.Module = model.module
        self.techniques = model.techniques
        self.temperature = model.temperature

    def forward(self, images: Tensor) -> Tensor:
        """Prepare, run the network in float32, and scale to probabilities."""
        prepared = prepare_images(images.permute(0, 3, 1, 2), self.techniques)
        logits: Tensor = self.network(prepared).float() / self.temperature
        return logits.softmax(dim=1)


class WithLooks(nn.Module):
    """From uint8 images (N, H, W, C) to how far their looks are from those of the training images, (N,)."""

    def __init__(self, looks: Looks) -> None:
        super().__init__()
        self.center = nn.Buffer(torch.from_numpy(looks.center))
        self.scaling = nn.Buffer(torch.from_numpy(looks.scaling))
        self.offset = looks.offset

    def forward(self, images: Tensor) -> Tensor:
        """Look at the pixels alone."""
        moved = (image_statistics(images) - self.center) @ self.scaling
        return moved.square().sum(dim=1).sqrt() + self.offset


class WithUnlikeness(WithPreprocessing):
    """The same, and how unlike the training images each image is, (N,); see :class:`unlikeness.Unlikeness`."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        measure = model.unlikeness
        assert measure is not None
        self.network = with_features(model.module, model.example())
        self.classes = len(model.class_names)
        self.scale, self.threshold = measure.scale, measure.threshold
        self.center = nn.Buffer(torch.from_numpy(measure.center))
        self.directions = nn.Buffer(torch.from_numpy(measure.directions))
        self.looks = None if measure.looks is None else WithLooks(measure.looks)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Prepare, run the network in float32, and look at logits and at what came into the last layer."""
        prepared = prepare_images(images.permute(0, 3, 1, 2), self.techniques)
        outputs: Tensor = self.network(prepared).float()
        logits, features = outputs[:, : self.classes], outputs[:, self.classes :]
        # The log of the sum of exponentials: as an operator of its own, shapes behind it are not inferred (quantizing).
        energy = (logits - logits.log_softmax(dim=1))[:, 0]
        unlikeness = -energy
        if self.scale:
            moved = features - self.center
            outside = moved - moved @ self.directions @ self.directions.T
            unlikeness = unlikeness + self.scale * outside.square().sum(dim=1).sqrt()
        if self.looks is not None:
            unlikeness = torch.maximum(unlikeness, self.looks(images))
        return (logits / self.temperature).softmax(dim=1), unlikeness - self.threshold


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
    model = on_processor(model)
    facts = facts_of(model, unlikeness=form == "onnx" and model.tells_unlikeness)
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
    expected, (found, *more) = model.probabilities(images), run(images)
    if more:
        _compare_unlikeness(model.with_unlikeness(images)[1], more[0])
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


def on_processor(model: Model) -> Model:
    """Return a copy of ``model`` in float32 on the CPU: what exported files compute."""
    compute = Compute(torch.device("cpu"), "float32")
    techniques = [_on_cpu(technique) for technique in model.techniques]
    return replace(model, module=copy.deepcopy(model.module).cpu(), techniques=techniques, compute=compute)


def facts_of(model: Model, *, unlikeness: bool = False) -> dict[str, Any]:
    """Return what an exported file says of its model, as plain values.

    Args:
        unlikeness: whether it has that as a second output.
    """
    usual = model.fit == "crop" and model.span is None
    facts: dict[str, Any] = {
        "file_version": 3 if unlikeness else 1 if usual else 2,
        "class_names": model.class_names,
        "image_shape": model.image_shape,
        "calibrated": model.calibrated,
    }
    facts["image_rule"] = image_rule(model.image_shape, model.fit, model.span)
    facts |= {} if model.fit == "crop" else {"fit": model.fit}
    facts |= {} if model.span is None else {"span": model.span}
    facts |= {} if model.limits is None else {"limits": model.limits.to_json()}
    return facts


def _compare_unlikeness(expected: np.ndarray, found: np.ndarray) -> None:
    """Refuse a file that measures unlikeness otherwise than the model."""
    difference = np.abs(found - expected) / np.maximum(1, np.abs(expected))
    if not difference.max() <= UNLIKENESS_TOLERANCE:
        raise RecipeError(
            f"the exported file's unlikeness differs from the model's by up to {difference.max():.2g} of it "
            f"({UNLIKENESS_TOLERANCE:g} is allowed); nothing was written"
        )


#: Runs the exported file in memory: uint8 (N, H, W, C) to float32 probabilities (N, classes), and, where the file has
#: it, unlikeness (N,).
_Run = Callable[[np.ndarray], tuple[np.ndarray, ...]]


def _to_onnx(model: Model, metadata: dict[str, str]) -> tuple[bytes, _Run, dict[str, str]]:
    try:
        import onnx
        import onnxruntime
        import onnxscript
    except ImportError as error:
        raise RecipeError(missing_extra(error.name or "onnx", "export")) from error
    wrap, outputs = (WithUnlikeness, [OUTPUT, UNLIKENESS]) if model.tells_unlikeness else (WithPreprocessing, [OUTPUT])
    with quietly():
        program = torch.onnx.export(
            wrap(model).eval(),
            (_example(model),),
            dynamo=True,
            dynamic_shapes=_ANY_NUMBER,
            input_names=[INPUT],
            output_names=outputs,
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
    written = OnnxModel(content, "the exported file")

    def run(images: np.ndarray) -> tuple[np.ndarray, ...]:
        return written.with_unlikeness(images) if written.tells_unlikeness else (written.probabilities(images),)

    return content, run, versions


def _to_program(model: Model, metadata: dict[str, str]) -> tuple[bytes, _Run, dict[str, str]]:
    with quietly():
        program = torch.export.export(WithPreprocessing(model).eval(), (_example(model),), dynamic_shapes=_ANY_NUMBER)
    # They would be saved as a pickle; the rest of the archive is JSON and raw weights.
    program._example_inputs = None
    file = io.BytesIO()
    torch.export.save(program, file, extra_files=metadata)
    file.seek(0)
    loaded = torch.export.load(file).module()

    def run(images: np.ndarray) -> tuple[np.ndarray, ...]:
        with torch.inference_mode():
            return (loaded(torch.from_numpy(images)).numpy(),)

    return file.getvalue(), run, {"torch": torch.__version__}


def _example(model: Model) -> Tensor:
    # Two: an example of one image would fix the number at one.
    return torch.zeros((2, *model.image_shape), dtype=torch.uint8)


def _on_cpu(technique: Technique) -> Technique:
    moved = technique.model_copy()
    moved.restore(technique.learned, torch.device("cpu"))
    return moved


@contextmanager
def quietly() -> Iterator[None]:
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
