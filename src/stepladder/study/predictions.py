"""What a trial predicts on the test images, image by image: ``predictions.safetensors`` in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from stepladder.errors import StorageError
from stepladder.files import replace_bytes

_NAME = "predictions.safetensors"


def write_predictions(folder: Path, predicted: np.ndarray, labels: np.ndarray, num_classes: int) -> None:
    """Replace a trial's predictions: two arrays (N,) of positions among the class names, a byte each if that will do.

    10,000 images of ten classes take 20 KB.
    """
    small = np.min_scalar_type(num_classes - 1)
    arrays = {"predicted": predicted.astype(small), "labels": labels.astype(small)}
    replace_bytes(folder / _NAME, save(arrays))


def read_predictions(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (predicted, labels) of a trial's test images, unsigned whole numbers (N,); None where they are not there.

    Raises:
        StorageError: the file is damaged.
    """
    path = folder / _NAME
    try:
        arrays: Mapping[str, np.ndarray] = load(path.read_bytes())
        return arrays["predicted"], arrays["labels"]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    except (SafetensorError, KeyError) as error:
        raise StorageError(f"{path} is damaged ({error}); remove {folder} to run the trial again") from error
