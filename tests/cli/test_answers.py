"""``stepladder answers``, as a terminal shows it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Call = Callable[..., Any]


def test_the_list_fits_a_screen(stepladder: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    outcome = stepladder("answers")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert len(lines) <= 50
    assert max(map(len, lines)) <= 80
    assert "   7  What does one output see after one and after two convolutions?" in outcome.out
    assert "Dropout and regularization" in lines


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("number", ["1", "7", "10", "33"])
def test_an_answer_fits_the_terminal(
    stepladder: Call, monkeypatch: pytest.MonkeyPatch, number: str, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    outcome = stepladder("answers", number)
    assert max(map(len, outcome.out.splitlines())) <= columns
    for part in ("See also", "$ stepladder" if number != "33" else "In Python"):
        assert part in outcome.out


def test_several_and_a_technique(stepladder: Call) -> None:
    out = stepladder("answers", "7-9", "33").out
    assert [line.split(".")[0] for line in out.splitlines() if line[:1].isdigit()] == ["7", "8", "9", "33"]
    assert "29. What does dropout change" in stepladder("answers", "dropout").out


def test_json_has_every_part(stepladder: Call) -> None:
    (one,) = json.loads(stepladder("answers", "10", "--json").out)
    assert "1,191,170 in all" in one["answer"]
    assert "lacks the factor" in one["slip"]
    assert one["demonstrations"][0]["command"] == "stepladder inspect report"
    assert "1,191,170" in one["demonstrations"][0]["output"]
    assert one["pages"][0] == {"page": "docs/networks.md", "title": "Networks: what they cost and see"}
    assert len(json.loads(stepladder("answers", "--json").out)) == 34
    (dropout,) = json.loads(stepladder("answers", "29", "--json").out)
    assert dropout["evidence"][0]["source"] == "docs/reference-study.md"


def test_markdown_of_one_and_of_all(stepladder: Call) -> None:
    assert stepladder("answers", "7", "--markdown").out.startswith("### 7. ")
    page = stepladder("answers", "--markdown").out
    assert page.startswith("# The book of answers")
    assert page.count("\n### ") == 34


def test_what_is_no_question_is_refused_in_a_sentence(stepladder: Call) -> None:
    outcome = stepladder("answers", "35")
    assert (outcome.code, outcome.err.count("Error: ")) == (2, 1)
    assert "'35' is no question; there are 1 to 34" in outcome.err


def test_columns_are_cut_and_prose_is_wrapped(stepladder: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = [line.rstrip() for line in stepladder("answers", "7").out.splitlines()]
    rows = [line for line in lines if line.startswith("  conv1   32")]
    assert len(rows) == 1
    assert rows[0].endswith("…")
    assert "    j·stride, from r = j = 1" in lines  # a working goes on below its label
