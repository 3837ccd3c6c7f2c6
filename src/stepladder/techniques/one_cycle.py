"""One cycle of the learning rate."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from stepladder.citations import cite
from stepladder.techniques.base import SCHEDULE, Progress, Technique


class OneCycle(Technique):
    """Up to the recipe's learning rate along a cosine, and down to almost nothing along another.

    Smith and Topin 2018, section 3, as torch's ``OneCycleLR`` has it: from lr / ``start_divisor`` over the share
    ``rise`` of the budget up to lr, and down to lr / (``start_divisor`` · ``end_divisor``). The paper goes along
    straight lines, and Smith 2018 lowers the momentum while the rate rises; here momentum stays as it is.
    """

    name = "one_cycle"
    group = "learning rate"
    summary = "raise the learning rate to a peak and lower it to almost nothing"
    plain = (
        "Raise the learning rate from a low value to a high peak, and then lower it to almost nothing. The high "
        "rate in the middle learns fast and keeps the network from settling too early."
    )
    papers = (
        cite("smith2018super", "section 3"),
        cite("smith2018disciplined"),
    )
    differs = (
        "the rate goes along cosines, as in torch, where the papers have straight lines; the momentum stays, "
        "where Smith lowers it while the rate rises"
    )
    caveat = "the recipe's rate is the peak, and pays off only where it is higher than a constant rate could be"
    cost = "nothing"
    interactions = "brings its own warmup; excludes every other schedule of the whole budget"
    slot = SCHEDULE

    rise: Annotated[float, Field(gt=0, lt=1, description="share of the budget on the way up")] = 0.3
    start_divisor: Annotated[float, Field(ge=1, le=1e6, description="the peak over the first rate")] = 25.0
    end_divisor: Annotated[float, Field(ge=1, le=1e9, description="the first rate over the last")] = 1e4

    def lr_factor(self, progress: Progress) -> float:
        """Return where the two half cosines are."""
        # torch counts from the first step to the last, so that the last one has the lowest rate.
        last = max(1, progress.steps - 1)
        top = self.rise * progress.steps - 1
        start, end = 1 / self.start_divisor, 1 / self.start_divisor / self.end_divisor
        if progress.step <= top:
            return _along_cosine(start, 1.0, progress.step / top if top else 1.0)
        return _along_cosine(1.0, end, (progress.step - top) / (last - top))


def _along_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
