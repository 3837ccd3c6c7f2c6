import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from stepladder.cli import app

Call = Callable[..., Any]

# Every wrong input, with what its one sentence must say.
WRONG = {
    "no such path": (["study", "nowhere/at/all"], "there is no file or folder nowhere/at/all"),
    "no such name": (["study", "digts"], "did you mean 'digits'?"),
    "no seed": (["study", "digits", "--seeds", "0"], "--seeds is 0; it must be 1 to 1000"),
    "seeds in words": (["study", "digits", "--seeds", "three"], "three"),
    "no epoch": (["study", "digits", "--epochs", "0"], "epochs is 0"),
    "batch of one": (["study", "digits", "--batch-size", "1"], "batch_size is 1"),
    "validation": (["study", "digits", "--validation", "1.5"], "--validation is 1.5"),
    "limit": (["study", "digits", "--limit", "0"], "--limit is 0"),
    "plan": (["study", "digits", "--plan", "lader"], "did you mean 'ladder'?"),
    "recipe": (["study", "digits", "--recipe", "raport"], "did you mean 'report'?"),
    "setting": (["train", "digits", "--set", "optimizer.rl=1"], "did you mean 'optimizer.lr'?"),
    "setting without value": (["train", "digits", "--set", "epochs"], "write it as --set epochs=VALUE"),
    "setting given twice": (["train", "digits", "--epochs", "1", "--set", "epochs=2"], "epochs is given twice"),
    "value": (["train", "digits", "--set", "dropout.p=1.5"], "dropout.p is 1.5"),
    "rung": (["train", "digits", "--rung", "agument"], "unknown rung 'agument'; did you mean 'augment'?"),
    "device": (["study", "digits", "--device", "gpu"], "unknown device 'gpu'"),
    "precision": (["study", "digits", "--precision", "float16"], "unknown precision 'float16'"),
    "tracker": (
        ["study", "nowhere", "--track", "comet"],
        "unknown tracker 'comet'. Known: mlflow, tensorboard, trackio, wandb",
    ),
    "technique": (["techniques", "mixpu"], "unknown technique 'mixpu'"),
    "option": (["study", "digits", "--sedes", "3"], "--sedes"),
    "command": (["studdy"], "studdy"),
    "sweep of nothing": (["sweep", "digits"], "a sweep needs a key to go over; add --over optimizer.lr=0.3,0.1"),
    "sweep without a list": (["sweep", "digits", "--over", "optimizer.lr"], "write it as --over optimizer.lr=0.3,0.1"),
    "sweep of an empty list": (["sweep", "digits", "--over", "optimizer.lr="], "--over optimizer.lr= has no values"),
    "sweep of an empty value": (["sweep", "digits", "--over", "optimizer.lr=1,,2"], "has an empty value"),
    "sweep of a value twice": (["sweep", "digits", "--over", "optimizer.lr=0.1,1e-1"], "the value 0.1 twice"),
    "sweep of a key twice": (
        ["sweep", "digits", "--over", "optimizer.lr=1,2", "--over", "optimizer.lr=3"],
        "--over optimizer.lr is given twice",
    ),
    "sweep of one point": (["sweep", "digits", "--over", "optimizer.lr=1"], "a sweep compares several"),
    "sweep of no key": (["sweep", "digits", "--over", "optimizer.rl=1,2"], "did you mean 'optimizer.lr'?"),
    "sweep of no technique": (["sweep", "digits", "--over", "dropuot.p=0,0.5"], "did you mean 'dropout.p'?"),
    "sweep of no option": (["sweep", "digits", "--over", "mixup.alfa=0,1"], "did you mean 'mixup.alpha'?"),
    "sweep of words": (["sweep", "digits", "--over", "epochs=1,two"], "epochs is 'two'; it must be a whole number"),
    "sweep beyond 1": (["sweep", "digits", "--over", "horizontal_flip.p=0.5,1.5"], "horizontal_flip.p is 1.5; it must"),
    "sweep of no number": (["sweep", "digits", "--over", "optimizer.lr=0.1,nan"], "optimizer.lr is nan; it must be"),
    "sweep of the name": (["sweep", "digits", "--over", "name=a,b"], "what a recipe is called and nothing else"),
    "sweep and set": (
        ["sweep", "digits", "--over", "batch_size=8,16", "--batch-size", "32"],
        "batch_size is given twice, with --over and for all points",
    ),
    "sweep of a range": (["sweep", "digits", "--over", "optimizer.lr=0.1..1"], "add --search optuna, or list values"),
    "sweep by test": (
        ["sweep", "digits", "--over", "epochs=1,2", "--validation", "0"],
        "a sweep chooses by validation images, since test may choose nothing",
    ),
    "sweep of batches too large": (
        ["sweep", "digits", "--limit", "20", "--over", "batch_size=8,512"],
        "batch_size is 512 and 144 images train; take at most that many",
    ),
    "sweep of thousands": (
        ["sweep", "digits", "--over", "epochs=" + ",".join(map(str, range(1, 302)))],
        "301 points × 2 seeds are 602 trials, more than 500; take fewer, or add --yes",
    ),
    "sweep without seeds": (["sweep", "digits", "--over", "epochs=1,2", "--seeds", "0"], "--seeds is 0"),
    "search by another": (["sweep", "digits", "--over", "epochs=1,2", "--search", "optun"], "did you mean 'optuna'?"),
    "search backwards": (
        ["sweep", "digits", "--over", "optimizer.lr=1..0.1", "--search", "optuna"],
        "is no range from a smaller to a larger number",
    ),
    "search beyond": (
        ["sweep", "digits", "--over", "dropout.p=0..1.5", "--search", "optuna"],
        "dropout.p is 1.5; it must be",
    ),
    "search of thousands": (
        ["sweep", "digits", "--over", "epochs=1..9", "--search", "optuna", "--trials", "300"],
        "600 trials, more than 500",
    ),
    "search of nothing": (
        ["sweep", "digits", "--over", "epochs=1..9", "--search", "optuna", "--trials", "0"],
        "--trials is 0",
    ),
    "range test backwards": (["lr-range", "digits", "--low", "1", "--high", "0.1"], "the rates must rise from above 0"),
    "range test of few steps": (["lr-range", "digits", "--steps", "5"], "--steps is 5; it must be 100 to"),
    "range test with a budget": (["lr-range", "digits", "--epochs", "5"], "ends after --steps; leave it out"),
    "report of nothing": (["report", "nowhere"], "there is no study in nowhere"),
}


