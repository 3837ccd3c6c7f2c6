"""Figures for papers, read back from their files: their size, their type, and the intervals that are drawn."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from stepladder.errors import RecipeError
from stepladder.report.figures.paper import FORMATS, PaperFigure, PaperStyle, paper_figures
from stepladder.report.figures.style import to_svg
from stepladder.report.sections import STUDY_SECTIONS
from stepladder.report.sections.effects import EffectsSection
from stepladder.report.sections.effects.figure import draw_forest
from stepladder.studies.findings import Findings, make_findings

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def findings(make_study) -> Findings:
    return make_findings(make_study(seeds=5))


def forest(findings: Findings, style: PaperStyle) -> PaperFigure:
    (figure,) = paper_figures(findings, [EffectsSection()], style)
    return figure


def drawn_intervals(svg: bytes) -> list[tuple[float, float]]:
    """The thick level lines of a forest plot in the units of its axis, from the lowest row up."""
    root = ElementTree.fromstring(svg)
    ticks = []
    for group in root.iter(f"{SVG}g"):
        if group.get("id", "").startswith("xtick_"):
            (label,) = group.iter(f"{SVG}text")
            ticks.append((float(str(label.get("x"))), float(str(label.text).replace("−", "-"))))
    (x0, value0), (x1, value1) = ticks[0], ticks[-1]
    found = []
    for path in root.iter(f"{SVG}path"):
        line = re.fullmatch(r"M (\S+) (\S+)\s+L (\S+) (\S+)\s*", path.get("d", ""))
        if line and line[2] == line[4] and "stroke-width: 1.8" in path.get("style", "") and "clip-path" in path.attrib:
            low, high = (value0 + (float(x) - x0) / (x1 - x0) * (value1 - value0) for x in (line[1], line[3]))
            found.append((low, high))
    return found


def test_the_intervals_in_the_file_are_those_of_the_findings(findings: Findings) -> None:
    style = PaperStyle("85mm", 8, "serif", ("svg",))
    drawn = drawn_intervals(forest(findings, style).files["svg"])
    expected = [effect.interval for effect in reversed(findings.techniques)]
    assert len(drawn) == 5
    for bounds, interval in zip(drawn, expected, strict=True):
        assert interval is not None
        assert bounds == pytest.approx([100 * end for end in interval], abs=0.01)


@pytest.mark.long
@pytest.mark.parametrize(
    ("width", "inches"), [("3.3in", 3.3), ("85mm", 85 / 25.4), ("8.5 cm", 8.5 / 2.54), ("240pt", 240 / 72.27)]
)
def test_a_figure_is_as_wide_as_asked_in_every_format(findings: Findings, width: str, inches: float) -> None:
    figure = forest(findings, PaperStyle(width, 8, formats=FORMATS))
    assert figure.width == pytest.approx(inches)
    root = ElementTree.fromstring(figure.files["svg"])
    assert float(str(root.get("width")).removesuffix("pt")) / 72 == pytest.approx(inches, rel=1e-4)
    box = re.search(rb"/MediaBox \[ ([\d.]+) ([\d.]+) ([\d.]+) ([\d.]+) \]", figure.files["pdf"])
    assert box is not None
    assert float(box[3]) / 72 == pytest.approx(inches, rel=1e-4)
    assert float(box[4]) / 72 == pytest.approx(figure.height, rel=1e-4)
    with Image.open(io.BytesIO(figure.files["png"])) as image:
        assert image.width / image.info["dpi"][0] == pytest.approx(inches, rel=0.01)


def test_text_has_the_size_and_the_font_asked_for(findings: Findings) -> None:
    for size in (7.0, 10.0):
        figure = forest(findings, PaperStyle("5in", size, "serif", ("svg",)))
        assert figure.font_size == size
        root = ElementTree.fromstring(figure.files["svg"])
        scale = float(str(root.get("width")).removesuffix("pt")) / float(str(root.get("viewBox")).split()[2])
        label = next(text for text in root.iter(f"{SVG}text") if text.text == "difference, points; right is better")
        written = re.search(r"font-size: ([\d.]+)px", str(label.get("style")))
        assert written is not None
        assert scale * float(written[1]) == pytest.approx(size, rel=1e-3)
        assert "font-family: 'STIXGeneral'" in str(label.get("style"))


@pytest.mark.long
def test_names_without_room_make_the_text_smaller_and_that_is_said(make_study) -> None:
    ladder = tuple((f"a technique with quite a long name {n}", ("mixup",), 0.7, 0.9, 3.0) for n in range(3))
    figure = forest(make_findings(make_study(seeds=3, rungs=3, ladder=ladder)), PaperStyle("2.5in", 10))
    assert figure.width == pytest.approx(2.5)
    assert figure.font_size < 8


def streams(pdf: bytes) -> Iterator[bytes]:
    for found in re.finditer(rb"stream\n(.*?)\nendstream", pdf, re.DOTALL):
        try:
            yield zlib.decompress(found[1])
        except zlib.error:
            yield found[1]


@pytest.mark.long
def test_a_pdf_embeds_truetype_and_keeps_its_text(findings: Findings, tmp_path: Path) -> None:
    pdf = forest(findings, PaperStyle(font="serif")).files["pdf"]
    assert b"/CIDFontType2" in pdf  # TrueType: Type 42, which publishers take
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    content = max(streams(pdf), key=lambda one: one.count(b"Tj") + one.count(b"TJ"))
    assert content.count(b"Tj") + content.count(b"TJ") >= len(findings.techniques)
    assert pdf == forest(findings, PaperStyle(font="serif")).files["pdf"]  # the same bytes every time
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not here, so the text was not copied out by another program")
    (tmp_path / "forest.pdf").write_bytes(pdf)
    text = subprocess.run(["pdftotext", tmp_path / "forest.pdf", "-"], capture_output=True, text=True, check=True)
    assert "difference, points; right is better" in text.stdout
    assert all(effect.name in text.stdout for effect in findings.techniques)


@pytest.mark.long
def test_all_figures_of_a_study_are_drawn_and_none_has_a_title(findings: Findings) -> None:
    figures = list(paper_figures(findings, STUDY_SECTIONS, PaperStyle("7in", 8, formats=("svg",))))
    assert [figure.name for figure in figures] == ["ladder", "forest", "curves"]
    for figure in figures:
        assert figure.font_size == 8
        assert b"rung by rung" not in figure.files["svg"]
        assert b"cifar10" not in figure.files["svg"]  # a fact for the caption


def test_a_warning_stays_where_the_facts_go(make_study) -> None:
    findings = make_findings(make_study(seeds=1, validation=0))
    figure = forest(findings, PaperStyle("7in", formats=("svg",)))
    assert "no validation images, so the test curve was watched" in figure.files["svg"].decode()


def test_the_report_own_figures_are_drawn_as_before_and_after(findings: Findings) -> None:
    before = to_svg(draw_forest(findings))
    forest(findings, PaperStyle("2in", 6, "serif"))
    assert to_svg(draw_forest(findings)) == before


@pytest.mark.parametrize(
    ("style", "words"),
    [
        (PaperStyle("85"), "`width` is '85'; give a number with its unit"),
        (PaperStyle("3 m"), "`width` is '3 m'"),
        (PaperStyle("90in"), "from 1 to 20 inches"),
        (PaperStyle(font_size=2), "`font_size` is 2; it must be 4 to 24 points"),
        (PaperStyle(font="No Such Font"), "`font` is 'No Such Font', which is not installed here"),
        (PaperStyle(formats=("jpg",)), "unknown format of a figure 'jpg'"),
        (PaperStyle(formats=()), "`formats` is empty"),
    ],
)
def test_what_no_figure_can_have_is_refused(findings: Findings, style: PaperStyle, words: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(words)):
        list(paper_figures(findings, STUDY_SECTIONS, style))
