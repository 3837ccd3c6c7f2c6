"""Other Pythons import nothing from the folder that somebody happens to stand in, and every one is started alike."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest

import stepladder
from stepladder.errors import StepladderWarning
from stepladder.studies.running import worker
from stepladder.studies.running.interpreter import python_command

SOURCE = Path(stepladder.__file__).parent
#: Of the library; the second passes the real one on, so that nothing would be noticed.
PLANTED = {
    "queue": "open('imported', 'w').write(__name__); raise ImportError('no queue here')",
    "random": """
import importlib.util, pathlib, sysconfig
pathlib.Path("imported").write_text(__name__)
place = pathlib.Path(sysconfig.get_paths()["stdlib"]) / "random.py"
spec = importlib.util.spec_from_file_location("random", place)
real = importlib.util.module_from_spec(spec)
spec.loader.exec_module(real)
globals().update(vars(real))
""",
}


@pytest.fixture(params=PLANTED)
def planted(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module that the library would import; it is the current one."""
    (tmp_path / f"{request.param}.py").write_text(PLANTED[request.param])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("arguments", [("-c", "import queue, random"), ("-m", "sched")], ids=["text", "module"])
def test_nothing_is_imported_from_the_current_folder(planted: Path, arguments: tuple[str, ...]) -> None:
    done = subprocess.run(python_command(*arguments), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (planted / "imported").exists()


def test_the_module_of_the_command_line_imports_nothing_from_there_either(planted: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stepladder", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not (planted / "imported").exists()


def test_every_child_is_started_by_this_one_home() -> None:
    starts = re.compile(r"sys\.executable|get_context\(|ProcessPoolExecutor")
    found = [path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if starts.search(path.read_text("utf-8"))]
    assert found == [Path("studies/running/interpreter.py")]


@pytest.mark.long
def test_a_worker_imports_nothing_from_the_current_folder(planted: Path) -> None:
    command = python_command("-m", "stepladder.studies.running.worker")
    done = subprocess.run(command, input="no order", capture_output=True, text=True, check=False)
    assert "JSONDecodeError" in done.stderr  # all was imported, and the order was read
    assert not (planted / "imported").exists()


@pytest.mark.parametrize("named", [(), ("own.py:Mine",)])
def test_what_named_files_import_is_found_after_all_that_is_installed(
    named: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = list(sys.path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(worker, "register", lambda _: None)
    order = {"techniques": named, "networks": (), "path": ["/beside/own", *before]}
    worker._register(order)
    assert sys.path == ([*before, "/beside/own"] if named else before)
    worker._register(order | {"modules": "/from/the/owner"})
    assert sys.path[0] == "/from/the/owner", "as where it comes from, where it was found first too"


def test_the_process_that_the_user_looks_at_says_what_a_worker_warns_of(recwarn: pytest.WarningsRecorder) -> None:
    said, shown = StringIO(), []
    for category in (StepladderWarning, UserWarning):
        worker._tell_warning(
            worker._Telling(said), lambda *one: shown.append(one), category("It was mended."), category, "file.py", 3
        )
    assert json.loads(said.getvalue()) == {"event": "message", "sentence": "It was mended."}
    assert len(shown) == 1
    assert shown[0][1:] == (UserWarning, "file.py", 3)
