"""What is written down of the code of a command, and of the Python that runs it."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from stepladder.studies.scores.environment import describe_code, describe_python


def test_the_commit_of_the_code_is_recorded(tmp_path: Path) -> None:
    assert describe_code(tmp_path) == {}
    for words in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    commit = subprocess.run(
        ["git", "-C", str(tmp_path), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    assert describe_code(tmp_path) == {"git commit": commit.stdout.strip()}


def test_the_packages_of_the_command_s_own_python_are_recorded(tmp_path: Path) -> None:
    found = describe_python(f"{sys.executable} train.py --seed {{seed}}", tmp_path)
    assert found["python of the command"] == platform.python_version()
    assert f"numpy {version('numpy')}" in found["packages"].split(", ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command", ["./train.sh {seed}", "Rscript train.R", "pythonic {seed}", "", "python0.1 x.py", "python 'x"]
)
def test_other_programs_are_not_asked(tmp_path: Path, command: str) -> None:
    assert describe_python(command, tmp_path) == {}


@pytest.mark.parametrize("said", ["", "no json", "[1"])
def test_a_python_that_says_something_else_is_no_error(tmp_path: Path, said: str) -> None:
    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, 0, stdout=said)

    assert describe_python("python train.py", tmp_path, run) == {}
