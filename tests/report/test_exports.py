from __future__ import annotations

import subprocess
import sys

import stepladder.report


def test_public_names():
    assert stepladder.report.__all__ == [
        "build_document",
        "describe",
        "draw_curves",
        "draw_forest",
        "draw_interactions",
        "draw_ladder",
        "draw_shapley",
        "terminal_effects",
        "terminal_table",
        "write_page",
        "write_report",
    ]
    assert all(callable(getattr(stepladder.report, name)) for name in stepladder.report.__all__)


def test_the_report_needs_no_torch_and_leaves_pyplot_alone():
    check = "import sys, stepladder.report; sys.exit(bool({'torch', 'matplotlib.pyplot'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
