"""Comparisons in words, tables and figures: names are text, and nothing is claimed that has no interval."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from PIL import Image

from stepladder.report.figures.style import to_svg
from stepladder.report.sections.comparison import build_comparison, comparison_table, describe_comparison
from stepladder.report.sections.comparison.figure import draw_comparison
from stepladder.report.write import write_comparison
from stepladder.studies.judging.comparison import Comparison, Difference, RungScores
from stepladder.training.metrics import find_metric

FIRST = RungScores("one", "base", {0: 0.7, 1: 0.72}, (), 0.71, 0.0141, (0.58, 0.84))
OTHER = RungScores("other", "base", {0: 0.75}, (1,), 0.75, None, None)
EXTRA = RungScores("other", "extra", {}, (), None, None, None)
HIGHER = Difference("other", "one", "base", {0: 0.05, 1: 0.03}, False, 0.04, (0.01, 0.07), 0.05, "higher")
COMPARISON = Comparison(
    labels=("one", "other"),
    metric=find_metric("accuracy"),
    folders=(Path("studies/one"), Path("studies/other")),
    data="digits",
    test_images=360,
    rungs=("base", "extra"),
    scores=(FIRST, OTHER, EXTRA),
    differences=(HIGHER,),
    alpha=0.05,
    smallest_effect=0.005,
    cautions=("This comparison was not planned.",),
)


def test_every_reading_has_its_sentence() -> None:
    assert describe_comparison(COMPARISON) == [
        "Higher: base of other (+4.00 points, [+1.00, +7.00]).",
        "Each difference is from one, paired by seed. The intervals are adjusted for 1 comparison: all intervals are "
        "right at once with a probability of 95 %.",
        "This comparison was not planned.",
    ]

    def told(*differences: Difference) -> list[str]:
        return describe_comparison(replace(COMPARISON, differences=differences))

    assert told(replace(HIGHER, reading="undecided"))[0] == "Undecided: base of other."
    assert told(replace(HIGHER, reading="lower"))[0].startswith("Lower: ")
    assert told(replace(HIGHER, reading="equivalent"))[0].startswith("Equivalent: ")
    none = replace(HIGHER, reading=None, interval=None)
    assert told(none)[0] == "There are no intervals: they need two seeds or more that both studies have read."
    assert told(replace(none, same=True))[0] == "Nothing to compare, since both trained the same trials: base of other."
    assert told()[0] == "No study shares a rung with one, so there are no differences."


def test_the_table_has_a_row_a_rung_and_study() -> None:
    assert comparison_table(COMPARISON).rows == (
        ("base", "one", "71.00 ± 1.41 (2)", "[58.00, 84.00]", "–", "–", "–"),
        ("base", "other", "75.00 (1), 1 failed", "–", "+4.00", "[+1.00, +7.00]", "higher"),
        ("extra", "other", "–", "–", "–", "–", "–"),
    )


class Page(HTMLParser):
    """What a page loads, its headings, and its visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "srcset", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.long
def test_the_files_are_whole_and_ask_for_nothing(tmp_path: Path) -> None:
    written = write_comparison(COMPARISON, tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in written] == [
        "figures/comparison.png",
        "figures/comparison.svg",
        "comparison.md",
        "comparison.html",
    ]
    page = Page()
    page.feed(written[3].read_text())
    assert page.tags.count("h1") == 1
    loaded = [address for address in page.loaded if not address.startswith("#")]  # what is left is navigation
    assert all(address.startswith("data:image/svg+xml;base64,") for address in loaded)
    assert len(loaded) == 2
    assert "+4.00" in page.text
    assert written[3].stat().st_size < 500_000, "plotly.js is not in it"
    with Image.open(written[0]) as picture:
        assert picture.width > 1000
    ET.fromstring(written[1].read_text())
    shown = MarkdownIt("gfm-like", {"linkify": False}).render(written[2].read_text())
    assert shown.count("<tr>") == 4 + 3  # the rungs, and the studies
    before = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in write_comparison(COMPARISON, tmp_path / "out")] == before


@pytest.mark.long
def test_names_are_text(tmp_path: Path) -> None:
    name = "<b>|x[y](z) $1$ & caf\udce9"
    odd = replace(
        COMPARISON,
        labels=("one", name),
        data=name,
        rungs=("base", name),
        scores=(FIRST, replace(OTHER, study=name), replace(EXTRA, study=name, rung=name)),
        differences=(replace(HIGHER, study=name),),
    )
    *_, markdown, page = write_comparison(odd, tmp_path)
    plain, parsed = Page(), Page()
    plain.feed(write_comparison(COMPARISON, tmp_path / "plain")[-1].read_text())
    parsed.feed(page.read_text())
    assert parsed.tags == plain.tags
    assert "<b>" not in MarkdownIt("gfm-like", {"linkify": False}).render(markdown.read_text())


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("studies", [2, 8])
def test_the_figure_has_a_look_a_study(compact: bool, studies: int) -> None:
    labels = tuple(f"study {number}" for number in range(studies))
    scores = tuple(replace(FIRST, study=label) for label in labels)
    svg = to_svg(draw_comparison(replace(COMPARISON, labels=labels, rungs=("base",), scores=scores), compact=compact))
    texts = "".join(ET.fromstring(svg).itertext())
    assert all(label in texts for label in labels)
    assert ("71.00 ± 1.41 (2)" in texts) is not compact
    empty = replace(COMPARISON, scores=(replace(FIRST, scores={}, mean=None, sd=None, interval=None), EXTRA))
    assert b"no result yet" in to_svg(draw_comparison(empty, compact=compact))


def test_plain_values(tmp_path: Path) -> None:
    document = build_comparison(COMPARISON)
    assert document["folders"] == ["studies/one", "studies/other"]
    assert document["differences"][0]["reading"] == "higher"
    assert document["summary"][0].startswith("Higher")
