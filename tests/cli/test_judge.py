"""``stepladder judge``: what it read is shown, exit codes are those of a gate, and JSON fits the schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from stepladder.report.scores import judgment_schema

Call = Callable[..., Any]

HELPED = "method,seed,acc\nplain,0,91.2\nplain,1,90.8\nplain,2,91.5\nmixup,0,92.9\nmixup,1,92.4\nmixup,2,93.1\n"


@pytest.fixture
def table(stepladder: Call) -> Path:
    path = Path("scores.csv")
    path.write_text(HELPED)
    return path


@pytest.mark.usefixtures("table")
def test_columns_are_shown_before_what_they_say(stepladder: Call) -> None:
    outcome = stepladder("judge", "scores.csv")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0] == "Variants: column method: plain, mixup"
    assert lines[2] == "Score: column acc, percent, higher is better"
    assert "mixup helps by about 1.6 points" in outcome.out
    assert Path("studies/scores-judged/report.html").is_file()


@pytest.mark.long
@pytest.mark.usefixtures("table")
def test_exit_codes_are_those_of_a_gate(stepladder: Call) -> None:
    assert stepladder("judge", "scores.csv", "--require", "helped").code == 0
    not_shown = stepladder("judge", "scores.csv", "--require", "helped", "--tried", "10000")
    assert (not_shown.code, "Required: helped: not shown." in not_shown.out) == (10, True)
    wrong = stepladder("judge", "nowhere.csv", "--require", "helped")
    assert (wrong.code, "cannot read the table nowhere.csv" in wrong.err) == (2, True)
    assert stepladder("judge", "scores.csv", "--require", "nicer").code == 2
    assert stepladder("judge").code == 2


@pytest.mark.usefixtures("table")
def test_json_fits_the_schema_that_is_printed(stepladder: Call) -> None:
    schema = json.loads(stepladder("judge", "--schema").out)
    assert schema == json.loads(judgment_schema())
    outcome = stepladder("judge", "scores.csv", "--json", "--require", "helped", "--budget", "claims.json")
    document = json.loads(outcome.out)
    jsonschema.validate(document, schema)
    assert document["required"] == {"requirement": "helped", "met": True}
    assert document["budget"]["proposals"] == 1
    assert "Score: column acc" in outcome.err


@pytest.mark.usefixtures("table")
def test_sizes_are_in_points_where_scores_are_shares(stepladder: Call) -> None:
    document = json.loads(stepladder("judge", "scores.csv", "--json", "--smallest-effect", "2").out)
    assert document["smallest_effect"] == 0.02
    losses = Path("losses.csv")
    losses.write_text(HELPED.replace("acc", "loss"))
    document = json.loads(stepladder("judge", "losses.csv", "--json", "--smallest-effect", "2").out)
    assert document["smallest_effect"] == 2
    assert document["effects"][0]["verdict"] == "hurt"
    counted = json.loads(
        stepladder("judge", "losses.csv", "--json", "--no-lower-is-better", "--diverged", "50", "--unit", "number").out
    )
    assert counted["effects"][0]["verdict"] == "helped"


def test_a_pattern_is_read_as_folders(stepladder: Call) -> None:
    for variant, bonus in (("a", 0), ("b", 5)):
        for seed in range(2):
            folder = Path("runs", variant, f"seed{seed}")
            folder.mkdir(parents=True)
            (folder / "result.json").write_text(json.dumps({"test": 0.5 + bonus / 100 + seed / 1000}))
    outcome = stepladder("judge", "runs/{variant}/seed{seed}")
    assert outcome.code == 0, outcome.err
    assert "Runs: runs/{variant}/seed{seed}: 4 of result.json" in outcome.out
