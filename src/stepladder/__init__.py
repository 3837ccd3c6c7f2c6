"""Which training techniques actually help on your images, by how much, and the trained model to take home.

The public names are loaded when they are first used, so that importing the package imports no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stepladder.data import ImageSet, load_image_set
    from stepladder.model import Model, load_model
    from stepladder.recipe import Recipe, change_settings, load_recipe
    from stepladder.report import write_report
    from stepladder.study.curve import run_curve
    from stepladder.study.records import SavedStudy
    from stepladder.study.rules import Rules
    from stepladder.study.run import plan_study, run_study
    from stepladder.study.store import load_study
    from stepladder.study.trial import train_model
    from stepladder.techniques import TECHNIQUES, Technique
    from stepladder.training.device import Compute, choose_compute

_HOMES = {
    "Compute": "training.device",
    "ImageSet": "data",
    "Model": "model",
    "Recipe": "recipe",
    "Rules": "study.rules",
    "SavedStudy": "study.records",
    "TECHNIQUES": "techniques",
    "Technique": "techniques",
    "change_settings": "recipe",
    "choose_compute": "training.device",
    "load_image_set": "data",
    "load_model": "model",
    "load_recipe": "recipe",
    "load_study": "study.store",
    "plan_study": "study.run",
    "run_curve": "study.curve",
    "run_study": "study.run",
    "train_model": "study.trial",
    "write_report": "report",
}

__all__ = [
    "TECHNIQUES",
    "Compute",
    "ImageSet",
    "Model",
    "Recipe",
    "Rules",
    "SavedStudy",
    "Technique",
    "change_settings",
    "choose_compute",
    "load_image_set",
    "load_model",
    "load_recipe",
    "load_study",
    "plan_study",
    "run_curve",
    "run_study",
    "train_model",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'stepladder' has no attribute '{name}'")
    return getattr(import_module(f"stepladder.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
