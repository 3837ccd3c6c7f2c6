import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]


def test_a_curve_in_one_command(stepladder: Call) -> None:
    outcome = stepladder("curve", "digits", "--epochs", "1", "--limit", "30", "--seeds", "1", "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert [size["images"] for size in document["sizes"]] == [20, 40, 106, 216]
    assert "Doubling the 216 training images would change accuracy by about " in outcome.err
    assert Path("studies/digits-curve/curve.md").exists()
    assert Path("studies/digits-curve/figures/sizes.svg").exists()
    assert document["power_law"]["images"] == 216


def test_a_curve_stops_by_itself_and_goes_on(stepladder: Call) -> None:
    command = ("curve", "digits", "--epochs", "2", "--limit", "30", "--seeds", "1")
    outcome = stepladder(*command, "--max-time", "0.01s")
    assert outcome.code == 75
    assert "Stopped after --max-time; the same command goes on:\n  stepladder" in outcome.out
    assert not list(Path("studies/digits-curve/trials").glob("*/result.json"))
    assert stepladder(*command).code == 0
    assert len(list(Path("studies/digits-curve/trials").glob("*/result.json"))) == 4
