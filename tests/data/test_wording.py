from __future__ import annotations

import pytest

from stepladder.data.wording import some_of


@pytest.mark.parametrize(
    ("names", "expected"), [([], ""), (["a"], "a"), (["a", "b"], "a, b"), (["a", "b", "c", "d"], "a, b and 2 more")]
)
def test_some_of(names, expected):
    assert some_of(names, at_most=2) == expected