@pytest.mark.parametrize("arguments_and_words", WRONG.values(), ids=WRONG.keys())
def test_wrong_input_gets_a_sentence_and_exit_code_2(
    stepladder: Call, arguments_and_words: tuple[list[str], str], tmp_path: Path
) -> None:
    arguments, words = arguments_and_words
    outcome = stepladder(*arguments)
    assert outcome.code == 2
    assert words in outcome.err
    assert outcome.err.startswith("Error: ")
    assert "Traceback" not in outcome.err
    assert list(tmp_path.iterdir()) == []


# Said although the images are not there: they would be read for minutes first.
EARLY = {
    "no seed": (["study", "--seeds", "0"], "--seeds is 0"),
    "seeds in words": (["study", "--seeds", "three"], "--seeds is three"),
    "precision": (["study", "--precision", "float64"], "unknown precision 'float64'"),
    "device": (["train", "--device", "gpu"], "unknown device 'gpu'"),
    "threads": (["train", "--threads", "0"], "--threads is 0"),
    "streams on the CPU": (
        ["study", "--device", "cpu", "--streams", "2"],
        "--streams is for trials that share a CUDA GPU",
    ),
    "plan": (["plan", "--plan", "ladders"], "did you mean 'ladder'"),
    "study file": (["study", "--file", "nothing.toml"], "nothing.toml"),
    "metric": (["study", "--metric", "x"], "unknown metric 'x'"),
    "recipe": (["curve", "--recipe", "smal"], "did you mean 'small'?"),
    "network": (["train", "--network", "resnet0"], "did you mean 'resnet"),
    "technique": (["study", "--technique", "mixpu"], "did you mean 'mixup'?"),
    "rung": (["train", "--recipe", "report", "--rung", "agument"], "did you mean 'augment'?"),
    "epochs": (["curve", "--epochs", "0"], "epochs is 0"),
    "setting": (["sweep", "--over", "epochs=1,2", "--set", "epoch=5"], "did you mean 'epochs'?"),
    "optimizer": (["train", "--recipe", "report", "--set", "optimizer.rl=1"], "did you mean 'optimizer.lr'?"),
    "validation": (["lr-range", "--validation", "1.5"], "--validation is 1.5"),
    "tracker": (["train", "--track", "comet"], "unknown tracker 'comet'"),
    "axis": (["sweep", "--over", "optimizer.lr"], "write it as --over optimizer.lr=0.3,0.1"),
    "spread": (["plan", "--pilot", "no/study"], "there is no study in no/study"),
    "words": (["bag-of-words", "--words", "1"], "--words is 1"),
    "descriptor": (["bag-of-words", "--descriptor", "foo"], "unknown descriptor 'foo'"),
}


