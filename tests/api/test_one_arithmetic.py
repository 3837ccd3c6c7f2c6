"""Four functions train one network here in one precision, and say which; a best point is trained to the same bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stepladder.api import verbs
from stepladder.datasets import ImageSet
from stepladder.recipe import Recipe, load_recipe
from stepladder.report.recipe_file import same_arithmetic
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution
from stepladder.training.arithmetic import Arithmetic
from stepladder.training.lr_range import RateRange


class Notes(Callbacks):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.long
def test_train_sweep_study_and_lr_range_ask_for_one_arithmetic_and_print_it(
    digits: ImageSet, tiny_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[Any, ...]] = []

    def choose(*arguments: Any) -> Arithmetic:
        asked.append(arguments[:4])
        return Arithmetic("float32", "measured", 12.0, 15.0, 16, 5)

    monkeypatch.setattr("stepladder.studies.prepare.choose_arithmetic", choose)
    recipe, usual = tiny_recipe("standardize", "exponential_lr", epochs=3), Execution("cpu", workers=1)
    notes = [Notes() for _ in range(4)]
    swept = verbs.sweep(
        digits, {"optimizer.lr": [0.0001, 0.2]}, recipe, seeds=1, out=tmp_path / "a", execution=usual, progress=notes[0]
    )
    assert swept.recipe is not None
    assert swept.recipe.optimizer.lr == 0.2
    found = verbs.lr_range(
        digits, recipe, seeds=1, span=RateRange(1e-3, 5, 100), out=tmp_path / "b", execution=Execution("cpu"),
        progress=notes[1],
    )  # fmt: skip
    trained = verbs.train(digits, swept.recipe, out=tmp_path / "c", execution=Execution("cpu"), progress=notes[2])
    studied = verbs.study(digits, recipe=swept.recipe, seeds=1, out=tmp_path / "d", execution=usual, progress=notes[3])
    assert len(asked) == 4
    assert all(one == asked[0] for one in asked)
    for each in notes:
        assert sum("Precision: float32, measured to be as fast" in text for text in each.said) == 1
    assert {found.precision, swept.record.precision, studied.record.precision} == {"float32"}

    (same,) = [trial for trial in swept.trials if trial.result.trial == trained.result.trial]
    assert same.result.val_accuracy == trained.result.val_accuracy
    assert load_recipe(str(tmp_path / "a" / "recipe.toml")) == swept.recipe


@pytest.mark.parametrize(
    ("reason", "size", "threads", "needed"),
    [
        ("only", 8, 1, {}),
        ("measured", 8, 1, {"precision": "bfloat16"}),
        ("only", 32, 1, {"threads": "1"}),  # a step of 3·10⁹ MACs, for which a training alone takes all cores
        ("asked", 32, 3, {"precision": "bfloat16", "threads": "3"}),
        ("only", 32, None, {}),
    ],
)
def test_what_the_bits_of_a_sweep_need(reason: str, size: int, threads: int | None, needed: dict[str, str]) -> None:
    recipe = load_recipe("report")
    record = SimpleNamespace(
        device="cpu",
        precision="bfloat16",
        threads=threads,
        arithmetic=SimpleNamespace(reason=reason),
        data=SimpleNamespace(image_shape=(size, size, 3), class_names=("a",) * 10),
        rungs=[SimpleNamespace(name="best", recipe=recipe.to_table())],
        scores=None,
    )
    best = SimpleNamespace(point=SimpleNamespace(name="best"))
    findings: Any = SimpleNamespace(best=best, study=SimpleNamespace(record=record))
    assert same_arithmetic(findings) == needed
    record.device = "cuda"
    assert same_arithmetic(findings) == {}
    findings.best = None
    assert same_arithmetic(findings) == {}
