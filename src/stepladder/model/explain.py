"""Where in an image a prediction comes from, and what the first convolution looks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepladder.errors import RecipeError, missing_extra, printable, unknown
from stepladder.model.images import ImageLike, read_pixels
from stepladder.model.torch_model import Model
from stepladder.network.layers import SqueezeExcitation
from stepladder.techniques import Technique
from stepladder.training.evaluate import prepare_images


@dataclass(frozen=True, repr=False)
class Explanation:
    """One image looked at.

    Attributes:
        pixels: uint8 (H, W, C), the image as the model was given it.
        class_name: the class that is explained; ``probability`` is the model's for it.
        grad_cam: float32 (H, W), 0 to 1: where the last convolution's maps speak for the class, 1 most.
        occlusion: float32 (H, W), -1 to 1: how much the class's logit falls (above 0) or rises (below) when the place
            is covered, in parts of the largest change.
        filters: float32 (F, h, w, C), 0 to 1: the first convolution's kernels, each stretched to its own range, where
            it reads color or gray images; None for one that reads other maps.
    """

    pixels: np.ndarray
    class_name: str
    probability: float
    grad_cam: np.ndarray
    occlusion: np.ndarray
    filters: np.ndarray | None

    def __repr__(self) -> str:
        height, width = self.pixels.shape[:2]
        return (
            f"Explanation({printable(self.class_name[:100])}, {100 * self.probability:.1f} %, {height}×{width} pixels)"
        )


def explain_image(model: Model, image: ImageLike, class_name: str | None = None) -> Explanation:
    """Explain what ``model`` says of ``image``.

    Grad-CAM (Selvaraju et al. 2017, section 3) on the last convolution; occlusion (Zeiler and Fergus 2014, section 4.2)
    by a patch of a quarter of the side, moved by a third of its size; both by captum.

    Args:
        class_name: the class to explain; None is the likeliest.

    Raises:
        RecipeError: captum is not installed, the network has no convolution, or there is no such class.
        DataError: the image cannot be read.
    """
    try:
        from captum.attr import LayerAttribution, LayerGradCam, Occlusion
    except ImportError as error:
        raise RecipeError(missing_extra("captum", "explain")) from error
    # Those that make the gates of a squeeze-and-excitation see one value a map.
    gates = {part for gated in model.module.modules() if isinstance(gated, SqueezeExcitation) for part in gated.layers}
    convolutions = [
        module for module in model.module.modules() if isinstance(module, nn.Conv2d) and module not in gates
    ]
    if not convolutions:
        raise RecipeError("the network has no convolution, so there are no maps to look at; explain another model")
    pixels = read_pixels(image, model.image_shape, model.fit, model.span)
    probabilities = model.probabilities(pixels)[0]
    label = int(probabilities.argmax()) if class_name is None else _find(class_name, model.class_names)
    raw = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(model.compute.device)

    def run(prepared: Tensor) -> Tensor:
        logits: Tensor = model.module(prepared)
        return logits

    prepared = prepare_images(raw, model.techniques).requires_grad_()
    height, width = prepared.shape[2:]
    maps = LayerGradCam(run, convolutions[-1]).attribute(prepared, label, relu_attributions=True)
    heat = LayerAttribution.interpolate(maps, (height, width), interpolate_mode="bilinear")[0, 0].detach()
    patch = max(1, min(height, width) // 4)
    stride = max(1, patch // 3)
    covered = (
        Occlusion(run)
        .attribute(
            prepared.detach(),
            sliding_window_shapes=(prepared.shape[1], patch, patch),
            strides=(prepared.shape[1], stride, stride),
            target=label,
            baselines=prepared.detach().mean(dim=(2, 3), keepdim=True),
        )[0]
        .mean(dim=0)
    )
    return Explanation(
        pixels[0],
        model.class_names[label],
        float(probabilities[label]),
        _on_image(heat, raw, model.techniques) / max(float(heat.max()), 1e-12),
        _on_image(covered, raw, model.techniques) / max(float(covered.abs().max()), 1e-12),
        _filters(convolutions[0]),
    )


def _find(name: str, class_names: tuple[str, ...]) -> int:
    if name not in class_names:
        raise RecipeError(unknown("class", name, class_names))
    return class_names.index(name)


def _on_image(values: Tensor, image: Tensor, techniques: Sequence[Technique]) -> np.ndarray:
    """Put a map (H, W) of what the network read onto ``image`` (1, C, H, W), of which it may be a part, or enlarged."""
    _, channels, height, width = image.shape
    shapes = [(channels, height, width)]
    for technique in techniques:
        shapes.append(technique.prepared_shape(shapes[-1]))
    values = values.detach().float().cpu()[None, None]
    for _, height, width in reversed(shapes[:-1]):
        if height > values.shape[2] or width > values.shape[3]:
            top, left = (height - values.shape[2]) // 2, (width - values.shape[3]) // 2
            bottom, right = height - values.shape[2] - top, width - values.shape[3] - left
            values = F.pad(values, (left, right, top, bottom))
        else:
            values = F.adaptive_avg_pool2d(values, (height, width))
    placed: np.ndarray = values[0, 0].numpy()
    return placed


def _filters(convolution: nn.Conv2d) -> np.ndarray | None:
    kernels = convolution.weight.detach().float().cpu().permute(0, 2, 3, 1).numpy()
    if kernels.shape[-1] not in (1, 3):
        return None
    low, high = (extreme(kernels, axis=(1, 2, 3), keepdims=True) for extreme in (np.min, np.max))
    stretched: np.ndarray = (kernels - low) / np.maximum(high - low, 1e-12)
    return stretched
