"""``report.html`` of a study that is running, written anew after every trial."""

from __future__ import annotations

from pathlib import Path

from stepladder.errors import StepladderError
from stepladder.study.files.store import load_study


class LivePage:
    """Writes the page of the study in ``folder`` from its files; no other file of the report, as those cost more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def update(self) -> None:
        """Write the page. What goes wrong here stops no study: the report at its end says it."""
        from stepladder.report.page import write_page  # with all of matplotlib, while nobody waits for a first figure

        try:
            write_page(load_study(self.folder))
        except StepladderError:
            return
