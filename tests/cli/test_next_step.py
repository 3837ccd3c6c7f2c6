"""The commands that a sweep, a search and a range test print are run as they stand, and do what they say."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.cli.next_step import NextStep
from stepladder.cli.training_options import DecidingOptions, TrainingOptions
from stepladder.recipe import load_recipe

Call = Callable[..., Any]
SMALL = ("--limit", "20", "--epochs", "2", "--batch-size", "16", "--rung", "standardize")


def printed(text: str, verb: str) -> list[str]:
    """The words of the command of that verb, without the program's name."""
    (line,) = [line.strip() for line in text.splitlines() if line.startswith(f"  stepladder {verb} ")]
    return shlex.split(line)[1:]


@pytest.mark.long
@pytest.mark.parametrize("how", [pytest.param(("--precision", "float32"), marks=pytest.mark.soak), ()])
def test_the_best_point_of_a_sweep_is_trained_to_the_bit_and_studied(stepladder: Call, how: tuple[str, ...]) -> None:
    rates = ("--over", "optimizer.lr=0.001,0.2", "--over", "batch_size=16,32", "--seeds", "1")
    where = ("--limit", "60", "--epochs", "6", "--rung", "standardize", "--validation", "0.2", "--out", "my sweep")
    swept = stepladder("sweep", "digits", *rates, *where, *how)
    assert swept.code == 0, swept.err
    best = load_recipe("my sweep/recipe.toml")
    assert (best.optimizer.lr, best.epochs) == (0.2, 6)
    assert [setting.name for setting in best.techniques] == ["standardize"]

    train = printed(swept.out, "train")
    assert "--precision" in train or not how  # by itself only where this processor leaves a choice
    trained = stepladder(*train)
    assert trained.code == 0, trained.err
    result = json.loads(Path("my sweep-model/result.json").read_text())
    (same,) = [
        json.loads(path.read_text())
        for path in Path("my sweep").glob("trials/*/result.json")
        if path.parent.name == result["trial"]
    ]
    assert (result["seed"], result["val_accuracy"]) == (0, same["val_accuracy"])
    history = Path("my sweep-model/history.csv").read_text().splitlines()
    assert [line.split(",")[2:5] for line in history] == [
        line.split(",")[2:5]
        for line in (Path("my sweep/trials") / result["trial"] / "history.csv").read_text().splitlines()
    ]

    study = printed(swept.out, "study")
    assert "--validation" in study
    done = stepladder(*study, "--seeds", "1")
    assert done.code == 0, done.err
    assert Path("my sweep-study/study.json").exists()
    assert stepladder("check", "my sweep").code == 0


@pytest.mark.long
def test_what_a_range_test_suggests_is_trained_with_its_schedule(stepladder: Call) -> None:
    tested = stepladder("lr-range", "digits", "--limit", "60", "--steps", "200", "--low", "0.001", "--seeds", "1")
    assert tested.code == 0, tested.err
    recipe = load_recipe("studies/digits-lr-range/recipe.toml")
    assert f"Suggested: optimizer.lr={recipe.optimizer.lr:g} " in tested.out
    assert "exponential_lr" in [setting.name for setting in recipe.techniques]
    assert printed(tested.out, "train") == [
        *("train", "digits", "--recipe", "studies/digits-lr-range/recipe.toml", "--limit", "60"),
        *("--out", "studies/digits-lr-range-model"),
    ]
    over = next(word for word in printed(tested.out, "sweep") if word.startswith("optimizer.lr="))
    rates = [float(rate) for rate in over.removeprefix("optimizer.lr=").split(",")]
    assert rates[len(rates) // 2] == pytest.approx(recipe.optimizer.lr, rel=0.05)
    assert stepladder("check", "studies/digits-lr-range").code == 0


@pytest.mark.long
def test_where_nothing_learned_there_is_no_next_command(stepladder: Call) -> None:
    swept = stepladder("sweep", "digits", "--over", "optimizer.lr=1e-9,1e-8", *SMALL, "--seeds", "1", "--out", "out")
    assert "  stepladder " not in swept.out
    assert not Path("out/recipe.toml").exists()


def test_images_and_machine_are_named_as_they_were_and_the_recipe_is_not() -> None:
    options = TrainingOptions(
        size=32,
        fit="pad",
        skip_damaged=True,
        recipe="small",
        settings=("optimizer.lr=0.2",),
        network="resnet9",
        technique=("mixup",),
        track=("tensorboard",),
        device="cpu",
    )
    deciding = DecidingOptions(metric="recall:a cat", select="best-val")
    step = NextStep("my images/", Path("a folder"), options, deciding, {"precision": "float32", "threads": "1"})
    assert step.command("train", Path("there"), same_bits=True) == (
        "stepladder train 'my images/' --recipe 'a folder/recipe.toml' --size 32 --fit pad --skip-damaged --device cpu "
        "--metric 'recall:a cat' --select best-val --precision float32 --threads 1 --out there"
    )
    own = NextStep("digits", Path("out"), TrainingOptions(network="net.py:build", precision="bfloat16"))
    assert own.command("study", Path("there"), "--seeds", "3") == (
        "stepladder study digits --recipe out/recipe.toml --precision bfloat16 --network net.py:build --seeds 3 "
        "--out there"
    )
