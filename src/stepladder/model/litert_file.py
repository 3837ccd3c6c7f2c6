"""A model for phones and small devices: LiteRT's form (TensorFlow Lite), checked before it is kept."""

from __future__ import annotations

import json
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stepladder.errors import RecipeError, missing_extra
from stepladder.files import replace_bytes, replace_json
from stepladder.model.export import WithPreprocessing, facts_of, on_processor, quietly
from stepladder.model.torch_model import Model

#: The largest difference of a probability between PyTorch and LiteRT, both in float32, that is let through.
TOLERANCE = 1e-4

#: It reads one image at a time, so more would take long.
_MOST_CHECKED = 64


@dataclass(frozen=True)
class LiteRt:
    """A ``.tflite`` file and how it was checked.

    Attributes:
        path: of the file; what it says of itself lies beside it, ``.json``.
        bytes_written: size of the file.
        checked: images that were run through the model and through the file.
        difference: the largest difference of a probability among them; all have the same class.
        versions: of the libraries that took part, by name.
    """

    path: Path
    bytes_written: int
    checked: int
    difference: float
    versions: dict[str, str]


def save_litert(model: Model, path: Path, images: np.ndarray) -> LiteRt:
    """Write ``model`` as ``path``: uint8 (1, H, W, C) in, probabilities (1, classes) out, one image at a time.

    Args:
        images: uint8 (N, H, W, C) of ``model.image_shape``, real ones, to compare on; at least one.

    Raises:
        RecipeError: the extra ``litert`` is not installed, the network cannot be converted, or its results differ.
        StorageError: a file cannot be written.
    """
    for name in ("absl", "torchao"):  # which tell of graphics processors that are not here
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with quietly():
            import litert_torch
    except ImportError as error:
        raise RecipeError(missing_extra(error.name or "litert-torch", "litert")) from error
    model, images = on_processor(model), images[:_MOST_CHECKED]
    example = torch.zeros((1, *model.image_shape), dtype=torch.uint8)
    with quietly(), tempfile.TemporaryDirectory(prefix="stepladder-") as folder:
        try:
            converted = litert_torch.convert(WithPreprocessing(model).eval(), (example,))
        except Exception as error:  # of several compilers, whose classes share no base
            raise RecipeError(
                f"LiteRT cannot convert this network: {str(error).strip().splitlines()[0][:200]}"
            ) from error
        found = np.concatenate([np.asarray(converted(image[None])) for image in images])
        kept = Path(folder, "model.tflite")
        converted.export(str(kept))
        content = kept.read_bytes()
    expected = model.probabilities(images)
    difference = float(np.abs(found - expected).max())
    agreement = float((found.argmax(axis=1) == expected.argmax(axis=1)).mean())
    if not difference <= TOLERANCE or agreement < 1:
        raise RecipeError(
            f"LiteRT's file differs from the model by up to {difference:.2g} in a probability ({TOLERANCE:g} is "
            f"allowed) and agrees on {100 * agreement:.2f} % of {len(images)} images; nothing was written"
        )
    replace_bytes(path, content)
    replace_json(path.with_suffix(".json"), json.loads(json.dumps(facts_of(model))))
    versions = {"litert-torch": litert_torch.__version__, "torch": torch.__version__}
    return LiteRt(path, len(content), len(images), difference, versions)
