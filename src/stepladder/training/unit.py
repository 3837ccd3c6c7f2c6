"""What figures are counted in; by itself, as who writes a figure needs no metric, and nothing that metrics import."""

from __future__ import annotations

from enum import StrEnum


class Unit(StrEnum):
    """What a figure is counted in."""

    SHARE = "share"  # a fraction of 1, written in percent, its differences in points
    NATS = "nats"  # an image
    COST = "cost"  # an image, in the unit of the user's table of costs
    NUMBER = "number"  # whatever the program that measured it counts in
