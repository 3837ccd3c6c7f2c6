"""What a trial predicts, image by image: ``predictions.safetensors`` of test and ``validation.safetensors``, both
written when test is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from stepladder.errors import DamagedError
from stepladder.files import read_plain, replace_bytes, unreadable

#: Whose predictions.
Of = Literal["test", "validation"]
_NAMES: dict[Of, str] = {"test": "predictions.safetensors", "validation": "validation.safetensors"}

#: Bytes that the file may have: those of 30 million images, or of as many probabilities as are kept.
MOST_BYTES = 512_000_000

#: Probabilities kept, images times classes: 20 MB a trial. Beyond that, only the predicted class's is.
MOST_PROBABILITIES = 10_000_000


def write_predictions(
    folder: Path,
    predicted: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    probabilities: np.ndarray | None = None,
    of: Of = "test",
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
    replace_bytes(folder / _NAMES[of], save(arrays))


def read_predictions(folder: Path, of: Of = "test") -> tuple[np.ndarray, np.ndarray] | None:
    """Return (predicted, labels) of a trial's images, unsigned whole numbers (N,); None where they are not there.

    Raises:
        StorageError: the file is damaged.
    """
    arrays = _read(folder, of)
    return None if arrays is None else (arrays["predicted"], arrays["labels"])


def read_probabilities(folder: Path, of: Of = "test") -> tuple[np.ndarray, np.ndarray] | None:
    """Return (probabilities float64 (N, classes), labels int64 (N,)) of a trial's images; None where they are not kept.

    Raises:
        StorageError: the file is damaged.
    """
    arrays = _read(folder, of)
    if arrays is None or "probabilities" not in arrays:
        return None
    return arrays["probabilities"].astype(np.float64), arrays["labels"].astype(np.int64)


def check_predictions(folder: Path, images: int | None, classes: int, of: Of = "test") -> None:
    """Refuse predictions that are not those of as many images and classes; where there are none, nothing is wrong.

    Args:
        images: None where that is not known.

    Raises:
        DamagedError: they are of others, or the file is damaged.
        StorageError: it cannot be read.
    """
    arrays = _read(folder, of)
    if arrays is None:
        return
    predicted, labels = arrays["predicted"], arrays["labels"]
    if images is not None and len(labels) != images:
        raise _damaged(folder / _NAMES[of], f"it has {len(labels):,} images, and the study {images:,}")
    if len(labels) and max(predicted.max(), labels.max()) >= classes:
        raise _damaged(folder / _NAMES[of], f"it names a class beyond the {classes:,} that there are")
    if "probabilities" in arrays and arrays["probabilities"].shape[1] != classes:
        raise _damaged(folder / _NAMES[of], f"it has the probabilities of {arrays['probabilities'].shape[1]:,} classes")


def read_confidence(folder: Path, temperature: float = 1.0) -> np.ndarray | None:
    """Return the probability of each image's predicted class, float64 (N,), of logits divided by ``temperature``.

    None where it was not saved (by an older Stepladder), or where only a full row of probabilities could be rescaled.

    Raises:
        StorageError: the file is damaged.
    """
    arrays = _read(folder, "test")
    if arrays is None:
        return None
    if "probabilities" in arrays:
        # softmax(logits / T) from p = softmax(logits): p^(1/T), normalized.
        rows = arrays["probabilities"].astype(np.float64) ** (1 / temperature)
        return np.asarray(rows.max(axis=1) / rows.sum(axis=1))
    if "confidence" in arrays and temperature == 1.0:
        return arrays["confidence"].astype(np.float64)
    return None


def _read(folder: Path, of: Of) -> Mapping[str, np.ndarray] | None:
    path = folder / _NAMES[of]
    try:
        arrays: Mapping[str, np.ndarray] = load(read_plain(path, MOST_BYTES, follow=False))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(path, error) from error
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:  # of types that NumPy lacks
        raise _damaged(path, str(error)) from error
    if (wrong := _wrong_with(arrays)) is not None:
        raise _damaged(path, wrong)
    return arrays


def _wrong_with(arrays: Mapping[str, np.ndarray]) -> str | None:
    names = set(arrays)
    if not {"predicted", "labels"} <= names <= {"predicted", "labels", "probabilities", "confidence"}:
        return f"it holds {', '.join(sorted(names)) or 'nothing'}"
    predicted, labels = arrays["predicted"], arrays["labels"]
    if predicted.ndim != 1 or predicted.shape != labels.shape or {predicted.dtype.kind, labels.dtype.kind} != {"u"}:
        return "its predictions and labels are not as many whole numbers"
    for name, dimensions in (("probabilities", 2), ("confidence", 1)):
        values = arrays.get(name)
        if values is None:
            continue
        if values.ndim != dimensions or len(values) != len(labels) or values.dtype != np.float16 or not values.size:
            return f"its {name} are not those of its images"
        if not (values.min() >= 0 and values.max() <= 1):
            return f"its {name} are not between 0 and 1"
    return None


def _damaged(path: Path, what: str) -> DamagedError:
    return DamagedError(f"{path} is damaged ({what})", f"remove {path.parent} to run the trial again")
