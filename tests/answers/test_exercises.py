"""Each exercise of ``docs/exercises.md`` has a solution that is collapsed, and what it says is so."""

from __future__ import annotations

import re

import pytest
import torch

from tests.test_docs import ROOT

TEXT = (ROOT / "docs/exercises.md").read_text(encoding="utf-8")
PARTS = re.split(r"^\*\*(\d+)\.\*\* ", TEXT, flags=re.MULTILINE)[1:]
EXERCISES = dict(zip(PARTS[::2], PARTS[1::2], strict=True))


def test_they_are_numbered_and_each_has_one_solution() -> None:
    assert list(EXERCISES) == [str(number) for number in range(1, 13)]
    for text in EXERCISES.values():
        assert text.count("<details><summary>Solution</summary>\n\n") == text.count("\n\n</details>") == 1
        assert text.partition("<details>")[0].strip().endswith(("?", "?\n"))


@pytest.mark.parametrize("number", EXERCISES)
def test_a_solution_holds(number: str) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", EXERCISES[number], re.DOTALL)
    assert "assert" in code
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        exec(compile(code, f"exercise {number}", "exec"), {})
