from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

from PIL import Image

from stepladder.report.audit import render_audit_page

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
