"""What ``study.json`` keeps of a sweep: its axes, its points, and the search that proposed them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


#: What a key of a sweep can be set to.
Value = bool | int | float | str


class AxisRecord(_Record):
    """One key of a sweep, as ``--set`` has it: the values of a grid, or the range that a search looks through.

    Attributes:
        values: of a grid, or the choices of a search, in ascending order where all are numbers.
        low, high: ends of a range, both within it; None where there are values.
        log: whether a search looks through the range evenly in the logarithm.
        whole: whether the range is of whole numbers.
    """

    key: str
    values: tuple[Value, ...] = ()
    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False


class SearchRecord(_Record):
    """How a search goes on.

    Attributes:
        tool: what proposes the points.
        points: how many it was asked for.
        seed: of the proposals.
        tried: how many it has begun; fewer are listed where it proposed one twice.
        pruned: points that were given up after their first seeds.
    """

    tool: str
    points: int
    seed: int
    tried: int = 0
    pruned: tuple[str, ...] = ()


class SweepRecord(_Record):
    """The keys of a sweep, and the values of each rung, which is one of its points.

    Attributes:
        base: the recipe that the keys change.
        points: the values of every rung, in the order of the axes.
        guess: accuracy on the validation images of always naming their largest class.
        search: None for a grid.
    """

    base: dict[str, Any]
    axes: tuple[AxisRecord, ...]
    points: tuple[tuple[Value, ...], ...]
    guess: float
    search: SearchRecord | None = None
