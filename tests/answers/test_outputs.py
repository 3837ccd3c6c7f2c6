"""The commands of the answers print what is shown.

``pytest tests/answers/test_outputs.py --refresh-golden`` writes what they print, with ``-m ''`` also that of trainings.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch

from stepladder.answers.book import Demonstration, cut_out, output_name, raw_questions
from stepladder.answers.numbers import numbers

OUTPUTS = Path(__file__).parents[2] / "src/stepladder/answers/outputs"


def demonstrations(trains: bool) -> list[Any]:
    return [
        pytest.param(one, output_name(question.number, position), id=output_name(question.number, position))
        for question in raw_questions()
        for position, one in enumerate(question.demonstrations, start=1)
        if one.trains == trains
    ]


def golden(request: pytest.FixtureRequest, name: str, text: str) -> str:
    if request.config.getoption("--refresh-golden"):
        (OUTPUTS / name).write_text(text + "\n", encoding="utf-8")
    return (OUTPUTS / name).read_text(encoding="utf-8").rstrip("\n")


def run_python(code: str) -> str:
    printed = StringIO()
    with redirect_stdout(printed), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        exec(compile(code, "answer", "exec"), {})
    return printed.getvalue()


@pytest.mark.long
@pytest.mark.parametrize(("one", "name"), demonstrations(trains=False))
def test_it_prints_what_is_shown(
    one: Demonstration,
    name: str,
    stepladder: Callable[..., Any],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if one.python:
        printed = run_python(one.command)
    else:
        monkeypatch.setenv("COLUMNS", "80")
        outcome = stepladder(*shlex.split(one.command)[1:])
        assert outcome.code == one.exit_code, outcome.err
        printed = outcome.out + outcome.err
    shown = cut_out(printed, one.shown)
    assert shown == golden(request, name, shown), f"{name} changed; if that is right, run with --refresh-golden"


def masked(text: str) -> list[str]:
    """The words of an output that do not depend on the processor: names of rungs and values, headers."""
    words = [line.split()[0] for line in text.splitlines() if line.strip("─ …")]
    return [re.sub(r"(?<=.)[\d.,]+|^[\d.,]+$", "N", word) for word in words]


def run_training(one: Demonstration, folder: Path) -> tuple[int, str]:
    places = {f"XDG_{kind}_HOME": str(folder / kind) for kind in ("CACHE", "STATE", "DATA")}
    what = ["-c", one.command] if one.python else ["-m", "stepladder", *shlex.split(one.command)[1:]]
    done = subprocess.run(
        [sys.executable, *what],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=os.environ | places | {"COLUMNS": "80"},
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.soak
@pytest.mark.parametrize(("one", "name"), demonstrations(trains=True))
def test_a_training_prints_the_same_but_for_its_figures(
    one: Demonstration, name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    code, printed = run_training(one, tmp_path)
    assert code == one.exit_code, printed
    shown = cut_out(printed, one.shown)
    assert masked(shown) == masked(golden(request, name, shown))


@pytest.mark.parametrize(("one", "name"), demonstrations(trains=True))
def test_a_training_is_shown_with_all_its_rungs(one: Demonstration, name: str) -> None:
    """What the long test asks, without training: every rung and value of the command stands in its output."""
    assert one.output
    if one.python:
        return
    words = shlex.split(one.command)
    after = {
        option: [words[n + 1] for n, word in enumerate(words) if word == option] for option in ("--rung", "--over")
    }
    rows = [rung.strip("+").split(":")[0] for rung in after["--rung"]] if words[1] == "study" else []
    rows += [value for axis in after["--over"] for value in axis.split("=")[1].split(",")]
    for row in rows:
        assert re.search(rf"^ *{re.escape(row)} ", one.output, re.MULTILINE), (name, row)


def test_a_short_training_prints_what_is_shown(stepladder: Callable[..., Any]) -> None:
    """On few images: the last lines that the first training of the book ends with."""
    one = next(one for question in raw_questions() if question.number == 13 for one in question.demonstrations)
    outcome = stepladder(*shlex.split(one.command)[1:], "--limit", "20")
    assert outcome.code == 0, outcome.err
    assert masked(cut_out(outcome.out, one.shown)) == masked(one.output)


def test_an_untrained_network_is_as_the_book_says() -> None:
    (one,) = next(question.demonstrations for question in raw_questions() if question.number == 17)
    losses = [float(loss) for loss in re.findall(r"loss (\d\.\d+)", one.output)]
    assert losses == pytest.approx([float(numbers()["ln_classes"])] * 4, abs=0.02)
    assert all(int(named) < 10 for named in re.findall(r"names (\d+) of", one.output))


def test_every_output_belongs_to_a_command() -> None:
    named = {param.id for trains in (True, False) for param in demonstrations(trains)}
    assert {path.name for path in OUTPUTS.iterdir()} == named


def test_lines_are_cut_out_and_what_lacks_is_said() -> None:
    from stepladder.answers import Excerpt

    printed = "one\n  two  x\nthree\nfour\nfive\n"
    assert cut_out(printed, ()) == "one\n  two  x\nthree\nfour\nfive"
    assert cut_out(printed, (Excerpt("two x"), Excerpt("four", 2))) == "…\n  two  x\n…\nfour\nfive"
    assert cut_out(printed, (Excerpt("one"),)) == "one\n…"
    with pytest.raises(AssertionError, match="no line begins with 'six'"):
        cut_out(printed, (Excerpt("six"),))
