"""Every picture of the documentation has a command that makes it, and a page that shows it."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest

from stepladder.cli import app

ROOT = Path(__file__).parents[1]
PROGRAM: dict[str, Any] = runpy.run_path(str(ROOT / "docs/make_pictures.py"))
ALL = PROGRAM["ALL"]
#: Made by ``python -m benchmarks atlas --page``, which tests/benchmarks/atlas has.
ATLAS = "atlas-"


def test_each_picture_has_its_commands_and_each_command_its_picture() -> None:
    files = {path.stem for path in (ROOT / "docs/images").iterdir() if not path.name.startswith(ATLAS)}
    assert files == set(ALL)


def test_each_picture_is_shown() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = {Path(name).stem for page in pages for name in re.findall(r"images/([\w.-]+png)", page.read_text("utf-8"))}
    assert {name for name in shown if not name.startswith(ATLAS)} == set(ALL)


@pytest.mark.long
@pytest.mark.parametrize("name", ALL)
def test_commands_are_understood(name: str) -> None:
    picture = ALL[name]
    server = getattr(picture.made, "server", None)
    commands = [one for one in (*picture.commands, picture.beside, server) if one and one.startswith("stepladder ")]
    for command in commands:
        words = shlex.split(command)[1:]
        bound = app.parse_args(words, print_error=False, exit_on_error=False)
        assert bound[1].arguments, command
    assert commands or picture.commands


def test_what_wants_other_images_says_so() -> None:
    assert ALL["ants-bees"].sets == ("ants-bees",)
    assert ALL["sweep-grid"].sets == ("cifar10-jpeg",)
    assert ALL["report"].sets == ()
    with pytest.raises(SystemExit, match=r"ants-bees wants ants-bees: say where image sets lie with --data FOLDER"):
        PROGRAM["make"]("ants-bees", None)
