"""The pages in a real browser: they follow what changes, show names as text, and everyone can use them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

# What tests/browser.py has skipped this module for, where it is not installed.
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import PATIENCE, Browser, needs_axe, needs_browser, open_browser
from tests.terminal import Terminal
from tests.web.served import Served, served
from tests.web.studies.made_up import ladder, replace, write_checkpoint, write_record, write_study, write_trial
from tests.web.studies.test_app import key_of
from tests.web.studies.test_single_watch import RANGE
from tests.web.studies.test_viewer import judged

pytestmark = needs_browser

#: A name that would be a script, were it anything but text.
HOSTILE = "<img src=x onerror=document.title='caught'>"


@dataclass(frozen=True)
class Address:
    """An address, as a browser of tests/browser.py takes a page."""

    url: str

    def as_uri(self) -> str:
        return self.url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    judged(folder / "done", ladder(rungs=3, seeds=3, first=3), upto=3)
    judged(folder / "more", ladder(rungs=3, seeds=3, first=3, created="2026-02-01T12:00:00+00:00"), upto=3)
    trials = write_study(folder / "half", ladder(rungs=3, seeds=4, first=4), ended=lambda one: one.seed == 0)
    write_trial(folder / "half", trials[3], failure=f"the training loss was not finite {HOSTILE}")
    write_checkpoint(folder / "half", trials[4], 2)
    write_study(folder / HOSTILE.replace("/", " "), ladder(rungs=1, seeds=1, first=2))
    (folder / "broken").mkdir()
    replace(folder / "broken" / "study.json", "{")
    for place, epochs in (("under way", 2), ("trained", None), ("stopped", None)):
        begin_training(folder / place, epochs, failure="it took too long" if place == "stopped" else None)
    (folder / "rate").mkdir()
    replace(folder / "rate" / "lr-range.md", "")
    replace(folder / "rate" / "lr-range.json", json.dumps(RANGE))
    (folder / "judged").mkdir()
    replace(folder / "judged" / "report.html", "<!doctype html><title>report</title>")
    effects = [{"name": HOSTILE, "verdict": one, "n": 5} for one in ("helped", "hurt", "equivalent", "undecided", None)]
    replace(folder / "judged" / "verdicts.json", json.dumps({"metric": "accuracy", "effects": effects}))
    report = "<!doctype html><script>fetch('/events'); document.title = 'ran ' + document.domain</script>"
    replace(folder / "done" / "report.html", report)
    return folder


def begin_training(folder: Path, epochs: int | None, failure: str | None = None) -> None:
    """Write a training alone as the trial of a study: under way after so many epochs, or ended."""
    study = folder.parents[1] / "studies of trainings" / folder.name
    (trial,) = write_record(study, ladder(rungs=1, seeds=1, first=1))
    if epochs is None:
        write_trial(study, trial, failure=failure, warnings=("it says something odd",))
    else:
        write_checkpoint(study, trial, epochs)
    replace(study / "trials" / trial.id / "recipe.toml", trial.recipe.to_toml())
    shutil.copytree(study / "trials" / trial.id, folder, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def server(studies: Path, terminal: Terminal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(terminal, tmp_path_factory.mktemp("cwd"), "view", str(studies), "--port", "0", "--control") as running:
        yield running


def open_study(
    browser: Browser, server: Served, studies: Path, place: str, width: int = 1280, dark: bool = False
) -> None:
    browser.open(Address(f"{server.base}/study/{key_of(studies, place)}"), width, dark=dark)
    wait(browser, "return document.querySelectorAll('.seed[title]').length > 0 || !!document.querySelector('.badge')")


def wait(browser: Browser, script: str) -> None:
    WebDriverWait(browser.driver, PATIENCE).until(lambda _: browser.js(script))


def text_of(browser: Browser, selector: str) -> str:
    return str(browser.js("return document.querySelector(arguments[0]).innerText", selector))


@pytest.mark.long
@needs_axe
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (360, False), (360, True)])
def test_axe_finds_nothing_and_nothing_goes_wrong(
    browser: Browser, server: Served, studies: Path, width: int, dark: bool
) -> None:
    browser.open(Address(server.base + "/"), width, dark=dark)
    wait(browser, "return document.querySelectorAll('.studies > li').length === 10")
    assert browser.violations() == []
    assert browser.complaints() == []
    for place in ("done", "half", "broken", "under way", "trained", "stopped", "rate", "judged"):
        open_study(browser, server, studies, place, width, dark)
        if place not in ("broken", "rate", "judged"):
            wait(browser, "return document.querySelectorAll('.charts svg').length === 2")
        assert browser.violations() == []
        assert browser.js("return document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        assert browser.complaints() == []
        assert all(url.startswith(server.base) for url in browser.requests())


def test_names_are_text(browser: Browser, server: Served, studies: Path) -> None:
    browser.open(Address(server.base + "/"), 1280)
    wait(browser, "return document.querySelectorAll('.studies > li').length === 10")
    assert "<img src=x" in text_of(browser, ".studies")
    open_study(browser, server, studies, "half")
    wait(browser, "return document.querySelectorAll('.problems li').length > 0")
    assert f"rung 0, seed 1: the training loss was not finite {HOSTILE}" in text_of(browser, ".problems")
    assert "caught" not in browser.driver.title
    assert browser.js("return document.images.length") == 0


def test_a_page_follows_what_changes(browser: Browser, server: Served, tmp_path: Path, studies: Path) -> None:
    record = ladder(rungs=2, seeds=3, first=3)
    trials = write_record(studies / "live", record)
    time.sleep(1)  # not found again within half a second of the last look
    open_study(browser, server, studies, "live")
    states = "return [...document.querySelectorAll('#trials ~ .scroll .seed')].map((one) => one.dataset.state).join('')"
    wait(browser, f"{states} === 'wwwwww'")
    focused = browser.driver.find_element(By.CSS_SELECTOR, "tbody input[type=checkbox]")
    browser.driver.execute_script("arguments[0].focus()", focused)
    write_checkpoint(studies / "live", trials[0], 2)
    wait(browser, f"{states} === 'pwwwww'")
    write_trial(studies / "live", trials[0])
    write_trial(studies / "live", trials[1], failure="the training loss was not finite")
    wait(browser, f"{states} === 'fwwxww'")
    assert "2 of 6 trials have ended" in text_of(browser, ".now")
    assert "the training loss was not finite" in text_of(browser, ".problems")
    assert "No verdict yet. The first look is at 3 seeds" in text_of(browser, ".now")
    wait(browser, "return document.querySelectorAll('.charts svg path').length > 8")
    # Who had a box under the finger still has it.
    assert browser.js("return document.activeElement === arguments[0]", focused)
    shutil.rmtree(studies / "live")
    wait(browser, "return document.querySelector('.badge').dataset.state === 'removed'")
    assert "was removed, renamed or moved" in text_of(browser, ".now")
    assert browser.complaints() == []


def test_a_training_is_drawn_while_it_runs_and_after(browser: Browser, server: Served, studies: Path) -> None:
    open_study(browser, server, studies, "under way")
    wait(browser, "return document.querySelectorAll('.charts svg').length === 2")
    assert text_of(browser, "label[for=epoch]") == "Epoch 2 of 2"
    assert text_of(browser, "#curves ~ .scroll tbody tr").split() == ["small", "20", "20", "1.8", "1.8"]
    assert text_of(browser, "#curves ~ p") == "Solid: validation. Dotted: training images."
    # Nothing of a study: rungs, seeds, a command that nobody kept.
    assert not browser.js("return document.querySelector('#trials').checkVisibility()")
    assert not browser.js("return document.querySelector('section pre').checkVisibility()")
    begin_training(studies / "under way", 4)
    wait(browser, "return document.querySelector('label[for=epoch]').innerText === 'Epoch 4 of 4'")
    begin_training(studies / "under way", None)
    wait(browser, "return document.querySelector('.badge').dataset.state === 'finished'")
    wait(browser, "return document.querySelectorAll('.charts svg circle').length === 2")  # the ends of its lines
    open_study(browser, server, studies, "stopped")
    assert text_of(browser, ".now .badge") == "Failed"
    assert "it took too long" in text_of(browser, ".now")
    assert browser.complaints() == []


def test_verdicts_of_judged_scores_are_marked(browser: Browser, server: Served, studies: Path) -> None:
    open_study(browser, server, studies, "judged")
    wait(browser, "return document.querySelectorAll('.verdicts li').length === 5")
    words = browser.js("return [...document.querySelectorAll('.verdicts em')].map((one) => one.innerText)")
    assert words == ["helped", "hurt", "equivalent", "undecided", "no verdict"]
    assert browser.js("return document.images.length") == 0
    assert not browser.js("return document.querySelector('.now progress').checkVisibility()")


def test_values_are_read_by_the_keyboard(browser: Browser, server: Served, studies: Path) -> None:
    open_study(browser, server, studies, "done")
    wait(browser, "return document.querySelectorAll('.charts svg').length === 2")
    slider = browser.driver.find_element(By.ID, "epoch")
    last = text_of(browser, "label[for=epoch]")
    slider.send_keys(Keys.HOME)
    wait(browser, "return document.querySelector('label[for=epoch]').innerText.startsWith('Epoch 0 of')")
    assert "10" in text_of(browser, "#curves ~ .scroll tbody tr")
    slider.send_keys(Keys.ARROW_RIGHT)
    wait(browser, "return document.querySelector('label[for=epoch]').innerText.startsWith('Epoch 1 of')")
    slider.send_keys(Keys.END)
    wait(browser, f"return document.querySelector('label[for=epoch]').innerText === '{last}'")


def test_a_verdict_and_its_report_are_shown(browser: Browser, server: Served, studies: Path) -> None:
    open_study(browser, server, studies, "done")
    wait(browser, "return document.querySelectorAll('.verdicts li').length === 2")
    assert "rung 1 helped" in text_of(browser, ".verdicts")
    link = browser.driver.find_element(By.LINK_TEXT, "Open the report").get_attribute("href")
    browser.driver.get(str(link))
    # Its script runs, knows no domain, and hears nothing of the server.
    wait(browser, "return document.title.startsWith('ran')")
    assert browser.driver.title.strip() == "ran"
    assert any("connect-src" in one or "Content Security Policy" in one for one in browser.complaints())


def test_studies_are_chosen_and_compared(browser: Browser, server: Served) -> None:
    browser.open(Address(server.base + "/"), 1280)
    wait(browser, "return document.querySelectorAll('.studies > li').length >= 10")
    search = browser.driver.find_element(By.CSS_SELECTOR, ".filter input")
    search.send_keys("done")
    wait(browser, "return [...document.querySelectorAll('.studies > li')].filter((one) => !one.hidden).length === 1")
    search.send_keys(Keys.CONTROL, "a")
    search.send_keys(Keys.DELETE)
    for place in ("done", "more"):
        box = f"[aria-label$=', {place}'][type=checkbox]"
        browser.driver.find_element(By.CSS_SELECTOR, box).send_keys(Keys.SPACE)
    button = browser.driver.find_element(By.CSS_SELECTOR, ".filter button")
    assert button.text == "Compare 2 studies"
    button.send_keys(Keys.ENTER)
    wait(browser, "return document.title.includes('studies on digits')")
    assert "Nothing to compare, since both trained the same trials" in text_of(browser, "main")


@pytest.mark.long
def test_control_asks_first_and_says_what_it_will_run(browser: Browser, server: Served, studies: Path) -> None:
    write_record(studies / "half", ladder(rungs=3, seeds=4, first=4, command="stepladder study digits --out half"))
    open_study(browser, server, studies, "half")
    go_on = "[...document.querySelectorAll('button')].find((one) => one.textContent === 'Go on')"
    wait(browser, f"return {go_on}.checkVisibility()")
    assert "Stop" not in text_of(browser, ".now")
    browser.js(f"{go_on}.click()")
    assert "This runs the command that its study.json has" in text_of(browser, "dialog")
    assert text_of(browser, "dialog pre") == "stepladder study digits --out half"
    browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    wait(browser, "return !document.querySelector('dialog').open")
    assert not (studies / "half" / ".lock").exists()  # nothing was started


#: Milliseconds after the page was asked for at which all is read and drawn.
DRAWN = """
const done = arguments[0];
(function look() {
  const state = document.querySelector(".badge")?.dataset.state;
  if (state && state !== "reading") requestAnimationFrame(() => done(performance.now()));
  else setTimeout(look, 10);
})();
"""


@pytest.mark.soak
@pytest.mark.parametrize(("rungs", "seeds"), [(600, 5), (6, 500)])
def test_three_thousand_trials_are_read_and_drawn_in_seconds(
    browser: Browser, terminal: Terminal, tmp_path: Path, rungs: int, seeds: int
) -> None:
    """Two seconds on a quiet machine, as pytest -s says; the processor time is what other work does not change."""
    write_study(tmp_path / "many", ladder(rungs=rungs, seeds=seeds, first=seeds))
    with served(terminal, tmp_path / "cwd", "view", str(tmp_path), "--port", "0") as running:
        browser.driver.get(f"{running.base}/study/{key_of(tmp_path, 'many')}")
        took = float(browser.driver.execute_async_script(DRAWN)) / 1000
        fields = Path(f"/proc/{running.pid}/stat").read_text().rpartition(")")[2].split()
        computed = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        shown = int(browser.js("return document.querySelectorAll('td .seed').length"))
    print(f"{rungs} rungs of {seeds} seeds: {took:.1f} s, {computed:.1f} s of the server's processor")
    assert shown == min(rungs, 100) * seeds  # more rungs are drawn where somebody asks for them
    assert computed < 4
