"""The trained model as a folder after Hugging Face's conventions: model.safetensors, config.json, README.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from stepladder.errors import RecipeError, StorageError
from stepladder.files import read_json, replace_bytes, replace_json, replace_text
from stepladder.network import Network
from stepladder.network.build import build_network
from stepladder.techniques import Technique, find_technique
from stepladder.training.device import Compute, choose_compute
from stepladder.training.evaluate import compute_logits
from stepladder.training.loop import TrainedNetwork
from stepladder.training.rng import Streams

#: Raised with every change that an older Stepladder would misread.
FORMAT_VERSION = 1

_NETWORK, _TECHNIQUE = "network.", "technique."


@dataclass(frozen=True)
class Model:
    """A trained network with the preprocessing that its evaluation used.

    Attributes:
        class_names: what the columns of the logits stand for.
        image_shape: (height, width, channels) of the images that it was trained on, in pixels.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    module: nn.Sequential
    techniques: Sequence[Technique]
    compute: Compute

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return float32 logits (N, classes) of uint8 images (N, H, W, C) of ``image_shape``.

        Raises:
            RecipeError: images of another shape or type.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != self.image_shape:
            height, width, channels = self.image_shape
            raise RecipeError(
                f"the model reads uint8 images (N, {height}, {width}, {channels}); got {images.dtype} {images.shape}"
            )
        tensor = torch.from_numpy(images).to(self.compute.device).permute(0, 3, 1, 2)
        return compute_logits(self.module, self.techniques, tensor, self.compute).cpu().numpy()


def save_model(
    folder: Path,
    trained: TrainedNetwork,
    class_names: Sequence[str],
    image_shape: tuple[int, int, int],
    compute: Compute,
    card: str,
) -> None:
    """Write ``trained`` into ``folder``; what the techniques learned lies beside the weights.

    Args:
        image_shape: (height, width, channels) of the images before any technique.
        card: the model card, Markdown.
    """
    tensors = {f"{_NETWORK}{name}": tensor for name, tensor in trained.module.state_dict().items()}
    for technique in trained.techniques:
        tensors |= {f"{_TECHNIQUE}{technique.name}.{name}": value for name, value in technique.learned.items()}
    # safetensors stores dense row-major memory; channels-last weights are laid out anew.
    replace_bytes(
        folder / "model.safetensors",
        save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata={"format": "pt"}),
    )
    config = {
        "format_version": FORMAT_VERSION,
        "library_name": "stepladder",
        "class_names": list(class_names),
        "image_shape": list(image_shape),
        "input_shape": list(trained.input_shape),
        "precision": compute.precision,
        "network": trained.network.model_dump(mode="json"),
        "preprocessing": [
            {"technique": technique.name, "options": technique.model_dump(mode="json")}
            for technique in trained.techniques
        ],
    }
    replace_json(folder / "config.json", config)
    replace_text(folder / "README.md", card)


def load_model(folder: Path, device: str = "auto", precision: str | None = None) -> Model:
    """Read what :func:`save_model` wrote.

    Args:
        precision: None is the one that the model was evaluated in.

    Raises:
        StorageError: a file is missing, damaged or of another version.
    """
    config = read_json(folder / "config.json")
    if not isinstance(config, dict) or config.get("format_version") != FORMAT_VERSION:
        raise StorageError(f"{folder / 'config.json'} is not a Stepladder model of format {FORMAT_VERSION}")
    compute = choose_compute(device, precision or config["precision"])
    tensors = _read_tensors(folder / "model.safetensors")
    channels, height, width = config["input_shape"]
    module = build_network(
        Network.model_validate(config["network"]),
        (channels, height, width),
        len(config["class_names"]),
        Streams(0),
        compute.device,
    )
    weights = {name.removeprefix(_NETWORK): tensor for name, tensor in tensors.items() if name.startswith(_NETWORK)}
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise StorageError(f"{folder} holds the weights of another network than its config.json: {error}") from error
    techniques = [_restore_technique(entry, tensors, compute.device) for entry in config["preprocessing"]]
    rows, columns, depth = config["image_shape"]
    return Model(tuple(config["class_names"]), (rows, columns, depth), module.eval(), techniques, compute)


def _restore_technique(entry: dict[str, Any], tensors: dict[str, Tensor], device: torch.device) -> Technique:
    technique = find_technique(entry["technique"])(**entry["options"])
    prefix = f"{_TECHNIQUE}{technique.name}."
    technique.restore(
        {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}, device
    )
    return technique


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load(path.read_bytes())
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    except SafetensorError as error:
        raise StorageError(f"{path} is damaged ({error}); train the model again") from error
