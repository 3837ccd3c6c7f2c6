from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from stepladder.errors import StorageError
from stepladder.report.page import as_json, content_policy, image_uri, page_script, render_page, sha256_of, unbroken
from stepladder.report.plotly_bundle import SHA256
from stepladder.report.section import Head, Section, TextTable
from stepladder.report.sections import STUDY_SECTIONS
from stepladder.report.write import study_head
from stepladder.studies.findings import make_findings

VOID = {"meta", "img", "source", "br"}
HOSTILE = {
    "name": "<script>alert('name')</script>",
    "class_names": ("<script>alert(1)</script>", 'b|c" onload="x'),
    "notes": ("<img src=http://example.com/x.png onerror=alert(1)>",),
}


def render_html(study) -> str:
    findings = make_findings(study)
    return render_page(findings, STUDY_SECTIONS, study_head(findings))


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
    assert len(text) < 800_000


def test_names_from_the_data_are_text_and_nothing_more(make_study):
    text = render_html(make_study(rungs=2, seeds=1, epochs=1, data=HOSTILE))
    assert text.count("<script>") == 1
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;img src=http://example.com/x.png" in text
    assert Page(text).of("img") == []


def test_failed_trials_and_warnings_are_shown(make_study):
    text = render_html(make_study(rungs=3, seeds=2, epochs=9, failed=[("augment", 1)], warnings=("a warning",)))
    assert "<strong>augment, seed 1</strong>: the loss was not finite in epoch 8 (epochs finished: 7)" in text
    assert "a warning (6 of 6 trials)" in text


ORDER = (
    "meaning", "ladder", "effects", "curves", "diagnosis", "confusion", "gallery", "classes", "calibration", "network",
    "data", "protocol",
)  # fmt: skip


def test_the_parts_come_in_their_order(complete_study, tmp_path):
    text = render_html(complete_study(tmp_path, rungs=2, seeds=2, epochs=2))
    places = [text.index(f'<h2 id="{key}">') for key in ORDER]
    assert places == sorted(places)
    assert "the recommended model, standardize, seed" in text
    for words in ("Plan hash", "Energy", "stepladder study data/cifar10-jpeg --seeds 2", "torch", "Xeon"):
        assert words in text


def test_a_study_of_an_older_stepladder_has_a_page_that_says_what_is_missing(make_study):
    text = render_html(make_study(rungs=2, seeds=2, epochs=2))
    for words in ("keeps no predictions", "keeps no images", "keeps no probabilities", "do not describe its network"):
        assert words in text


def test_a_gallery_of_another_model_is_not_shown(complete_study, tmp_path):
    study = complete_study(tmp_path, rungs=2, seeds=2, epochs=2)
    path = tmp_path / "gallery.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "trial": "another"}))
    assert "keeps no images" in render_html(study)
    path.write_text("{}")
    with pytest.raises(StorageError, match=r"gallery.json is damaged \(trial: .* remove it"):
        render_html(study)


def test_six_rungs_and_five_seeds_stay_under_a_megabyte_and_a_fifth(complete_study, tmp_path):
    """With a gallery of noise, which packs worst: photographs of as many pixels take less."""
    assert len(render_html(complete_study(tmp_path, rungs=6, seeds=5)).encode()) < 1_200_000


def png_of(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_a_photograph_is_packed_and_a_drawing_stays_exact():
    rows, columns = np.mgrid[0:64, 0:64]
    waves = np.stack([128 + 90 * np.sin(rows / 9 + shift) * np.cos(columns / 7) for shift in (0, 1, 2)], axis=-1)
    photograph = (waves + np.random.default_rng(0).normal(0, 6, waves.shape)).clip(0, 255).astype(np.uint8)
    drawing = (np.random.default_rng(1).integers(0, 17, (8, 8)) * 15).astype(np.uint8)
    assert image_uri(png_of(drawing)) == f"data:image/png;base64,{png_of(drawing)}"
    kind, _, packed = image_uri(png_of(photograph)).partition(";base64,")
    assert kind == "data:image/webp"
    assert len(packed) < len(png_of(photograph)) / 3
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(packed))), dtype=float)
    assert np.abs(seen - photograph).mean() < 8  # of 255; the noise alone is 5


def test_the_policy_names_the_scripts_that_are_in_the_page(make_study):
    text = render_html(make_study(rungs=2, seeds=2, epochs=1))
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(hashes) == 1
    policy = content_policy((sha256_of(scripts[0]), SHA256))
    assert all(f"'sha256-{digest}'" in policy for digest in hashes)
    assert policy in text


def test_no_script_closes_its_element_early():
    script = page_script(tuple(type(section) for section in STUDY_SECTIONS))
    assert "</script" not in script
    assert "<!--" not in script


def test_json_in_a_script_cannot_leave_it():
    document = {"name": "</script><script>alert(1)</script>\u2028<!--", "value": 1.5}
    text = as_json(document)
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == document


class Plain(Section[str]):
    """A part with nothing but the defaults; its findings are one word."""

    key = "plain"
    heading = "A heading"
    short = "Short"

    def sentences(self, findings: str) -> list[str]:
        return [f"It says {findings}."]

    def tables(self, findings: str) -> tuple[TextTable, ...]:
        return (
            TextTable("All of it.", ("name", "value"), ((findings, "1"),), 1),
            TextTable("", ("name",), ((findings,),), 1, "Folded up"),
        )


class Hidden(Plain):
    key = "hidden"

    def applies(self, findings: str) -> bool:
        return False


def test_sections_of_any_findings_make_a_page_without_plotly():
    text = render_page("<i>", (Plain(), Hidden()), Head("Stepladder test", "words", "stepladder words"))
    page = Page(text)
    assert "<p>It says &lt;i&gt;.</p>" in text
    assert '<a href="#plain">Short</a>' in text
    assert '<h2 id="plain">A heading</h2>' in text
    assert "hidden" not in {section["aria-labelledby"] for section in page.of("section")}
    assert "<h1>Words</h1>" in text
    assert "<code>stepladder words</code>" in text
    assert "Unfinished" not in text
    assert 'id="plotly"' not in text
    assert "<summary>Folded up</summary>" in text
    assert len(page.of("script")) == 2
    assert len(text) < 60_000


def test_a_section_writes_what_it_has_as_markdown():
    assert Plain().markdown("x") == (
        "It says x.\n\n| name | value |\n| --- | ---: |\n| x | 1 |\n\nAll of it.\n\n"
        "### Folded up\n\n| name |\n| --- |\n| x |"
    )


def test_columns_are_picked_by_their_heads():
    table = TextTable("c", ("name", "word", "mean, %", "n"), (("a", "b", "1", "2"),), 2)
    picked = table.pick(("word", "n", "mean"), "new")  # "n" is no part of "name"
    assert picked == TextTable("new", ("word", "n", "mean, %"), (("b", "2", "1"),), 1)


def test_a_figure_stays_with_its_sign_and_its_unit():
    said = unbroken("+ dropout, − ema: 1.5 % of [−1, +2], n = 3")
    assert said == "+\u00a0dropout, −\u00a0ema: 1.5\u00a0% of [−1,\u00a0+2], n\u00a0=\u00a03"
