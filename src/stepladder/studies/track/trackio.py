"""Trackio: one SQLite file that ``trackio show`` shows, on this machine."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from stepladder.errors import RecipeError, missing_extra
from stepladder.studies.track.base import VERDICTS, Setting, Tracker

#: These would send figures elsewhere, and nothing here shall.
_ELSEWHERE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "TRACKIO_BUCKET_ID", "TRACKIO_WEBHOOK_URL")


class Trackio(Tracker):
    """Writes one run a trial into a project of the study's name.

    Args:
        folder: of the database, unless the user has set ``TRACKIO_DIR``.
        project: letters that a project may not have become hyphens.

    Raises:
        RecipeError: trackio is not installed.
    """

    requires = ("trackio",)

    def __init__(self, folder: Path, project: str) -> None:
        for name in _ELSEWHERE:
            os.environ.pop(name, None)
        os.environ.setdefault("TRACKIO_DIR", str(folder.resolve()))
        # With a token in the user's home, trackio would ask the hub for the name that belongs to it.
        os.environ["HF_HUB_OFFLINE"] = "1"
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        try:
            import trackio
        except ImportError as error:
            raise RecipeError(missing_extra("trackio", "track")) from error
        self._library: Any = trackio
        self._project = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in project)

    def start(self, run: str, settings: Mapping[str, Setting], first_epoch: int) -> None:
        """Begin a run; its settings are the run's config."""
        self._init(run, dict(settings), "never" if first_epoch == 0 else "allow", group=str(settings.get("rung", "")))

    def log(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Note the figures."""
        self._library.log(dict(figures), step=epoch)

    def end(self, finished: bool) -> None:  # noqa: ARG002 (a run has no such mark; it lacks the result)
        """Wait until all is in the database."""
        with _silence():
            self._library.finish()

    def add(self, run: str, settings: Mapping[str, Setting], epoch: int, figures: Mapping[str, float]) -> None:
        """Take the run up again for these figures; its config would be emptied if it were not given again."""
        self._init(run, dict(settings), "allow", group=str(settings.get("rung", "")))
        self.log(epoch, figures)
        self.end(finished=True)

    def summarize(self, figures: Mapping[str, Setting]) -> None:
        """Note words as the config of a run of its own, and numbers as its figures."""
        words: dict[str, Setting] = {name: value for name, value in figures.items() if isinstance(value, str)}
        self._init(VERDICTS, words, "allow")
        self.log(0, {name: float(value) for name, value in figures.items() if not isinstance(value, str)})
        self.end(finished=True)

    def _init(self, run: str, config: dict[str, Setting], resume: str, group: str = "") -> None:
        with _silence():
            self._library.init(
                project=self._project,
                name=run,
                group=group or None,
                config=config,
                resume=resume,
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )


@contextmanager
def _silence() -> Iterator[None]:
    """Keep trackio's notices off the standard output, which may belong to a JSON document."""
    with redirect_stdout(io.StringIO()):
        yield
