"""Networks that a function of the user's own builds: ``FILE.py:function``, named, read and run once.

The function gets the shape (C, H, W) of the images and the number of classes, and returns any ``nn.Module`` from
float32 (N, C, H, W) to logits (N, classes). The text of its file is part of every record; its code is run only where
the user names the file in this process, so that reading what somebody else has made runs nothing of theirs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.abc import SourceLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from stepladder.errors import RecipeError, StepladderError, described, unknown
from stepladder.network.spec import Network, OwnModule
from stepladder.schema import check

#: Builds a module of (C, H, W) and the number of classes, if it is what it should be.
Build = Callable[[tuple[int, int, int], int], Any]


@dataclass(frozen=True)
class _Named:
    """A file that the user has named: where it is, and the layer that its function makes."""

    path: Path
    layer: OwnModule
    build: Build


#: What was named in this process: by the hash of the file and the function.
_NAMED: dict[tuple[str, str], _Named] = {}
#: Files whose code has run, by their hash.
_MODULES: dict[str, ModuleType] = {}


def is_reference(text: str) -> bool:
    """Whether ``text`` means a network of the user's own: ``FILE.py:function``, or a file of Python alone."""
    return text.endswith(".py") or ".py:" in text


def register_network(reference: str, text: bytes | None = None) -> Network:
    """Return the network of ``FILE.py:function``; its code is run, once, and may be built from here on.

    Args:
        text: of the file, where another process has read it; None reads it.

    Raises:
        RecipeError: there is no such file or function, or loading it raised.
    """
    path, function = _parts(reference)
    if text is None:
        try:
            text = path.read_bytes()
        except OSError as error:
            raise RecipeError(f"cannot read the network file {path}: {error.strerror or error}") from error
    sha256 = hashlib.sha256(text).hexdigest()
    try:
        table = {"file": path.name, "function": function, "sha256": sha256, "text": text.decode("utf-8")}
    except UnicodeDecodeError as error:
        raise RecipeError(f"the network file {path} is not UTF-8 text; save it as UTF-8") from error
    layer = check(OwnModule, table, "", whole="the network")
    build = _find(_load(path, text, sha256), function, path)
    # At the end: a reference without its text means the last that was named.
    _NAMED.pop((sha256, function), None)
    _NAMED[sha256, function] = _Named(path.absolute(), layer, build)
    return Network(layers=(layer,))


def known_network(reference: str) -> Network:
    """Return the network of ``FILE.py:function`` as it was last named in this process; nothing is read or run.

    Raises:
        RecipeError: it was not named.
    """
    path, function = _parts(reference)
    for named in reversed(_NAMED.values()):
        if (named.path, named.layer.function) == (path.absolute(), function):
            return Network(layers=(named.layer,))
    raise RecipeError(_not_named(reference))


def find_build(layer: OwnModule) -> Build:
    """Return the function that builds the module of ``layer``.

    Raises:
        RecipeError: its file was not named in this process, or has another text by now.
    """
    named = _NAMED.get((layer.sha256, layer.function))
    if named is not None:
        return named.build
    for other in reversed(_NAMED.values()):
        if other.layer.reference == layer.reference:
            raise RecipeError(
                f"{layer.reference} has changed since this network was made: the SHA-256 of the file began with "
                f"{layer.sha256[:12]}, and now begins with {other.layer.sha256[:12]}; the record holds the text that "
                f"it had"
            )
    raise RecipeError(_not_named(layer.reference))


def is_named(layer: OwnModule) -> bool:
    """Whether the user has named the file of ``layer``, with the text that it has, in this process."""
    return (layer.sha256, layer.function) in _NAMED


def files_of(networks: Iterable[Network]) -> list[tuple[str, str]]:
    """Return what another process must :func:`register_network` to build those of ``networks`` that are of files.

    Returns:
        references, each with the text of its file as it was when it was named.
    """
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for network in networks:
        named = None if network.own is None else _NAMED.get((network.own.sha256, network.own.function))
        if named is not None:
            found[named.layer.sha256, named.layer.function] = (f"{named.path}:{named.layer.function}", named.layer.text)
    return list(found.values())


def figures_of(layer: OwnModule, input_shape: tuple[int, int, int], num_classes: int) -> tuple[int, int]:
    """Return weights and MACs an image of the module: counted, or as recorded where the user has not named the file.

    Raises:
        RecipeError: neither is there, or the module does not fit images of ``input_shape`` (C, H, W) and the classes.
    """
    if not is_named(layer) and layer.weights is not None and layer.macs is not None:
        return layer.weights, layer.macs
    find_build(layer)
    from stepladder.network.own_module import facts_of  # torch, once it is needed

    facts = facts_of(layer, input_shape, num_classes)
    return facts.weights, facts.macs


def with_figures(network: Network, input_shape: tuple[int, int, int], num_classes: int) -> Network:
    """Return ``network`` as it is recorded with trained weights: a module of the user's own has its figures."""
    if network.own is None:
        return network
    weights, macs = figures_of(network.own, input_shape, num_classes)
    return Network(layers=(network.own.model_copy(update={"weights": weights, "macs": macs}),))


def _parts(reference: str) -> tuple[Path, str]:
    file, colon, function = reference.rpartition(":")
    if not colon or not function or not file.endswith(".py"):
        file = reference.rstrip(":")
        raise RecipeError(f'"{reference}" names no function; write it as `network="{file}:build"`')
    return Path(file).expanduser(), function


def _not_named(reference: str) -> str:
    return f'this network is built by {reference}, whose code is not run unless you name it: `network="{reference}"`'


class _TextLoader(SourceLoader):
    """Runs the very text that was hashed; no bytecode of an earlier one, which is found by second and size alone."""

    def __init__(self, path: Path, text: bytes) -> None:
        self._path, self._text = path, text

    def get_filename(self, fullname: str) -> str:  # noqa: ARG002
        return str(self._path)

    def get_data(self, path: str) -> bytes:  # noqa: ARG002
        return self._text


def _load(path: Path, text: bytes, sha256: str) -> ModuleType:
    if sha256 in _MODULES:  # a user's code runs once
        return _MODULES[sha256]
    name = f"stepladder_own_{path.stem}_{sha256[:16]}"
    spec = importlib.util.spec_from_file_location(name, path.absolute(), loader=_TextLoader(path.absolute(), text))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there for what annotations name
    try:
        spec.loader.exec_module(module)
    except StepladderError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        alone = "; install it, or write all that you need into this one file" * isinstance(error, ModuleNotFoundError)
        raise RecipeError(f"loading the network file {path} raised {described(error)}{alone}") from error
    _MODULES[sha256] = module
    return module


def _find(module: ModuleType, function: str, path: Path) -> Build:
    build = getattr(module, function, None)
    if callable(build):
        return build  # type: ignore[no-any-return]
    known = [
        name
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")
    ]
    raise RecipeError(f"{unknown('function', function, known)} (those of {path})")
