"""From a path to a trained model, whatever it is saved as."""

from __future__ import annotations

from pathlib import Path

from stepladder.errors import RecipeError, StorageError
from stepladder.model.classifier import Classifier
from stepladder.model.onnx_file import OnnxModel


def find_model(path: Path, network: str | None = None, precision: str | None = None) -> Classifier:
    """Load the model at ``path``: a model folder, the folder of a trial that holds one, or an exported ``.onnx`` file.

    Only a folder needs PyTorch.

    Args:
        network, precision: see :func:`stepladder.model.folder.load_model`; an exported file needs no network, and
            computes in float32.

    Raises:
        StorageError: there is none, or it is damaged.
        RecipeError: a library for it is not installed.
    """
    folder = model_folder(path)
    if folder is None:
        if precision not in (None, "auto", "float32"):
            raise RecipeError(f"`precision` is {precision}, and an exported file computes in float32; leave it out")
        return OnnxModel.load(path)
    from stepladder.model.folder import load_model

    return load_model(folder, precision=None if precision == "auto" else precision, network=network)


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
