"""``report.html`` of a study that is running, written anew after every trial."""

from __future__ import annotations

from pathlib import Path
from time import monotonic

from stepladder.errors import StepladderError
from stepladder.report.page import write_page
from stepladder.study.store import load_study

#: Between two pages: trials of a second each are not slowed down by it.
_SECONDS = 5.0


class LivePage:
    """Writes the page of the study in ``folder`` from its files; no other file of the report, as those cost more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._next = 0.0

    def update(self) -> None:
        """Write the page, unless that was a moment ago. What goes wrong here stops no study: its report says it."""
        if monotonic() < self._next:
            return
        self._next = monotonic() + _SECONDS
        try:
            write_page(load_study(self.folder))
        except StepladderError:
            return
