"""A technique of the user's own that raises after the first batch: one sentence everywhere, never a traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stepladder.cli import run
from stepladder.techniques import catalogue

Call = Callable[..., Any]

LATE = '''from stepladder import Technique


class Late(Technique):
    """Raise in step 5."""

    def batch_started(self, positions, progress):
        if progress.step == 5:
            raise ValueError("too late")
'''
SENTENCE = "late.batch_started raised ValueError: too late (late.py, line 9) in epoch 1"
FAST = ("--limit", "20", "--batch-size", "16", "--technique", "late.py:Late")


@pytest.fixture(autouse=True)
def late(monkeypatch: pytest.MonkeyPatch, stepladder: Call) -> None:
    monkeypatch.setattr(catalogue, "_OWN", {})
    Path("late.py").write_text(LATE)  # in the empty folder that the command runs in


def test_train_says_which_hook_and_line(stepladder: Call) -> None:
    outcome = stepladder("train", "digits", "--epochs", "1", *FAST)
    assert outcome.code == 1
    assert f"Failed: {SENTENCE}" in outcome.out
    assert "Traceback" not in outcome.out + outcome.err


def test_lr_range_does_not_take_it_for_its_end(stepladder: Call) -> None:
    outcome = stepladder("lr-range", "digits", "--seeds", "1", *FAST)
    assert outcome.code == 2
    assert outcome.err == f"Error: the range test of seed 0 failed: {SENTENCE}\n"
    assert not Path("studies").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    "command", [("study", "digits", "--rung", "base:"), ("sweep", "digits", "--over", "optimizer.lr=0.1,0.01")]
)
def test_in_a_study_it_is_a_failed_trial(stepladder: Call, command: tuple[str, ...]) -> None:
    outcome = stepladder(*command, "--epochs", "1", "--seeds", "1", "--out", "out", *FAST)
    assert outcome.code == 1
    assert "Traceback" not in outcome.out + outcome.err
    assert f"failed: {SENTENCE}" in outcome.out
    results = [json.loads(path.read_text()) for path in Path("out/trials").glob("*/result.json")]
    assert len(results) == 2
    assert {result["failure"] for result in results if result["status"] == "failed"} == {SENTENCE}


@pytest.mark.long
def test_a_sweep_does_not_say_that_it_diverged(stepladder: Call) -> None:
    outcome = stepladder("sweep", "digits", "--over", "optimizer.lr=0.1,0.01", "--epochs", "1", "--seeds", "1", *FAST)
    text = " ".join(outcome.out.split())
    assert (
        "Stopped early, which says nothing about accuracy: optimizer.lr=0.01; optimizer.lr=0.1. The first was stopped "
        "because: late." in text
    )
    assert "iverged" not in text


@pytest.mark.long
def test_a_curve_counts_it(stepladder: Call) -> None:
    outcome = stepladder("curve", "digits", "--epochs", "1", "--seeds", "1", *FAST)
    assert outcome.code == 1
    assert SENTENCE in outcome.out
    assert "Traceback" not in outcome.out + outcome.err


def test_what_raises_before_the_first_step_is_a_sentence_too(stepladder: Call) -> None:
    # The second call comes after the first batch was tried, when the untrained network is evaluated.
    Path("late.py").write_text(
        "from stepladder import Technique\n\ncalls = []\n\n\nclass Late(Technique):\n"
        '    """Raise when images are prepared for the second time."""\n\n'
        "    def prepare(self, images):\n        calls.append(1)\n        if len(calls) == 2:\n"
        '            raise ValueError("too often")\n        return images / 2\n'
    )
    outcome = stepladder("train", "digits", "--epochs", "1", *FAST)
    assert outcome.code == 1
    assert "Failed: late.prepare raised ValueError: too often (late.py, line 12) in epoch 1" in outcome.out


def test_what_raises_after_the_last_step_is_a_sentence_too(stepladder: Call) -> None:
    # A model that is loaded to read test is first asked about one image.
    Path("late.py").write_text(
        'from stepladder import Technique\n\n\nclass Late(Technique):\n    """Refuse an image alone."""\n\n'
        "    def prepare(self, images):\n        if len(images) == 1:\n"
        '            raise ValueError("alone")\n        return images / 2\n'
    )
    outcome = stepladder("train", "digits", "--epochs", "1", *FAST)
    assert outcome.code == 2
    assert outcome.err == "Error: late.prepare raised ValueError: alone (late.py, line 9)\n"


def test_memory_that_is_short_before_training_is_a_sentence(stepladder: Call) -> None:
    # No trial has begun that could be recorded as failed.
    Path("late.py").write_text(
        'from stepladder import Technique\n\n\nclass Late(Technique):\n    """Ask for more than there is."""\n\n'
        '    def fit(self, batches):\n        raise MemoryError("Unable to allocate 3.00 TiB for an array")\n'
    )
    outcome = stepladder("train", "digits", "--epochs", "1", *FAST)
    assert outcome.code == 2
    assert outcome.err.startswith(
        "Error: out of memory: late.fit raised MemoryError: Unable to allocate 3.00 TiB for an array (late.py, line 8)"
        "; fewer images, smaller ones, a smaller batch or a smaller network need less (--limit, --size"
    )


DIM = '''from stepladder import Technique


class Dim(Technique):
    """Halve all pixels, in prediction too."""

    name = "dim"
    group = "inputs"
    summary = "halve all pixels"
    paper = "none"
    caveat = "for a test"

    def prepare(self, images):
        return images / 2
'''


@pytest.fixture(scope="module")
def dimmed_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a technique in dim.py and a study of it in o, trained once for all that follow."""
    folder = tmp_path_factory.mktemp("dimmed")
    rungs = ("--rung", "base:", "--rung", "+dim:dim", "--technique", "dim.py:Dim")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "_OWN", {})
        patch.chdir(folder)
        Path("dim.py").write_text(DIM)
        assert run(["study", "digits", *rungs, "--epochs", "1", "--seeds", "2", "--limit", "20", "--out", "o"]) == 0
    return folder


@pytest.fixture
def dimmed(stepladder: Call, dimmed_study: Path) -> Path:
    """The model of that study, copied here, in a process that has not heard of the technique since."""
    shutil.copytree(dimmed_study, ".", dirs_exist_ok=True)
    found = [path for path in Path("o/trials").glob("*/model") if '"dim"' in (path / "config.json").read_text()]
    return found[0]


@pytest.mark.long
@pytest.mark.parametrize("command", ["predict", "export", "explain", "check", "report"])
def test_a_later_command_knows_it_when_told(
    stepladder: Call, dimmed: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (8, 8), 128).save("one.png")
    given = {"predict": (dimmed, "one.png"), "explain": (dimmed, "one.png"), "export": (dimmed,)}
    arguments = [str(one) for one in given.get(command, ("o",))]
    untold = stepladder(command, *arguments)
    assert untold.code != 0
    assert "dim" in untold.out + untold.err
    monkeypatch.setattr(catalogue, "_OWN", {})
    told = stepladder(command, *arguments, "--technique", "dim.py:Dim")
    assert told.code == 0, told.out + told.err
