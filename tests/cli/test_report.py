import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stepladder as sl

Call = Callable[..., Any]


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
def test_what_a_paper_takes_is_written_where_it_is_asked_for(stepladder: Call) -> None:
    stepladder(
        "study", "digits", "--epochs", "1", "--limit", "20", "--rung", "base:", "--rung", "+mix:mixup", "--out", "out"
    )
    paper = ("--latex", "paper/tables.tex", "--csv", "paper/csv", "--figures", "paper/figures")
    outcome = stepladder(
        "report", "out", *paper, "--width", "85mm", "--font-size", "7", "--format", "pdf", "--format", "svg"
    )
    assert outcome.code == 0, outcome.err
    # One epoch on so few images teaches nothing, and then the report has no effects.
    assert "Tables for LaTeX: paper/tables.tex\nTables as CSV: paper/csv/effects.csv, " in outcome.out
    assert "Figures, 85mm wide, in paper/figures: ladder, curves" in outcome.out
    assert r"\label{tab:stepladder-rungs}" in Path("paper/tables.tex").read_text(encoding="utf-8")
    assert Path("paper/csv/effects.csv").read_text(encoding="utf-8").startswith("name,design,rung,below,")
    assert {path.name for path in Path("paper/figures").iterdir()} == {
        f"{name}.{ending}" for name in ("ladder", "curves") for ending in ("pdf", "svg")
    }
    assert Path("paper/figures/ladder.pdf").read_bytes().startswith(b"%PDF")
    compared = stepladder("report", "out", "out/", "--latex", "both.tex")
    assert "is given twice" in compared.err
    for arguments, complaint in (
        (["--width", "85mm"], "--width is of the figures for a paper; say where they go with --figures FOLDER"),
        (["--figures", "x", "--width", "85"], "--width is '85'; give a number with its unit (in, mm, cm or pt)"),
        (["--figures", "x", "--font", "No Such"], "--font is 'No Such', which is not installed here"),
        (["--csv", "x.tex"], "--csv is x.tex; give a folder"),
    ):
        refused = stepladder("report", "out", *arguments)
        assert refused.code == 2
        assert complaint in refused.err
    assert not Path("x").exists()
    assert stepladder("report", "out", "other", "--csv", "x").err.startswith("Error: --csv is for one study")


@pytest.mark.long
def test_python_writes_the_same_as_the_command(stepladder: Call) -> None:
    stepladder("sweep", "digits", "--epochs", "1", "--limit", "20", "--over", "optimizer.lr=0.1,0.2", "--out", "out")
    stepladder("report", "out", "--latex", "cli.tex", "--csv", "cli.csv", "--figures", "cli")
    sweep = sl.load_study("out")
    assert sweep.to_latex("py.tex") == Path("cli.tex").read_text(encoding="utf-8")
    sweep.to_csv("py.csv")
    sweep.to_figures("py")
    assert Path("py.csv").read_bytes() == Path("cli.csv").read_bytes()
    for path in Path("cli").iterdir():
        assert (Path("py") / path.name).read_bytes() == path.read_bytes()
