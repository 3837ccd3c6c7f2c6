"""``config.json`` of a model folder: what the weights beside it are, and how images are prepared for them.

A folder may be anybody's: what it claims is bounded before anything is made of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from stepladder.datasets.image_set import Fit
from stepladder.datasets.mapped import fits_memory
from stepladder.errors import RecipeError, StorageError
from stepladder.files import parse_json, read_plain, replace_json
from stepladder.model.claims import MOST_SIDE, check_names, check_shape, check_span
from stepladder.model.rule import image_rule
from stepladder.network import Network

#: Raised with every change that an older Stepladder would misread: 2 brings images to the model's shape by ``fit``,
#: or those of 16 bits to 8 by ``span``.
#: What an older one reads rightly is still written as 1.
FORMAT_VERSIONS = (1, 2)

#: What a folder may claim at most. No file that :func:`save_model` wrote comes near: ImageNet-21k has 21,843 classes,
#: and a ResNet-152 is a list of 463 layers.
MOST_CLASSES, MOST_LAYERS, MOST_STEPS = 100_000, 5_000, 100
MOST_CONFIG_BYTES = 16_000_000

#: Those that are fitted lie between 0.02 and 50; logits divided by nearly nothing are no numbers any more.
LEAST_TEMPERATURE, MOST_TEMPERATURE = 1e-3, 1e3

Size = Annotated[int, Field(ge=1, le=MOST_SIDE)]
Wide16 = Annotated[int, Field(ge=0, le=65_535)]


class Preprocessing(BaseModel):
    """A fitted technique that prepares images, by name, and its options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    technique: str
    options: dict[str, Any]


class Config(BaseModel):
    """What ``config.json`` holds; a name that nobody knows is damage, or belongs to a newer format."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1, 2] = 1
    library_name: str = "stepladder"
    class_names: Annotated[tuple[str, ...], Field(min_length=1)]
    image_shape: tuple[Size, Size, Size]
    input_shape: tuple[Size, Size, Size]
    precision: Annotated[str, Field(pattern="^(float32|bfloat16)$")]
    network: Network
    preprocessing: tuple[Preprocessing, ...]
    #: None where none was fitted; files from before there were any lack it.
    temperature: Annotated[float, Field(ge=LEAST_TEMPERATURE, le=MOST_TEMPERATURE)] | None = None
    fit: Fit = "crop"
    #: Values of 16 bits that became black and white; None for 0 and 65,535.
    span: tuple[Wide16, Wide16] | None = None
    #: Follows from the rest, and is there for programs that read images for the model without Stepladder; files from
    #: before it was written lack it.
    image_rule: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Config:
        check_names(self.class_names)
        check_shape(self.image_shape)
        check_span(self.span)
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


def write_config(path: Path, config: Config) -> None:
    """Write ``config.json`` with the rule from a file to pixels that follows from it.

    Raises:
        StorageError: it cannot be written.
    """
    rule = image_rule(config.image_shape, config.fit, config.span)
    replace_json(path, config.model_copy(update={"image_rule": rule}).model_dump(mode="json"))


def read_config(path: Path) -> Config:
    """Read ``config.json``.

    Raises:
        StorageError: it cannot be read, is too large or damaged, or is of another format.
    """
    try:
        document = parse_json(read_bytes(path, MOST_CONFIG_BYTES))
    except ValueError as error:
        raise StorageError(f"{path} is not valid JSON ({error}); restore it from a copy or remove it") from error
    if not isinstance(document, dict) or document.get("format_version") not in FORMAT_VERSIONS:
        raise StorageError(
            f"{path} is not a Stepladder model of format 1 or 2; train the model again with this version"
        )
    _check_counts(path, document)
    try:
        return Config.model_validate(document)
    except (ValidationError, RecipeError) as error:
        raise StorageError(f"{path} is damaged ({one_line(error)}); train the model again") from error


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


def one_line(error: Exception) -> str:
    """Return what went wrong without line breaks; of pydantic's errors the first, with its place."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        told = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"].lower()
        return f"{place}: {told}" if place else told
    return str(error).partition("\n")[0]


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """Read a plain file of at most ``most`` bytes, and where that is None of no more than the memory holds.

    Raises:
        StorageError: it cannot be read, or is larger.
    """
    try:
        size = path.stat().st_size
        # Weights are in memory twice for a moment: as the file's bytes and in the network.
        if size > most if most is not None else not fits_memory(2 * size):
            limit = f"it may have {most / 1e6:,.0f} MB" if most is not None else "it does not fit into the memory here"
            raise StorageError(f"{path} has {size / 1e6:,.0f} MB, and {limit}; get the model again")
        return read_plain(path, size)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
