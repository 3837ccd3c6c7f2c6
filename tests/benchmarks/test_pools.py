"""The simulation of pools: it counts what is true, and names what is promised and does not hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import pools
from benchmarks.pools import PoolCoverage, simulate_pools


@pytest.fixture(scope="module")
def coverage() -> PoolCoverage:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("SETS", (5,)), ("SEEDS", (5,)), ("APART", (1.0,))):
            patch.setattr(pools, name, value)
        (found,) = simulate_pools(300)
    return found


@pytest.mark.long
def test_a_new_set_is_held_where_the_usual_formula_fails(coverage: PoolCoverage) -> None:
    assert 0.92 < coverage.new_set < 0.97
    assert coverage.usual < coverage.new_set - 0.03
    assert 0.88 < coverage.mean < 0.98
    assert coverage.broken(0.01) == []


def test_a_broken_promise_is_named(coverage: PoolCoverage) -> None:
    short = replace(coverage, new_set=0.9)
    assert short.broken(0.01) == ["5 sets, 5 seeds, 1 apart: a new set in 90.0 %"]
    wide = replace(coverage, new_set=0.99)
    assert len(wide.broken(0.01)) == 1
    for allowed in ({"apart": 0.25}, {"seeds": 3}):  # there too wide is all that can be had, too narrow is not
        assert replace(wide, **allowed).broken(0.01) == []
        assert len(replace(short, **allowed).broken(0.01)) == 1
    assert replace(short, sets=3).broken(0.01) == [], "of three sets nothing is promised"
