"""What files of a user's own import from beside them is found, as Python found it, and nothing that is installed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stepladder.errors import StudyError
from stepladder.studies.running.cluster import beside
from stepladder.studies.running.cluster.beside import modules_beside

Write = Callable[..., None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes modules of a user's own, which Python then finds."""
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.syspath_prepend(tmp_path)

    def make(**texts: str) -> None:
        for name, text in texts.items():
            path = tmp_path.joinpath(*name.split("__in__")[::-1]).with_suffix(".py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        importlib.invalidate_caches()

    return make


def test_it_goes_on_from_module_to_module_and_leaves_out_what_is_installed(write: Write) -> None:
    write(
        near_one="import os, torch\nfrom near_tools import shapes\n",
        __init____in__near_tools="from .colors import RED\n",
        shapes__in__near_tools="def draw():\n    import near_two\n",
        colors__in__near_tools="from . import shapes\nRED = 1\n",
        near_two="import near_one\n",
        near_unused="",
    )
    own = b"import json\nimport numpy as np\nfrom stepladder import Technique\nimport near_one, nowhere_at_all\n"
    found = modules_beside({"mine.py": own})
    assert list(found) == [
        "near_one.py",
        "near_tools/__init__.py",
        "near_tools/colors.py",
        "near_tools/shapes.py",
        "near_two.py",
    ]
    assert found["near_two.py"] == "import near_one\n"
    assert modules_beside({"mine.py": b"import torch, pytest, stepladder.recipe\n"}) == {}
    assert modules_beside({"mine.py": b"no python ("}) == {}


def test_from_their_folder_they_are_imported_by_the_same_names(
    write: Write, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(__init____in__near_tools="from near_tools.shapes import side\n", shapes__in__near_tools="side = 4\n")
    node = tmp_path_factory.mktemp("node")
    for place, text in modules_beside({"mine.py": b"import near_tools\n"}).items():
        (node / place).parent.mkdir(exist_ok=True)
        (node / place).write_text(text)
    monkeypatch.setattr(sys, "path", [str(node), *(one for one in sys.path if one != str(tmp_path))])
    for name in [name for name in sys.modules if name.startswith("near_")]:
        del sys.modules[name]
    importlib.invalidate_caches()
    tools = importlib.import_module("near_tools")
    assert (tools.side, Path(tools.__file__ or "").parents[1]) == (4, node)


def test_what_cannot_travel_is_a_sentence(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"near_fast{importlib.machinery.EXTENSION_SUFFIXES[0]}").write_bytes(b"")
    write(near_wrong="")
    (tmp_path / "near_wrong.py").write_bytes(b"\xff")
    with pytest.raises(StudyError, match=r"mine.py imports near_fast, which is compiled .* install it on the nodes"):
        modules_beside({"mine.py": b"import near_fast\n"})
    with pytest.raises(StudyError, match=r"near_wrong.py, which cannot be read: it is not UTF-8 text"):
        modules_beside({"mine.py": b"import near_wrong\n"})
    write(near_one="import near_two\n", near_two="")
    monkeypatch.setattr(beside, "_MOST_FILES", 1)
    with pytest.raises(StudyError, match=r"imports more than 1 files or 4 MB .* as a package"):
        modules_beside({"mine.py": b"import near_one\n"})
