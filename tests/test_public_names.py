"""The public names: which there are, where they come from, and what they cost before they are used."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import stepladder
from stepladder.api import hub, judge, pool, verbs
from stepladder.cli import app
from stepladder.web.model import serving

#: Every verb of the command line that a program can want as well, as a function.
VERBS = {
    "bag_of_words",
    "check",
    "curve",
    "data",
    "inspect",
    "judge",
    "lr_range",
    "plan",
    "pool",
    "predict",
    "pull",
    "push",
    "serve",
    "study",
    "sweep",
    "train",
}
#: Where those are that are not with the others.
ELSEWHERE = {"judge": judge, "pool": pool, "pull": hub, "push": hub, "serve": serving}


def test_every_public_name_is_listed_and_there() -> None:
    assert sorted(stepladder._HOMES) == sorted(stepladder.__all__)
    assert dir(stepladder) == sorted({*dir(stepladder), *stepladder.__all__})
    for name in stepladder.__all__:
        assert getattr(stepladder, name).__doc__ or name == "TECHNIQUES"


def test_the_public_names_are_the_promised_ones() -> None:
    values = {
        "Access",
        "BagOptions",
        "Budget",
        "Callbacks",
        "Citation",
        "CommandExecution",
        "CommandPlan",
        "Execution",
        "Grid",
        "Labelled",
        "Protocol",
        "RateRange",
        "RecipeOptions",
        "Rules",
        "Rung",
        "RungPlan",
        "Search",
    }
    results = {
        "Check",
        "Curve",
        "Findings",
        "Forecast",
        "ImageAudit",
        "Inspection",
        "Judgment",
        "LrRange",
        "Mixing",
        "PaperStyle",
        "Pool",
        "Predictions",
        "Study",
        "Sweep",
        "TrainedModel",
    }
    parts = {
        "TECHNIQUES",
        "ImageSet",
        "Model",
        "Network",
        "Recipe",
        "Technique",
        "as_matrix",
        "change_settings",
        "curve_command",
        "leak_test",
        "load_image_set",
        "load_model",
        "load_network",
        "plan_command",
        "study_command",
        "sweep_command",
        "load_recipe",
        "load_study",
        "prepare_push",
    }
    errors = {"StepladderError", "Stopped"}
    assert set(stepladder.__all__) == VERBS | {"add_bag"} | values | results | parts | errors


def test_a_verb_is_a_function_and_a_command() -> None:
    commands = {name.replace("-", "_") for name in app if not name.startswith("-")}
    assert commands >= VERBS
    for name in VERBS:
        assert getattr(stepladder, name) is getattr(ELSEWHERE.get(name, verbs), name)


def test_no_module_hides_a_public_function() -> None:
    """Python binds a module over a name of its package when it is imported."""
    folder = Path(stepladder.__file__).parent
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert not modules & set(stepladder.__all__)


def test_importing_the_package_imports_no_torch() -> None:
    subprocess.run([sys.executable, "-c", "import stepladder, sys; assert 'torch' not in sys.modules"], check=True)


@pytest.mark.parametrize("name", [name for name in stepladder.__all__ if inspect.isfunction(getattr(stepladder, name))])
def test_a_folder_may_be_written_as_a_string(name: str) -> None:
    parameters = inspect.signature(getattr(stepladder, name)).parameters
    assert len(parameters) > 0
    for parameter in parameters.values():
        kinds = str(parameter.annotation).split(" | ")
        assert "Path" not in kinds or "str" in kinds, f"{name}({parameter.name}=...) takes no string"


def test_a_notebook_needs_no_path_objects(tmp_path: Path) -> None:
    images = stepladder.load_image_set("digits", limit=40)
    recipe = stepladder.RecipeOptions(
        "small", network="conv3-2 pool2 fc8 fc", settings={"epochs": 1, "batch_size": 16}, rung="standardize"
    )
    here = stepladder.Execution(device="cpu", precision="float32", workers=1)
    study = stepladder.study(images, recipe, seeds=1, out=f"{tmp_path}/study", execution=here, progress=False)
    assert len(stepladder.load_study(f"{tmp_path}/study").trials) == len(study.trials) == 2
    stepladder.train(images, recipe, out=f"{tmp_path}/trial", execution=here, progress=False)
    model = stepladder.load_model(f"{tmp_path}/trial/model")
    assert len(model.predict(images.splits["train"].images[:3]).names) == 3
    curve = stepladder.curve(images, recipe, seeds=1, out=f"{tmp_path}/curve", execution=here, progress=False)
    assert curve.folder == tmp_path / "curve"
    axes = ("optimizer.lr=0.1,0.01",)
    grid = stepladder.sweep(images, axes, recipe, seeds=1, out=f"{tmp_path}/sweep", execution=here, progress=False)
    assert len(grid.trials) == 2
    asked = stepladder.Search(axes, points=1)
    search = stepladder.sweep(images, asked, recipe, seeds=1, out=f"{tmp_path}/search", execution=here, progress=False)
    assert len(search.trials) == 1
