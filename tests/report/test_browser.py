"""The page in a real browser: nothing goes wrong, nothing is asked for, all is drawn, and everyone can read it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

# What tests/browser.py has skipped this module for, where it is not installed.
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from stepladder.datasets import load_image_set
from stepladder.datasets.audit import audit_image_set
from stepladder.report.audit import render_audit_page
from stepladder.report.write import write_comparison, write_page
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.findings import make_findings
from stepladder.studies.judging.comparison import compare_studies
from stepladder.studies.judging.points import make_sweep_findings
from tests.browser import PATIENCE, Browser, needs_axe, needs_browser, open_browser
from tests.report.test_colors import contrast, linear

pytestmark = needs_browser

STUDIES: dict[str, dict[str, Any]] = {
    "one seed": {"seeds": 1, "epochs": 6},
    "five seeds": {"seeds": 5, "epochs": 20},
    "a failed seed": {"rungs": 4, "epochs": 9, "failed": [("augment", 1)], "warnings": ("a warning",)},
    "unfinished": {"rungs": 4, "epochs": 6, "missing": [("augment", 2), ("schedule", 0), ("schedule", 1)]},
    "many names": {
        "rungs": 2,
        "seeds": 2,
        "epochs": 3,
        "classes": 30,
        "data": {"class_names": tuple(f"a rather long <b>class</b> & name {i}" for i in range(30))},
    },
}
UNFINISHED = {"curves"}
FINISHED = {"ladder", "effects", "curves", "confusion", "classes", "calibration"}
DESKTOP, PHONE = 1280, 360


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, complete_study: Callable[..., SavedStudy]) -> dict[str, Path]:
    return {
        name: write_page(make_findings(complete_study(tmp_path_factory.mktemp("study"), **options)))
        for name, options in STUDIES.items()
    }


@pytest.mark.long
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("name", list(STUDIES))
def test_all_is_drawn_and_nothing_goes_wrong(browser: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    browser.open(pages[name], width)
    drawn = browser.js(
        "return [...document.querySelectorAll('.plot')].filter((plot) => plot.dataset.drawn"
        " && plot.querySelectorAll('.trace, .hm').length && plot.querySelector('.main-svg').clientHeight > 100)"
        ".map((plot) => plot.dataset.chart)"
    )
    expected = UNFINISHED if name == "unfinished" else FINISHED
    assert set(drawn) == expected
    assert browser.js("return document.querySelectorAll('.plot').length") == len(expected)
    assert browser.js("return [...document.images].filter((image) => !image.naturalWidth).length") == 0
    assert browser.js("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    # No text of a chart is cut at its edge.
    cut = browser.js(
        "const out = []; for (const plot of document.querySelectorAll('.plot')) {"
        " const box = plot.getBoundingClientRect();"
        " for (const text of plot.querySelectorAll('text')) { const at = text.getBoundingClientRect();"
        " if (at.width && (at.left < box.left - 2 || at.right > box.right + 2 || at.bottom > box.bottom + 2))"
        " out.push(plot.dataset.chart + ': ' + text.textContent); } } return out;"
    )
    assert cut == []
    assert browser.complaints() == []
    assert browser.requests() == []


@needs_axe
@pytest.mark.parametrize(
    ("name", "width", "dark"),
    [
        ("a failed seed", DESKTOP, False),
        ("many names", PHONE, True),
        *(
            pytest.param(*case, marks=pytest.mark.soak)
            for case in (
                ("a failed seed", DESKTOP, True),
                ("a failed seed", PHONE, False),
                ("a failed seed", PHONE, True),
                ("unfinished", DESKTOP, False),
            )
        ),
    ],
)
def test_axe_finds_nothing(browser: Browser, pages: dict[str, Path], name: str, width: int, dark: bool) -> None:
    browser.open(pages[name], width, dark=dark)
    browser.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert browser.violations() == []


#: Where a chart has something to point at, in pixels of the window: a trace that the words choose, its first point.
POINT = """
const plot = document.getElementById("chart-" + arguments[0]);
plot.scrollIntoView({block: "center", behavior: "instant"});
const words = (trace) => JSON.stringify([trace.text, trace.hovertext, trace.hovertemplate]);
const trace = plot._fullData.find((one) => words(one).includes(arguments[1]));
const across = plot._fullLayout[(trace.xaxis || "x").replace("x", "xaxis")];
const down = plot._fullLayout[(trace.yaxis || "y").replace("y", "yaxis")];
const box = plot.getBoundingClientRect();
const place = Math.min(arguments[2], trace.x.length - 1);
return [box.left + across._offset + across.d2p(trace.x[place]), box.top + down._offset + down.d2p(trace.y[place])];
"""


@pytest.mark.parametrize(
    ("chart", "words"),
    [
        ("ladder", "seed 3"),
        ("curves", "validation"),
        ("confusion", "found"),
        pytest.param("effects", "seed 2", marks=pytest.mark.soak),
        pytest.param("classes", "95 % interval", marks=pytest.mark.soak),
        pytest.param("calibration", "sure", marks=pytest.mark.soak),
    ],
)
def test_hover_tells_the_figures(browser: Browser, pages: dict[str, Path], chart: str, words: str) -> None:
    browser.open(pages["five seeds"], DESKTOP)
    x, y = browser.js(POINT, chart, words, {"ladder": 3, "effects": 2, "curves": 5}.get(chart, 0))
    for step in (4, 0):
        browser.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x + step, "y": y})
    shown = (
        "return [...document.querySelectorAll('#chart-' + arguments[0] + ' .hoverlayer text')]"
        ".map((text) => text.textContent)"
    )
    heard = WebDriverWait(browser.driver, PATIENCE).until(lambda _: browser.js(shown, chart))
    assert any(words in text for text in heard), heard


def test_one_click_overlays_the_rungs_and_another_takes_them_apart(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["five seeds"], DESKTOP)
    panels = "return document.querySelectorAll('#chart-curves .cartesianlayer > .subplot').length"
    names = "return [...document.querySelectorAll('#chart-curves .legendtext')].map((text) => text.textContent)"
    assert browser.js(panels) == 12
    assert browser.js(names) == ["train", "validation"]
    button = browser.driver.find_element(By.ID, "overlay")
    browser.js("arguments[0].click()", button)
    assert button.get_attribute("aria-pressed") == "true"
    assert browser.js(panels) == 2
    assert browser.js(names) == ["baseline", "standardize", "augment", "schedule", "dropout", "batchnorm"]
    assert browser.complaints() == []
    browser.js("arguments[0].click()", button)
    assert browser.js(panels) == 12


def test_zooming_one_panel_zooms_all(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["five seeds"], DESKTOP)
    plot = browser.driver.find_element(By.ID, "chart-curves")
    browser.js("arguments[0].scrollIntoView({block: 'start', behavior: 'instant'})", plot)
    drag = browser.driver.find_elements(By.CSS_SELECTOR, "#chart-curves .nsewdrag")[2]
    ActionChains(browser.driver, duration=50).move_to_element_with_offset(
        drag, -40, -30
    ).click_and_hold().move_by_offset(80, 60).release().perform()
    ranges = (
        "const all = document.getElementById('chart-curves')._fullLayout;"
        "return Object.keys(all).filter((key) => /^xaxis/.test(key)).map((key) => all[key].range.join(' '))"
    )
    WebDriverWait(browser.driver, PATIENCE).until(lambda _: browser.js(ranges)[0] != "0 20")
    assert len(set(browser.js(ranges))) == 1
    browser.js("document.getElementById('unzoom').click()")
    assert set(browser.js(ranges)) == {"0 20"}


def test_the_theme_follows_the_system_and_the_button(browser: Browser, pages: dict[str, Path]) -> None:
    color = "return getComputedStyle(document.body).backgroundColor"
    browser.open(pages["one seed"], DESKTOP, dark=True)
    dark = browser.js(color)
    try:
        browser.js("document.getElementById('theme').click()")
        light = browser.js(color)
        assert dark != light
        ink = "return document.querySelector('#chart-ladder .annotation-text').style.fill"
        assert browser.js(ink) == "rgb(26, 26, 26)"
        # It is remembered for this page, and for no other.
        browser.open(pages["one seed"], DESKTOP, dark=True)
        assert browser.js(color) == light
        browser.open(pages["unfinished"], DESKTOP, dark=True)
        assert browser.js(color) == dark
    finally:
        browser.js("localStorage.clear()")


def test_paper_gets_light_charts_that_fit_the_sheet(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["five seeds"], DESKTOP, dark=True)
    sizes = (
        "return [...document.querySelectorAll('.plot > .plot-container .main-svg:first-child')]"
        ".map((svg) => [svg.clientWidth, svg.clientHeight])"
    )
    screen = browser.js(sizes)
    browser.js("window.dispatchEvent(new Event('beforeprint'))")
    paper = browser.js(sizes)
    assert len(paper) == len(FINISHED)
    assert all(width <= 690 and height <= 920 for width, height in paper)
    assert browser.js("return document.documentElement.dataset.theme") == "light"
    browser.js("window.dispatchEvent(new Event('afterprint'))")
    assert browser.js(sizes) == screen
    assert browser.complaints() == []


def test_a_print_has_the_charts_on_few_sheets(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["five seeds"], DESKTOP, dark=True)
    printed = browser.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    sheets = re.findall(rb"/Type */Page\b", base64.b64decode(printed["data"]))
    assert 5 <= len(sheets) <= 11
    assert browser.js("return document.documentElement.dataset.theme") is None
    assert browser.complaints() == []


def test_a_rare_mistake_is_pale_and_every_count_is_read(browser: Browser, pages: dict[str, Path]) -> None:
    for dark in (False, True):
        browser.open(pages["five seeds"], DESKTOP, dark=dark)
        cells = browser.js(
            "const plot = document.getElementById('chart-confusion'), trace = plot.data[0];"
            "return trace.text.map((count, i) =>"
            " [Number(count), trace.x[i] === trace.y[i], trace.marker.color[i], trace.textfont.color[i]])"
        )
        card = browser.js("return getComputedStyle(document.documentElement).getPropertyValue('--card').trim()")
        assert min(contrast(fill, text) for *_, fill, text in cells) >= 4.5
        depth = {right: {} for right in (False, True)}
        for count, right, fill, _ in cells:
            depth[right].setdefault(count, float(np.linalg.norm(linear(fill) - linear(card))))
        assert len(cells) > 15
        for depths in depth.values():
            assert [depths[count] for count in sorted(depths)] == sorted(depths.values())
        # 20 images a class here: one of them is far from as deep as most of them.
        assert depth[False][1] < 0.6 * max(depth[True].values())


@pytest.fixture
def other_pages(
    tmp_path: Path, made_up_sweep: Callable[..., SavedStudy], complete_study: Callable[..., SavedStudy]
) -> dict[str, Path]:
    """Pages of all other kinds."""
    scores = [[0.80, 0.82], [0.90, 0.91], [0.95, 0.951], [None, 0.1], [0.7, 0.7], [0.6, 0.6]]
    sweep = write_page(make_sweep_findings(made_up_sweep(["optimizer.lr=0.03,0.1,1", "batch_size=32,128"], scores)))
    studies = [complete_study(tmp_path / name, rungs=3, seeds=3, epochs=2) for name in ("one", "other")]
    written = write_comparison(compare_studies(studies), tmp_path / "both")
    audit = tmp_path / "audit.html"
    audit.write_text(render_audit_page(audit_image_set(load_image_set("digits"))), encoding="utf-8")
    return {"sweep": sweep, "comparison": next(path for path in written if path.suffix == ".html"), "audit": audit}


@pytest.mark.long
@needs_axe
def test_the_other_pages_can_be_read_by_everyone_too(browser: Browser, other_pages: dict[str, Path]) -> None:
    for (name, page), dark in zip(other_pages.items(), (False, True, True), strict=True):
        browser.open(page, PHONE, dark=dark)
        browser.js("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert browser.js("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0, (
            name
        )
        assert browser.violations() == [], name
        assert browser.complaints() == [], name
        wide = "return [...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth)"
        hinted = f"{wide}.every((one) => getComputedStyle(one).backgroundAttachment.includes('local'))"
        assert browser.js(hinted), f"a table of {name} that goes on at its side has no shadow there"


#: What stands where: headings, charts, cards and tables, in pixels of the page.
BOXES = """
const round = (value) => Math.round(value);
const chosen = document.querySelectorAll("h2, .plot, .verdicts li:first-child, .scroll, .choice, #theme");
return Object.fromEntries([...chosen].filter((one) => one.getBoundingClientRect().height).map((one, i) => {
  const box = one.getBoundingClientRect(), name = one.id || one.getAttribute("aria-label") || one.className;
  return [`${i} ${name}`, [round(box.left), round(box.top + scrollY), round(box.width), round(box.height)]];
}));
"""
LOOKS = Path(__file__).parent / "golden" / "looks"
#: Pixels of the page that one of its small picture stands for.
SHRUNK = 8


def ink(small: Image.Image, box: list[int]) -> float:
    """How far the pixels of a box are from its ground, on average."""
    left, top, wide, high = (value // SHRUNK for value in box)
    pixels = np.asarray(small.crop((left, top, left + wide, top + high)), dtype=float).reshape(-1, 3)
    return float(np.abs(pixels - np.median(pixels, axis=0)).mean())


def test_a_chart_that_is_gone_is_seen(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["a failed seed"], DESKTOP)
    inks = []
    for script in ("", "document.querySelector('#chart-curves .main-svg').style.opacity = 0"):
        browser.js(script)
        picture = browser.picture()
        small = picture.resize((DESKTOP // SHRUNK, picture.height // SHRUNK), Image.Resampling.BOX)
        (box,) = (box for what, box in browser.js(BOXES).items() if what.endswith(" chart-curves"))
        inks.append(ink(small, box))
    assert inks[1] < 0.6 * inks[0]


@pytest.mark.long
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_it_looks_as_it_did(
    browser: Browser, pages: dict[str, Path], request: pytest.FixtureRequest, width: int, dark: bool
) -> None:
    """Boxes and a small picture, both with room for another machine's fonts; look before ``--refresh-golden``."""
    browser.open(pages["a failed seed"], width, dark=dark)
    boxes, picture = browser.js(BOXES), browser.picture()
    small = picture.resize((width // SHRUNK, picture.height // SHRUNK), Image.Resampling.BOX)
    name = f"{width}-{'dark' if dark else 'light'}"
    if request.config.getoption("--refresh-golden"):
        LOOKS.mkdir(exist_ok=True)
        lines = ",\n".join(f"{json.dumps(what)}: {json.dumps(box)}" for what, box in boxes.items())
        (LOOKS / f"{name}.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
        small.quantize(64).save(LOOKS / f"{name}.png", optimize=True)
    kept = json.loads((LOOKS / f"{name}.json").read_text(encoding="utf-8"))
    assert list(boxes) == list(kept)
    for what, (left, top, wide, high) in boxes.items():
        assert (left, wide) == pytest.approx(kept[what][::2], abs=6), what
        assert (top, high) == pytest.approx(kept[what][1::2], rel=0.08, abs=16), what
    before = Image.open(LOOKS / f"{name}.png").convert("RGB")
    assert small.height == pytest.approx(before.height, rel=0.08)
    now = np.asarray(small.resize(before.size, Image.Resampling.BOX), dtype=float)
    off = np.abs(now - np.asarray(before, dtype=float)).max(axis=2)
    assert off.mean() < 8
    assert (off > 60).mean() < 0.03
    # Thin lines on a wide page weigh little, so each chart is also weighed alone.
    drawn = [what for what in boxes if " chart-" in what]
    assert len(drawn) == len(FINISHED)
    for what in drawn:
        assert ink(small, boxes[what]) == pytest.approx(ink(before, kept[what]), rel=0.3), what
