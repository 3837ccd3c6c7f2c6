from __future__ import annotations

import doctest

import pytest

from stepladder import errors
from stepladder.errors import DamagedImagesError, StepladderError, some_of, unknown


def test_examples_in_docstrings():
    outcome = doctest.testmod(errors)
    assert outcome.attempted > 0
    assert outcome.failed == 0


def test_a_name_that_is_near_and_one_that_is_not():
    assert unknown("rung", "dropuot", ["dropout", "augment"]) == (
        "unknown rung 'dropuot'; did you mean 'dropout'? Known: augment, dropout"
    )
    assert unknown("rung", "xyz", ["dropout", "augment"]) == "unknown rung 'xyz'. Known: augment, dropout"


def test_damaged_images_are_counted_and_listed():
    one = DamagedImagesError([("a/b.png", "truncated")])
    assert str(one) == (
        "1 damaged image; mend or remove it, or leave it out with `skip_damaged=True`:\n  a/b.png: truncated"
    )
    two = DamagedImagesError(iter([("a.png", "truncated"), ("f.parquet row 7", "no image")]))
    assert str(two) == (
        "2 damaged images; mend or remove them, or leave them out with `skip_damaged=True`:\n"
        "  a.png: truncated\n  f.parquet row 7: no image"
    )
    assert two.damaged == (("a.png", "truncated"), ("f.parquet row 7", "no image"))


@pytest.mark.parametrize(
    "kind",
    [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, Exception) and not issubclass(value, Warning)
    ],
)
def test_one_family_and_one_exit_code(kind):
    assert issubclass(kind, StepladderError)
    assert kind.exit_code == 2


@pytest.mark.parametrize(
    ("names", "expected"), [([], ""), (["a"], "a"), (["a", "b"], "a, b"), (["a", "b", "c", "d"], "a, b and 2 more")]
)
def test_some_of(names, expected):
    assert some_of(names, at_most=2) == expected
