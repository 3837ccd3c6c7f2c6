from __future__ import annotations

import doctest

import pytest

from stepladder.report import markdown, units


@pytest.mark.parametrize("module", [units, markdown])
def test_examples_in_docstrings(module):
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_rounding_gives_no_negative_zero_and_no_sixty_seconds():
    assert units.points(-0.000049) == "0.00"
    assert units.points(-0.00006) == "−0.01"
    assert units.duration(59.7) == "1 min 0 s"
    assert units.duration(9.96) == "10 s"
    assert units.duration(None) == units.points(None) == units.interval(None) == units.hundredths(None) == "–"
