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
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stepladder.errors import RecipeError, StepladderError, described, missing_extra, printable, unknown
from stepladder.files import parse_json, replace_bytes
from stepladder.model.classifier import Doubts
from stepladder.model.folder import Model
from stepladder.model.images import read_pixels
from stepladder.model.limits import Limits
from stepladder.model.onnx_file import (
    INPUT,
    METADATA,
    OUTPUT,
    UNLIKENESS,
    OnnxModel,
    with_checksum,
    without_checksum,
)
from stepladder.model.rule import image_rule
from stepladder.model.unlikeness import FEWEST_IMAGES, with_features
from stepladder.techniques import Technique
from stepladder.training.device import Compute
from stepladder.training.evaluate import prepare_images

#: The largest difference of a probability between PyTorch in float32 and the exported file that is let through.
TOLERANCE = 1e-4

#: Likewise of the unlikeness, as a part of it where it is above 1: features have no end as probabilities have.
UNLIKENESS_TOLERANCE = 1e-3

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
        calibrated: images that ranges were taken from, all of which trained the model where that is known.
        checked: images that both files were compared on, none of them among the former.
        agreement: share of these on which both files name the same class; None without any.
        accuracy: shares of the labelled ones that are right, before and after; None without labels.
        unlike: shares of them that are called unlike the training images, before and after; None where neither file
            says so.
    """

    path: Path
    bytes_before: int
    bytes_written: int
    calibrated: int
    checked: int
    agreement: float | None
    accuracy: tuple[float, float] | None
    unlike: tuple[float, float] | None

    @property
    def cost(self) -> str:
        """What 8 bits cost, the end of a sentence."""
        if self.agreement is None:
            return "give images that did not train it, too, to see what that costs"
        told = [f"the same class on {100 * self.agreement:.2f} % of {self.checked:,} images that did not"]
        for what, shares in (("accuracy", self.accuracy), ("called unlike", self.unlike)):
            if shares is not None:
                told.append(f"{what} {100 * shares[0]:.2f} % before and {100 * shares[1]:.2f} % after")
        return "; ".join(told)


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

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Prepare, run the network in float32, and look at logits and at what came into the last layer."""
        prepared = prepare_images(images.permute(0, 3, 1, 2), self.techniques)
        outputs: Tensor = self.network(prepared).float()
        logits, features = outputs[:, : self.classes], outputs[:, self.classes :]
        # The log of the sum of exponentials: as an operator of its own, shapes behind it are not inferred (quantizing).
        energy = (logits - logits.log_softmax(dim=1))[:, 0]
        unlikeness = -energy - self.threshold
        if self.scale:
            moved = features - self.center
            outside = moved - moved @ self.directions @ self.directions.T
            unlikeness = unlikeness + self.scale * outside.square().sum(dim=1).sqrt()
        return (logits / self.temperature).softmax(dim=1), unlikeness


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


def quantize_file(
    path: Path, images: np.ndarray, labels: np.ndarray | None = None, trained: np.ndarray | None = None
) -> Quantized:
    """Replace the exported file at ``path`` by one with 8-bit weights and activations, whose card says what that cost.

    Static quantization in the QDQ form: weights a channel at a time in 7 of the 8 bits, activations by the range
    that they take on images that trained the model (Nagel et al., A White Paper on Neural Network Quantization, 2021,
    sections 2 and 3). Those that did not train it measure; where at least :data:`FEWEST_IMAGES` of them have labels,
    what the file promises of abstaining and of sets goes by them, and else it promises nothing.

    Args:
        images: uint8 (N, H, W, C), real ones; :data:`MOST_CALIBRATION_IMAGES` calibrate at most.
        labels: int64 (N,), -1 where unknown.
        trained: bool (N,), which of them trained the model; None where nobody knows, and every second one is taken.

    Raises:
        RecipeError: the extra ``export`` is not installed, or no image trained the model.
        StorageError: ``path`` is no exported file, or cannot be written.
    """
    try:
        import onnx
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise RecipeError(missing_extra(error.name or "onnxruntime", "export")) from error
    check_trained(trained)
    calibrates = np.arange(len(images)) % 2 == 0 if trained is None else trained
    chosen = images[calibrates]
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), MOST_CALIBRATION_IMAGES)).round().astype(int)]

    class Batches(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
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
            # Distances outside of the training images' directions are small differences of large numbers.
            nodes_to_exclude=_only_for(onnx.load(prepared).graph, UNLIKENESS),
        )
        graph = onnx.load(small)
    after = OnnxModel(graph.SerializeToString(), "the quantized file")
    told = _compare_files(before, after, images[~calibrates], None if labels is None else labels[~calibrates])
    done = replace(told, path=path, bytes_before=size, calibrated=len(chosen))
    limits = _limits_of(after, images[~calibrates], None if labels is None else labels[~calibrates])
    content = with_checksum(_with_cost(graph, done, limits))
    replace_bytes(path, content)
    return replace(done, bytes_written=len(content))


