import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.mark.usefixtures("pictures_rendered")
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


def test_several_studies_are_compared_or_refused(stepladder: Call) -> None:
    settings = ("--epochs", "1", "--limit", "20", "--rung", "base:", "--rung", "+mix:mixup")
    stepladder("study", "digits", *settings, "--seeds", "2", "--out", "one")
    stepladder("study", "digits", *settings, "--seeds", "2", "--out", "two", "--set", "optimizer.lr=0.02")
    stepladder("study", "digits", *settings, "--seeds", "1", "--out", "short", "--set", "batch_size=8")
    stepladder("study", "digits", *settings, "--seeds", "1", "--out", "split", "--validation", "0.3")
    outcome = stepladder("report", "one", "two")
    assert outcome.code == 0, outcome.err
    assert "What differs: optimizer.lr is 0.1 in one and 0.02 in two." in outcome.out
    assert "adjusted for 2 comparisons" in outcome.out
    beside = stepladder("report", "one", "short")
    assert beside.code == 0, beside.err
    assert (
        "one and short had other budgets (32 and 8 images a batch), so short stands beside it and is not" in beside.out
    )
    assert "other budget" in beside.out
    assert not re.search("Higher|Lower|Equivalent|Undecided", beside.out)
    assert "This comparison was not planned" in outcome.out
    assert outcome.out.splitlines()[-1] == "Comparison: comparison/comparison.html"
    assert {path.name for path in Path("comparison").iterdir()} == {"comparison.md", "comparison.html", "figures"}
    document = json.loads(stepladder("report", "one", "two", "--out", "elsewhere", "--json").out)
    assert document["labels"] == ["one", "two"]
    assert len(document["differences"]) == 2
    assert Path("elsewhere/comparison.html").exists()
    for arguments, complaint in (
        (["one", "two", "split"], "one and split cannot be compared, because they have other splits"),
        (["one", "one"], "one is given twice; give each study once"),
        (["one", "--out", "x"], "--out is for a comparison, and there is one study"),
        (["one", "nowhere"], "there is no study in nowhere"),
    ):
        refused = stepladder("report", *arguments)
        assert refused.code == 2
        assert complaint in refused.err
    assert not Path("x").exists()
