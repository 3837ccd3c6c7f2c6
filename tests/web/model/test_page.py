"""The page of a served model in a real browser: chosen, dropped and pasted images, bars, explanations, widths, axe."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import Browser, needs_axe, needs_browser, open_browser
from tests.terminal import Terminal
from tests.web.model.conftest import as_png
from tests.web.served import Served, served

pytestmark = needs_browser


class Address:
    """An address where the browser's ``open`` expects a file."""

    def __init__(self, text: str) -> None:
        self.text = text

    def as_uri(self) -> str:
        return self.text


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser, server: Served) -> Callable[..., Browser]:
    def open_at(width: int = 1000, *, dark: bool = False) -> Browser:
        browser.open(Address(server.address), width, dark=dark)  # type: ignore[arg-type]
        return browser

    return open_at


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, pictures: list[bytes]) -> list[str]:
    folder = tmp_path_factory.mktemp("chosen")
    for number, content in enumerate(pictures[:3]):
        (folder / f"digit {number}.png").write_bytes(content)
    (folder / "strange.png").write_bytes(
        as_png(np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8))
    )
    (folder / "text <b>.png").write_text("no image")
    return sorted(map(str, folder.iterdir()))


def choose(browser: Browser, files: list[str]) -> None:
    browser.driver.find_element(By.ID, "files").send_keys("\n".join(files))
    until(browser, "return [...document.querySelectorAll('.card h2')].every((one) => one.textContent !== '…')")


def until(browser: Browser, script: str, *arguments: Any) -> Any:
    return WebDriverWait(browser.driver, 60).until(lambda _: browser.js(script, *arguments))


def heads(browser: Browser) -> list[str]:
    return browser.js("return [...document.querySelectorAll('.card h2')].map((one) => one.textContent)")


def test_it_says_which_model_answers(page: Callable[..., Browser], server: Served) -> None:
    browser = page()
    assert browser.driver.title == "digits: what is on this image?"
    assert browser.js("return document.querySelector('h1').textContent") == "digits"
    about = browser.js("return document.getElementById('about').textContent")
    assert about == "It tells 10 classes apart on images of 8×8 pixels: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9."
    assert "At most 64 images and 32 MB" in browser.js("return document.getElementById('limits').textContent")
    assert f"{server.base}/predict" in browser.js("return document.getElementById('curl').textContent")
    assert all(url.startswith((server.base, "data:")) for url in browser.requests()), "asked elsewhere"
    assert browser.complaints() == []


def test_images_are_answered_with_bars_and_what_is_none_is_said(
    page: Callable[..., Browser], files: list[str], pictures: list[bytes]
) -> None:
    browser = page()
    choose(browser, files)
    said = heads(browser)
    assert len(said) == 5
    first, strange, text = said[0], said[3], said[4]
    assert text == "No answer"
    assert "," in strange
    shares = browser.js(
        "return [...document.querySelectorAll('.card .share')].slice(0, 5).map((one) => one.textContent)"
    )
    assert first.endswith(shares[0])
    bars = browser.js("return [...document.querySelectorAll('.card meter')].slice(0, 5).map((one) => one.value)")
    assert bars == sorted(bars, reverse=True)
    assert shares == [f"{100 * bar:.1f} %" for bar in bars]
    notes = browser.js(
        "return [...document.querySelectorAll('.card')].map((one) => one.querySelector('.notes').textContent)"
    )
    assert notes[:3] == ["", "", ""]
    assert "unlike those that the model learned from" in notes[3]
    assert notes[4].startswith("Image 1: no image that can be read")
    captions = browser.js("return [...document.querySelectorAll('figcaption')].map((one) => one.textContent)")
    assert captions == [Path(file).name for file in files]
    assert browser.js("return document.querySelectorAll('.card b').length") == 0


def test_an_image_may_be_dropped_anywhere_and_pasted(page: Callable[..., Browser], pictures: list[bytes]) -> None:
    browser = page()
    text = base64.b64encode(pictures[0]).decode()
    event = """
      const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], "dropped.png", {type: "image/png"}));
      const options = {bubbles: true, cancelable: true};
      const event = arguments[1] === "drop" ? new DragEvent("drop", {...options, dataTransfer: data})
        : new ClipboardEvent("paste", {...options, clipboardData: data});
      document.querySelector("h1").dispatchEvent(event);
      return event.defaultPrevented;"""
    for number, kind in enumerate(("drop", "paste"), start=1):
        assert browser.js(event, text, kind)
        until(browser, "return document.querySelectorAll('.card .share').length === arguments[0]", 5 * number)
    assert len(set(heads(browser))) == 1
    browser.driver.find_element(By.ID, "paste").click()
    until(browser, "return document.getElementById('trouble').textContent.length > 0")


