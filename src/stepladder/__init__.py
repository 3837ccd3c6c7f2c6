"""Which training techniques actually help on your images, by how much, and the trained model to take home.

The public names are loaded when they are first used, so that importing the package imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepladder.lazy import lazy_names

if TYPE_CHECKING:
    from stepladder.data import ImageSet, load_image_set
    from stepladder.data.audit import ImageAudit, audit_image_set
    from stepladder.model import Model, load_model
    from stepladder.network import Network, load_network
    from stepladder.network.inspection import Inspection, inspect_network
    from stepladder.network.matrix import as_matrix
    from stepladder.recipe import Recipe, change_settings, load_recipe
    from stepladder.report import write_report
    from stepladder.study.curve import run_curve
    from stepladder.study.design.rules import Rules
    from stepladder.study.files.records import SavedStudy
    from stepladder.study.files.store import load_study
    from stepladder.study.lr_range import run_lr_range
    from stepladder.study.run import plan_study, run_study
    from stepladder.study.running.trial import train_model
    from stepladder.study.sweeping.search import run_search
    from stepladder.study.sweeping.sweep import run_sweep
    from stepladder.techniques import TECHNIQUES, Technique
    from stepladder.training.device import Compute, choose_compute

_HOMES = {
    "Compute": "training.device",
    "ImageAudit": "data.audit",
    "ImageSet": "data",
    "Inspection": "network.inspection",
    "Model": "model",
    "Network": "network",
    "Recipe": "recipe",
    "Rules": "study.design.rules",
    "SavedStudy": "study.files.records",
    "TECHNIQUES": "techniques",
    "Technique": "techniques",
    "audit_image_set": "data.audit",
    "as_matrix": "network.matrix",
    "change_settings": "recipe",
    "choose_compute": "training.device",
    "inspect_network": "network.inspection",
    "load_image_set": "data",
    "load_model": "model",
    "load_network": "network",
    "load_recipe": "recipe",
    "load_study": "study.files.store",
    "plan_study": "study.run",
    "run_curve": "study.curve",
    "run_lr_range": "study.lr_range",
    "run_search": "study.sweeping.search",
    "run_study": "study.run",
    "run_sweep": "study.sweeping.sweep",
    "train_model": "study.running.trial",
    "write_report": "report",
}

__all__ = [
    "TECHNIQUES",
    "Compute",
    "ImageAudit",
    "ImageSet",
    "Inspection",
    "Model",
    "Network",
    "Recipe",
    "Rules",
    "SavedStudy",
    "Technique",
    "as_matrix",
    "audit_image_set",
    "change_settings",
    "choose_compute",
    "inspect_network",
    "load_image_set",
    "load_model",
    "load_network",
    "load_recipe",
    "load_study",
    "plan_study",
    "run_curve",
    "run_lr_range",
    "run_search",
    "run_study",
    "run_sweep",
    "train_model",
    "write_report",
]


__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
