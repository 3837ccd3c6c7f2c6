"""An exported ONNX file in 8 bits: smaller, often faster, a little less accurate, and its card says what that cost."""

from __future__ import annotations

import json
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stepladder.errors import RecipeError, missing_extra, printable
from stepladder.files import parse_json, replace_bytes
from stepladder.model.classifier import Doubts
from stepladder.model.limits import FEWEST_IMAGES, Limits
from stepladder.model.onnx_file import INPUT, METADATA, UNLIKENESS, OnnxModel, with_checksum, without_checksum

#: Images that ranges of activations are taken from at most; more change little and take long.
MOST_CALIBRATION_IMAGES = 512

_CALIBRATION_BATCH = 32


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
