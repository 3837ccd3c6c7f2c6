"""README's Python runs as printed, and README stays a front page."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stepladder.datasets import load_image_set

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    """Return what stands in README below a heading of the second level."""
    return README.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def blocks(text: str) -> list[tuple[str, str]]:
    """Return the fenced blocks of a text: language and content."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def shown(code: str, names: dict[str, Any]) -> Iterator[str]:
    """Run statements one by one, and yield what a prompt would show of each expression."""
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.Expr):
            value = eval(compile(ast.Expression(statement.value), "README", "eval"), names)
            if value is not None:
                yield repr(value)
        else:
            exec(compile(ast.Module([statement], []), "README", "exec"), names)


def masked(text: str) -> str:
    """Return a text with every figure, and what hangs on it, masked: another processor has others."""
    text = re.sub(r"\b(helped|hurt|equivalent|undecided)\b", "VERDICT", text)
    text = re.sub(r"[▲▼■◇]", "SIGN", text)
    text = re.sub(r"(highest test accuracy: )\w+", r"\1RUNG", text)
    text = re.sub(r"[+−-]?\d[\d,.]*", "N", text)
    return re.sub(r"[ \[\]']+", " ", text).strip()


@pytest.mark.soak  # and of make examples
@pytest.mark.parametrize("limit", [26, None], ids=["few digits", "all digits"])
def test_the_python_of_the_front_page_shows_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    """With few digits it takes a quarter of the time, and what is compared are the words around the figures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stepladder.api.job.load_image_set", partial(load_image_set, limit=limit))
    (tmp_path / "new").mkdir()
    for place, pixels in enumerate(load_image_set("digits").splits["train"].images[:3]):
        Image.fromarray(pixels[..., 0]).save(tmp_path / f"new/{place}.png")
    found = blocks(section("In Python"))
    assert [language for language, _ in found] == ["python", "text", "python", "text"]
    names: dict[str, Any] = {}
    for (_, code), (_, printed) in zip(found[::2], found[1::2], strict=True):
        assert masked("\n".join(shown(code, names))) == masked(printed)
    assert names["study"].report_path.exists()


def test_it_stays_a_front_page() -> None:
    """What it is, a picture, two commands, Python, own images, limits, where to go on: all else is on the site."""
    assert len(README.splitlines()) <= 150
    headings = re.findall(r"^## (.*)$", README, re.MULTILINE)
    wanted = ["Two commands", "In Python", "Your own images", "What makes it honest", "Where to go on"]
    assert headings == wanted
    assert len([line for line in section("Your own images").splitlines() if line.startswith("stepladder ")]) == 6
