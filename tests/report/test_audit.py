"""What an audit found: in a terminal, as a document, as a page."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from stepladder.cli.data import show_audit
from stepladder.datasets import ImageSet, Split, load_image_set
from stepladder.datasets.audit import ImageAudit, audit_image_set
from stepladder.report.audit import build_audit_document, render_audit_page


@pytest.fixture(scope="session")
def digits_audit() -> ImageAudit:
    return audit_image_set(load_image_set("digits"))


@pytest.fixture
def make_troubled() -> Callable[..., ImageAudit]:
    """Digits with everything wrong: copies across splits, constant and damaged images, uneven classes."""

    def make(names: tuple[str, str] = ("zero", "one"), **options: object) -> ImageAudit:
        digits = load_image_set("digits").splits["train"]
        chosen = np.concatenate([np.flatnonzero(digits.labels == 0)[:90], np.flatnonzero(digits.labels == 1)[:30]])
        images, labels = digits.images[chosen].copy(), digits.labels[chosen]
        images[5], images[6], images[100] = 255, 255, images[99]
        test = np.concatenate([np.arange(80, 90), np.arange(110, 120)])
        train = np.setdiff1d(np.arange(120), test)
        shared = np.arange(4)
        splits = {
            "train": Split(images[train], labels[train]),
            "test": Split(images[np.concatenate([test, shared])], np.concatenate([labels[test], 1 - labels[shared]])),
        }
        damaged = (("images/one/7.png", "the file is empty (0 bytes)"), ("images/zero/1.jpg", "damaged: truncated"))
        notes = ("Image sizes differ: each was resized.",)
        return audit_image_set(ImageSet("troubled", names, splits, notes), damaged)

    return make


def shown(audit, width: int, *, terminal: bool = True) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=terminal, highlight=False)
    console.soft_wrap = not terminal
    show_audit(console, audit)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def test_digits(digits_audit, check_golden):
    check_golden("audit_digits.txt", shown(digits_audit, 80))


def test_trouble(make_troubled, check_golden):
    check_golden("audit_trouble.txt", shown(make_troubled(), 80))


@pytest.mark.parametrize("width", [60, 80])
def test_a_terminal_is_not_overrun(make_troubled, width):
    audit = make_troubled(("[bold]a name of many words[/bold]" * 3, "one"))
    text = shown(audit, width)
    assert max(map(len, text.splitlines())) <= width
    # A name is never read as markup, neither in a sentence nor in a table.
    assert "'[bold]a" in text
    assert "\n[bold]a" in text


def test_a_pipe_gets_whole_sentences(make_troubled):
    text = shown(make_troubled(), 80, terminal=False)
    assert "The test images are not clean: 4 of them (16.7 %) have a copy in train. A study can drop the" in text
    assert "\x1b" not in text


def test_every_figure_is_in_the_document(make_troubled):
    audit = make_troubled()
    document = json.loads(json.dumps(build_audit_document(audit), allow_nan=False))
    assert document["counts"] == {"train": {"zero": 80, "one": 20}, "test": {"zero": 10, "one": 14}}
    assert document["balance"]["majority_rate"] == 10 / 24
    assert document["damaged"][0] == {"place": "images/one/7.png", "reason": "the file is empty (0 bytes)"}
    assert document["constant"] == [{"split": "train", "position": 5}, {"split": "train", "position": 6}]
    across = document["copies"][1]
    assert (across["first"], across["second"]) == ("train", "test")
    assert across["exact"] == [[0, 20], [1, 21], [2, 22], [3, 23]]
    assert across["in_second"] == [20, 21, 22, 23]
    assert document["mirror"]["classes"][0]["name"] == "zero"
    assert len(document["mean"]) == len(document["std"]) == 1


VOID = {"meta", "img", "br"}
HOSTILE = ("<script>alert(1)</script>", 'b" onload="x')


class Page(HTMLParser):
    """Every tag with its attributes, and that each is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def pictures(page: Page) -> list[Image.Image]:
    sources = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    prefix = "data:image/png;base64,"
    assert all(source.startswith(prefix) for source in sources)
    return [Image.open(io.BytesIO(base64.b64decode(source.removeprefix(prefix)))) for source in sources]


def test_the_page_stands_alone(make_troubled):
    text = render_audit_page(make_troubled())
    page = Page(text)
    policy = next(
        attributes["content"]
        for tag, attributes in page.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert (policy or "").startswith("default-src 'none'")
    assert not re.search(r"https?://", text)
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe")]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(attributes["aria-labelledby"] in ids for tag, attributes in page.tags if tag == "section")
    assert all(len(attributes["alt"] or "") > 20 for tag, attributes in page.tags if tag == "img")
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text


def test_sheet_and_pairs_are_shown_as_pictures(make_troubled):
    sheet, *pairs = pictures(Page(render_audit_page(make_troubled())))
    assert sheet.width > 800
    assert len(pairs) >= 4 + 2  # train and test, then inside train: two constant ones and a copy
    assert all(pair.size == (148, 72) for pair in pairs)


def test_names_from_the_data_are_text_and_nothing_more(make_troubled):
    text = render_audit_page(make_troubled(HOSTILE))
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert not [attributes for _, attributes in Page(text).tags if "onload" in attributes]


def test_the_same_audit_gives_the_same_page(digits_audit):
    assert render_audit_page(digits_audit) == render_audit_page(digits_audit)
    assert len(render_audit_page(digits_audit)) < 300_000
