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

#: Probabilities kept, images times classes: 20 MB a trial. Beyond that, only the predicted class's is.
MOST_PROBABILITIES = 10_000_000


def write_predictions(
    folder: Path,
    predicted: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    probabilities: np.ndarray | None = None,
) -> None:
    """Replace a trial's predictions: two arrays (N,) of positions among the class names, a byte each if that will do.

    10,000 images of ten classes take 20 KB; with ``probabilities`` (N, classes), kept in float16, 220 KB. Of more than
    :data:`MOST_PROBABILITIES` only ``confidence`` (N,), the largest of each image, is kept.
    """
    small = np.min_scalar_type(num_classes - 1)
    arrays = {"predicted": predicted.astype(small), "labels": labels.astype(small)}
    if probabilities is not None and probabilities.size <= MOST_PROBABILITIES:
        arrays["probabilities"] = probabilities.astype(np.float16)
    elif probabilities is not None:
        arrays["confidence"] = probabilities.max(axis=1).astype(np.float16)
    replace_bytes(folder / _NAME, save(arrays))


def read_predictions(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (predicted, labels) of a trial's test images, unsigned whole numbers (N,); None where they are not there.

    Raises:
        StorageError: the file is damaged.
    """
    arrays = _read(folder)
    return None if arrays is None else (arrays["predicted"], arrays["labels"])


def read_confidence(folder: Path, temperature: float = 1.0) -> np.ndarray | None:
    """Return the probability of each image's predicted class, float64 (N,), of logits divided by ``temperature``.

    None where it was not saved (by an older Stepladder), or where only a full row of probabilities could be rescaled.

    Raises:
        StorageError: the file is damaged.
    """
    arrays = _read(folder)
    if arrays is None:
        return None
    if "probabilities" in arrays:
        # softmax(logits / T) from p = softmax(logits): p^(1/T), normalized.
        rows = arrays["probabilities"].astype(np.float64) ** (1 / temperature)
        return np.asarray(rows.max(axis=1) / rows.sum(axis=1))
    if "confidence" in arrays and temperature == 1.0:
        return arrays["confidence"].astype(np.float64)
    return None


def _read(folder: Path) -> Mapping[str, np.ndarray] | None:
    path = folder / _NAME
    try:
        arrays: Mapping[str, np.ndarray] = load(path.read_bytes())
        if missing := {"predicted", "labels"} - set(arrays):
            raise KeyError(min(missing))
        return arrays
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    except (SafetensorError, KeyError) as error:
        raise StorageError(f"{path} is damaged ({error}); remove {folder} to run the trial again") from error
