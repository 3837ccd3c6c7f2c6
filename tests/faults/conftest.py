"""What all tests of faults share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pictures import as_dots


@pytest.fixture(scope="module", autouse=True)
def _quick_reports() -> Iterator[None]:
    """Reports have dots for pictures; what is tested is what happens to their files."""
    with as_dots():
        yield
