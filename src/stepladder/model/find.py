"""From a path to a trained model, whatever it is saved as."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from stepladder.datasets.filesystem import read_open
from stepladder.errors import DataError, RecipeError, StorageError
from stepladder.hub import SCHEME, parse_address
from stepladder.model.classifier import Classifier
from stepladder.model.onnx_file import OnnxModel

# Of an exported file: protobuf, which ONNX is written in, has no longer messages.
_MOST_BYTES = 2**31 - 1


def load_model(
    path: Path | str | bytes | BinaryIO,
    device: str = "auto",
    precision: str | None = None,
    network: str | None = None,
    threads: int | None = None,
) -> Classifier:
    """Load a trained model: a model folder, the folder of a trial that holds one, or an exported ``.onnx`` file.

    Only a folder needs PyTorch.

    Args:
        path: of the folder or file; or the bytes of an exported file, or what these can be read from. Or the address
            of a model on the Hugging Face Hub, ``hf://user/name`` or ``hf://user/name@revision``, which is fetched into
            the Hub's cache; without a connection it is read from there.
        device, precision, network: see :func:`stepladder.model.folder.load_folder`; ``auto`` is None. An exported file
            needs no network, and computes in float32 on the processor.
        threads: of one call at most; None is all cores, and one where a network is so small that one is as fast.

    Raises:
        StorageError: there is no model, or it is damaged.
        HubError: it is not on the Hub, or cannot be fetched.
        RecipeError: a library for it is not installed, or something was asked for that an exported file has not.
    """
    precision = None if precision == "auto" else precision
    if not isinstance(path, str | Path):
        try:
            content = path if isinstance(path, bytes) else read_open(path, _MOST_BYTES)
        except DataError as error:
            raise StorageError(f"a model in memory: {error}") from error
        return _exported(OnnxModel(content, "the file in memory", threads), device, precision, network)
    if str(path).startswith(("hf:/", SCHEME)):  # a Path has one slash of the two
        from stepladder.model.hub import pull_model

        path = pull_model(parse_address(SCHEME + str(path).removeprefix("hf:").lstrip("/"), "model"))
    if isinstance(path, str) and "://" in path:
        raise StorageError(f"{path} is an address, and nothing is fetched; download the model, and give its path")
    folder = model_folder(Path(path).expanduser())
    if folder is None:
        return _exported(OnnxModel.load(Path(path).expanduser(), threads), device, precision, network)
    from stepladder.model.folder import load_folder

    return load_folder(folder, device, precision, network, threads)


def _exported(model: OnnxModel, device: str, precision: str | None, network: str | None) -> OnnxModel:
    """Return the model, unless something was asked for that only a folder has."""
    for name, value, has in (
        ("device", None if device in ("auto", "cpu") else device, "runs on the processor"),
        ("precision", None if precision == "float32" else precision, "computes in float32"),
        ("network", network, "has its network in it"),
    ):
        if value is not None:
            raise RecipeError(f"`{name}` is {value}, and an exported file {has}; leave it out")
    return model


def model_folder(path: Path) -> Path | None:
    """Return the model folder that ``path`` means, or None where it is an exported file.

    Raises:
        StorageError: it is neither.
    """
    if path.is_file() and path.suffix.lower() == ".onnx":
        return None
    for folder in (path, path / "model"):
        if (folder / "config.json").is_file():
            return folder
    if (path / "study.json").is_file():
        raise StorageError(
            f"{path} is a study with a model in each trial; choose one, as {path / 'trials' / '<id>' / 'model'} (its "
            "results.csv and report say which trial is which)"
        )
    what = "does not exist" if not path.exists() else "is no model"
    raise StorageError(
        f"{path} {what}; give the model folder of a trial (it holds config.json), or an exported .onnx file"
    )