@pytest.mark.long
@pytest.mark.parametrize("arguments_and_words", EARLY.values(), ids=EARLY.keys())
def test_names_and_numbers_are_refused_before_images_are_read(
    stepladder: Call, arguments_and_words: tuple[list[str], str]
) -> None:
    (command, *more), words = arguments_and_words
    outcome = stepladder(command, "nowhere/at/all", *more)
    assert outcome.code == 2
    assert words in outcome.err


def test_help_lists_every_command_and_imports_no_torch() -> None:
    code = (
        "import sys; from stepladder.cli import run; code = run(['--help']); "
        "assert not {'torch', 'numpy', 'matplotlib', 'sklearn', 'pydantic'} & set(sys.modules); sys.exit(code)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    for command in app:
        assert command.startswith("-") or f" {command} " in process.stdout


def commands(inside: App, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name in inside:
        if not name.startswith("-"):
            yield (*above, name)
            yield from commands(inside[name], (*above, name))


@pytest.mark.long
@pytest.mark.parametrize("columns", ["80", "120"])
@pytest.mark.parametrize("command", list(commands(app)), ids=" ".join)
def test_every_command_has_help_with_an_example_to_copy(
    stepladder: Call, command: tuple[str, ...], columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    outcome = stepladder(*command, "--help")
    assert outcome.code == 0
    assert f"stepladder {' '.join(command)}" in outcome.out
    # An example that the terminal breaks cannot be copied.
    last = outcome.out.rstrip().rpartition("\n\n")[2].splitlines()
    assert last[0] == "Examples:" or last[0].startswith("Start with: stepladder ")
    assert all(line.startswith("  stepladder ") for line in last[1:])
    # Nothing is told that has no home of its own, and no default that says nothing.
    for word in ("--empty-", "default: ()", "default: False", "default: True", "grey"):
        assert word not in outcome.out


@pytest.mark.long
@pytest.mark.parametrize("command", ["study", "plan", "train", "sweep", "curve", "lr-range", "bag-of-words", "data"])
def test_what_most_people_need_comes_first_and_is_little(stepladder: Call, command: str) -> None:
    boxes = stepladder(command, "--help").out.split("╭─ ")[1:]
    assert boxes[0].startswith("What most people need")
    options = re.findall(r"^│ {1,5}(?:\*  )?((?:[A-Z]+ )?--[a-z-]+)", boxes[0], re.MULTILINE)
    assert options[0] == "DATA --data"
    assert len(options) <= 6
    assert not any("--data " in box for box in boxes[1:])
    assert [box.split(" ─")[0] for box in boxes if box.startswith(("What", "Images", "Recipe", "How", "Output"))] == [
        name
        for name in ("What most people need", "Images", "Recipe", "How it runs", "Output")
        if any(box.startswith(name) for box in boxes)
    ]


def test_a_reader_that_leaves_is_no_error() -> None:
    command = f"{sys.executable} -m stepladder techniques | head -1"
    process = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert process.stderr == ""


def test_a_full_disk_behind_stdout_is_one_sentence() -> None:
    command = f"{sys.executable} -m stepladder techniques > /dev/full"
    process = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert process.stderr.startswith("Error: cannot read or write the output: No space left on device")
    assert "Traceback" not in process.stderr


def test_the_version_is_that_of_the_package(stepladder: Call) -> None:
    assert stepladder("--version").out.strip() == version("stepladder")


@pytest.mark.long
def test_the_module_is_the_command_line() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "stepladder", "studdy"], capture_output=True, text=True, check=False
    )
    assert process.returncode == 2
    assert process.stderr.startswith("Error: ")
