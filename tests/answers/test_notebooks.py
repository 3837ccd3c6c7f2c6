"""The teaching notebooks show what they were saved with, and the solutions of their exercises hold.

``pytest tests/answers/test_notebooks.py --refresh-golden -m soak`` runs them whole and saves what they show.
"""

from __future__ import annotations

import base64
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from tests.api.test_notebook import masked, shown

NOTEBOOKS = Path(__file__).parents[2] / "docs/notebooks"
#: Three rungs in place of six, in one process.
FEWER = "plan=['base:', '+flip:horizontal_flip', '+norm:batch_norm'], execution=sl.Execution(workers=1)"
#: What makes each of them short: as many images, seeds or made-up studies as show that the code still runs.
SHORTER = {
    "convolutions": {"range(40)": "range(3)", "range(5, 33)": "range(5, 12)"},
    "ladder": {
        "limit=60": "limit=14",
        "recipe, seeds=3": f"recipe, {FEWER}, seeds=2",
        "recipe, seeds=5": f"recipe, {FEWER}, seeds=2",
    },
    "did_it_help": {"studies = 20_000": "studies = 2_000"},
}

# The kernel's sockets are closed by its own threads.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def solutions(notebook: nbformat.NotebookNode) -> list[str]:
    """The Python of every collapsed solution."""
    return [
        code
        for cell in notebook.cells
        if cell.cell_type == "markdown" and "<details>" in cell.source
        for code in re.findall(r"```python\n(.*?)```", cell.source, re.DOTALL)
    ]


def words(cell: nbformat.NotebookNode) -> set[str]:
    """What a cell shows, but for figures and what hangs on them, in whatever pieces and order it came."""
    text = re.sub(r"\b(yes|no|any)\b", "W", " ".join(shown(cell)))
    return set(text.split())


def joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Outputs with what was printed in pieces put together."""
    kept: list[nbformat.NotebookNode] = []
    for output in outputs:
        if output.output_type == "stream" and kept and kept[-1].get("name") == output.name:
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def shortened(name: str) -> nbformat.NotebookNode:
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    for old, new in SHORTER[name].items():
        assert any(old in cell.source for cell in notebook.cells if cell.cell_type == "code"), old
        for cell in notebook.cells:
            cell.source = cell.source.replace(old, new)
    return notebook


def masked_words(text: str) -> set[str]:
    return set(masked(text).split())


@pytest.mark.long
@pytest.mark.parametrize("name", SHORTER)
def test_a_shorter_notebook_runs_and_its_solutions_hold(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, without a kernel; what it prints is compared where it depends on no training."""
    import matplotlib.pyplot as plt

    monkeypatch.chdir(tmp_path)
    notebook = shortened(name)
    there: dict[str, Any] = {}
    with torch.random.fork_rng(devices=[]), plt.rc_context():
        plt.switch_backend("agg")
        for cell in [cell for cell in notebook.cells if cell.cell_type == "code"]:
            code = "\n".join(line for line in cell.source.split("\n") if not line.startswith("%"))
            with redirect_stdout(StringIO()) as printed:
                exec(compile(code, name, "exec"), there)
            if name != "ladder":
                saved = "".join(output.text for output in cell.outputs if output.output_type == "stream")
                assert masked_words(printed.getvalue()) == masked_words(saved), cell.source
        exercises = solutions(notebook)
        assert len(exercises) == 3
        for code in exercises:
            exec(compile(code, f"{name}, a solution", "exec"), there)
        plt.close("all")


def run_notebook(name: str, folder: Path) -> nbformat.NotebookNode:
    run = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    number = len(run.cells)
    run.cells += [nbformat.v4.new_code_cell(code) for code in solutions(run)]
    NotebookClient(run, timeout=900, resources={"metadata": {"path": str(folder)}}).execute()
    del run.cells[number:]
    return run


@pytest.mark.soak
@pytest.mark.parametrize("name", SHORTER)
def test_a_whole_notebook_shows_what_it_was_saved_with(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run = run_notebook(name, tmp_path)
    if request.config.getoption("--refresh-golden"):
        for cell in run.cells:
            cell.get("metadata", {}).pop("execution", None)
            if cell.cell_type == "code":
                cell.outputs = joined(cell.outputs)
        nbformat.write(run, NOTEBOOKS / f"{name}.ipynb")
    saved = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    for before, after in zip(saved.cells, run.cells, strict=True):
        assert words(before) == words(after)


@pytest.mark.parametrize("name", SHORTER)
def test_it_is_saved_with_what_it_shows_and_small(name: str) -> None:
    path = NOTEBOOKS / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    assert path.stat().st_size < 300_000
    pictures = 0
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            assert output.output_type != "error"
            picture = output.get("data", {}).get("image/png")
            if picture:
                pictures += 1
                assert len(base64.b64decode(picture)) < 60_000
    assert pictures >= 1
    assert not any(
        "/" + "root" in str(cell.get("outputs")) or "/tmp" in str(cell.get("outputs")) for cell in notebook.cells
    )
