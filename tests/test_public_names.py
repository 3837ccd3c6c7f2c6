import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import stepladder
from stepladder.recipe import Recipe


def test_every_public_name_is_listed_and_there() -> None:
    assert sorted(stepladder._HOMES) == sorted(stepladder.__all__)
    for name in stepladder.__all__:
        assert getattr(stepladder, name).__doc__ or name == "TECHNIQUES"


def test_the_public_names_are_the_promised_ones() -> None:
    assert set(stepladder.__all__) == {
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
        "audit_image_set",
        "as_matrix",
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
    }


def test_importing_the_package_imports_no_torch() -> None:
    subprocess.run([sys.executable, "-c", "import stepladder, sys; assert 'torch' not in sys.modules"], check=True)


@pytest.mark.parametrize("name", [name for name in stepladder.__all__ if inspect.isfunction(getattr(stepladder, name))])
def test_a_folder_may_be_written_as_a_string(name: str) -> None:
    for parameter in inspect.signature(getattr(stepladder, name)).parameters.values():
        kinds = str(parameter.annotation).split(" | ")
        assert "Path" not in kinds or "str" in kinds, f"{name}({parameter.name}=...) takes no string"


def test_a_notebook_needs_no_path_objects(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> None:
    images, compute = stepladder.load_image_set("digits", limit=40), stepladder.choose_compute("cpu")
    recipe = tiny_recipe("standardize", epochs=1)
    stepladder.run_study(images, recipe, f"{tmp_path}/study", compute, seeds=1)
    assert len(stepladder.load_study(f"{tmp_path}/study").trials) == 2
    stepladder.train_model(images, recipe, f"{tmp_path}/trial", compute)
    model = stepladder.load_model(f"{tmp_path}/trial/model")
    assert len(model.predict(images.splits["train"].images[:3]).names) == 3
    curve = stepladder.run_curve(images, recipe, f"{tmp_path}/curve", compute, seeds=1)
    assert curve.folder == tmp_path / "curve"
    axes = ("optimizer.lr=0.1,0.01",)
    assert len(stepladder.run_sweep(images, recipe, axes, f"{tmp_path}/sweep", compute, seeds=1).trials) == 2
    search = stepladder.run_search(images, recipe, axes, f"{tmp_path}/search", compute, points=1, seeds=1)
    assert len(search.trials) == 1
