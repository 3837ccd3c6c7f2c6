"""The trained model to take home: saved, loaded again, asked about images, exported.

Its names are loaded when they are first used: an exported model needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepladder.lazy import lazy_names

if TYPE_CHECKING:
    from stepladder.model.classifier import Classifier, Prediction, Predictions
    from stepladder.model.find import load_model
    from stepladder.model.folder import save_model
    from stepladder.model.onnx_file import OnnxModel
    from stepladder.model.torch_model import Model

_HOMES = {
    "Classifier": "classifier",
    "Model": "torch_model",
    "OnnxModel": "onnx_file",
    "Prediction": "classifier",
    "Predictions": "classifier",
    "load_model": "find",
    "save_model": "folder",
}

__all__ = ["Classifier", "Model", "OnnxModel", "Prediction", "Predictions", "load_model", "save_model"]

__getattr__ = lazy_names(__name__, _HOMES)
