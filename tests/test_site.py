"""The site: every command, technique, public name and document has its place; no page asks a network for anything."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

import stepladder
from stepladder.cli import app
from stepladder.techniques import TECHNIQUES
from tests.browser import PATIENCE, needs_browser, open_browser

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stepladder_site", ROOT / "docs/make_site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(site: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site") / "pages"
    site.assemble(target)
    return target


@pytest.mark.long
def test_every_document_has_its_place(pages: Path) -> None:
    # The file names functions of Python by a tag that only its reader knows.
    text = re.sub(r"!!python/\S+ (\{.*\})", r"\1", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed = re.findall(r"[\w/-]+\.md", json.dumps(yaml.safe_load(text)["nav"]))
    there = {str(path.relative_to(pages)) for path in pages.rglob("*.md")}
    assert sorted(listed) == sorted(set(listed)), "a page stands twice"
    assert there - set(listed) == {name for name in there if name.startswith("notebooks/")}
    assert set(listed) <= there


def test_every_command_has_a_page_of_the_words_of_its_help(pages: Path) -> None:
    names = [name for name in app if not name.startswith("-")]
    assert {path.stem for path in (pages / "commands").glob("*.md")} == {*names, "index"}
    text = (pages / "commands/study.md").read_text(encoding="utf-8")
    assert text.startswith("# stepladder study\n")
    assert "stepladder study [OPTIONS]" in text, "code stays as it is"
    assert "studies/&lt;data>-&lt;plan>" in text
    assert "--drop-leaks" in text
    assert "stepladder study digits --recipe first" in text
    for name in names:
        page = (pages / f"commands/{name}.md").read_text(encoding="utf-8")
        assert "## Examples" in page, f"{name} has no example"


def test_every_technique_has_its_card(pages: Path) -> None:
    headings = re.findall(r"^### (\w+)$", (pages / "cards.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == list(TECHNIQUES)


def test_every_public_name_is_in_the_reference(pages: Path) -> None:
    listed = re.findall(r"^::: stepladder\.(\w+)$", (pages / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(stepladder.__all__)


@pytest.mark.long
def test_every_schema_takes_what_a_study_wrote(site: ModuleType) -> None:
    """The files of the newest kept study, by the schemas that are published."""
    import jsonschema

    study = max((ROOT / "tests/studies/schemas").glob("*/study.json"), key=lambda path: int(path.parent.name)).parent
    result = sorted(study.glob("trials/*/result.json"))[0]
    for path, schema in ((study / "study.json", "study"), (result, "result"), (study / "gallery.json", "gallery")):
        document = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.validate(document, site.schemas()[f"{schema}.schema.json"])
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document | {"strange": 1}, site.schemas()[f"{schema}.schema.json"])


def test_links_follow_their_pages(site: ModuleType) -> None:
    above = site._with_links("[a](docs/data.md#b) [c](CONTRIBUTING.md#where) [d](LICENSE)", was_above=True)
    assert above == "[a](data.md#b) [c](contributing.md#where) [d](contributing.md)"
    below = site._with_links("[a](../README.md#own) [b](data.md) [c](../benchmarks/soak.py)", was_above=False)
    assert below == "[a](index.md#own) [b](data.md) [c](contributing.md)"


@pytest.mark.soak
@needs_browser
def test_the_built_site_is_searched_from_a_folder_and_asks_for_nothing(
    site: ModuleType, pages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    html = site.build(pages.parent)
    assert "Warning" not in capsys.readouterr().out
    with open_browser() as browser:
        for name, width in (("index.html", 1280), ("answers.html", 360), ("commands/study.html", 360)):
            browser.driver.set_window_size(width, 900)
            browser.driver.get((html / name).as_uri())
            assert browser.js("return document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
            assert not [url for url in browser.requests() if not url.startswith("file:")]
        browser.driver.set_window_size(1280, 900)
        browser.driver.get((html / "index.html").as_uri())
        WebDriverWait(browser.driver, PATIENCE).until(
            lambda driver: driver.find_element(By.CSS_SELECTOR, ".md-search__button").is_displayed()
        )
        browser.driver.find_element(By.CSS_SELECTOR, ".md-search__button").click()
        found = (
            "const open = [...document.querySelectorAll('*')].filter((one) => one.shadowRoot);"
            " return open.flatMap((one) => [...one.shadowRoot.querySelectorAll('a')]).map((link) => link.href)"
        )
        WebDriverWait(browser.driver, PATIENCE).until(lambda _: browser.js(f"{found}.length + 1"))
        ActionChains(browser.driver).pause(1).send_keys("receptive field").perform()
        # What is found changes with every letter.
        WebDriverWait(browser.driver, PATIENCE).until(
            lambda _: any("glossary.html" in address for address in browser.js(found))
        )
        assert len(browser.js(found)) > 5
        assert browser.complaints() == []


@pytest.mark.long
def test_a_link_that_leads_nowhere_stops_the_build(site: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/index.md").write_text("# One\n\n[here](#one)\n", encoding="utf-8")
    assert (site.build(tmp_path) / "index.html").exists()
    (tmp_path / "pages/index.md").write_text("# One\n\n[there](nowhere.md)\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        site.build(tmp_path)
