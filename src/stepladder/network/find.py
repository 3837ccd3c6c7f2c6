"""From what a user types to a network: a preset's name, a line, a TOML file, a file of Python, or a model folder."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from stepladder.errors import RecipeError, StorageError, unknown
from stepladder.files import read_json
from stepladder.network.arithmetic import LayerCost, Shape3, trace_network
from stepladder.network.line import Line, is_line, network_of_table
from stepladder.network.own import is_reference, known_network, register_network
from stepladder.network.presets import preset_names, read_preset
from stepladder.network.spec import Network

if TYPE_CHECKING:
    from stepladder.datasets.image_set import Fit


@dataclass(frozen=True)
class FoundNetwork:
    """A network with what is known of it.

    Attributes:
        label: short, safe in a file's name: of the preset or the file; of a line, a part of its hash.
        line: its one-line form, where it was given as one.
        input_shape: (C, H, W) that it was published for, or that its weights were trained on.
        num_classes: where a trained model fixes them.
        class_names, image_shape: of a trained model; the latter is (H, W, C), before its images are prepared.
        published_classes: that a preset was published for.
        paper, published: of a preset.
        model: the folder, of a trained model.
        fit: of a trained model, how images of other proportions became its own, see ``datasets.image_set.FITS``.
    """

    label: str
    network: Network
    line: Line | None = None
    input_shape: Shape3 | None = None
    num_classes: int | None = None
    class_names: tuple[str, ...] = ()
    image_shape: Shape3 | None = None
    published_classes: int | None = None
    paper: str | None = None
    published: str | None = None
    model: Path | None = None
    fit: Fit | None = None

    def trace(self, input_shape: Shape3, num_classes: int) -> tuple[LayerCost, ...]:
        """Work out every layer; see :func:`stepladder.network.trace_network`.

        Raises:
            RecipeError: a layer does not fit; with a caret under it where the network was given as one line.
        """
        try:
            return trace_network(self.network, input_shape, num_classes)
        except RecipeError as error:
            raise (self.line.explain(error) if self.line else error) from error


def find_network(text: str, run_code: bool = True) -> FoundNetwork:
    """Return the network that ``text`` names.

    Args:
        text: a preset's name; a one-line form; the path of a ``.toml`` file with ``layers`` or ``line`` (or of a
            recipe); ``FILE.py:function`` for a network of the user's own; or the path of a model folder.
        run_code: whether a file of Python that ``text`` names may be run; where ``text`` comes from a record, it may
            not, and only one that the user has named before is found.

    Raises:
        RecipeError: there is none, or it does not fit.
        StorageError: a model folder that is damaged.
    """
    if text in preset_names():
        preset = read_preset(text)
        return FoundNetwork(
            text,
            preset.network,
            input_shape=preset.input_shape,
            paper=preset.paper,
            published_classes=preset.classes,
            published=preset.published,
        )
    if is_reference(text):
        network = register_network(text) if run_code else known_network(text)
        return FoundNetwork(_own_label(network), network)
    if text.endswith(".toml"):
        return _read_file(Path(text), run_code)
    if not is_line(text) or (text and _exists(text)):
        path = Path(text)
        if _exists(text) and (path / "config.json").is_file():
            return read_model_network(path)
        if _exists(text) and path.is_dir():
            raise RecipeError(f"{text} holds no model (no config.json); give the folder of one, as trials/…/model")
        raise RecipeError(
            f"{unknown('network', text, preset_names())}; or one line as 'conv5-32 pool2 fc', a .toml file, "
            f"FILE.py:function of your own, or a model folder"
        )
    line = Line(text)
    digest = hashlib.sha256(line.network.model_dump_json().encode()).hexdigest()[:6]
    return FoundNetwork(f"line-{digest}", line.network, line)


def load_network(text: str, run_code: bool = True) -> Network:
    """Return the layer list that ``text`` names; see :func:`find_network`."""
    return find_network(text, run_code).network


def _own_label(network: Network) -> str:
    """Name a network of the user's own after its file, and after its function where that says more than ``build``."""
    assert network.own is not None
    stem, function = network.own.file.removesuffix(".py"), network.own.function
    return re.sub(r"[^\w.+-]", "-", stem if function == "build" else f"{stem}-{function}")


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long a name, or characters that no name can have
        return False


def _read_file(path: Path, run_code: bool) -> FoundNetwork:
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows put a byte-order mark first
    except (OSError, ValueError) as error:
        raise RecipeError(f"cannot read the network {path}: {getattr(error, 'strerror', None) or error}") from error
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # numbers of more digits than Python reads are no TOML errors
        raise RecipeError(f"{path} is not valid TOML: {error}") from error
    if "network" in table:  # a recipe
        table = table["network"]
        if isinstance(table, str):
            return find_network(table, run_code)
    if not isinstance(table, dict):
        raise RecipeError(f"{path} has a network of {table!r}; it must be a table with layers or line")
    table = {
        key: value
        for key, value in table.items()
        if key not in ("paper", "papers", "published", "input", "classes", "weights")
    }
    try:
        network = network_of_table(table)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error
    return FoundNetwork(path.stem, network)


def read_model_network(folder: Path) -> FoundNetwork:
    """Return the network of a model folder, as its ``config.json`` says, with its classes and images.

    Raises:
        StorageError: it is damaged.
    """
    from stepladder.datasets.image_set import FITS  # here, as no other network has any

    path = folder / "config.json"
    document = read_json(path)
    try:
        network = Network.model_validate(document["network"])
        channels, height, width = (int(size) for size in document["input_shape"])
        names = tuple(map(str, document["class_names"]))
        image_height, image_width, image_channels = (int(size) for size in document["image_shape"])
    except (KeyError, TypeError, ValueError, OverflowError, ValidationError, RecipeError) as error:
        raise StorageError(f"{path} is no model's configuration; train the model again") from error
    return FoundNetwork(
        _model_label(folder),
        network,
        input_shape=(channels, height, width),
        num_classes=len(names),
        class_names=names,
        image_shape=(image_height, image_width, image_channels),
        model=folder,
        fit=next((fit for fit in FITS if fit == document.get("fit", "crop")), None),
    )


def _model_label(folder: Path) -> str:
    """Name a model after its folder, and after what was trained where that is only called ``model``."""
    whole = folder.absolute()
    return whole.parent.name if whole.name == "model" and whole.parent.name else folder.name
