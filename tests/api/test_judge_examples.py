"""The worked examples of docs/judge.md: each script judged in three commands, and the published table."""

from __future__ import annotations

import csv
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

import stepladder

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples" / "judge"
PAGE = (ROOT / "docs" / "judge.md").read_text(encoding="utf-8")


def commands_after(words: str) -> list[list[str]]:
    """The commands of the first block behind some words of the page."""
    block = re.search(r"```sh\n(.*?)```", PAGE[PAGE.index(words) :], re.DOTALL)
    assert block is not None
    return [shlex.split(line) for line in block[1].replace("\\\n", " ").splitlines()]


def carry_out(words: list[str], folder: Path) -> str:
    """Run a command of the page in a folder of its own, with this Python and two seeds."""
    words = [word.replace("docs/examples", str(ROOT / "docs/examples")) for word in words]
    words = ["2" if before == "--seeds" else word for before, word in zip(["", *words], words, strict=False)]
    words = [word.replace("python ", f"{sys.executable} ", 1) if word.startswith("python ") else word for word in words]
    program = [sys.executable] if words[0] == "python" else [sys.executable, "-m", "stepladder"]
    done = subprocess.run([*program, *words[1:]], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 10), done.stderr + done.stdout
    return done.stdout


@pytest.mark.soak
@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("scikit-learn, as a command", "Required: helped:"),
        ("Plain PyTorch with a checkpoint", "Required: helped:"),
        ("A script as Keras users write them", "Score: column val_accuracy"),
    ],
)
def test_each_script_is_judged_in_three_commands(tmp_path: Path, words: str, verdict: str) -> None:
    commands = commands_after(words)
    assert len(commands) == 3
    said = "".join(carry_out(command, tmp_path) for command in commands)
    assert verdict in said
    assert "Report: " in said


@pytest.mark.soak
def test_the_sweep_of_the_page_finds_its_best_point(tmp_path: Path) -> None:
    (command,) = commands_after("### Settings: sweep and search")
    said = carry_out(command, tmp_path)
    assert "has the highest mean validation score (accuracy)" in said
    assert "A sweep chooses by val alone, and keeps no test score." in said


@pytest.mark.soak
def test_the_curve_of_the_page_says_what_more_data_would_bring(tmp_path: Path) -> None:
    (command,) = commands_after("### Would more data help?")
    said = carry_out(command, tmp_path)
    assert "All training has ended; test is read now, for 8 runs." in said
    assert "With twice the training images, accuracy would change by about" in said


@pytest.mark.long
def test_the_plan_of_the_page_tells_what_it_would_run(tmp_path: Path) -> None:
    (command,) = commands_after("With\n`--max-time 2h` it is the default")
    said = carry_out(command, tmp_path)
    assert re.search(r"  mixup\+ema +\S*python\S* train\.py --seed 0 --mixup 0\.2 --ema", said)
    assert "Nothing was run." in said


@pytest.mark.long
def test_the_script_in_the_manner_of_keras_is_read_as_keras_is(tmp_path: Path) -> None:
    for variant, lr in (("slow", "0.1"), ("fast", "0.3")):
        subprocess.run(
            [
                sys.executable,
                str(EXAMPLES / "train_keras_style.py"),
                str(tmp_path / variant),
                "--lr",
                lr,
                "--seeds",
                "3",
            ],
            check=True,
        )
    judgment = stepladder.judge(f"{tmp_path}/{{variant}}/seed{{seed}}", baseline="slow")
    assert judgment.columns["Runs"].endswith("6 of Keras")
    assert judgment.record.metric == "val_accuracy"
    assert judgment.verdicts["fast"] == "helped"


def auc() -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    with (EXAMPLES / "demsar-2006.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["method"], []).append(float(row["auc"]))
    return found


def test_a_published_table_is_judged_again() -> None:
    plain, tuned = auc().values()
    # As the paper works it out by hand (section 3.1.3): T = 12, and differences of zero count half for each side.
    differences = [round(b - a, 3) for a, b in zip(plain, tuned, strict=True)]
    assert stats.wilcoxon(differences, zero_method="zsplit").statistic == 12
    judgment = stepladder.judge(EXAMPLES / "demsar-2006.csv", final=True)
    (effect,) = judgment.effects
    expected: Any = stats.ttest_rel(tuned, plain)
    assert effect.p_value == pytest.approx(expected.pvalue)
    assert effect.verdict == "helped"
    shown = stepladder.judge(EXAMPLES / "demsar-2006.csv").effects[0]
    assert shown.mean == pytest.approx(0.0155)
    assert "+1.55 points [+0.30, +2.80], n = 14" in re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", PAGE)  # links left out
    assert [round(100 * end, 2) for end in shown.interval or ()] == [0.30, 2.80]
