import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_a_curve_in_one_command(stepladder: Call) -> None:
    outcome = stepladder("curve", "digits", "--epochs", "6", "--limit", "30", "--seeds", "1", "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert [size["images"] for size in document["sizes"]] == [20, 40, 106, 216]
    assert "With twice the 216 training images, accuracy would change by about " in outcome.err
    assert Path("studies/digits-curve/report.md").exists()
    assert Path("studies/digits-curve/figures/sizes.svg").exists()
    assert document["power_law"]["images"] == 216


@pytest.mark.long
def test_a_curve_stops_by_itself_and_goes_on(stepladder: Call) -> None:
    command = ("curve", "digits", "--epochs", "2", "--limit", "30", "--seeds", "1")
    outcome = stepladder(*command, "--max-time", "0.01s")
    assert outcome.code == 75
    assert "Stopped after --max-time. 0 of 4 trials are finished and those under way have a checkpoint, " in outcome.out
    assert "checkpoint, in studies/digits-curve; continue with:\n  stepladder curve digits" in outcome.out
    assert not list(Path("studies/digits-curve/trials").glob("*/result.json"))
    assert stepladder(*command).code == 0
    assert len(list(Path("studies/digits-curve/trials").glob("*/result.json"))) == 4


@pytest.mark.long
def test_its_folder_is_named_by_the_data_alone(stepladder: Call) -> None:
    small = ("--epochs", "1", "--limit", "13", "--seeds", "1", "--network", "conv3-2 pool2 fc")
    assert stepladder("curve", "digits", *small).code == 0
    assert [path.name for path in Path("studies").iterdir()] == ["digits-curve"]


@pytest.mark.long
def test_a_curve_of_which_no_size_learned_is_not_fitted(stepladder: Call) -> None:
    options = ("--epochs", "1", "--limit", "30", "--seeds", "1", "--set", "optimizer.lr=1e-9", "--json")
    outcome = stepladder("curve", "digits", *options)
    document = json.loads(outcome.out)
    assert document["power_law"] is None
    assert document["nothing_learned"]["trials"] == 4
    assert document["summary"][0].startswith("Nothing was learned: ")
    assert document["summary"][-1] == "So nothing can be said of more images."
