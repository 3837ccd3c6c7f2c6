"""The command: what it takes, refuses and prints. What it serves is tested in ``tests/web/studies``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.web import server
from stepladder.web.server import Where
from tests.conftest import Outcome


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Note what would be served, in place of serving it."""
    calls: list[dict[str, Any]] = []

    def run(app: Any, where: Where, **more: Any) -> str:
        more["say"]("It is at http://127.0.0.1:8000/")
        calls.append({"viewer": app.state.viewer, "where": where, **more})
        return "interrupt"

    monkeypatch.setattr(server, "run", run)
    return calls


def test_it_shows_the_current_folder_to_this_machine_and_only_looks(
    stepladder: Callable[..., Outcome], served: list[dict[str, Any]], tmp_path: Path
) -> None:
    outcome = stepladder("view")
    assert outcome.code == 130
    assert outcome.out == "It is at http://127.0.0.1:8000/\n"
    (call,) = served
    assert call["where"] == Where("127.0.0.1", None, None)
    assert call["viewer"].folder == tmp_path.resolve()
    assert call["viewer"].control is None
    assert not call["open_page"]
    assert list(tmp_path.iterdir()) == []


def test_every_option_arrives(stepladder: Callable[..., Outcome], served: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    token = "0123456789abcdef"
    options = ("--port", "9000", "--host", "localhost", "--token", token, "--open", "--control")
    assert stepladder("view", "studies", *options).code == 130
    (call,) = served
    assert call["where"] == Where("localhost", 9000, token)
    assert call["open_page"]
    assert call["viewer"].folder == (tmp_path / "studies").resolve()
    assert call["viewer"].control.folder == (tmp_path / "studies").resolve()
    assert call["viewer"].control.here == tmp_path.resolve()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("nowhere",),
            "Error: cannot look into nowhere: No such file or directory; give a folder that holds studies\n",
        ),
        (("file",), "Error: file is no folder; give one that holds studies\n"),
        (("--port", "70000"), "Error: --port is 70000; it must be 0 to 65535\n"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_sentence(
    stepladder: Callable[..., Outcome], tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "file").touch()
    assert stepladder("view", *arguments) == Outcome(2, "", said)


def test_a_missing_extra_gives_the_command_that_installs_it(
    stepladder: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)  # as where it is not installed
    outcome = stepladder("view")
    assert outcome.code == 2
    assert "pip install 'stepladder[serve]'" in outcome.err
