import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]


def test_a_report_is_rebuilt_from_the_files_alone(stepladder: Call) -> None:
    stepladder("study", "digits", "--seeds", "1", "--epochs", "1", "--limit", "20", "--out", "out")
    derived = [Path("out/report.md"), Path("out/report.html"), Path("out/results.csv"), Path("out/figures/ladder.svg")]
    written = [path.read_bytes() for path in derived]
    for path in derived:
        path.unlink()
    outcome = stepladder("report", "out")
    assert outcome.code == 0
    assert [path.read_bytes() for path in derived] == written
    assert json.loads(stepladder("report", "out", "--json").out)["unfinished_trials"] == 0
