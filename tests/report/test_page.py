from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from stepladder.errors import StorageError
from stepladder.report.page import render_html, write_page, write_report

VOID = {"meta", "img", "source", "br"}
HOSTILE = {
    "name": "<script>alert('name')</script>",
    "class_names": ("<script>alert(1)</script>", 'b|c" onload="x'),
    "notes": ("<img src=http://example.com/x.png onerror=alert(1)>",),
}


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

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_write_report_leaves_its_files_and_nothing_else(make_study, tmp_path):
    study = make_study(rungs=2, seeds=2, epochs=2)
    written = write_report(study)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in written) == [
        "figures/curves.png",
        "figures/curves.svg",
        "figures/forest.png",
        "figures/forest.svg",
        "figures/ladder.png",
        "figures/ladder.svg",
        "report.html",
        "report.md",
        "verdicts.json",
    ]
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(written)
    before = {path: path.read_bytes() for path in written}
    write_report(study)
    assert {path: path.read_bytes() for path in written} == before


def test_links_of_the_markdown_lead_to_files(make_study, tmp_path):
    write_report(make_study(rungs=2, seeds=1, epochs=1))
    links = re.findall(r"\]\(([^)]+)\)", (tmp_path / "report.md").read_text(encoding="utf-8"))
    assert len(links) == 6
    assert all((tmp_path / link).is_file() for link in links)


@pytest.mark.parametrize(
    "options",
    [
        {"seeds": 1},
        {"seeds": 5},
        {"rungs": 3, "failed": [("augment", 1)], "warnings": ("odd",)},
        {"rungs": 3, "missing": [("augment", 0)]},
        {"rungs": 2, "validation": 0},
        {"rungs": 1, "seeds": 1, "failed": [("baseline", 0)]},
        {"rungs": 2, "data": HOSTILE},
    ],
)
def test_the_page_stands_alone_and_can_be_read_by_all(make_study, options):
    text = render_html(make_study(epochs=3, **options))
    page = Page(text)
    policy = next(meta["content"] for meta in page.of("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    for _, attributes in page.tags:
        for name in ("src", "srcset"):
            assert (attributes.get(name) or "data:image/").startswith("data:image/")
        assert (attributes.get("href") or "#").startswith("#")
    assert all("src" not in script for script in page.of("script"))
    assert not page.of("link")
    assert "url(" not in text.partition("<body")[0]
    assert all(len(image["alt"] or "") > 30 for image in page.of("img"))
    assert all(head.get("scope") in {"row", "col"} for head in page.of("th"))
    assert len(page.of("caption")) == len(page.of("table")) > 0
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(section["aria-labelledby"] in ids for section in page.of("section"))
    assert all(link["href"].lstrip("#") in ids for link in page.of("a"))
    assert all(len(chart["aria-label"]) > 30 for chart in page.of("div") if chart.get("role") == "img")
    assert len(text) < 6_000_000


def test_names_from_the_data_are_text_and_nothing_more(make_study):
    text = render_html(make_study(rungs=2, seeds=1, epochs=1, data=HOSTILE))
    assert text.count("<script>") == 2
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;img src=http://example.com/x.png" in text
    assert Page(text).of("img") == []


def test_failed_trials_and_warnings_are_shown(make_study):
    text = render_html(make_study(rungs=3, seeds=2, epochs=9, failed=[("augment", 1)], warnings=("a warning",)))
    assert "<strong>augment, seed 1</strong>: the loss was not finite in epoch 8 (epochs finished: 7)" in text
    assert "a warning (6 of 6 trials)" in text


def test_a_name_that_is_no_utf8_does_not_stop_the_report(make_study, tmp_path):
    write_report(make_study(rungs=1, seeds=1, epochs=1, data={"notes": ("left out: caf\udce9.png",)}))
    assert "left out: caf?.png" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written_is_named(make_study, tmp_path):
    (tmp_path / "figures").write_text("in the way")
    with pytest.raises(StorageError, match="figures"):
        write_report(make_study(rungs=1, seeds=1, epochs=1))


def test_the_page_alone_is_written_while_a_study_runs(make_study, tmp_path):
    assert write_page(make_study(rungs=2, seeds=2, epochs=2, missing=[("standardize", 1)])).name == "report.html"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<strong>Unfinished:</strong> 3 of 4 trials have ended" in text
