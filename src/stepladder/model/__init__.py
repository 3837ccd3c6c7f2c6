"""The trained model to take home: saved, and loaded again."""

from stepladder.model.folder import Model, load_model, save_model

__all__ = ["Model", "load_model", "save_model"]
