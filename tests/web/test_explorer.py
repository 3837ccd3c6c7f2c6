"""The network explorer beside the studies: the very page of the file, at an address, with its own policy."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from stepladder.network.inspection import inspect_network
from stepladder.report.explorer import render_explorer
from tests.browser import PATIENCE, needs_browser, open_browser
from tests.terminal import Terminal
from tests.web.served import Served, served


@pytest.fixture(scope="module")
def server(terminal: Terminal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("studies")
    with served(terminal, folder, "view", str(folder), "--port", "0") as running:
        yield running


def test_it_is_the_page_that_inspect_writes(server: Served) -> None:
    answer = httpx.get(f"{server.base}/explore", timeout=PATIENCE)
    assert answer.status_code == 200
    assert answer.text == render_explorer(inspect_network("report"))
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert 'href="/explore"' in httpx.get(server.base).text


@pytest.mark.long
@needs_browser
def test_it_works_there_under_that_policy(server: Served) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    with open_browser() as browser:
        browser.driver.get(f"{server.base}/explore#line=conv3-8+gap+fc&input=3x32x32")
        WebDriverWait(browser.driver, PATIENCE).until(
            lambda _: browser.js("return document.documentElement.dataset.ready")
        )
        assert browser.js("return document.getElementById('total-weights').textContent") == "314"
        assert [one for one in browser.complaints() if "favicon" not in one] == []
