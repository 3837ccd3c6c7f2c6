"""What in an image speaks for a class, as pictures that a page lays over one another."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from stepladder.errors import missing_extra
from stepladder.model.classifier import Classifier

#: Of a picture that is laid over another: the strongest places are as opaque as this.
_OPACITY = 0.75


def why_it_cannot(classifier: Classifier) -> str | None:
    """Return the sentence why ``classifier`` is not explained here; None where it is."""
    if not hasattr(classifier, "module"):
        return "an exported file is closed; serve the model folder that it came from, and it can be explained"
    try:
        import captum.attr  # noqa: F401
    except ImportError:
        return missing_extra("captum", "explain")
    return None


def explanation_document(classifier: Classifier, content: bytes, class_name: str | None) -> dict[str, Any]:
    """Return :class:`stepladder.web.model.answers.Explained` of one encoded image, as plain values.

    Raises:
        StepladderError: the image cannot be read, there is no such class, or the model cannot be explained.
    """
    from stepladder.model.explain import explain_image
    from stepladder.model.folder import Model

    assert isinstance(classifier, Model)
    found = explain_image(classifier, content, class_name)
    heat = np.clip(found.grad_cam, 0, 1)
    changed = np.clip(found.occlusion, -1, 1)
    return {
        "class": found.class_name,
        "probability": found.probability,
        "image": _data_url(found.pixels if found.pixels.shape[2] == 3 else found.pixels[:, :, 0]),
        "grad_cam": _data_url(_laid_over("YlOrRd", heat, heat)),
        "occlusion": _data_url(_laid_over("RdBu_r", (changed + 1) / 2, np.abs(changed))),
    }


def _laid_over(name: str, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ``values`` (H, W), 0 to 1, as uint8 colors, opaque by ``weights``; the colors that `explain` has."""
    from matplotlib import colormaps

    colors: np.ndarray = colormaps[name](values)
    colors[:, :, 3] = _OPACITY * weights
    return (255 * colors).round().astype(np.uint8)


def _data_url(pixels: np.ndarray) -> str:
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode("ascii")
