import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stepladder.datasets import SOURCES

Call = Callable[..., Any]


def test_a_folder_is_looked_at_with_its_damage(stepladder: Call, folder_of_images: Path) -> None:
    (folder_of_images / "one" / "3.png").write_bytes(b"")
    (folder_of_images / "two" / "5.png").write_bytes((folder_of_images / "two" / "5.png").read_bytes()[:60])
    shutil.copy(folder_of_images / "two" / "1.png", folder_of_images / "two" / "copy.png")
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(folder_of_images / "zero" / "blank.png")
    outcome = stepladder("data", str(folder_of_images))
    assert outcome.code == 0, outcome.err
    assert "36 images of 8 × 8 pixels, gray." in outcome.out
    assert "2 images cannot be read" in outcome.out
    assert f"{folder_of_images / 'one' / '3.png'}: the file is empty (0 bytes)" in outcome.out
    assert str(folder_of_images / "two" / "5.png") in outcome.out
    assert "1 image has one color everywhere" in outcome.out
    assert "inside train      1" in outcome.out
    assert "May I flip these images?" in outcome.out


def test_json_is_the_only_thing_on_stdout(stepladder: Call) -> None:
    outcome = stepladder("data", "digits", "--limit", "20", "--json")
    document = json.loads(outcome.out)
    assert document["counts"]["train"]["3"] == 20
    assert document["mirror"]["answer"] == "changes the meaning"
    assert "May I flip these images?" in outcome.err


def test_sheet_and_page_are_written_where_they_are_asked_for(stepladder: Call, tmp_path: Path) -> None:
    outcome = stepladder("data", "digits", "--limit", "20", "--sheet", "a/sheet.png", "--html", "page.html")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[-1] == "Written: a/sheet.png, page.html"
    with Image.open(tmp_path / "a" / "sheet.png") as sheet:
        assert sheet.size == (983, 718)
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_every_source_is_listed(stepladder: Call) -> None:
    words = " ".join(stepladder("data", "--list").out.split())
    listed = json.loads(stepladder("data", "--list", "--json").out)
    assert [row["name"] for row in listed] == [source.name for source in SOURCES]
    for source in SOURCES:
        assert source.name in words
        assert source.description.split()[0] in words


def test_the_cache_is_cleared_and_only_the_cache(
    stepladder: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "downloads").mkdir(parents=True)
    (tmp_path / "cache" / "downloads" / "archive").write_bytes(bytes(1234))
    (tmp_path / "cache" / "mine.txt").write_text("not Stepladder's")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_text("kept")
    (tmp_path / "cache" / "downloads" / "link").symlink_to(tmp_path / "outside")
    outcome = stepladder("data", "--clear-cache")
    assert outcome.code == 0
    assert "Removed 1,234 bytes" in outcome.out
    assert not (tmp_path / "cache" / "downloads").exists()
    assert (tmp_path / "cache" / "mine.txt").exists()
    assert (tmp_path / "outside" / "kept").exists()
    assert json.loads(stepladder("data", "--clear-cache", "--json").out)["freed_bytes"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data"], "no image set was named; give a name or a path"),
        (["data", "digts"], "did you mean 'digits'?"),
        (["data", "nowhere/at/all"], "there is no file or folder nowhere/at/all"),
        (["data", "digits", "--limit", "0"], "--limit is 0"),
        (["data", "digits", "--limit", "9", "--sheet", "/proc/sheet.png"], "cannot write /proc/sheet.png"),
    ],
)
def test_wrong_input_gets_a_sentence(stepladder: Call, arguments: list[str], words: str) -> None:
    outcome = stepladder(*arguments)
    assert outcome.code == 2
    assert words in outcome.err
    assert "Traceback" not in outcome.err
