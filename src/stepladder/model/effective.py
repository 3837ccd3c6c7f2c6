"""How far an output really looks: the effective receptive field, measured by gradients."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stepladder.datasets import ImageSet
from stepladder.errors import RecipeError, printable
from stepladder.model.folder import load_folder
from stepladder.network.arithmetic import format_shape
from stepladder.network.build import build_network
from stepladder.network.inspection import Inspection
from stepladder.techniques import Technique
from stepladder.training.evaluate import prepare_images
from stepladder.training.rng import Streams

#: A pixel counts from this share of the largest gradient on (Luo et al. 2016, section 3): 1 − 95.45 %, two sigma.
THRESHOLD = 1 - 0.9545
#: Fresh networks that are averaged, and images that each of them sees.
_SEEDS, _IMAGES = 8, 32


@dataclass(frozen=True, repr=False)
class EffectiveField:
    """What the central output of a layer depends on, and how much.

    Attributes:
        gradient: float64 (H, W), the mean absolute gradient a pixel, 1 at its largest.
        size: the side of a square with as many pixels as have at least :data:`THRESHOLD` of the largest gradient.
    """

    gradient: np.ndarray
    size: float

    def __repr__(self) -> str:
        return f"EffectiveField(size {self.size:.1f})"


@dataclass(frozen=True, repr=False)
class EffectiveFields:
    """The effective receptive field of every layer that widens it, by name.

    Attributes:
        trained: whether the weights were a trained model's.
        note: on what it was measured, a sentence.
    """

    fields: dict[str, EffectiveField]
    trained: bool
    note: str

    def __repr__(self) -> str:
        sizes = ", ".join(f"{printable(name[:40])} {field.size:.1f}" for name, field in islice(self.fields.items(), 8))
        return f"EffectiveFields({sizes}{', …' if len(self.fields) > 8 else ''})"

    def to_document(self) -> dict[str, Any]:
        """Return the sizes as plain values."""
        sizes = {name: field.size for name, field in self.fields.items()}
        return {"trained": self.trained, "sizes": sizes, "note": self.note}


def measure_effective(inspection: Inspection, images: ImageSet | None = None, seeds: int = _SEEDS) -> EffectiveFields:
    """Measure the effective receptive field of every layer that widens it (Luo, Li, Urtasun and Zemel 2016).

    The gradient of the central output, summed over channels, with respect to the image; its absolute value averaged
    over images, their channels and, without a model, over fresh weights. In evaluation mode and float32.

    Args:
        inspection: of a trained model's folder, or of a network, which gets fresh weights.
        images: the data whose first training images are looked at; by default normally distributed noise.
        seeds: fresh networks that are averaged.

    Raises:
        StorageError: the model cannot be read.
        RecipeError: the images have another size than the inspection.
    """
    names = [cost.layer.name for cost in inspection.widening]
    folder = inspection.found.model
    if folder is not None:
        model = load_folder(folder, "cpu", "float32")
        pixels = _pixels(inspection, images, model.techniques)
        fields = _average(names, [_gradients(model.module, names, pixels)])
        weights = f"the trained weights of {folder}"
    else:
        pixels = _pixels(inspection, images, ())
        measured = [_gradients(_fresh(inspection, seed), names, pixels) for seed in range(seeds)]
        fields = _average(names, measured)
        weights = f"fresh weights of {seeds} seeds"
    shown = (
        f"{len(pixels)} training images of {images.name}" if images is not None else f"{len(pixels)} images of noise"
    )
    note = (
        f"Measured on {shown} with {weights}: the side of a square with as many pixels as have at least "
        f"{THRESHOLD:.2%} of the largest gradient of a central output."
    ).replace("%", " %")
    return EffectiveFields(fields, folder is not None, note)


def _fresh(inspection: Inspection, seed: int) -> nn.Module:
    return build_network(inspection.found.network, inspection.input_shape, inspection.num_classes, Streams(seed)).eval()


def _pixels(inspection: Inspection, images: ImageSet | None, techniques: Any) -> Tensor:
    channels, height, width = inspection.input_shape
    if images is None:
        return torch.randn(_IMAGES, channels, height, width, generator=Streams(0)("effective/noise"))
    block = torch.from_numpy(np.ascontiguousarray(images.splits["train"].images[:_IMAGES])).permute(0, 3, 1, 2)
    prepared = prepare_images(block, list[Technique](techniques))
    if not techniques:  # fresh weights expect values around zero, as noise has them
        prepared = (prepared - prepared.mean()) / prepared.std().clamp(min=1e-6)
    if prepared.shape[1:] != (channels, height, width):
        came = format_shape(tuple(prepared.shape[1:]))
        raise RecipeError(
            f"images of {images.name} come to the network as {came}, and it is looked at on "
            f"{format_shape(inspection.input_shape)}; leave the data out, or the size"
        )
    return prepared


def _gradients(module: nn.Module, names: list[str], pixels: Tensor) -> dict[str, Tensor]:
    """Return the mean absolute gradient a pixel, float64 (H, W), of each named layer's central output."""
    outputs: dict[str, Tensor] = {}
    modules = {path.rpartition(".")[2]: part for path, part in module.named_modules()}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            outputs[name] = output

        return hook

    handles = [modules[name].register_forward_hook(keep(name)) for name in names]
    inputs = pixels.clone().requires_grad_()
    module(inputs)
    for handle in handles:
        handle.remove()
    gradients = {}
    for name, output in outputs.items():
        center = output[:, :, output.shape[2] // 2, output.shape[3] // 2].sum()
        (gradient,) = torch.autograd.grad(center, inputs, retain_graph=True)
        gradients[name] = gradient.abs().mean(dim=(0, 1)).double()
    return gradients


def _average(names: list[str], measured: list[dict[str, Tensor]]) -> dict[str, EffectiveField]:
    fields = {}
    for name in names:
        gradient = torch.stack([one[name] for one in measured]).mean(dim=0).numpy()
        largest = gradient.max()
        share = gradient / largest if largest > 0 else gradient
        fields[name] = EffectiveField(share, float(np.sqrt((share >= THRESHOLD).sum()) if largest > 0 else 0.0))
    return fields
