from __future__ import annotations

import doctest
import json

import pytest

from stepladder import errors
from stepladder.errors import (
    DamagedError,
    DamagedImagesError,
    DataError,
    LineError,
    StepladderError,
    StepladderWarning,
    printable,
    some_of,
    unknown,
)


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – ×², 猫, ✓, \N{FAMILY}\u200d\N{FAMILY}, a\u200cb\tc\nd", None),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b2J\x7f\x00", r"\x9b2J\x7f\x00"),
        ("photo\u202egnp.exe", r"photo\u202egnp.exe"),
        ("\u2066a\u2069\u200e\u200f\u061c", r"\u2066a\u2069\u200e\u200f\u061c"),
        ("a\u2028b\r\n", "a\\u2028b\\x0d\n"),
        ("caf\udce9", r"caf\udce9"),
        ("\ufeffa\u200b\ufffe", r"\ufeffa\u200b\ufffe"),
        ("flag\U000e0067", r"flag\U000e0067"),
    ],
)
def test_what_would_command_a_terminal_is_written_out(text, shown):
    assert printable(text) == (text if shown is None else shown)
    assert printable(printable(text)) == printable(text)
    document = json.dumps({text: [text]}, ensure_ascii=False)
    assert json.loads(printable(document, as_json=True)) == {text: [text]}
    assert printable(printable(document, as_json=True)) == printable(document, as_json=True)


def test_all_that_we_raise_and_warn_of_is_printable():
    odd, shown = "a\x1b[2J\u202e", r"a\x1b[2J\u202e"
    assert str(DataError(f"no {odd}")) == f"no {shown}"
    assert str(DamagedImagesError([(odd, odd)])).endswith(f"  {shown}: {shown}")
    assert str(DamagedError(odd, "mend it")) == f"{shown}; mend it"
    assert DamagedError(odd, "mend it").what == shown
    error = LineError(f"no {odd}", f"conv{odd} fc", 0, 5)
    assert error.sentence == f"no {shown}"
    assert "\x1b" not in str(error)
    assert str(StepladderWarning(odd)) == shown
    assert "'a\\nb'" in unknown("technique", "a\nb", ["mixup"])
