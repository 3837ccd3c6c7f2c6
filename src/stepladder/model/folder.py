"""The trained model as a folder after Hugging Face's conventions: model.safetensors, config.json, README.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from stepladder.datasets.image_set import Fit, Span
from stepladder.datasets.mapped import fits_memory
from stepladder.errors import RecipeError, StorageError, some_of
from stepladder.files import replace_bytes, replace_text
from stepladder.model.config import Config, Preprocessing, one_line, read_bytes, read_config, write_config
from stepladder.model.limits import read_limits
from stepladder.model.torch_model import Model
from stepladder.model.unlikeness import read_unlikeness
from stepladder.network import Network, trace_network
from stepladder.network.arithmetic import LayerCost, format_shape
from stepladder.network.build import build_network, outline_network
from stepladder.network.own import find_build, register_network, with_figures
from stepladder.techniques import Technique, find_technique
from stepladder.training.device import Compute, choose_compute
from stepladder.training.rng import Streams

if TYPE_CHECKING:  # asking a model needs no training
    from stepladder.training.loop import TrainedNetwork

#: What a card may have at most; :mod:`stepladder.model.config` has what else is bounded.
MOST_CARD_BYTES = 1_000_000

_NETWORK, _TECHNIQUE = "network.", "technique."


def save_model(
    folder: Path,
    trained: TrainedNetwork,
    class_names: Sequence[str],
    image_shape: tuple[int, int, int],
    compute: Compute,
    card: str,
    fit: Fit = "crop",
    span: Span | None = None,
) -> None:
    """Write ``trained`` into ``folder``; what the techniques learned lies beside the weights.

    Args:
        image_shape: (height, width, channels) of the images before any technique.
        fit: how images of another shape were brought to it; see :data:`stepladder.datasets.image_set.FITS`.
        span: values of 16 bits that became black and white; see :class:`Classifier`.
        card: the model card, Markdown.
    """
    tensors = {f"{_NETWORK}{name}": tensor for name, tensor in trained.module.state_dict().items()}
    # What has no part in prediction stays behind, so that a model needs no file of a user's own augmentation.
    preparing = [technique for technique in trained.techniques if technique.overrides("prepare")]
    for technique in preparing:
        tensors |= {f"{_TECHNIQUE}{technique.name}.{name}": value for name, value in technique.learned.items()}
    # safetensors stores dense row-major memory; channels-last weights are laid out anew.
    replace_bytes(
        folder / "model.safetensors",
        save({name: _dense(tensor) for name, tensor in tensors.items()}, metadata={"format": "pt"}),
    )
    config = Config(
        format_version=1 if fit == "crop" and span is None else 2,
        class_names=tuple(class_names),
        image_shape=image_shape,
        input_shape=trained.input_shape,
        precision=compute.precision,
        network=with_figures(trained.network, trained.input_shape, len(class_names)),
        preprocessing=tuple(
            Preprocessing(technique=technique.name, options=technique.model_dump(mode="json"))
            for technique in preparing
        ),
        fit=fit,
        span=span,
    )
    write_config(folder / "config.json", config)
    replace_text(folder / "README.md", card)


def _dense(tensor: Tensor) -> Tensor:
    """A copy of its own in row-major memory: a module of the user's own may use the same weights in two places."""
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def calibrate_model(folder: Path, temperature: float | None) -> None:
    """Write the temperature that :class:`Model` divides its logits by into a saved model; None takes it out.

    Args:
        temperature: above 0, fitted on validation images; see ``training.calibration.fit_temperature``.

    Raises:
        StorageError: the model's ``config.json`` cannot be read or written.
    """
    path = folder / "config.json"
    config = read_config(path).model_copy(update={"temperature": temperature})
    write_config(path, config)


def load_folder(
    folder: Path | str,
    device: str = "auto",
    precision: str | None = None,
    network: str | None = None,
    threads: int | None = None,
) -> Model:
    """Read what :func:`save_model` wrote.

    A folder may be anybody's: what ``config.json`` claims is compared with the shapes of the weights beside it, and
    with the memory, before anything is allocated for it or run.

    Args:
        precision: None is the one that the model was evaluated in, and float32 where that is bfloat16 and the device
            here does not multiply it natively, which would take several times as long.
        network: ``FILE.py:function`` that its network is built by, where that is a module of the user's own: its code
            is run only when it is named, here or before in this process.
        threads: of one call on the processor at most; None is all cores, and one where that is as fast.

    Raises:
        StorageError: a file is missing, damaged, too large or of another version, or claims what the others do not
            hold.
        RecipeError: a device or precision that does not exist here, or a file of Python that was not named.
    """
    folder = Path(folder)
    config = read_config(folder / "config.json")
    _check_named(config.network, network)
    compute = choose_compute(device, precision or _precision_here(device, config.precision), threads)
    tensors = _read_tensors(folder / "model.safetensors")
    weights = {name.removeprefix(_NETWORK): tensor for name, tensor in tensors.items() if name.startswith(_NETWORK)}
    size = config.input_shape, len(config.class_names)
    try:
        costs = trace_network(config.network, *size)
        techniques = [_restore_technique(entry, tensors, compute.device) for entry in config.preprocessing]
        prepared = _check_memory(folder, config, techniques, costs)
        if config.network.own is None:
            outline = outline_network(config.network, costs, Streams(0))
            _check_same(folder, len(config.class_names), outline.state_dict(), weights)
        if prepared != config.input_shape:
            raise StorageError(
                f"{folder / 'config.json'} prepares images to {format_shape(prepared)}, and its network reads "
                f"{format_shape(config.input_shape)}; train the model again"
            )
        module = build_network(config.network, *size, Streams(0), compute.device)
    except (RecipeError, ValidationError, RuntimeError) as error:
        raise StorageError(f"{folder / 'config.json'} does not fit this Stepladder: {one_line(error)}") from error
    _check_same(folder, len(config.class_names), module.state_dict(), weights)
    module.load_state_dict(weights)
    macs = sum(cost.macs for cost in costs)
    temperature, calibrated = config.temperature or 1.0, config.temperature is not None
    model = Model(
        config.class_names,
        config.image_shape,
        module.eval(),
        techniques,
        compute,
        temperature=temperature,
        macs=macs,
        calibrated=calibrated,
        folder=folder,
        fit=config.fit,
        span=config.span,
        limits=read_limits(folder),
        unlikeness=read_unlikeness(folder),
    )
    try:
        logits = model.logits(np.zeros((1, *config.image_shape), np.uint8))
    except (KeyError, RuntimeError, RecipeError) as error:
        raise StorageError(
            f"{folder} misses what its techniques learned, or holds that of other images ({one_line(error)}); "
            f"train the model again"
        ) from error
    if not np.isfinite(logits).all():
        raise StorageError(
            f"{folder} gives no numbers for a black image: its weights or what its techniques learned are not finite; "
            "train the model again"
        )
    return model


