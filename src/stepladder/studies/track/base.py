"""What a tracker is told of a trial, and how its failures are kept away from the trial."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from stepladder.errors import RecipeError, missing_extra
from stepladder.network.line import format_line
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import TrialResult
from stepladder.studies.running.callbacks import Callbacks, Schedule
from stepladder.training.history import EpochRecord

#: What a setting may be: trackers show these in columns.
Setting = str | int | float | bool

#: Figures of an epoch by the name that trackers show; a slash makes a group of charts.
_EPOCH = {
    "train/loss": "train_loss",
    "train/accuracy": "train_accuracy",
    "train/loss_running": "train_loss_running",
    "val/loss": "val_loss",
    "val/accuracy": "val_accuracy",
    "test/loss": "test_loss",
    "test/accuracy": "test_accuracy",
    "lr": "lr",
    "seconds": "seconds",
    "images_per_second": "images_per_second",
}

#: Figures of a trial that has ended, and of its reading of test.
RESULTS = {
    f"result/{name}": name
    for name in (
        "train_accuracy",
        "val_accuracy",
        "test_accuracy",
        "test_loss",
        "test_macro_f1",
        "test_ece",
        "test_ece_calibrated",
        "temperature",
        "seconds",
    )
}


#: The run that has what a study says at its end.
VERDICTS = "verdicts"


class Tracker(ABC):
    """A place for figures, one trial at a time; any method may raise anything.

    Args:
        folder: for its files; not there yet.
        project: the name of what its runs belong to, the study's.

    Attributes:
        requires: modules without which it cannot work.
        extra: of Stepladder, which brings them; of another package's tracker, what to install.

    Raises:
        RecipeError: its library is not installed.
    """

    requires: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = "track"

    @abstractmethod
    def __init__(self, folder: Path, project: str) -> None: ...

    @classmethod
    def check(cls) -> None:
        """Refuse the tracker where its library is not installed, before anything else begins.

        Raises:
            RecipeError: it is not.
        """
        for module in cls.requires:
            if not _is_there(module):
                raise RecipeError(missing_extra(module, cls.extra))

    @abstractmethod
    def start(self, run: str, settings: Mapping[str, Setting], first_epoch: int) -> None:
        """Begin the run called ``run``; with ``first_epoch`` above 0 it goes on where an earlier process stopped.

        Args:
            settings: its recipe as a flat table; ``rung`` is what its runs are grouped by.
        """

    @abstractmethod
    def log(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Note figures of the run at hand."""

    @abstractmethod
    def end(self, finished: bool) -> None:
        """Close the run at hand, with everything on disk."""

    @abstractmethod
    def add(self, run: str, settings: Mapping[str, Setting], epoch: int, figures: Mapping[str, float]) -> None:
        """Note figures of a run that has been closed, perhaps by an earlier process."""

    def summarize(self, figures: Mapping[str, Setting]) -> None:  # noqa: B027 (a tracker may leave it out)
        """Note what the whole study says, at its end: a verdict, a mean and an interval a technique, and the rungs.

        It may be told again, with more, when seeds are added.

        Args:
            figures: words and numbers by name, as ``dropout/verdict``; a share is a fraction of 1.
        """


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # its parent is not there; or something put None in its place
        return False


@dataclass
class _Run:
    """What is known of a trial that has not been passed on whole."""

    trial: Trial
    records: list[EpochRecord] = field(default_factory=list)
    result: TrialResult | None = None


