"""What a running study shows: live bars on a terminal, one plain line an epoch anywhere else."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from stepladder.cli.pace import Pace
from stepladder.data.audit import QuickLook
from stepladder.report.units import count, duration, percent
from stepladder.study.plan import Trial
from stepladder.study.records import StudyRecord, TrialResult
from stepladder.study.watch import Outlook, Watch
from stepladder.training.history import EpochRecord


class PlainLines(Watch):
    """One line an epoch, for batch jobs and logs."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.pace: Pace | None = None
        self.total = self.number = 0
        self.trial: Trial | None = None
        self.point = ""

    def looked(self, look: QuickLook) -> None:
        """Say in one line what was found in the images."""
        self.console.print(look.line, style="" if look.clean else "bold", markup=False)

    def measuring(self, rungs: int) -> None:
        """Say why nothing seems to happen for a moment."""
        if rungs:
            self.console.print(f"Measuring the speed of {count(rungs, 'recipe')} …", style="dim")

    def planned(self, outlook: Outlook) -> None:
        """Say what will run and for how long."""
        self.pace = Pace(outlook)
        self.number, self.total = outlook.done, outlook.done + len(outlook.trials)
        kept = f", {outlook.done} of them kept from before" if outlook.done else ""
        budgets = sorted({trial.recipe.epochs for trial in outlook.trials})
        epochs = count(budgets[0], "epoch") if len(budgets) == 1 else f"{budgets[0]} to {budgets[-1]} epochs"
        self._announce(outlook, f"{count(self.total, 'trial')} of {epochs}{kept}")
        seconds = sum(outlook.seconds[trial.rung] for trial in outlook.trials)
        self.console.print(f"It will take about {duration(seconds)}, by a short measurement.\n")

    def _announce(self, outlook: Outlook, trials: str) -> None:
        record = outlook.record
        noun = "rung" if record.sweep is None else "point"
        seeds, rungs = self.total // len(record.rungs), count(len(record.rungs), noun)
        place = f"{record.precision} on {record.device}"
        if record.reached:
            self.console.print(
                f"Not all is decided: the look at {count(len(record.seeds), 'seed')} takes {trials}; {place}."
            )
            return
        self.console.print(
            f"{record.plan.capitalize()} of {rungs} × {count(seeds, 'seed')} = {trials}; {place}.", markup=False
        )
        if record.sweep is not None:
            return
        width = max(14, *(len(rung.name) + 2 for rung in record.rungs))
        for rung in record.rungs:
            signed = " ".join([*(f"+ {name}" for name in rung.adds), *(f"− {name}" for name in rung.lacks)])
            self.console.print(f"  {rung.name:<{width}}{signed}".rstrip(), style="dim", markup=False)

    def searching(self, record: StudyRecord, seconds: float) -> None:
        """Say how many points will be tried and for how long."""
        assert record.sweep is not None
        assert record.sweep.search is not None
        self.console.print(
            f"Search over {count(record.sweep.search.points, 'point')} × {count(len(record.seeds), 'seed')}; "
            f"{record.precision} on {record.device}. It will take about {duration(seconds)} at most, by a short "
            "measurement.\n"
        )

    def point_started(self, number: int, total: int, name: str) -> None:  # noqa: ARG002
        """Name the point."""
        self.point = f"[{number}/{total}] "

    def reading(self, trials: int) -> None:
        """Say when the test images are looked at."""
        self.stop()
        self.console.print(f"All training has ended; reading the test images of {count(trials, 'trial')}.")

    def trial_started(self, trial: Trial) -> None:
        """Count the trial."""
        self.trial = trial
        self.number += 1
        if self.pace:
            self.pace.start(trial)

    def batch_ended(self, images: int) -> None:
        """Note the progress."""
        if self.pace:
            self.pace.add_images(images)

    def epoch_ended(self, record: EpochRecord) -> None:
        """Print the epoch's line."""
        assert self.trial is not None
        accuracy = _watched(record)
        parts = [
            f"{self.heading}: epoch {record.epoch}/{self.trial.recipe.epochs}",
            f"train loss {record.train_loss:.4f}",
            accuracy,
        ]
        parts += [f"{record.images_per_second:,.0f} images/s"] if record.images_per_second else []
        parts += [f"{duration(self.pace.study_left)} left"] if self.pace and record.epoch else []
        self.console.print(", ".join(parts), markup=False)

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:  # noqa: ARG002
        """Print what a reader should know at once."""
        if self.pace:
            self.pace.end()
        for warning in result.warnings:
            self.console.print(f"{self.heading}: note: {warning}", markup=False)
        if result.failure:
            self.console.print(f"{self.heading}: failed: {result.failure}", markup=False)

    def stop(self) -> None:
        """Leave the screen as it should stay."""

    @property
    def heading(self) -> str:
        """The trial at hand, in words."""
        assert self.trial is not None
        number = f"[{self.number}/{self.total}] " if self.total else self.point
        return f"{number}{self.trial.rung}, seed {self.trial.seed}"