def check_trained(trained: np.ndarray | None) -> None:
    """Refuse images to quantize with of which none trained the model.

    Args:
        trained: see :func:`quantize_file`.

    Raises:
        RecipeError: it is so.
    """
    if trained is not None and not trained.any():
        raise RecipeError(
            f"8 bits are set by images that trained the model, and none of these {len(trained):,} did; give `images` "
            "some of its training images, and others to see what it costs"
        )


def _only_for(graph: Any, output: str) -> list[str]:
    """Return the names of the nodes that one output needs and no other does."""
    makers = {name: node for node in graph.node for name in node.output}

    def needed(names: list[str]) -> set[str]:
        found: set[str] = set()
        while names:
            node = makers.get(names.pop())
            if node is not None and node.name not in found:
                found.add(node.name)
                names += node.input
        return found

    others = needed([one.name for one in graph.output if one.name != output])
    return sorted(needed([one.name for one in graph.output if one.name == output]) - others)


def _compare_files(before: OnnxModel, after: OnnxModel, images: np.ndarray, labels: np.ndarray | None) -> Quantized:
    """Return how two files answer images that neither was made from."""
    nothing = Quantized(Path(), 0, 0, 0, len(images), None, None, None)
    if not len(images):
        return nothing
    first, second = (model.answer(images, Doubts(unlike=model.tells_unlikeness)) for model in (before, after))
    accuracy = unlike = None
    if labels is not None and (known := labels >= 0).any():
        accuracy = (
            float((first.labels == labels)[known].mean()),
            float((second.labels == labels)[known].mean()),
        )
    if first.unlike is not None and second.unlike is not None:
        unlike = float(first.unlike.mean()), float(second.unlike.mean())
    agreement = float((first.labels == second.labels).mean())
    return replace(nothing, agreement=agreement, accuracy=accuracy, unlike=unlike)


def _limits_of(model: OnnxModel, images: np.ndarray, labels: np.ndarray | None) -> Limits | None:
    """Return what labelled images that did not train a model promise of it; None where they are too few."""
    if labels is None or (labels >= 0).sum() < FEWEST_IMAGES:
        return None
    return Limits.of(model.probabilities(images[labels >= 0]), labels[labels >= 0])


def _with_cost(graph: Any, done: Quantized, limits: Limits | None) -> bytes:
    """Return a quantized file with what 8 bits cost in its facts and on its card."""
    import onnx

    properties = {entry.key: entry.value for entry in graph.metadata_props}
    facts: dict[str, Any] = parse_json(properties[METADATA])
    facts.pop("limits", None)
    facts["quantized"] = {"bits": 8, "calibrated": done.calibrated, "checked": done.checked}
    facts["quantized"] |= {"agreement": done.agreement, "accuracy": done.accuracy, "unlike": done.unlike}
    facts |= {} if limits is None else {"limits": limits.to_json()}
    promises = "go by the labelled ones of these" if limits else "are not promised"
    card = (
        f"{properties.get('card', '')}\n## In 8 bits\n\nThis file is not the model above: it computes in 8 bits, by "
        f"the ranges on {done.calibrated:,} images that trained the model; {done.cost}. Abstaining and sets of classes "
        f"{promises}.\n"
    )
    properties |= {METADATA: printable(json.dumps(facts, ensure_ascii=False), as_json=True), "card": card}
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, properties)
    content: bytes = graph.SerializeToString()
    return content


def sample_photographs(shape: tuple[int, int, int], count: int = 64) -> np.ndarray:
    """Return crops of scikit-learn's two photographs as uint8 (count, *shape)."""
    return read_pixels(sample_crops(count), shape)


def sample_crops(count: int) -> list[np.ndarray]:
    """Return squares of 40 pixels and more of scikit-learn's two photographs, uint8 (side, side, 3).

    A temple and a flower: real images, which are there wherever Stepladder is.
    """
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
    return crops


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
