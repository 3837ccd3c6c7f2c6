"""A fitted bag of words as one file, ``model.safetensors``: arrays, and the settings as text. No pickle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from stepladder.baselines.bag_of_words import BagOfWords
from stepladder.baselines.settings import BagSettings
from stepladder.baselines.svm import LinearSvm
from stepladder.errors import StorageError
from stepladder.files import replace_bytes

_LEARNED = "learned."


def save_bag(path: Path, bag: BagOfWords) -> None:
    """Replace the file at ``path`` by ``bag``."""
    arrays = {
        **{f"{_LEARNED}{name}": array for name, array in bag.learned.items()},
        "vocabulary": bag.vocabulary,
        "mean": bag.mean,
        "deviation": bag.deviation,
        "weights": bag.svm.weights,
        "intercepts": bag.svm.intercepts,
    }
    about = {"settings": bag.settings.model_dump_json(), "image_shape": json.dumps(bag.image_shape)}
    # safetensors writes memory as it lies, so every array must lie in its own order.
    replace_bytes(path, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, about))


def load_bag(path: Path) -> BagOfWords:
    """Return the bag of words in the file at ``path``.

    Raises:
        StorageError: it is missing or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
        height, width, channels = json.loads(about["image_shape"])
        return BagOfWords(
            settings=BagSettings.model_validate_json(about["settings"]),
            image_shape=(int(height), int(width), int(channels)),
            learned={name.removeprefix(_LEARNED): arrays[name] for name in arrays if name.startswith(_LEARNED)},
            vocabulary=arrays["vocabulary"],
            mean=arrays["mean"],
            deviation=arrays["deviation"],
            svm=LinearSvm(arrays["weights"], arrays["intercepts"]),
        )
    except (OSError, SafetensorError, KeyError, ValueError, ValidationError) as error:
        raise StorageError(f"{path} is damaged or missing ({error}); remove {path.parent} to fit it again") from error
