"""What the common tests need to know of each technique: one entry here, and the tests come by themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Settings:
    """How the common tests exercise one technique.

    Attributes:
        strong: options that must change the training of a small network on digits.
        absent: options of strength zero, which must equal the technique left out, to the bit; None where it has no
            strength, with the reason in ``why``.
    """

    strong: dict[str, Any] = field(default_factory=dict)
    absent: dict[str, Any] | None = None
    why: str = ""


SETTINGS: dict[str, Settings] = {
    "standardize": Settings(why="the images alone decide its mean and standard deviation"),
    "random_crop": Settings(absent={"padding": 0}),
    "horizontal_flip": Settings(absent={"p": 0}),
    "exponential_lr": Settings(strong={"gamma": 0.5}, absent={"gamma": 1}),
    "dropout": Settings(absent={"p": 0}),
    "batch_norm": Settings(why="the layer is there or it is not"),
}
