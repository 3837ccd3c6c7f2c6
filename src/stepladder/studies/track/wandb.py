"""Weights & Biases: a run a trial, in files that ``wandb sync`` sends when somebody wants that."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepladder.errors import RecipeError, missing_extra
from stepladder.files import read_json, replace_json
from stepladder.studies.track.base import VERDICTS, Setting, Tracker

#: Which run has which id there, so that another process goes on with it.
_IDS = "runs.json"


class WeightsAndBiases(Tracker):
    """Writes one run a trial, grouped by rung, into the project of the study's name.

    Offline, whoever is logged in: a key that was saved for other work does not ask for these figures to go out. With
    ``WANDB_MODE=online`` they do, to wherever wandb is set up to send them.

    Raises:
        RecipeError: wandb is not installed.
    """

    requires = ("wandb",)

    def __init__(self, folder: Path, project: str) -> None:
        # Not by an argument alone: where a key is saved, wandb asks its server whose that is before it reads those.
        self._mode = os.environ.get("WANDB_MODE") or "offline"
        os.environ["WANDB_MODE"] = self._mode
        os.environ["WANDB_ERROR_REPORTING"] = "false"  # which would go to its makers
        try:
            import wandb
        except ImportError as error:
            raise RecipeError(missing_extra("wandb", "track")) from error
        self._library: Any = wandb
        self._folder = folder
        self._project = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in project)[:128]
        self._run: Any = None

    def start(self, run: str, settings: Mapping[str, Setting], first_epoch: int) -> None:
        """Begin a run, or go on with that of an earlier process; its settings are the run's config."""
        self._run = self._open(run, settings, new=first_epoch == 0)

    def log(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Note the figures."""
        self._run.log(dict(figures), step=epoch)

    def end(self, finished: bool) -> None:
        """Wait until all is in the file."""
        run, self._run = self._run, None
        run.finish(exit_code=0 if finished else 1)

    def add(self, run: str, settings: Mapping[str, Setting], epoch: int, figures: Mapping[str, float]) -> None:
        """Take the run up again; offline in a further file of it, which ``wandb sync`` sends after the first."""
        again = self._open(run, settings, new=False)
        again.log(dict(figures), step=epoch)
        again.finish()

    def summarize(self, figures: Mapping[str, Setting]) -> None:
        """Note the verdicts as the summary of a run of its own."""
        run = self._open(VERDICTS, {}, new=False, job="verdicts")
        run.summary.update(dict(figures))
        run.finish()

    def _open(self, run: str, settings: Mapping[str, Setting], *, new: bool, job: str = "trial") -> Any:
        quiet = self._library.Settings(
            silent=True,
            console="off",  # the terminal's lines are the study's own
            # What a machine is called, who works on it, its paths and packages are nobody's business here.
            disable_git=True,
            disable_code=True,
            disable_job_creation=True,
            x_disable_meta=True,
            x_disable_machine_info=True,
            x_disable_stats=True,
            x_save_requirements=False,
            host="",
            username="",
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._library.init(
            project=self._project,
            name=run,
            id=self._id_of(run, new=new),
            group=str(settings.get("rung", "")) or None,
            job_type=job,
            config=dict(settings),
            dir=str(self._folder),
            mode=self._mode,
            # Offline nothing can be asked of a server; the files of one id become one run when they are sent.
            resume="allow" if self._mode == "online" else None,
            reinit="create_new",
            settings=quiet,
        )

    def _id_of(self, run: str, *, new: bool) -> str:
        path = self._folder / _IDS
        ids: dict[str, str] = read_json(path) if path.exists() else {}
        if new or run not in ids:
            ids[run] = secrets.token_hex(4)
            replace_json(path, ids)
        return ids[run]
