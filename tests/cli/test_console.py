"""How much a command says on the way to its result: a line a trial, none, or one an epoch as well."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

Call = Callable[..., Any]
TRAIN = ("train", "digits", "--epochs", "2", "--limit", "20", "--recipe", "small")


def beginnings(text: str) -> list[str]:
    """The lines about trials and epochs, without their figures."""
    lines = [line for line in text.splitlines() if "seed 0: " in line]
    return [re.sub(r"(val|loss|epoch) .*", r"\1", line.partition("seed 0: ")[2]) for line in lines]


@pytest.mark.long
def test_a_line_a_trial_none_or_one_an_epoch_as_well(stepladder: Call) -> None:
    usual = stepladder(*TRAIN, "--out", "usual")
    quiet = stepladder(*TRAIN, "--quiet", "--out", "quiet")
    verbose = stepladder(*TRAIN, "--verbose", "--out", "verbose")
    assert [usual.code, quiet.code, verbose.code] == [0, 0, 0]
    assert beginnings(usual.out) == ["val"]
    assert beginnings(quiet.out) == []
    assert beginnings(verbose.out) == ["epoch", "epoch", "epoch", "val"]
    for said in (usual, verbose):
        assert "Leak check: " in said.out
    # Nothing but the result, and that is the same in all three.
    result = [line for line in quiet.out.splitlines() if not line.startswith("Model: ")]
    assert result
    took = re.compile(r"in \d[\d.]* \w+ ")
    for said in (usual, verbose):
        assert [took.sub("", line) for line in result] == [
            took.sub("", line) for line in said.out.splitlines()[-len(result) - 1 : -1]
        ]


def test_what_goes_wrong_is_said_however_quiet(stepladder: Call) -> None:
    outcome = stepladder("train", "nothing-there", "--quiet")
    assert outcome.code == 2
    assert "nothing-there" in outcome.err