class TrackerCallbacks(Callbacks):
    """Tells a tracker of every trial. The first error is said in one sentence, and then the tracker is left alone.

    Trackers take one run at a time. Where several trials run at the same time, one of them is shown as it runs, and the
    figures of the others follow when it has ended.

    Args:
        name: what the sentence calls it.
    """

    def __init__(self, name: str, tracker: Tracker, say: Callable[[str], None]) -> None:
        self.name = name
        self.tracker = tracker
        self.failed = False
        self._say = say
        self._runs: dict[str, _Run] = {}
        self._shown: str | None = None

    def planned(self, schedule: Schedule) -> None:  # noqa: ARG002
        """Trials that were broken off are closed before others begin."""
        self._break_off()

    def trial_started(self, trial: Trial) -> None:
        """Remember the trial; its run begins with its first epoch."""
        if trial.id == self._shown:  # its process died, and another goes on with it
            self._break_off()
        self._runs[trial.id] = _Run(trial)

    def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
        """Note the figures of an epoch."""
        self._runs.setdefault(trial.id, _Run(trial)).records.append(record)
        if self._shown == trial.id:
            self._try(lambda: self.tracker.log(record.epoch, _figures(record, _EPOCH)))
        elif self._shown is None:
            self._open(trial.id)

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        """Note the result and close the run; then show what waited for it."""
        run = self._runs.get(trial.id)
        if run is None or not run.records:
            return
        run.result = result
        if self._shown in (None, trial.id):
            self._close(trial.id)
        if self._shown is None:
            ended = [name for name, run in self._runs.items() if run.result is not None]
            for name in ended:
                self._close(name)
            following = next((name for name, run in self._runs.items() if run.records), None)
            if following is not None:
                self._open(following)

    def _open(self, name: str) -> None:
        run = self._runs[name]
        self._shown = name
        first = run.records[0].epoch
        self._try(lambda: self.tracker.start(run_name(run.trial.rung, run.trial.seed), settings_of(run.trial), first))
        for record in run.records:
            figures = _figures(record, _EPOCH)
            self._try(partial(self.tracker.log, record.epoch, figures))

    def _close(self, name: str) -> None:
        if self._shown != name:
            self._open(name)
        result = self._runs.pop(name).result
        self._shown = None
        assert result is not None

        def close() -> None:
            self.tracker.log(result.epochs, _figures(result, RESULTS))
            self.tracker.end(finished=result.status == "finished")

        self._try(close)

    def _break_off(self) -> None:
        if self._shown is not None:
            self._runs.pop(self._shown)
            self._shown = None
            self._try(lambda: self.tracker.end(finished=False))

    def test_read(self, trial: Trial, result: TrialResult) -> None:
        """Note what the test images said, in the run of the trial."""
        run, settings, figures = run_name(trial.rung, trial.seed), settings_of(trial), _figures(result, RESULTS)
        self._try(lambda: self.tracker.add(run, settings, result.epochs, figures))

    def summarize(self, figures: Mapping[str, Setting]) -> None:
        """Note what the study says at its end; what is not finite is left out, as in every run."""
        told = {name: value for name, value in figures.items() if not isinstance(value, float) or math.isfinite(value)}
        self._try(lambda: self.tracker.summarize(told))

    def _try(self, act: Callable[[], None]) -> None:
        if self.failed:
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what one library holds against another is no concern of the user's
                act()
        except Exception as error:  # a tracker's trouble of any kind is no reason to lose a trial
            self.failed = True
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            self._say(
                f"The tracker {self.name} failed and gets nothing more ({reason}); the study goes on, and its files "
                "have everything."
            )


def run_name(rung: str, seed: int) -> str:
    """Return what a trial is called in a tracker; fit for a folder's name."""
    plain = "".join(letter if letter.isalnum() or letter in " .+-_" else "-" for letter in rung)
    return f"{plain}-seed{seed}"


def settings_of(trial: Trial) -> dict[str, Setting]:
    """Return the recipe of a trial as a flat table: its hyperparameters."""
    recipe = trial.recipe
    table = recipe.to_table()
    del table["techniques"]
    table["network"] = format_line(recipe.network)
    table |= {"rung": trial.rung, "seed": trial.seed, "precision": trial.precision, "select": trial.select}
    table["techniques"] = " ".join(setting.name for setting in recipe.techniques)
    flat = dict(_leaves(table, ""))
    for setting in recipe.techniques:
        flat |= dict(_leaves(setting.options, f"{setting.name}."))
    return flat


def _leaves(table: Mapping[str, Any], prefix: str) -> list[tuple[str, Setting]]:
    found: list[tuple[str, Setting]] = []
    for name, value in table.items():
        if isinstance(value, Mapping):
            found += _leaves(value, f"{prefix}{name}.")
        else:
            plain = value if isinstance(value, str | int | float | bool) else str(value)
            found.append((prefix + name, plain))
    return found


def _figures(record: object, names: Mapping[str, str]) -> dict[str, float]:
    """The figures that were measured; what is not finite stays in the files, as not every tracker can take it."""
    values = {shown: getattr(record, name) for shown, name in names.items()}
    return {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}
