"""Headless Chromium for the tests of pages: what is drawn, asked for, complained of, and read by everyone."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("selenium", reason="selenium is not installed: pip install selenium")
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
AXE = Path(
    os.environ.get("STEPLADDER_AXE")
    or Path(__file__).parents[1] / ".browser" / "node_modules" / "axe-core" / "axe.min.js"
)

needs_browser = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="no chromium and chromedriver here: apt-get install chromium chromium-driver",
)
needs_axe = pytest.mark.skipif(
    not AXE.is_file(), reason="no axe-core: npm install --prefix .browser axe-core, or STEPLADDER_AXE"
)

#: Whether all of a page is drawn; the sheet of a data set has no script and says nothing. On the way from one address
#: to another a document has no root for a moment.
READY = (
    "return document.documentElement?.dataset.ready || !(document.scripts.length || document.readyState !== 'complete')"
)
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
        WebDriverWait(self.driver, PATIENCE).until(lambda _: self.js(READY))

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

    def picture(self) -> Image.Image:
        """The whole page, however long."""
        width, height = self.js("const all = document.documentElement; return [all.clientWidth, all.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        return Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB")

    def violations(self) -> list[str]:
        """What axe-core finds, however small."""
        self.js(AXE.read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']})"
            ".then((result) => done(result.violations),"
            " (error) => done([{impact: 'critical', id: String(error), nodes: []}]));"
        )
        return [f"{one['id']}: {[node['html'][:150] for node in one['nodes'][:3]]}" for one in found]


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start headless Chromium, and end it."""
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
