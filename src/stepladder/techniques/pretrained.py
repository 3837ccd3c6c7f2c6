"""Pretrained weights: begin from what a network has learned on other images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.network import Network
from stepladder.network.own_module import output_path
from stepladder.network.presets import preset_of
from stepladder.network.pretrained import (
    fitting,
    locate_weights,
    output_layer,
    output_rows,
    published_weights,
    read_weights,
    sha256_of,
    translated,
)
from stepladder.techniques.base import WEIGHTS, Context, Stream, Technique
from stepladder.techniques.standardize import spread

if TYPE_CHECKING:
    from stepladder.datasets.download import Published


class Pretrained(Technique):
    """Begin from trained weights in all layers but the output, and prepare images as those weights know them.

    Yosinski et al., "How transferable are features in deep neural networks?", 2014, section 4: first layers serve any
    images, last ones less. A published network reads (level − mean) / scale with the means that its authors used; gray
    images go in as if each channel had the same level.
    """

    name = "pretrained"
    group = "network"
    summary = "begin from weights that were trained on many other images"
    plain = (
        "Begin from a network that was trained on many other images, instead of from random weights. Edges, "
        "textures and shapes are the same in most photographs, so little is left to be learned from yours."
    )
    papers = (cite("yosinski2014transferable", "section 4"),)
    differs = "all layers but the output are taken over; the paper tries how many"
    caveat = "test images that were among those other images make the score too good"
    cost = "0.05 s a trial to read 19 MB; nothing in a step"
    interactions = "brings its own standardization: leave out standardize; freeze keeps what it brings"
    slot = WEIGHTS
    same_for_every_seed = True
    begins_from_weights = True
    quiet = frozenset({"outputs", "sha256"})

    source: Annotated[
        str,
        Field(
            min_length=1,
            description="imagenet or imagenet_a1; or the path of a .safetensors file, a state dict or a model's folder",
        ),
    ] = "imagenet"
    sha256: Annotated[
        str,
        Field(
            pattern="^([0-9a-f]{8,64})?$", description="of a file of weights, hex; filled in where the file is there"
        ),
    ] = ""

    outputs: Annotated[
        tuple[Annotated[int, Field(ge=-1)], ...],
        Field(
            description="for each class, which output of the weights it begins from; -1 draws it anew, and so are all "
            "where this is left out"
        ),
    ] = ()

    @model_validator(mode="before")
    @classmethod
    def _note_which_file(cls, table: Any) -> Any:
        # The content decides the bits, so the recipe holds its sum: another file of that name is another recipe.
        if isinstance(table, dict) and isinstance(table.get("source"), str) and not table.get("sha256"):
            path = _file(table["source"])
            if path is not None:
                return {**table, "sha256": sha256_of(path)}
        return table

    def downloads(self, network: Network) -> tuple[Published, ...]:
        """Return the file of published weights that no package holds."""
        if self.sha256 or _file(self.source) is not None:
            return ()
        _, weights = published_weights(network, self.source)
        return (weights.published,) if weights.url else ()

    def check(self, context: Context) -> list[str]:
        """Refuse networks without such weights, and weights that are not on this computer."""
        self._locate(context)
        if self.outputs and len(self.outputs) != context.num_classes:
            raise RecipeError(
                f"`pretrained.outputs` is for {len(self.outputs):,} classes, and there are {context.num_classes:,}; "
                "give each one, or leave it out"
            )
        changing = (one for one in self._before if one.group == "inputs" and not one.overrides("prepared_shape"))
        doubled = [one.name for one in changing]
        if doubled and preset_of(context.network) is not None:
            return [
                f"pretrained prepares images as its weights know them, and {' and '.join(doubled)} changes them first; "
                f"leave {'it' if len(doubled) == 1 else 'them'} out"
            ]
        return []

    def fit(self, batches: Iterable[Tensor]) -> dict[str, Tensor]:
        """Return ``mean`` and ``scale``, float32 (C,), of pixels from 0 to 1; of the weights, not of these images."""
        channels = next(iter(batches)).shape[1]
        mean, scale = torch.zeros(channels), torch.ones(channels)
        preset = preset_of(self.context.network)
        if preset is not None and preset.weights:
            known = preset.weights.get(self.source) or next(iter(preset.weights.values()))
            mean, scale = torch.tensor(known.mean) / 255, torch.tensor(known.scale) / 255
            if channels == 1:
                mean, scale = mean.mean(dim=0, keepdim=True), scale.mean(dim=0, keepdim=True)
        return {"mean": mean, "scale": scale}

    def prepare(self, images: Tensor) -> Tensor:
        """Subtract the mean and divide by the scale of each channel."""
        return (images - spread(self.learned["mean"], images)).div_(spread(self.learned["scale"], images))

    @torch.no_grad()
    def initialize(self, module: nn.Sequential, stream: Stream, inputs: Iterable[Tensor]) -> None:  # noqa: ARG002
        """Put the weights into every layer, of the output's into those rows that ``outputs`` names."""
        path, sum_of = self._locate(self.context)
        preset = preset_of(self.context.network)
        known = None if preset is None else preset.weights.get(self.source) or next(iter(preset.weights.values()), None)
        tensors = translated(read_weights(path, sum_of), preset, known, path)
        state, output, own = module.state_dict(), output_layer(self.context.network), self.context.network.own
        if own is not None:  # a file of its author's knows nothing of the module around it
            tensors = {name if name in state else f"{own.name}.{name}": value for name, value in tensors.items()}
            output = output_path(module, self.context.num_classes)
        for name, value in fitting(tensors, state, output, path).items():
            state[name].copy_(value)
        if self.outputs and output is not None:
            for name, rows in output_rows(tensors, state, output, self.outputs, path).items():
                drawn = torch.tensor(self.outputs, device=rows.device) < 0
                state[name].copy_(torch.where(drawn.view(-1, *[1] * (rows.ndim - 1)), state[name], rows))

    def _locate(self, context: Context) -> tuple[Path, str]:
        """The file, and the SHA-256 that it must have."""
        path = _file(self.source)
        if path is not None or self.sha256:
            if path is None:
                raise RecipeError(
                    f"`pretrained.source` is '{self.source}', and no such file is here; give the path of the weights "
                    f"whose SHA-256 begins with {self.sha256[:12]}"
                )
            return path, self.sha256
        preset, weights = published_weights(context.network, self.source)
        return locate_weights(preset, weights), weights.sha256


def _file(text: str) -> Path | None:
    """The file that ``text`` is the path of, or that of a model's folder; None where there is none."""
    path = Path(text).expanduser()
    if path.is_dir() and (path / "model.safetensors").is_file():
        return path / "model.safetensors"
    return path if path.is_file() else None