def test_what_speaks_for_a_class_is_laid_over_the_image(page: Callable[..., Browser], files: list[str]) -> None:
    browser = page()
    choose(browser, files[:1])
    button = browser.driver.find_element(By.CSS_SELECTOR, ".explain")
    button.send_keys(Keys.ENTER)  # by the keyboard
    until(browser, "const one = document.querySelector('.over'); return !one.hidden && one.naturalWidth === 8")
    focus = browser.js("return document.activeElement.tagName")
    assert focus == "SELECT"
    first = browser.js("return document.querySelector('.over').src")
    named = browser.js("return document.querySelector('.legend').textContent")
    assert named.startswith(heads(browser)[0].partition(",")[0])
    other = "0" if not named.startswith("0") else "1"
    browser.js(
        "const one = document.querySelector('.maps select'); one.value = arguments[0];"
        "one.dispatchEvent(new Event('change'))",
        other,
    )
    until(browser, "return document.querySelector('.legend').textContent.startsWith(arguments[0] + ',')", other)
    assert browser.js("return document.querySelector('.over').src") != first
    browser.driver.find_elements(By.CSS_SELECTOR, "fieldset input")[2].click()
    assert "Blue: more likely" in browser.js("return document.querySelector('.legend').textContent")
    browser.driver.find_elements(By.CSS_SELECTOR, "fieldset input")[0].click()
    assert browser.js("return document.querySelector('.over').hidden")


@needs_axe
@pytest.mark.parametrize(
    ("width", "dark"),
    [
        (360, True),
        (1000, False),
        pytest.param(360, False, marks=pytest.mark.soak),
        pytest.param(1000, True, marks=pytest.mark.soak),
    ],
)
def test_everyone_can_use_it(page: Callable[..., Browser], files: list[str], width: int, dark: bool) -> None:
    browser = page(width, dark=dark)
    assert browser.violations() == []
    choose(browser, files)
    browser.driver.find_element(By.CSS_SELECTOR, ".explain").click()
    until(browser, "return document.querySelector('.over').src !== ''")
    browser.js("document.querySelector('details').open = true")
    assert browser.violations() == []
    wide = browser.js("return document.documentElement.scrollWidth")
    assert wide <= width, "it scrolls sideways"
    background = browser.js("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 300) is dark


def test_all_of_it_is_reached_by_the_keyboard(page: Callable[..., Browser], files: list[str]) -> None:
    browser = page()
    choose(browser, files[:1])
    browser.js("document.activeElement.blur()")
    reached = []
    for _ in range(8):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        reached.append(browser.js("const one = document.activeElement; return one.id || one.className || one.tagName"))
    assert reached[:2] == ["files", "paste"]
    assert "explain" in reached
    assert "SUMMARY" in reached


def test_a_phone_offers_its_camera(page: Callable[..., Browser]) -> None:
    browser = page(360)
    browser.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        shown = "return document.getElementById('camera').closest('label').offsetWidth > 0"
        until(browser, shown)
        assert browser.js("return document.getElementById('camera').getAttribute('capture')") == "environment"
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


@pytest.mark.long
def test_with_a_token_the_page_works_and_the_address_forgets_it(
    browser: Browser, terminal: Terminal, tmp_path: Path, model_folder: Path, files: list[str]
) -> None:
    arguments = ("serve", str(model_folder), "--port", "0", "--token", "a token of 16 letters")
    with served(terminal, tmp_path, *arguments) as running:
        browser.open(Address(running.address), 1000)  # type: ignore[arg-type]
        until(browser, "return document.documentElement.dataset.ready")
        assert browser.driver.current_url == running.base + "/"
        choose(browser, files[:1])
        assert "," in heads(browser)[0]
        browser.driver.delete_all_cookies()
        browser.driver.get(running.base + "/")
        assert "this needs the token" in browser.js("return document.body.textContent")
