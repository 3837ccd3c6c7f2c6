"""MLflow: an experiment a study, in one SQLite file that ``mlflow ui`` shows, or on a server that the user has set."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepladder.errors import RecipeError, missing_extra
from stepladder.studies.track.base import VERDICTS, Setting, Tracker

#: The tags by which a run is found again.
_RUN, _RUNG = "stepladder.run", "stepladder.rung"
#: Letters of a parameter or a tag that MLflow's database has room for.
_MOST = 6000


class MLflow(Tracker):
    """Writes one run a trial below one run a rung, into the experiment of the study's name.

    Into ``mlflow.db`` in the folder, unless the user has set ``MLFLOW_TRACKING_URI``; then there, as MLflow would.

    Raises:
        RecipeError: mlflow, or what writes its database, is not installed.
    """

    # mlflow-skinny has these alone; mlflow itself pins an older pyarrow and pandas than the rest was tested with.
    requires = ("mlflow", "sqlalchemy", "alembic")

    def __init__(self, folder: Path, project: str) -> None:
        # It would report which functions are called; and in a store of ours nobody asked for that.
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        os.environ["DO_NOT_TRACK"] = "true"
        try:
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise RecipeError(missing_extra("mlflow", "track")) from error
        for name in ("mlflow", "alembic"):  # they tell of every table that they make
            logging.getLogger(name).setLevel(logging.WARNING)
        self._folder = folder
        self._elsewhere = os.environ.get("MLFLOW_TRACKING_URI")
        self._project = project
        self._make = MlflowClient
        self._client: Any = None
        self._experiment = ""
        self._run = ""

    def start(self, run: str, settings: Mapping[str, Setting], first_epoch: int) -> None:
        """Begin a run below its rung's, or go on with that of an earlier process; its settings are the parameters."""
        self._connect()
        self._run = (self._find(_RUN, run) if first_epoch else None) or self._create(run, settings)
        self._client.update_run(self._run, status="RUNNING")

    def log(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Note one point a figure."""
        for name, value in figures.items():
            self._client.log_metric(self._run, _key(name), value, step=epoch)

    def end(self, finished: bool) -> None:
        """Close the run."""
        self._client.set_terminated(self._run, status="FINISHED" if finished else "FAILED")

    def add(self, run: str, settings: Mapping[str, Setting], epoch: int, figures: Mapping[str, float]) -> None:
        """Note the figures in the newest run of that name."""
        self._connect()
        self._run = self._find(_RUN, run) or self._create(run, settings)
        self.log(epoch, figures)
        self.end(finished=True)

    def summarize(self, figures: Mapping[str, Setting]) -> None:
        """Note the verdicts in a run of its own, numbers as its metrics and words as its tags."""
        self._connect()
        self._run = self._find(_RUN, VERDICTS) or self._new(VERDICTS, {_RUN: VERDICTS})
        self.log(0, {name: float(value) for name, value in figures.items() if not isinstance(value, str)})
        for name, value in figures.items():
            if isinstance(value, str):
                self._client.set_tag(self._run, _key(name), value[:_MOST])
                self._client.set_experiment_tag(self._experiment, _key(name), value[:_MOST])
        self.end(finished=True)

    def _connect(self) -> None:
        """Open the store with the first run, not before: making its tables takes seconds."""
        if self._client is not None:
            return
        place = None
        if self._elsewhere is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            place = (self._folder.resolve() / "artifacts").as_uri()
        self._client = self._make(self._elsewhere or f"sqlite:///{self._folder.resolve() / 'mlflow.db'}")
        found = self._client.get_experiment_by_name(self._project)
        self._experiment = (
            found.experiment_id if found else self._client.create_experiment(self._project, artifact_location=place)
        )

    def _create(self, run: str, settings: Mapping[str, Setting]) -> str:
        rung = str(settings.get("rung", "")).replace("'", "’")  # a quotation mark would end the search for it
        above = self._find(_RUNG, rung)
        if above is None:
            above = self._new(rung, {_RUNG: rung})
            self._client.set_terminated(above)
        made = self._new(run, {_RUN: run, "mlflow.parentRunId": above})
        for name, value in settings.items():
            self._client.log_param(made, _key(name), str(value)[:_MOST])
        return made

    def _new(self, name: str, tags: Mapping[str, str]) -> str:
        run = self._client.create_run(self._experiment, run_name=name, tags=dict(tags))
        return str(run.info.run_id)

    def _find(self, tag: str, value: str) -> str | None:
        runs = self._client.search_runs(
            [self._experiment], f"tags.`{tag}` = '{value}'", order_by=["attributes.start_time DESC"], max_results=1
        )
        return str(runs[0].info.run_id) if runs else None


def _key(name: str) -> str:
    """Return a name as MLflow takes it."""
    return re.sub(r"[^\w.\-/ ]", "-", name, flags=re.ASCII)[:250]
