"""The trained model as a folder after Hugging Face's conventions: model.safetensors, config.json, README.md."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from stepladder.datasets.image_set import Fit, Span
from stepladder.datasets.mapped import fits_memory
from stepladder.errors import RecipeError, StorageError, some_of
from stepladder.files import parse_json, read_plain, replace_bytes, replace_json, replace_text
from stepladder.model.classifier import Classifier
from stepladder.model.forward import FEWEST_IMAGES, FastForward
from stepladder.model.limits import Limits, read_limits
from stepladder.model.rule import image_rule
from stepladder.model.unlikeness import Unlikeness, read_unlikeness, with_features
from stepladder.network import Network, trace_network
from stepladder.network.arithmetic import LayerCost, format_shape
from stepladder.network.build import build_network, outline_network
from stepladder.network.own import find_build, register_network, with_figures
from stepladder.techniques import Technique, find_technique
from stepladder.training.device import Compute, choose_compute, threads_for
from stepladder.training.evaluate import ImageBatches, compute_logits, prepare_images
from stepladder.training.rng import Streams

if TYPE_CHECKING:  # asking a model needs no training
    from stepladder.training.loop import TrainedNetwork

#: Raised with every change that an older Stepladder would misread: 2 brings images to the model's shape by ``fit``,
#: or those of 16 bits to 8 by ``span``.
#: What an older one reads rightly is still written as 1.
FORMAT_VERSIONS = (1, 2)

#: What a folder may claim at most. No file that :func:`save_model` wrote comes near: ImageNet-21k has 21,843 classes,
#: and a ResNet-152 is a list of 463 layers.
MOST_CLASSES, MOST_LAYERS, MOST_STEPS, MOST_SIDE = 100_000, 5_000, 100, 4_096
MOST_CONFIG_BYTES, MOST_CARD_BYTES = 16_000_000, 1_000_000

_NETWORK, _TECHNIQUE = "network.", "technique."

#: About as many images as evaluation takes at a time, and images whose features are held at a time.
_EVALUATION_BATCH, _HELD = 250, 2_000

Size = Annotated[int, Field(ge=1, le=MOST_SIDE)]
Wide16 = Annotated[int, Field(ge=0, le=65_535)]


class _Preprocessing(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    technique: str
    options: dict[str, Any]


class _Config(BaseModel):
    """What ``config.json`` holds; a name that nobody knows is damage, or belongs to a newer format."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1, 2] = 1
    library_name: str = "stepladder"
    class_names: Annotated[tuple[str, ...], Field(min_length=1)]
    image_shape: tuple[Size, Size, Size]
    input_shape: tuple[Size, Size, Size]
    precision: Annotated[str, Field(pattern="^(float32|bfloat16)$")]
    network: Network
    preprocessing: tuple[_Preprocessing, ...]
    #: None where none was fitted; files from before there were any lack it.
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    fit: Fit = "crop"
    #: Values of 16 bits that became black and white; None for 0 and 65,535.
    span: tuple[Wide16, Wide16] | None = None
    #: Follows from the rest, and is there for programs that read images for the model without Stepladder; files from
    #: before it was written lack it.
    image_rule: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> _Config:
        ours = image_rule(self.image_shape, self.fit, self.span)
        same_form = self.image_rule is not None and self.image_rule.get("version") == ours["version"]
        if same_form and self.image_rule != ours:
            raise ValueError("image_rule says something else than image_shape, fit and span")
        return self

    @model_serializer(mode="wrap")
    def _leave_out_the_usual(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        table: dict[str, Any] = write(self)
        usual = {"fit": "crop", "span": None}
        return {key: value for key, value in table.items() if key not in usual or value != usual[key]}


@dataclass(frozen=True, repr=False)
class Model(Classifier):
    """A trained network in PyTorch, with the preprocessing that its evaluation used.

    Attributes:
        class_names: what the columns of the logits stand for.
        image_shape: (height, width, channels) of the images that it was trained on, in pixels.
        fit: how images of another shape are brought to it; see :data:`stepladder.datasets.image_set.FITS`.
        span: see :class:`Classifier`.
        module: from prepared images to logits.
        techniques: fitted, in recipe order; they prepare the images.
        compute: where it runs.
        temperature: what logits are divided by before they become probabilities (Guo et al., On Calibration of Modern
            Neural Networks, 2017, section 4.2); 1 changes nothing.
        calibrated: whether the temperature was fitted on validation images.
        macs: multiply-accumulates an image; few of them are done by one thread.
        folder: where it was read from; None for one that was not.
        limits, unlikeness: what its validation images promise, and how unlike its training images an image is; None
            where that is not known.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    module: nn.Sequential
    techniques: Sequence[Technique]
    compute: Compute
    temperature: float = 1.0
    macs: int = 0
    calibrated: bool = False
    folder: Path | None = None
    fit: Fit = "crop"
    span: Span | None = None
    limits: Limits | None = None
    unlikeness: Unlikeness | None = None

    def __repr__(self) -> str:
        return self._described("" if self.folder is None else str(self.folder))

    @property
    def tells_unlikeness(self) -> bool:  # type: ignore[override]
        """Whether it can say how unlike its training images an image is."""
        return self.unlikeness is not None

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return float32 probabilities (N, classes) of uint8 ``pixels`` (N, H, W, C) of ``image_shape``.

        Raises:
            RecipeError: pixels of another shape or type.
        """
        scaled = torch.from_numpy(self.logits(pixels)) / self.temperature
        return scaled.softmax(dim=1).numpy()

    def fast_probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return :meth:`probabilities`, of many images by onnxruntime where that says the same of the first of them."""
        fast = self._fast if len(pixels) >= FEWEST_IMAGES else None
        logits = fast.logits(pixels) if fast is not None and fast.agrees(pixels, self.logits) else None
        if logits is None:
            return self.probabilities(pixels)
        return (torch.from_numpy(logits) / self.temperature).softmax(dim=1).numpy()

    @cached_property
    def _fast(self) -> FastForward | None:
        on_processor = self.compute.device.type == "cpu" and self.compute.precision == "float32"
        return FastForward(self.module, self.techniques, self.compute) if on_processor else None

    def with_unlikeness(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities as above, and how unlike the training images each image is, float32 (N,).

        Raises:
            RecipeError: pixels of another shape or type.
        """
        assert self.unlikeness is not None
        module, classes = self._featured, len(self.class_names)
        parts = []
        for start in range(0, len(pixels), _HELD):  # features are wide
            outputs = self._outputs(module, pixels[start : start + _HELD])
            logits, features = outputs[:, :classes], outputs[:, classes:]
            if features.shape[1] != len(self.unlikeness.center):
                raise StorageError(f"{self.folder} has the unlikeness of another network; train the model again")
            probabilities = (torch.from_numpy(logits) / self.temperature).softmax(dim=1).numpy()
            parts.append((probabilities, self.unlikeness.score(logits, features)))
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    @cached_property
    def _featured(self) -> nn.Module:
        # Once: it asks the network twice, which takes longer than the answer to one image.
        return with_features(self.module, self.example())

    def example(self) -> Tensor:
        """Return two images as the network reads them, prepared, black: to look at what it gives."""
        height, width, channels = self.image_shape
        black = torch.zeros((2, channels, height, width), dtype=torch.uint8, device=self.compute.device)
        return prepare_images(black, self.techniques)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return float32 logits (N, classes) of uint8 images (N, H, W, C) of ``image_shape``.

        Raises:
            RecipeError: images of another shape or type.
        """
        return self._outputs(self.module, images)

    def _outputs(self, module: nn.Module, images: np.ndarray) -> np.ndarray:
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != self.image_shape:
            height, width, channels = self.image_shape
            raise RecipeError(
                f"the model reads uint8 images (N, {height}, {width}, {channels}); got {images.dtype} {images.shape}"
            )
        # torch reads neither mirrored views nor, without a warning, read-only memory; only those are copied.
        images = np.require(images, requirements=["C", "W"])
        batches = ImageBatches(torch.from_numpy(images).to(self.compute.device))
        with threads_for(min(len(images), _EVALUATION_BATCH) * self.macs):
            return compute_logits(module, self.techniques, batches, self.compute).cpu().numpy()


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
    config = _Config(
        format_version=1 if fit == "crop" and span is None else 2,
        class_names=tuple(class_names),
        image_shape=image_shape,
        input_shape=trained.input_shape,
        precision=compute.precision,
        network=with_figures(trained.network, trained.input_shape, len(class_names)),
        preprocessing=tuple(
            _Preprocessing(technique=technique.name, options=technique.model_dump(mode="json"))
            for technique in preparing
        ),
        fit=fit,
        span=span,
    )
    _write_config(folder / "config.json", config)
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
    config = _read_config(path).model_copy(update={"temperature": temperature})
    _write_config(path, config)


def _write_config(path: Path, config: _Config) -> None:
    rule = image_rule(config.image_shape, config.fit, config.span)
    replace_json(path, config.model_copy(update={"image_rule": rule}).model_dump(mode="json"))


def load_folder(
    folder: Path | str, device: str = "auto", precision: str | None = None, network: str | None = None
) -> Model:
    """Read what :func:`save_model` wrote.

    A folder may be anybody's: what ``config.json`` claims is compared with the shapes of the weights beside it, and
    with the memory, before anything is allocated for it or run.

    Args:
        precision: None is the one that the model was evaluated in, and float32 where that is bfloat16 and the device
            here does not multiply it natively, which would take several times as long.
        network: ``FILE.py:function`` that its network is built by, where that is a module of the user's own: its code
            is run only when it is named, here or before in this process.

    Raises:
        StorageError: a file is missing, damaged, too large or of another version, or claims what the others do not
            hold.
        RecipeError: a device or precision that does not exist here, or a file of Python that was not named.
    """
    folder = Path(folder)
    config = _read_config(folder / "config.json")
    _check_named(config.network, network)
    compute = choose_compute(device, precision or _precision_here(device, config.precision))
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
        raise StorageError(f"{folder / 'config.json'} does not fit this Stepladder: {_one_line(error)}") from error
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
        model.logits(np.zeros((1, *config.image_shape), np.uint8))
    except (KeyError, RuntimeError, RecipeError) as error:
        raise StorageError(
            f"{folder} misses what its techniques learned, or holds that of other images ({_one_line(error)}); "
            f"train the model again"
        ) from error
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
    return _read_bytes(path, MOST_CARD_BYTES).decode(errors="replace") if path.exists() else ""


def _read_config(path: Path) -> _Config:
    try:
        document = parse_json(_read_bytes(path, MOST_CONFIG_BYTES))
    except ValueError as error:
        raise StorageError(f"{path} is not valid JSON ({error}); restore it from a copy or remove it") from error
    if not isinstance(document, dict) or document.get("format_version") not in FORMAT_VERSIONS:
        raise StorageError(
            f"{path} is not a Stepladder model of format 1 or 2; train the model again with this version"
        )
    _check_counts(path, document)
    try:
        return _Config.model_validate(document)
    except (ValidationError, RecipeError) as error:
        raise StorageError(f"{path} is damaged ({_one_line(error)}); train the model again") from error


def _check_counts(path: Path, document: dict[str, Any]) -> None:
    """Raise StorageError where lists are longer than any model's; before each of their entries is looked at."""
    layers, lists = 0, [document.get("network")]
    while lists and layers <= MOST_LAYERS:
        inside = lists.pop()
        found = inside.get("layers", inside.get("body")) if isinstance(inside, dict) else None
        if isinstance(found, list):
            layers += len(found)
            lists += found[: MOST_LAYERS + 1]
    counts = (
        ("layers", layers, MOST_LAYERS),
        ("classes", _length(document.get("class_names")), MOST_CLASSES),
        ("steps of preprocessing", _length(document.get("preprocessing")), MOST_STEPS),
    )
    for what, count, most in counts:
        if count > most:
            raise StorageError(f"{path} has more {what} than the {most:,} that a model may have; train the model again")


def _length(values: object) -> int:
    return len(values) if isinstance(values, list) else 0


def _check_memory(
    folder: Path, config: _Config, techniques: Sequence[Technique], costs: Sequence[LayerCost]
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


def _one_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
    return str(error).partition("\n")[0]


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


def _restore_technique(entry: _Preprocessing, tensors: dict[str, Tensor], device: torch.device) -> Technique:
    technique = find_technique(entry.technique)(**entry.options)
    prefix = f"{_TECHNIQUE}{technique.name}."
    technique.restore(
        {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}, device
    )
    return technique


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load(_read_bytes(path))
    except SafetensorError as error:
        raise StorageError(f"{path} is damaged ({error}); train the model again") from error


def _read_bytes(path: Path, most: int | None = None) -> bytes:
    """Read a plain file of at most ``most`` bytes, and where that is None of no more than the memory holds."""
    try:
        size = path.stat().st_size
        # Weights are in memory twice for a moment: as the file's bytes and in the network.
        if size > most if most is not None else not fits_memory(2 * size):
            limit = f"it may have {most / 1e6:,.0f} MB" if most is not None else "it does not fit into the memory here"
            raise StorageError(f"{path} has {size / 1e6:,.0f} MB, and {limit}; get the model again")
        return read_plain(path, size)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
