"""TensorBoard: event files that ``tensorboard --logdir`` shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepladder.errors import RecipeError, missing_extra
from stepladder.studies.track.base import RESULTS, VERDICTS, Setting, Tracker


class TensorBoard(Tracker):
    """Writes a folder of event files a run: a curve a figure, and the recipe in the table of hyperparameters.

    Args:
        folder: above the runs' own.

    Raises:
        RecipeError: tensorboard is not installed.
    """

    requires = ("tensorboard",)

    def __init__(self, folder: Path, project: str = "") -> None:  # noqa: ARG002 (the folder says it)
        try:
            from torch.utils import tensorboard
        except ImportError as error:
            raise RecipeError(missing_extra("tensorboard", "track")) from error
        self._library = tensorboard
        self._folder = folder
        self._writer: Any = None
        self._closing: Any = None

    def start(self, run: str, settings: Mapping[str, Setting], first_epoch: int) -> None:
        """Open a file of events and write the hyperparameters."""
        from torch.utils.tensorboard.summary import hparams

        folder = self._folder / run
        # What an earlier process wrote from this epoch on is purged: it stopped midway. Not without one: files of
        # the same second are read in the order of their names, where the tenth comes before the ninth, and is purged.
        went_before = any(folder.glob("events.out.tfevents.*"))
        self._writer = self._library.SummaryWriter(str(folder), purge_step=first_epoch if went_before else None)
        experiment, begin, self._closing = hparams(dict(settings), dict.fromkeys(RESULTS, 0.0))
        for summary in (experiment, begin):
            self._writer.file_writer.add_summary(summary)

    def log(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Write one point a figure."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()  # somebody may be watching

    def end(self, finished: bool) -> None:
        """Close the file."""
        if finished:
            self._writer.file_writer.add_summary(self._closing)
        self._writer.close()

    def add(self, run: str, settings: Mapping[str, Setting], epoch: int, figures: Mapping[str, float]) -> None:  # noqa: ARG002
        """Write into a further file of the run, which TensorBoard reads after the first."""
        with self._library.SummaryWriter(str(self._folder / run)) as writer:
            for name, value in figures.items():
                writer.add_scalar(name, value, epoch)

    def summarize(self, figures: Mapping[str, Setting]) -> None:
        """Write a table under TEXT, and each number as a scalar, of a run of its own."""
        rows = "\n".join(f"| {_cell(name)} | {_cell(value)} |" for name, value in figures.items())
        with self._library.SummaryWriter(str(self._folder / VERDICTS)) as writer:
            writer.add_text(VERDICTS, f"| what | value |\n| --- | --- |\n{rows}")
            for name, value in figures.items():
                if not isinstance(value, str):
                    writer.add_scalar(name, float(value), 0)


def _cell(value: Setting) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
