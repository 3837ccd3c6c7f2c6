"""In a real Jupyter kernel: the example notebook shows what it was saved with, and Ctrl-C keeps a checkpoint.

``pytest tests/api/test_notebook.py --refresh-golden`` runs the notebook and saves what it shows.
"""

from __future__ import annotations

import re
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs/notebooks/first_study.ipynb"

# The kernel's sockets are closed by its own threads.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def shown(cell: nbformat.NotebookNode) -> list[str]:
    """Return what a cell shows as text; figures are another processor's, and times another moment's."""
    texts = []
    for output in cell.get("outputs", ()):
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        if "pre style" in str(output.get("data", {}).get("text/html", "")):
            continue  # progress: what it says depends on how fast the machine is
        texts.append(masked(text))
    return texts


def masked(text: str) -> str:
    """Return a text with every figure and what hangs on it masked."""
    text = re.sub(r"\b(helped|hurt|equivalent|undecided)\b", "VERDICT", text)
    text = re.sub(r"[▲▼■◇○]", "SIGN", text)
    text = re.sub(r"[+−-]?\d[\d,.]*(e[+-]?\d+)?", "N", text)
    text = re.sub(r"(highest test accuracy: )\w+", r"\1RUNG", text)
    return re.sub(r"[ \[\]']+", " ", text).strip()


@pytest.mark.soak  # and of make examples
@pytest.mark.parametrize("limit", [14, 60])
def test_the_example_shows_what_it_was_saved_with(tmp_path: Path, request: pytest.FixtureRequest, limit: int) -> None:
    """As it is, or with fewer images: what is compared are the words around the figures."""
    refresh = request.config.getoption("--refresh-golden")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    run = nbformat.read(NOTEBOOK, as_version=4)
    if not refresh:
        for cell in run.cells:
            cell.source = cell.source.replace("limit=60", f"limit={limit}")
    NotebookClient(run, timeout=500, resources={"metadata": {"path": str(tmp_path)}}).execute()
    if refresh:
        for cell in run.cells:
            cell.get("metadata", {}).pop("execution", None)
        nbformat.write(run, NOTEBOOK)
        notebook = run
    cells = [cell for cell in run.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in cells)
    for before, after in zip(notebook.cells, run.cells, strict=True):
        assert shown(before) == shown(after)
    html = [
        output.data["text/html"] for cell in cells for output in cell.outputs if "text/html" in output.get("data", {})
    ]
    assert any("Reading" not in text and "crops" in text and "data:image/svg+xml" in text for text in html)
    assert any("of 10 trials" in text or "It will take" in text for text in html)
    assert cells[-1].outputs[-1].data["text/plain"] == "True"


def answer(client: BlockingKernelClient, asked: str) -> dict[str, Any]:
    """Return the kernel's answer to one request; on a busy machine, answers to "are you ready?" come before it."""
    while True:
        message = client.get_shell_msg(timeout=120)
        if message["parent_header"].get("msg_id") == asked:
            content: dict[str, Any] = message["content"]
            return content


@pytest.mark.soak  # tests/api/test_verbs.py stops one outside a notebook
def test_ctrl_c_keeps_a_checkpoint(tmp_path: Path) -> None:
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    try:
        asked = client.execute(
            "import stepladder as sl\n"
            "sl.study(sl.load_image_set('digits', limit=40), sl.RecipeOptions('small', settings={'epochs': 500}),"
            " plan=['base:', '+standardize:standardize'], seeds=1, out='study',"
            " execution=sl.Execution(workers=1, checkpoint_seconds=0.05))",
            # Else the kernel aborts, unread, what comes soon after an error: the next cell of "run all cells".
            stop_on_error=False,
        )
        patience = monotonic() + 120
        while not list(tmp_path.glob("study/trials/*/checkpoint/*")):
            assert monotonic() < patience
            sleep(0.1)
        manager.interrupt_kernel()
        reply = answer(client, asked)
        assert reply["status"] == "error"
        assert reply["ename"] == "Stopped"
        assert "0 of 2 trials are finished" in "".join(reply["traceback"])
        assert list(tmp_path.glob("study/trials/*/checkpoint/*"))
        assert (tmp_path / "study/report.html").exists()
        # The kernel lives on, and Ctrl-C is the kernel's own again.
        assert client.execute_interactive("1 + 1", timeout=60)["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
