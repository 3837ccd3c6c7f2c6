"""No output fails for want of a letter, what programs read is UTF-8, and a pipe that ends is a quiet end."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepladder.cli import run
from stepladder.cli.console import make_console
from stepladder.cli.streams import _NEAREST, PIPE_ENDED, let_any_letter_through
from stepladder.errors import StepladderWarning

SCREENS = ["ascii", "cp1252", "koi8-r", "shift_jis", "utf-8"]
#: A folder whose name is no UTF-8, one of letters that western screens lack, and one that all of them have.
CLASSES = (os.fsdecode(b"caf\xe9"), "猫", "dog")

Screen = Callable[[str], tuple[BytesIO, BytesIO]]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Gives stdout and stderr an encoding, and returns what they hold."""

    def show(encoding: str) -> tuple[BytesIO, BytesIO]:
        files = BytesIO(), BytesIO()
        for name, file in zip(("stdout", "stderr"), files, strict=True):
            monkeypatch.setattr(sys, name, TextIOWrapper(file, encoding=encoding, write_through=True))
        return files

    return show


@pytest.fixture
def odd_names(tmp_path: Path) -> Path:
    """Eight images of each class."""
    random = np.random.default_rng(0)
    for name in CLASSES:
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(8):
            pixels = random.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    return tmp_path / "images"


@pytest.mark.long
@pytest.mark.parametrize("encoding", SCREENS)
@pytest.mark.parametrize("command", [("techniques",), ("inspect", "report"), ("data",), ("--help",)], ids=" ".join)
def test_every_screen_can_show_what_a_command_says(
    screen: Screen, odd_names: Path, encoding: str, command: tuple[str, ...]
) -> None:
    out, err = screen(encoding)
    assert run([*command, str(odd_names)] if command == ("data",) else list(command)) == 0
    said = out.getvalue().decode(encoding)
    assert len(said) > 100
    assert err.getvalue() == b""
    if command == ("data",):
        assert "\\udce9" in said  # no guess at another name
        assert ("猫" if encoding in ("utf-8", "shift_jis") else "\\u732b") in said


@pytest.mark.parametrize("encoding", SCREENS)
def test_our_own_letters_become_near_ones_and_names_stay_told_apart(screen: Screen, encoding: str) -> None:
    out, _ = screen(encoding)
    let_any_letter_through()
    console = make_console(as_json=False)
    console.print(f"−0.61 ± 0.2 %, 8×8 … {''.join(_NEAREST)} ─│┼█▏⠋", soft_wrap=True, markup=False)
    console.print("caf\udce9 猫", markup=False)
    said = out.getvalue().decode(encoding)
    assert "?" not in said
    if encoding == "ascii":
        assert said.startswith("-0.61 +/- 0.2 %, 8x8 ... ")
        assert said.splitlines()[0].endswith(" -|+##.")
        assert said.splitlines()[1] == r"caf\udce9 \u732b"
    if encoding == "cp1252":
        assert said.startswith("-0.61 ± 0.2 %, 8×8 … ")  # what it has stays


@pytest.mark.parametrize("encoding", SCREENS)
def test_json_is_utf_8_on_every_screen(screen: Screen, odd_names: Path, encoding: str) -> None:
    out, _ = screen(encoding)
    assert run(["data", str(odd_names), "--json"]) == 0
    document = json.loads(out.getvalue().decode("utf-8"))
    assert sorted(document["class_names"]) == sorted(CLASSES)


def test_an_error_is_said_on_every_screen_too(screen: Screen) -> None:
    _, err = screen("ascii")
    assert run(["data", "nowhere/猫"]) == 2
    assert err.getvalue().decode("ascii").startswith(r"Error: there is no file or folder nowhere/\u732b; give a name")


def test_a_warning_of_ours_is_a_sentence_and_others_are_as_python_has_them(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell() -> None:
        warnings.simplefilter("always")
        warnings.warn("It was mended; use `size=N`.", StepladderWarning, stacklevel=1)
        warnings.warn("something else", UserWarning, stacklevel=1)

    monkeypatch.setattr("stepladder.cli.app", lambda *_, **__: tell())
    _, err = screen("utf-8")
    with pytest.warns(UserWarning, match="something else"):
        assert run([]) == 0
    assert err.getvalue().decode() == "Note: It was mended; use --size N.\n"


def ended(command: str, **more: str) -> tuple[list[int], str]:
    """The exit codes of all parts of a pipe, and what was said on stderr."""
    text = f"{command}; echo ${{PIPESTATUS[@]}} >&3"
    reading, writing = os.pipe()
    process = subprocess.run(
        ["bash", "-c", text.replace("stepladder", f"{sys.executable} -m stepladder").replace("&3", f"&{writing}")],
        pass_fds=(writing,),
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | more,
    )
    os.close(writing)
    with os.fdopen(reading) as codes:
        return [int(code) for code in codes.read().split()], process.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "unbuffered"),
    [
        ("stepladder techniques | true", ""),
        ("stepladder techniques 2>&1 | true", "1"),
        ("stepladder data --list --json | true", ""),
        ("stepladder --help | true", "1"),
    ],
)
def test_a_reader_that_has_gone_is_a_quiet_end_with_its_own_code(command: str, unbuffered: str) -> None:
    assert ended(command, PYTHONUNBUFFERED=unbuffered) == ([PIPE_ENDED, 0], "")


@pytest.mark.long
@pytest.mark.parametrize("command", ["stepladder nothing 2>&1 | true", "stepladder inspect nowhere 2>&1 | true"])
def test_an_error_that_nobody_reads_keeps_its_code(command: str) -> None:
    assert ended(command) == ([2, 0], "")


@pytest.mark.long
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_outputs_are_no_error(closed: str) -> None:
    assert ended(f"stepladder techniques {closed} </dev/null")[0] == [0]


def test_rows_of_csv_are_utf_8(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    from stepladder.cli.predict import _Answer, _write_csv
    from stepladder.model.classifier import Doubts
    from stepladder.model.images import ImageFile

    out, _ = screen("cp1252")
    let_any_letter_through()
    make_console(as_json=True)
    _write_csv([_Answer(ImageFile(Path(os.fsdecode(b"caf\xe9/\xe7\x8c\xab.png"))), [("猫", 0.5)])], Doubts())
    rows = list(csv.reader(StringIO(out.getvalue().decode("utf-8"))))
    assert rows[1] == ["caf\\udce9/猫.png", "1", "猫", "0.500000", ""]
