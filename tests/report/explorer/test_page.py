"""The page in Chromium: typed in, pointed at, read by everyone; and what is in its file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# What tests/browser.py has skipped this module for, where it is not installed.
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from stepladder.datasets import ImageSet, load_image_set
from stepladder.errors import RecipeError
from stepladder.model.effective import EffectiveField, EffectiveFields
from stepladder.network.inspection import inspect_network
from stepladder.report.explorer import render_explorer, write_explorer
from tests.browser import PATIENCE, Browser, needs_axe, needs_browser, open_browser

DESKTOP, PHONE = 1280, 360
REPORT = "conv5-32 pool2:ceil_mode=yes conv5-64 pool2:ceil_mode=yes conv5-64 pool2:ceil_mode=yes fc1000 fc"


@pytest.fixture(scope="module")
def digits() -> ImageSet:
    return load_image_set("digits")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    write_explorer(path, inspect_network("report"))
    return path


@pytest.fixture(scope="module")
def page_of_digits(tmp_path_factory: pytest.TempPathFactory, digits: ImageSet) -> Path:
    path = tmp_path_factory.mktemp("explorer") / "digits.html"
    inspection = inspect_network("conv3-8 pool2 fc", (1, 8, 8), 10, training_images=1437)
    gradient = np.outer(np.linspace(0, 1, 8), np.ones(8))
    fields = {name: EffectiveField(gradient, 3.14) for name in ("conv1", "pool1")}
    write_explorer(path, inspection, digits, EffectiveFields(fields, False, "Measured here."))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


def text(browser: Browser, element: str) -> str:
    return browser.driver.find_element(By.ID, element).text


def wait_for(browser: Browser, element: str, words: str) -> str:
    WebDriverWait(browser.driver, PATIENCE).until(lambda _: words in text(browser, element))
    return text(browser, element)


def write_line(browser: Browser, line: str) -> None:
    """Type a line in place of what is there, as a user does."""
    field = browser.driver.find_element(By.ID, "line")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(line)


@pytest.mark.long
def test_the_file_is_small_alone_and_says_nothing_of_its_maker(page: Path, page_of_digits: Path) -> None:
    for one in (page, page_of_digits):
        document = one.read_text(encoding="utf-8")
        assert len(document) < 300_000
        assert "default-src 'none'" in document
        assert not [word for word in ("http://", "https://", str(Path.home())) if word in document.replace(SVG, "")]


#: A name, not an address: browsers make drawings by it and ask for nothing.
SVG = "http://www.w3.org/2000/svg"


def test_only_a_page_s_name_is_taken(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"`explore` is .*report; give a name that ends in .html, or the network"):
        write_explorer(tmp_path / "report", inspect_network("report"))
    assert list(tmp_path.iterdir()) == []


def test_names_of_classes_are_text(digits: ImageSet) -> None:
    named = replace(digits, class_names=("</script><img src=x>", *digits.class_names[1:]))
    document = render_explorer(inspect_network("report", (1, 8, 8)), named)
    assert "<img" not in document
    assert "\\u003c/script>\\u003cimg" in document


@needs_browser
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_all_is_drawn_and_nothing_goes_wrong(browser: Browser, page_of_digits: Path, width: int) -> None:
    browser.open(page_of_digits, width)
    assert text(browser, "total-weights") == "1,370"
    assert "137" not in text(browser, "each-image")
    assert text(browser, "each-image").startswith("0.95 weights for each of the 1,437 training images")
    assert browser.js("return document.querySelectorAll('#drawing .slab').length") == 5
    rows = browser.js(
        "return [...document.querySelectorAll('#table tbody tr')].map((row) => row.innerText.split('\\t'))"
    )
    assert [row[0].strip() for row in rows] == ["input", "conv1", "relu1", "pool1", "flatten", "fc1"]
    # Every canvas that is shown has something on it: more colors than a ground and a frame.
    blank = browser.js(
        "const colors = (one) => new Set(new Uint32Array(one.getContext('2d').getImageData(0, 0, one.width, one.height)"
        ".data.buffer)).size;"
        "return [...document.querySelectorAll('canvas')].filter((one) => one.offsetWidth && colors(one) < 4)"
        ".map((one) => one.id)"
    )
    assert blank == []
    assert browser.js("return document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    # Warnings of Chromium about this test's own reading of canvases are none of the page's.
    assert [one for one in browser.complaints() if "willReadFrequently" not in one] == []
    assert browser.requests() == []


@needs_axe
@needs_browser
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_axe_finds_nothing(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width, dark=dark)
    assert browser.violations() == []
    write_line(browser, "conv3-8 pool2 con")  # with words proposed, a mistake shown, and figures of an earlier line
    wait_for(browser, "wrong", "unknown layer 'con'")
    browser.driver.find_element(By.ID, "line").send_keys(Keys.ARROW_DOWN)
    assert browser.js("return document.querySelectorAll('#words [aria-selected=true]').length") == 1
    assert browser.violations() == []


@needs_browser
def test_a_line_is_typed_with_the_words_that_are_proposed(browser: Browser, page: Path) -> None:
    browser.open(page, DESKTOP)
    assert text(browser, "total-weights") == "1,191,170"
    write_line(browser, "conv3-8 max")
    proposed = [item.text for item in browser.driver.find_elements(By.CSS_SELECTOR, "#words li")]
    assert proposed == ["pool2 The largest value of each window"]
    field = browser.driver.find_element(By.ID, "line")
    field.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    assert field.get_attribute("value") == "conv3-8 pool2"
    field.send_keys(":ce", Keys.ARROW_DOWN, Keys.TAB, "y", Keys.ARROW_DOWN, Keys.ENTER, " fc", Keys.ESCAPE)
    assert field.get_attribute("value") == "conv3-8 pool2:ceil_mode=yes fc"
    assert text(browser, "total-weights") == "20,714"
    assert wait_for(browser, "sizes", "31×31").startswith("Built for 3×32×32, it reads images of 31×31 to 32×32 only")


@needs_browser
def test_what_is_wrong_is_said_with_its_place_and_the_last_figures_stay(browser: Browser, page: Path) -> None:
    browser.open(page, DESKTOP)
    write_line(browser, "conv5-32 pool2:padding=3 fc")
    said = wait_for(browser, "wrong", "padding is 3")
    assert said.startswith(
        "Layer 3 (pool1): padding is 3 around windows of 2; it must be at most half of a window, 1, or"
    )
    assert browser.driver.find_element(By.CSS_SELECTOR, "#wrong mark").text == "pool2:padding=3"
    assert "The figures below are those of the last line that fitted." in said
    assert text(browser, "total-weights") != ""
    write_line(browser, "conv5-32 pool2 fc")
    assert text(browser, "wrong") == ""
    assert text(browser, "total-weights") == "84,362"
    field = browser.driver.find_element(By.ID, "input")
    field.clear()
    field.send_keys("32x32x3")
    assert "which has the channels last" in wait_for(browser, "wrong", "channels last")
    assert field.get_attribute("aria-invalid") == "true"


@needs_browser
def test_an_output_is_pointed_at_and_reached_by_keys(browser: Browser, page: Path) -> None:
    browser.open(page, DESKTOP)
    browser.js("document.querySelectorAll('#table button.row')[3].click()")
    assert browser.js("return document.activeElement.textContent") == "conv2"
    assert "r = 6 + (5 − 1)·2 = 14" in text(browser, "workings")
    canvas = browser.driver.find_element(By.ID, "map")
    browser.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", canvas)
    side = canvas.size["width"]
    # From the middle to the output in the first row and column.
    ActionChains(browser.driver).move_to_element_with_offset(canvas, -side // 2 + 4, -side // 2 + 4).perform()
    said = wait_for(browser, "seen-words", "Row 1, column 1")
    assert said.startswith("Row 1, column 1 of conv2 sees 14×14 pixels: rows 1 to 8, columns 1 to 8 of the image")
    assert "8×8 of its field lie in the image" in said
    browser.driver.find_element(By.ID, "column").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert "Row 1, column 3 of conv2 sees 14×14 pixels: rows 1 to 8, columns 1 to 12" in text(browser, "seen-words")
    steps = [one.text.split("\n") for one in browser.driver.find_elements(By.CSS_SELECTOR, "#trail li")]
    assert steps == [
        ["conv2", "1×1 of 16×16"],
        ["pool1", "3×5 of 16×16"],
        ["relu1", "6×10 of 32×32"],
        ["image", "8×12 of 32×32"],
    ]


@needs_browser
def test_the_measured_field_goes_with_its_network_alone(browser: Browser, page_of_digits: Path) -> None:
    browser.open(page_of_digits, DESKTOP)
    box = browser.driver.find_element(By.ID, "effective")
    browser.js("arguments[0].click()", box)
    assert "about 3.1×3.1 of them; the clearer a pixel, the more. Measured here." in text(browser, "seen-words")
    browser.driver.find_element(By.ID, "row").send_keys(Keys.ARROW_RIGHT)  # measured of the middle output alone
    assert not box.is_selected()
    write_line(browser, "conv3-9 pool2 fc")
    assert not box.is_displayed()


@needs_browser
def test_numbers_are_changed_by_hand_and_the_window_slides(browser: Browser, page: Path) -> None:
    browser.open(page, DESKTOP)
    for element, value in (("n0-0", "10"), ("w0-0", "-2")):
        field = browser.driver.find_element(By.ID, element)
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(value, Keys.TAB)
    working = text(browser, "hand-working")
    assert working.startswith("Output 1, 1: 10·(−2) + 1·0 + 1·1 +")
    assert eval_sum(working) == float(working.rpartition(" = ")[2].replace("−", "-"))
    browser.driver.find_element(By.ID, "hand-next").click()
    assert text(browser, "hand-working").startswith("Output 1, 2:")
    assert browser.js("return document.querySelectorAll('#hand-input .read').length") == 9
    browser.driver.find_element(By.ID, "hand-keep").click()
    assert text(browser, "hand-formula") == "Output size: ⌊(6 + 2·1 − 3)/1⌋ + 1 = 6 rows and columns: the size stays."
    browser.driver.find_element(By.ID, "hand-halve").click()
    assert "= 3 rows and columns: half the size." in text(browser, "hand-formula")
    browser.driver.find_element(By.ID, "hand-dilation").send_keys(Keys.END, Keys.ARROW_LEFT)
    browser.driver.find_element(By.ID, "hand-kernel").send_keys(Keys.END)
    assert text(browser, "hand-formula").startswith(
        "The window reaches over 9 pixels, and the padded input has 6: no place fits"
    )
    assert browser.complaints() == []


def eval_sum(working: str) -> float:
    """Add up the written products again."""
    terms = working.partition(": ")[2].rpartition(" = ")[0].split(" + ")
    total = 0.0
    for term in terms:
        value, weight = (float(one.strip("()").replace("−", "-")) for one in term.split("·"))
        total += value * weight
    return total


@needs_browser
def test_the_window_plays_until_it_is_stopped(browser: Browser, page: Path) -> None:
    browser.open(page, DESKTOP)
    button = browser.driver.find_element(By.ID, "hand-play")
    button.click()
    WebDriverWait(browser.driver, PATIENCE).until(lambda _: "Output 1, 2:" in text(browser, "hand-working"))
    assert button.text == "Pause"
    button.click()
    stopped = text(browser, "hand-working")
    time.sleep(1.2)
    assert text(browser, "hand-working") == stopped


@needs_browser
def test_a_link_shows_the_same_page_to_somebody_else(browser: Browser, page: Path) -> None:
    browser.open(page, DESKTOP)
    write_line(browser, "conv3-8 cat(conv1-4 | conv3-4) gap fc")
    browser.js("document.querySelectorAll('#table button.row')[4].click()")
    browser.driver.find_element(By.ID, "row").send_keys(Keys.HOME)
    browser.driver.find_element(By.ID, "hand-halve").click()
    WebDriverWait(browser.driver, PATIENCE).until(
        lambda _: "hand=conv%2C6%2C2%2C2" in browser.js("return location.hash")
    )
    seen = [text(browser, one) for one in ("total-weights", "seen-words", "hand-formula")]
    address = browser.js("return location.href")
    browser.open(page, DESKTOP)
    browser.driver.get("about:blank")
    browser.driver.get(address)
    WebDriverWait(browser.driver, PATIENCE).until(lambda _: browser.js("return document.documentElement.dataset.ready"))
    assert browser.js("return document.getElementById('line').value") == "conv3-8 cat(conv1-4 | conv3-4) gap fc"
    assert [text(browser, one) for one in ("total-weights", "seen-words", "hand-formula")] == seen


@needs_browser
@pytest.mark.parametrize(
    "address",
    [
        "#line=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "#line=fc&input=0x0x0&batch=-1&at=9,9&hand=conv,9,9,9,9,9,9",
        "#x",
    ],
)
def test_an_address_from_anybody_does_no_harm(browser: Browser, page: Path, address: str) -> None:
    browser.open(page, DESKTOP)
    browser.driver.get("about:blank")
    browser.driver.get(page.as_uri() + address)
    WebDriverWait(browser.driver, PATIENCE).until(lambda _: browser.js("return document.documentElement.dataset.ready"))
    assert browser.js("return document.querySelectorAll('main script').length") == 0
    assert browser.complaints() == []
    assert text(browser, "wrong") != "" or text(browser, "total-weights") == "1,191,170"


@needs_browser
def test_every_question_sets_the_page(browser: Browser, page: Path) -> None:
    browser.open(page, DESKTOP)
    shown = {}
    for number in range(1, 12):
        browser.js("document.querySelector(`[data-question='${arguments[0]}']`).click()", number)
        assert text(browser, "wrong") == ""
        shown[number] = (browser.js("return document.activeElement.id"), browser.js("return document.body.innerText"))
    assert [shown[number][0] for number in range(1, 12)] == [
        *("layers", "shared", "layers", "network", "layers", "shared", "seen", "hand", "hand", "layers", "network")
    ]
    holds = {
        1: "5·5·3·32 + 32 = 2,432",
        2: "41,405×",
        5: "4·4·64·1000 + 1000 = 1,025,000",
        6: "2,490,368",
        7: "of conv2 sees 9×9 pixels",
        8: "⌊(7 + 2·2 − 5)/1⌋ + 1 = 7 rows and columns: the size stays",
        9: "⌊(6 + 2·0 − 2)/2⌋ + 1 = 3 rows and columns: half the size",
        10: "1,191,170",
        11: "24 weights for each of the 50,000 training images",
    }
    for number, words in holds.items():
        assert words in shown[number][1], number
    assert shown[5][1].count("1,191,170") >= 2  # the same weights, read as convolutions
    hints = [one.text for one in browser.driver.find_elements(By.CSS_SELECTOR, "[data-hint]")]
    report = inspect_network("report")
    largest = max(report.costs, key=lambda cost: cost.weights)
    assert f"{largest.layer.name} has {largest.weights / report.weights:.0%} of them".replace("%", " %") in hints[9]
    assert f"{report.weights:,}" in hints[4]
    assert browser.complaints() == []


@needs_browser
def test_a_published_network_of_many_layers_is_drawn(browser: Browser, page: Path) -> None:
    browser.open(page, DESKTOP)
    browser.js(
        "const one = document.getElementById('preset'); one.value = 'resnet50'; one.dispatchEvent(new Event('change'))"
    )
    assert text(browser, "total-weights") == "25,557,032"
    assert browser.js("return document.getElementById('line').value").startswith("conv7-64:stride=2,bias=no bn relu")
    assert "sees" in text(browser, "seen-words")
    assert browser.complaints() == []


#: Types a letter, and says what the page shows before and after it drew the rest.
TYPED = """
const [line, done] = [document.getElementById("line"), arguments[1]];
const seen = () => ["total-weights", "table"].map((id) => document.getElementById(id)).map((one) =>
  (one.tFoot ? one.tFoot.rows[0].cells[3].innerText : one.innerText));