def _precision_here(device: str, evaluated_in: str) -> str:
    return evaluated_in if choose_compute(device, "auto").precision == "bfloat16" else "float32"


def _check_named(network: Network, reference: str | None) -> None:
    """Run the file that was named, if any, and refuse a network of a file that was not."""
    if reference is not None and network.own is None:
        raise RecipeError(
            f"`network` is '{reference}', and the model's network is a list of layers that needs no file; leave it out"
        )
    if reference is not None:
        register_network(reference)
    if network.own is not None:
        find_build(network.own)


def read_card(folder: Path) -> str:
    """Return the model card of a model folder; empty where there is none.

    Raises:
        StorageError: it cannot be read, or is too large.
    """
    path = folder / "README.md"
    return read_bytes(path, MOST_CARD_BYTES).decode(errors="replace") if path.exists() else ""


def _check_memory(
    folder: Path, config: Config, techniques: Sequence[Technique], costs: Sequence[LayerCost]
) -> tuple[int, int, int]:
    """Return the shape (C, H, W) of prepared images.

    Raises:
        StorageError: an image needs more memory than there is, on its way to the network or in it.
    """
    height, width, channels = config.image_shape
    shape = channels, height, width
    values = [math.prod(cost.input_shape) + math.prod(cost.output_shape) for cost in costs]
    for technique in techniques:
        before, shape = shape, technique.prepared_shape(shape)
        values.append(math.prod(before) + math.prod(shape))
    largest = 4 * max(values, default=0)  # float32, in and out of a layer or a step
    if not fits_memory(largest):
        raise StorageError(
            f"{folder / 'config.json'} describes a network that takes {largest / 1e9:,.1f} GB of memory for one image, "
            "more than half of what is here; use a computer with more, or a smaller network"
        )
    return shape


def _check_same(folder: Path, classes: int, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """Raise StorageError where weights lack, are too many, or differ in shape."""
    differing = _differing(expected, found)
    if not differing:
        return
    told = _classes_told(differing, classes, expected, found)
    if told is not None:
        raise StorageError(
            f"{folder / 'config.json'} names {classes} classes, and the weights tell {told} apart; give it the "
            "names that the model was trained with"
        )
    raise StorageError(
        f"{folder} holds the weights of another network than its config.json: {some_of(differing)}; "
        f"train the model again"
    )


def _differing(expected: dict[str, Tensor], found: dict[str, Tensor]) -> list[str]:
    """Return the names of tensors that only one has, or that differ in shape."""
    shapes = [{name: tensor.shape for name, tensor in tensors.items()} for tensors in (expected, found)]
    return sorted({name for name, _ in shapes[0].items() ^ shapes[1].items()})


def _classes_told(
    differing: list[str], classes: int, expected: dict[str, Tensor], found: dict[str, Tensor]
) -> int | None:
    """Return how many classes the weights found have, where the number of classes is all that they differ in."""
    numbers = set()
    layers = {name.rpartition(".")[0] for name in differing}
    if {name for name in expected if name.rpartition(".")[0] in layers} != set(differing):
        return None
    for name in differing:
        if name not in expected or name not in found or not found[name].dim():
            return None
        (ours, *our_rest), (theirs, *their_rest) = expected[name].shape, found[name].shape
        if ours != classes or our_rest != their_rest:
            return None
        numbers.add(theirs)
    return numbers.pop() if len(numbers) == 1 else None


def _restore_technique(entry: Preprocessing, tensors: dict[str, Tensor], device: torch.device) -> Technique:
    technique = find_technique(entry.technique)(**entry.options)
    prefix = f"{_TECHNIQUE}{technique.name}."
    technique.restore(
        {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}, device
    )
    return technique


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load(read_bytes(path))
    except SafetensorError as error:
        raise StorageError(f"{path} is damaged ({error}); train the model again") from error
