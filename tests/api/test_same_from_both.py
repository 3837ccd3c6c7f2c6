"""The same study from Python and from the command line: the same trials, the same bits, the same files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import stepladder as sl
from stepladder.datasets import ImageSet
from stepladder.studies.files.bits import trial_bits, without_times

#: As in the fixtures.
LINE = "conv3-2 pool2 fc8 fc"
DATA = ("digits", "--limit", "13")
TRAINING = ("--network", LINE, "--epochs", "1", "--batch-size", "16", "--precision", "float32", "--device", "cpu")
ALONE = ("--workers", "1")


def files(folder: Path) -> set[str]:
    """Return the names of all files, but for those that a process leaves to say that it was there."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.suffix}


def same(python: Path, command: Path) -> None:
    """Hold two folders to the same trials, bits and files; but for times, and the command in the record."""
    assert files(python) == files(command)
    assert trial_bits(python) == trial_bits(command)
    for name in ("results.csv", "verdicts.json", "points.json"):
        one, other = python / name, command / name
        assert one.exists() == other.exists()
        if name == "results.csv":
            assert without_times(one.read_text()) == without_times(other.read_text())
        elif one.exists():
            times = {"seconds"}
            assert _without(json.loads(one.read_text()), times) == _without(json.loads(other.read_text()), times)
    records = [json.loads((folder / "study.json").read_text()) for folder in (python, command)]
    assert records[0]["plan_hash"] == records[1]["plan_hash"]
    assert records[0]["command"].startswith("stepladder.")
    assert records[1]["command"].startswith("stepladder ")


def _without(value: Any, keys: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner, keys) for key, inner in value.items() if key not in keys}
    return [_without(inner, keys) for inner in value] if isinstance(value, list) else value


@pytest.mark.long
def test_study(stepladder: Callable[..., Any], small_study: Callable[..., sl.Study], tmp_path: Path) -> None:
    python = small_study()
    rungs = ("--rung", "base:", "--rung", "+standardize:standardize")
    done = stepladder("study", *DATA, *TRAINING, *ALONE, *rungs, "--seeds", "2", "--out", "command")
    assert done.code == 0
    same(python.folder, tmp_path / "command")
    # Either goes on with what the other began.
    done = stepladder("study", *DATA, *TRAINING, *ALONE, *rungs, "--seeds", "2", "--out", str(python.folder))
    assert "All of it was trained before" in done.out


@pytest.mark.long
def test_study_by_the_plan_of_a_recipe(
    stepladder: Callable[..., Any], few: ImageSet, tiny: sl.RecipeOptions, here: sl.Execution, tmp_path: Path
) -> None:
    options = replace(tiny, techniques=("mixup",), rung=None)
    rules = sl.Rules(metric="macro_f1", alpha=0.1, smallest_effect=0.02, select="best-val")
    study = sl.study(few, options, plan="leave-one-out", seeds=1, rules=rules, execution=here, progress=False)
    assert study.folder == Path("studies") / f"digits-{_label()}-leave-one-out"
    judged = ("--metric", "macro_f1", "--alpha", "0.1", "--smallest-effect", "2", "--select", "best-val")
    asked = ("--plan", "leave-one-out", "--technique", "mixup", "--seeds", "1", "--out", "command")
    assert stepladder("study", *DATA, *TRAINING, *ALONE, *judged, *asked).code == 0
    same(study.folder, tmp_path / "command")


def _label() -> str:
    from stepladder.network import find_network

    return find_network(LINE).label


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.long
def test_sweep(
    stepladder: Callable[..., Any], few: ImageSet, tiny: sl.RecipeOptions, here: sl.Execution, tmp_path: Path
) -> None:
    found = sl.sweep(few, {"optimizer.lr": [0.3, 0.1]}, tiny, out="python", execution=here, progress=False)
    done = stepladder("sweep", *DATA, *TRAINING, *ALONE, "--over", "optimizer.lr=0.3,0.1", "--out", "command")
    assert done.code == 0
    same(tmp_path / "python", tmp_path / "command")
    assert len(found.points) == 2
    assert len(found.to_pandas("points")) == 2


@pytest.mark.long
def test_search(
    stepladder: Callable[..., Any], few: ImageSet, tiny: sl.RecipeOptions, here: sl.Execution, tmp_path: Path
) -> None:
    search = sl.Search(("optimizer.lr=0.01..0.3",), points=2)
    sl.sweep(few, search, tiny, seeds=1, out="python", execution=here, progress=False)
    asked = ("--over", "optimizer.lr=0.01..0.3", "--search", "optuna", "--trials", "2", "--seeds", "1")
    assert stepladder("sweep", *DATA, *TRAINING, *ALONE, *asked, "--out", "command").code == 0
    same(tmp_path / "python", tmp_path / "command")


@pytest.mark.long
def test_curve(stepladder: Callable[..., Any], tiny: sl.RecipeOptions, here: sl.Execution, tmp_path: Path) -> None:
    images = sl.load_image_set("digits", limit=30)
    curve = sl.curve(images, tiny, seeds=1, out="python", execution=here, progress=False)
    done = stepladder("curve", "digits", "--limit", "30", *TRAINING, *ALONE, "--seeds", "1", "--out", "command")
    assert done.code == 0
    same(tmp_path / "python", tmp_path / "command")
    assert [size.images for size in curve.sizes] == [20, 40, 106, 216]
    assert stepladder("check", "command").code == 0