line.value = line.value.replace(...arguments[0]);
line.dispatchEvent(new Event("input", {bubbles: true}));
const typed = seen();
setTimeout(() => done([...typed, ...seen()]), 400);
"""


@needs_browser
def test_a_line_of_many_layers_is_drawn_when_the_keys_stop(browser: Browser, page: Path) -> None:
    """A browser takes tenths of a second for the table of ResNet-50; typing must not wait for it."""
    many = page.as_uri() + "#line=" + "+".join(["conv3-16"] * 50) + "+fc&input=3x32x32"
    browser.driver.get("about:blank")
    browser.driver.get(many)
    WebDriverWait(browser.driver, PATIENCE).until(lambda _: text(browser, "total-weights") == "277,978")
    at_once, table, later, drawn = browser.driver.execute_async_script(TYPED, ["conv3-16 fc", "conv3-8 fc"])
    assert (at_once, table) == ("194,898", "277,978")
    assert (later, drawn) == ("194,898", "194,898")
    browser.driver.get("about:blank")
    browser.driver.get(many.replace("+".join(["conv3-16"] * 50), "conv3-16"))
    WebDriverWait(browser.driver, PATIENCE).until(lambda _: text(browser, "total-weights") == "164,298")
    few = browser.driver.execute_async_script(TYPED, ["conv3-16 fc", "conv3-8 fc"])
    assert few == ["82,154"] * 4


@needs_browser
def test_the_largest_images_are_drawn_as_well(browser: Browser, page: Path) -> None:
    browser.open(page, DESKTOP)
    write_line(browser, "conv3-8 conv3-8 gap fc")
    field = browser.driver.find_element(By.ID, "input")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("3x65536x65536")
    assert text(browser, "wrong") == ""
    assert "Row 32769, column 32769 of conv1 sees 3×3 pixels: rows 32768 to 32770" in text(browser, "seen-words")
    assert browser.js("return document.getElementById('field').width") < 2000
    assert browser.complaints() == []


@needs_browser
def test_a_picture_of_ones_own_stays_on_the_page(browser: Browser, page: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (200, 30, 30)).save(tmp_path / "red.png")
    (tmp_path / "words.txt").write_text("no picture", encoding="utf-8")
    browser.open(page, DESKTOP)
    chosen = browser.driver.find_element(By.ID, "own-picture")
    chosen.send_keys(str(tmp_path / "red.png"))
    WebDriverWait(browser.driver, PATIENCE).until(
        lambda _: browser.js("return document.getElementById('picture').selectedOptions[0].text") == "red.png"
    )
    middle = "const one = document.getElementById('field'); return [...one.getContext('2d').getImageData("
    assert browser.js(middle + "one.width / 2 + 5, one.height / 2 + 5, 1, 1).data]")[:3] == [200, 30, 30]
    chosen.send_keys(str(tmp_path / "words.txt"))
    wait_for(browser, "seen-words", "words.txt is no picture that this browser reads; choose a PNG or JPEG file.")
    assert [one for one in browser.complaints() if "willReadFrequently" not in one] == []
    assert browser.requests() == []


@pytest.mark.long
@needs_browser
def test_it_prints_in_light_colors(browser: Browser, page: Path) -> None:
    browser.open(page, DESKTOP, dark=True)
    browser.js("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.js("return getComputedStyle(document.body).backgroundColor") == "rgb(246, 246, 244)"
    browser.js("window.dispatchEvent(new Event('afterprint'))")
    assert browser.js("return getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)"
