import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
SMALL = ("--epochs", "1", "--limit", "20")


@pytest.mark.long
def test_a_plan_says_what_would_run_and_find_and_runs_nothing(stepladder: Call, tmp_path: Path) -> None:
    outcome = stepladder("plan", "digits", *SMALL, "--plan", "ladder+leave-one-out", "--sd", "0.3")
    assert outcome.code == 0, outcome.err
    assert "Ladder+leave-one-out of 10 rungs on digits, 9 comparisons, test accuracy, α = 0.05" in outcome.out
    assert "without augment" in outcome.out
    assert "50 trials (5 seeds a rung): " in outcome.out
    # TTestPower at 0.78 of α = 0.05/9, n = 5, power 0.8: 3.28 standard deviations.
    assert "With 5 seeds, the smallest difference that it would probably find is 0.983 points." in outcome.out
    assert "of 0.3 points, as stated; an adjustment for 9 comparisons;" in outcome.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_declared_looks_are_listed(stepladder: Call) -> None:
    outcome = stepladder("plan", "digits", *SMALL, "--seeds", "auto", "--max-seeds", "5", "--json")
    assert "Looks at 3 and 5 seeds: 18 to 30 trials" in outcome.err
    assert "which is a usual one on 40 test images: state yours with --sd" in outcome.err
    document = json.loads(outcome.out)
    assert document["trials"] == {"fewest": 18, "most": 30}
    assert document["detectable"]["3"] > document["detectable"]["5"]
    assert [look["seeds"] for look in document["study"]["looks"]] == [3], "the next ones follow from it"


@pytest.mark.long
def test_one_seed_finds_nothing(stepladder: Call) -> None:
    outcome = stepladder("plan", "digits", *SMALL, "--seeds", "1")
    assert "With 1 seed, no difference can be found: one seed shows no spread." in outcome.out


@pytest.mark.long
def test_a_pilot_gives_the_spread(stepladder: Call) -> None:
    stepladder("study", "digits", *SMALL, "--seeds", "2", "--out", "pilot")
    outcome = stepladder("plan", "digits", *SMALL, "--pilot", "pilot")
    assert "the median of 5 comparisons in pilot" in outcome.out
    assert (
        "was judged by accuracy, not by nll" in stepladder("plan", "digits", "--pilot", "pilot", "--metric", "nll").err
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--sd", "0"), "--sd is 0; it must be above 0, in points"),
        (("--sd", "1", "--pilot", "x"), "--sd and --pilot both give the standard deviation"),
        (("--pilot", "nowhere"), "there is no study in nowhere"),
        (("--seeds", "many"), "--seeds is many; it must be a whole number, such as 3, or auto"),
        (("--plan", "factorial", "--max-trials", "5"), "--max-trials leaves 1 recipes a seed"),
    ],
)
def test_wrong_input_is_one_sentence(stepladder: Call, arguments: tuple[str, ...], words: str) -> None:
    outcome = stepladder("plan", "digits", *SMALL, *arguments)
    assert outcome.code == 2
    assert words in outcome.err
