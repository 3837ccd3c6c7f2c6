"""The page in a real browser: nothing goes wrong, nothing is asked for, all is drawn, and everyone can read it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stepladder.report.write import write_page
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.findings import make_findings

pytest.importorskip("selenium", reason="selenium is not installed: pip install selenium")
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
AXE = Path(
    os.environ.get("STEPLADDER_AXE")
    or Path(__file__).parents[2] / ".browser" / "node_modules" / "axe-core" / "axe.min.js"
)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="no chromium and chromedriver here: apt-get install chromium chromium-driver",
)

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
DESKTOP, PHONE = 1400, 390
#: Seconds; a page needs two where nothing else runs.
PATIENCE = 60


class Browser:
    """Headless Chromium with no network to speak of, and a log of what it asks for."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, page: Path, width: int, *, dark: bool = False) -> None:
        """Load a page that has not been loaded before, and wait for its charts."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(page.as_uri())
        WebDriverWait(self.driver, PATIENCE).until(lambda _: self.js("return document.documentElement.dataset.ready"))

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses asked for since the page was opened, its own and those within it left out."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [
            event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in asked if not url.startswith(("data:", "file:")) or url.endswith(("favicon.ico", ".js"))]

    def violations(self) -> list[str]:
        """What axe-core finds that is serious or critical."""
        self.js(AXE.read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']})"
            ".then((result) => done(result.violations),"
            " (error) => done([{impact: 'critical', id: String(error), nodes: []}]));"
        )
        return [
            f"{one['id']}: {[node['html'][:150] for node in one['nodes'][:3]]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    options = Options()
    options.binary_location = str(CHROMIUM)
    for argument in (
        "--headless=new",
        "--no-sandbox",  # the tests may run as root in a container
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    driver.set_script_timeout(PATIENCE)
    yield Browser(driver)
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, complete_study: Callable[..., SavedStudy]) -> dict[str, Path]:
    return {
        name: write_page(make_findings(complete_study(tmp_path_factory.mktemp("study"), **options)))
        for name, options in STUDIES.items()
    }


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


@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core: npm install --prefix .browser axe-core, or STEPLADDER_AXE")
@pytest.mark.parametrize(("name", "dark"), [*((name, False) for name in STUDIES), ("five seeds", True)])
def test_axe_finds_no_serious_fault(browser: Browser, pages: dict[str, Path], name: str, dark: bool) -> None:
    browser.open(pages[name], PHONE if dark else DESKTOP, dark=dark)
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
        ("effects", "seed 2"),
        ("curves", "validation"),
        ("confusion", "found"),
        ("classes", "95 % interval"),
        ("calibration", "sure"),
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
