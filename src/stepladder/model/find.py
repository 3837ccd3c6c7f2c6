"""From what the user typed to a model, and to the image files it is asked about."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stepladder.errors import DataError, StorageError
from stepladder.model.classifier import Classifier
from stepladder.model.onnx_file import OnnxModel


@dataclass(frozen=True)
class ImageFile:
    """A file to look at.

    Attributes:
        path: as the user will recognise it.
        label: the true class, a position in the model's ``class_names``, where the file lies in a folder of that name.
    """

    path: Path
    label: int | None = None


def find_model(path: Path) -> Classifier:
    """Load the model at ``path``: a model folder, the folder of a trial that holds one, or an exported ``.onnx`` file.

    Only a folder needs PyTorch.

    Raises:
        StorageError: there is none, or it is damaged.
        RecipeError: a library for it is not installed.
    """
    folder = model_folder(path)
    if folder is None:
        return OnnxModel.load(path)
    from stepladder.model.folder import load_model

    return load_model(folder)


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


def find_images(given: Sequence[str], class_names: Sequence[str], listed: Iterable[str] = ()) -> list[ImageFile]:
    """Return the image files that ``given`` means, each once, in the order given and by name within a folder.

    Args:
        given: files, folders (all below them but what is hidden), patterns with ``*`` or ``?``, or ``-`` for those in
            ``listed``.
        class_names: of the model; a folder with one of these names labels the files below it.
        listed: paths, one a line, as from standard input.

    Raises:
        DataError: something is not there, or no file is left.
    """
    positions = {name: label for label, name in enumerate(class_names)}
    found: dict[Path, ImageFile] = {}
    for text in given:
        for entry in [line.rstrip("\r\n") for line in listed if line.strip()] if text == "-" else [text]:
            for path in _matches(entry):
                files = _files_below(path) if path.is_dir() else [path]
                if not files:
                    raise DataError(f"{path} holds no images; give a folder with image files")
                for file in files:
                    found.setdefault(file, ImageFile(file, _label(file, path, positions)))
    if not found:
        raise DataError("there are no images to look at; give files, folders, patterns, or - with a list on stdin")
    return list(found.values())


def _matches(entry: str) -> list[Path]:
    path = Path(entry).expanduser()
    if path.exists():
        return [path]
    if glob.has_magic(entry):
        matches = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 (takes absolute ones)
        if matches:
            return matches
        raise DataError(f"no file matches {entry}")
    raise DataError(f"there is no file or folder {path}")


def _files_below(folder: Path) -> list[Path]:
    files = []
    for above, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(above) / name for name in sorted(names) if not name.startswith(".") and name != "Thumbs.db"]
    return files


def _label(file: Path, given: Path, positions: dict[str, int]) -> int | None:
    """The nearest folder above ``file`` that has a class's name, up to the one that was given."""
    if file == given:
        return None
    for folder in file.parents:
        if folder.name in positions:
            return positions[folder.name]
        if folder == given:
            break
    return None