def test_train(
    stepladder: Callable[..., Any], few: ImageSet, tiny: sl.RecipeOptions, here: sl.Execution, tmp_path: Path
) -> None:
    options = replace(tiny, rung="standardize")
    trained = sl.train(few, options, seed=3, out="python", execution=replace(here, threads=1), progress=False)
    asked = ("--rung", "standardize", "--seed", "3", "--threads", "1", "--out", "command")
    assert stepladder("train", *DATA, *TRAINING, *asked).code == 0
    assert files(tmp_path / "python") == files(tmp_path / "command")
    weights = "model/model.safetensors"
    assert (tmp_path / "python" / weights).read_bytes() == (tmp_path / "command" / weights).read_bytes()
    assert f"{100 * trained.result.test_accuracy:.2f} % on test" in repr(trained)


@pytest.mark.long
def test_lr_range(
    stepladder: Callable[..., Any], few: ImageSet, tiny: sl.RecipeOptions, here: sl.Execution, tmp_path: Path
) -> None:
    options = replace(tiny, settings={"batch_size": 16})
    span = sl.RateRange(1e-4, 1.0, 100)
    sl.lr_range(few, options, seeds=1, span=span, out="python", execution=here, progress=False)
    training = ("--network", LINE, "--batch-size", "16", "--precision", "float32", "--device", "cpu")
    asked = ("--low", "1e-4", "--high", "1", "--steps", "100", "--seeds", "1", "--out", "command")
    assert stepladder("lr-range", *DATA, *training, *asked).code == 0
    assert files(tmp_path / "python") == files(tmp_path / "command")
    assert (tmp_path / "python/lr-range.csv").read_text() == (tmp_path / "command/lr-range.csv").read_text()


@pytest.mark.long
def test_plan(stepladder: Callable[..., Any], few: ImageSet, tiny: sl.RecipeOptions, here: sl.Execution) -> None:
    forecast = sl.plan(few, tiny, plan="add-one", seeds="auto", spread=0.01, execution=here, progress=False)
    asked = ("--plan", "add-one", "--seeds", "auto", "--sd", "1", "--json")
    document = json.loads(stepladder("plan", *DATA, *TRAINING, *asked).out)
    assert document["study"]["plan_hash"] == forecast.record.plan_hash
    assert document["detectable"] == {str(seeds): size for seeds, size in forecast.detectable.items()}
    assert document["trials"] == {"fewest": forecast.fewest, "most": forecast.most}


@pytest.mark.long
def test_predict(stepladder: Callable[..., Any], small_study: Callable[..., sl.Study], tmp_path: Path) -> None:
    study = small_study()
    (tmp_path / "new").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "new" / f"{number}.png")
    said = sl.predict(study.model, "new/")
    folder = next(study.folder.glob("trials/*/model"))
    assert sl.predict(folder, "new/").names == sl.predict(sl.load_model(folder), "new/").names
    model = study.findings.shown.trial.folder / "model"
    document = json.loads(stepladder("predict", str(model), "new/", "--json").out)
    assert [image["top"][0]["class"] for image in document["images"]] == said.names == study.model.predict("new/").names


def test_inspect(stepladder: Callable[..., Any], few: ImageSet) -> None:
    inspection = sl.inspect(LINE, few)
    document = json.loads(stepladder("inspect", LINE, "--data", "digits", "--json").out)
    assert document["weights"] == inspection.weights
    assert document["macs"] == inspection.macs


def test_data(stepladder: Callable[..., Any], few: ImageSet) -> None:
    audit = sl.data(few)
    document = json.loads(stepladder("data", *DATA, "--json").out)
    assert document["fingerprint"] == audit.image_set.fingerprint
    assert document["mean"] == list(audit.mean)


@pytest.mark.long
def test_check(stepladder: Callable[..., Any], small_study: Callable[..., sl.Study]) -> None:
    study = small_study()
    assert sl.check(study.folder).holds
    assert stepladder("check", str(study.folder)).code == 0
    (study.folder / "verdicts.json").unlink()
    assert not sl.check(study.folder).holds
    assert "verdicts.json is not there" in stepladder("check", str(study.folder)).out
    assert sl.check(study.folder, repair=True).repaired
    assert sl.check(study.folder).holds


@pytest.mark.long
def test_bag_of_words(stepladder: Callable[..., Any], few: ImageSet, tmp_path: Path) -> None:
    bag = sl.bag_of_words(few, sl.BagOptions(words=10), seeds=1, out="python", progress=False)
    assert stepladder("bag-of-words", *DATA, "--words", "10", "--seeds", "1", "--out", "command").code == 0
    assert files(tmp_path / "python") == files(tmp_path / "command")
    name = "seeds/0/predictions.safetensors"
    assert (tmp_path / "python" / name).read_bytes() == (tmp_path / "command" / name).read_bytes()
    assert bag.results[0].words == 10