class LiveBars(PlainLines):
    """Two bars, the trial's and the study's, and one line for each trial that has ended."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        #: Room for everything; on 80 columns the speed goes first.
        self.wide = console.width >= 110
        self.bars = Progress(
            TextColumn("{task.fields[what]:<22}", markup=False),
            BarColumn(bar_width=24 if self.wide else 6),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[state]}", markup=False),
            console=console,
            transient=True,
        )
        self.trial_bar = self.bars.add_task("", total=1.0, what="", state="")
        self.study_bar = self.bars.add_task("", total=1.0, what="study", state="", visible=False)
        self.state = ""
        self.epoch = 0

    def planned(self, outlook: Outlook) -> None:
        """Say what will run, then show the bars."""
        super().planned(outlook)
        self.bars.start()

    def trial_started(self, trial: Trial) -> None:
        """Start the trial's bar anew."""
        super().trial_started(trial)
        self.state, self.epoch = "", 0
        self.bars.start()
        self._show()

    def batch_ended(self, images: int) -> None:
        """Move the bars; they draw themselves ten times a second at most."""
        super().batch_ended(images)
        self._show()

    def epoch_ended(self, record: EpochRecord) -> None:
        """Show the figures of the epoch."""
        self.epoch = record.epoch
        rate = f"{record.images_per_second:,.0f} images/s, " if record.images_per_second and self.wide else ""
        self.state = f"{rate}{_watched(record)}"
        self._show()

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        """Leave one line of the trial above the bars."""
        if not result.failure:
            self.console.print(
                f"{self.heading}: {self.state.split(', ')[-1]}, {duration(result.seconds)}", markup=False
            )
        super().trial_ended(trial, result)

    def stop(self) -> None:
        """Take the bars away."""
        self.bars.stop()

    def _show(self) -> None:
        assert self.trial is not None
        epochs = self.trial.recipe.epochs
        what = f"{self.trial.rung} · seed {self.trial.seed}"
        epoch = f"epoch {min(self.epoch + 1, epochs)}/{epochs}"
        left = f", {duration(self.pace.trial_left)} left" if self.pace else ""
        state = f"{epoch}{', ' if self.state else ''}{self.state}{left}"
        if self.pace is None:
            self.bars.update(self.trial_bar, completed=self.epoch / epochs, what=what, state=state)
            return
        self.bars.update(self.trial_bar, completed=self.pace.trial_fraction, what=what, state=state)
        done = (self.number - 1 + self.pace.trial_fraction) / self.total
        state = f"trial {self.number} of {self.total}, {duration(self.pace.study_left)} left"
        self.bars.update(self.study_bar, completed=done, state=state, visible=True)


def make_watch(console: Console) -> PlainLines:
    """Return live bars for a terminal, plain lines for anything else."""
    return LiveBars(console) if console.is_terminal else PlainLines(console)


def _watched(record: EpochRecord) -> str:
    if record.val_accuracy is not None:
        return f"val {percent(record.val_accuracy)}"
    assert record.test_accuracy is not None
    return f"test {percent(record.test_accuracy)}"
