"""Which training techniques actually help on your images, by how much, and the trained model to take home.

>>> import stepladder as sl
>>> study = sl.study("photos/", seeds=5)  # doctest: +SKIP
>>> study.effects, study.model.predict("new/"), study.report_path  # doctest: +SKIP

Every verb of the command line is a function here. The public names are loaded when they are first used, so that
importing the package imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepladder.lazy import lazy_names

if TYPE_CHECKING:
    __version__: str
    from stepladder.api.check import Check
    from stepladder.api.commands import curve_command, plan_command, study_command, sweep_command
    from stepladder.api.hub import prepare_push, pull, push
    from stepladder.api.judge import Judgment, judge
    from stepladder.api.pool import Pool, pool
    from stepladder.api.results import Curve, Study, Sweep, TrainedModel, load_study
    from stepladder.api.verbs import (
        add_bag,
        bag_of_words,
        check,
        curve,
        data,
        inspect,
        leak_test,
        lr_range,
        plan,
        predict,
        study,
        sweep,
        train,
    )
    from stepladder.baselines.mixing import Mixing
    from stepladder.citations import Citation
    from stepladder.datasets import Access, ImageSet, Labelled, load_image_set
    from stepladder.datasets.audit import ImageAudit
    from stepladder.errors import StepladderError
    from stepladder.model import Model, Predictions, load_model
    from stepladder.network import Network, load_network
    from stepladder.network.inspection import Inspection
    from stepladder.network.matrix import as_matrix
    from stepladder.recipe import Recipe, change_settings, load_recipe
    from stepladder.report.figures.paper import PaperStyle
    from stepladder.studies.bag_of_words import BagOptions
    from stepladder.studies.design.recipes import RecipeOptions, RungPlan
    from stepladder.studies.design.rules import Protocol, Rules
    from stepladder.studies.design.rungs import Rung
    from stepladder.studies.findings import Findings
    from stepladder.studies.forecast import Forecast
    from stepladder.studies.lr_range import LrRange
    from stepladder.studies.proposals import Search
    from stepladder.studies.running.callbacks import Callbacks
    from stepladder.studies.running.execution import Execution
    from stepladder.studies.scores.claims import Budget
    from stepladder.studies.scores.commands import CommandPlan
    from stepladder.studies.scores.running import CommandExecution
    from stepladder.studies.sweep import Grid
    from stepladder.techniques import TECHNIQUES, Technique
    from stepladder.training.lr_range import RateRange
    from stepladder.training.stop import Stopped
    from stepladder.web.model.serving import serve

_HOMES = {
    "TECHNIQUES": "techniques",
    "Access": "datasets",
    "BagOptions": "studies.bag_of_words",
    "Budget": "studies.scores.claims",
    "Callbacks": "studies.running.callbacks",
    "Check": "api.check",
    "Citation": "citations",
    "CommandExecution": "studies.scores.running",
    "CommandPlan": "studies.scores.commands",
    "Curve": "api.results",
    "Execution": "studies.running.execution",
    "Findings": "studies.findings",
    "Forecast": "studies.forecast",
    "Grid": "studies.sweep",
    "ImageAudit": "datasets.audit",
    "ImageSet": "datasets",
    "Inspection": "network.inspection",
    "Judgment": "api.judge",
    "Labelled": "datasets",
    "LrRange": "studies.lr_range",
    "Mixing": "baselines.mixing",
    "Model": "model",
    "Network": "network",
    "PaperStyle": "report.figures.paper",
    "Pool": "api.pool",
    "Predictions": "model",
    "Protocol": "studies.design.rules",
    "RateRange": "training.lr_range",
    "Recipe": "recipe",
    "RecipeOptions": "studies.design.recipes",
    "Rules": "studies.design.rules",
    "Rung": "studies.design.rungs",
    "RungPlan": "studies.design.recipes",
    "Search": "studies.proposals",
    "StepladderError": "errors",
    "Stopped": "training.stop",
    "Study": "api.results",
    "Sweep": "api.results",
    "Technique": "techniques",
    "TrainedModel": "api.results",
    "add_bag": "api.verbs",
    "as_matrix": "network.matrix",
    "bag_of_words": "api.verbs",
    "change_settings": "recipe",
    "check": "api.verbs",
    "curve": "api.verbs",
    "curve_command": "api.commands",
    "data": "api.verbs",
    "inspect": "api.verbs",
    "judge": "api.judge",
    "leak_test": "api.verbs",
    "load_image_set": "datasets",
    "load_model": "model",
    "load_network": "network",
    "load_recipe": "recipe",
    "load_study": "api.results",
    "lr_range": "api.verbs",
    "plan": "api.verbs",
    "plan_command": "api.commands",
    "prepare_push": "api.hub",
    "pull": "api.hub",
    "push": "api.hub",
    "pool": "api.pool",
    "predict": "api.verbs",
    "serve": "web.model.serving",
    "study": "api.verbs",
    "study_command": "api.commands",
    "sweep": "api.verbs",
    "sweep_command": "api.commands",
    "train": "api.verbs",
}

__all__ = [
    "TECHNIQUES",
    "Access",
    "BagOptions",
    "Budget",
    "Callbacks",
    "Check",
    "Citation",
    "CommandExecution",
    "CommandPlan",
    "Curve",
    "Execution",
    "Findings",
    "Forecast",
    "Grid",
    "ImageAudit",
    "ImageSet",
    "Inspection",
    "Judgment",
    "Labelled",
    "LrRange",
    "Mixing",
    "Model",
    "Network",
    "PaperStyle",
    "Pool",
    "Predictions",
    "Protocol",
    "RateRange",
    "Recipe",
    "RecipeOptions",
    "Rules",
    "Rung",
    "RungPlan",
    "Search",
    "StepladderError",
    "Stopped",
    "Study",
    "Sweep",
    "Technique",
    "TrainedModel",
    "add_bag",
    "as_matrix",
    "bag_of_words",
    "change_settings",
    "check",
    "curve",
    "curve_command",
    "data",
    "inspect",
    "judge",
    "leak_test",
    "load_image_set",
    "load_model",
    "load_network",
    "load_recipe",
    "load_study",
    "lr_range",
    "plan",
    "plan_command",
    "pool",
    "predict",
    "prepare_push",
    "pull",
    "push",
    "serve",
    "study",
    "study_command",
    "sweep",
    "sweep_command",
    "train",
]


_load = lazy_names(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # 20 ms, which no command should pay for

        return version("stepladder")
    return _load(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
