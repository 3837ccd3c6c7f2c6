"""What a running study shows: live bars on a terminal, one plain line an epoch anywhere else."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from stepladder.cli.live_page import LivePage
from stepladder.cli.pace import Pace
from stepladder.data.audit import QuickLook
from stepladder.report.units import count, duration, percent
from stepladder.study.design.plan import Trial
from stepladder.study.files.records import CurveRecord, StudyRecord, TrialResult
from stepladder.study.running.watch import Outlook, Watch
from stepladder.training.history import EpochRecord


class PlainLines(Watch):
    """One line an epoch, for batch jobs and logs."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.pace: Pace | None = None
        #: Trials in all, those kept from before, and those that have ended since.
        self.total = self.done = self.ended = 0
        #: The number of each trial that was started, by its id.
        self.numbers: dict[str, int] = {}
        #: Written after every trial, where there is one.
        self.page: LivePage | None = None
        #: Which point of a search is at hand, where nobody knows how many trials there will be.
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
        self.done, self.total = outlook.done, outlook.done + len(outlook.trials)
        self.ended, self.numbers = 0, {}
        kept = f", {outlook.done} of them kept from before" if outlook.done else ""
        budgets = sorted({trial.recipe.epochs for trial in outlook.trials})
        epochs = count(budgets[0], "epoch") if len(budgets) == 1 else f"{budgets[0]} to {budgets[-1]} epochs"
        self._announce(outlook, f"{count(self.total, 'trial')} of {epochs}{kept}")
        seconds = sum(outlook.seconds[trial.rung] for trial in outlook.trials) / outlook.workers
        how = f", {outlook.workers} trials at a time" if outlook.workers > 1 else ""
        self.console.print(f"It will take about {duration(seconds)}{how}, by a short measurement.\n")

    def _announce(self, outlook: Outlook, trials: str) -> None:
        record = outlook.record
        place = f"{record.precision} on {record.device}"
        if isinstance(record, CurveRecord):
            sizes = count(len(record.images), "size")
            self.console.print(f"Curve of {sizes} × {count(record.seeds, 'seed')} = {trials}; {place}.")
            return
        noun = "rung" if record.sweep is None else "point"
        seeds, rungs = self.total // len(record.rungs), count(len(record.rungs), noun)
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
        if trial.id not in self.numbers:
            self.numbers[trial.id] = self.done + len(self.numbers) + 1
        if self.pace:
            self.pace.start(trial)

    def batch_ended(self, trial: Trial, images: int) -> None:
        """Note the progress."""
        if self.pace:
            self.pace.add_images(trial, images)

    def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
        """Print the epoch's line."""
        self._note_epoch(trial, record)
        parts = [
            f"{self.heading(trial)}: epoch {record.epoch}/{trial.recipe.epochs}",
            f"train loss {record.train_loss:.4f}",
            _watched(record),
        ]
        parts += [f"{record.images_per_second:,.0f} images/s"] if record.images_per_second else []
        parts += [f"{duration(self.pace.study_left)} left"] if self.pace and record.epoch else []
        self.console.print(", ".join(parts), markup=False)

    def trial_postponed(self, trial: Trial) -> None:
        """Say why the trial stands still."""
        self.console.print(
            f"{self.heading(trial)}: out of memory beside other trials; it goes on alone when they have ended. A "
            "smaller --at-once avoids that.",
            markup=False,
        )

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        """Print what a reader should know at once."""
        if self.pace:
            self.pace.end(trial)
        self.ended += 1
        for warning in result.warnings:
            self.console.print(f"{self.heading(trial)}: note: {warning}", markup=False)
        if result.failure:
            self.console.print(f"{self.heading(trial)}: failed: {result.failure}", markup=False)
        if self.page:
            self.page.update()

    def told(self, sentence: str) -> None:
        """Print it."""
        self.console.print(f"Note: {sentence}", markup=False)

    def waiting(self, trials: int) -> None:
        """Say why nothing happens here."""
        self.console.print(f"Another process runs the last {count(trials, 'trial')}; waiting for it.")

    def stop(self) -> None:
        """Leave the screen as it should stay."""

    @property
    def ran(self) -> bool:
        """Whether any trial was run."""
        return bool(self.numbers)

    def heading(self, trial: Trial) -> str:
        """A trial, in words."""
        number = f"[{self.numbers.get(trial.id, self.total)}/{self.total}] " if self.total else self.point
        return f"{number}{trial.rung}, seed {trial.seed}"

    def _note_epoch(self, trial: Trial, record: EpochRecord) -> None:
        if self.pace:
            self.pace.go_on(trial, record.epoch)


class LiveBars(PlainLines):
    """A bar for each trial under way and one for the study, and one line for each trial that has ended."""

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
        self.trial_bars: dict[str, TaskID] = {}
        self.over: list[str] = []
        self.study_bar = self.bars.add_task("", total=1.0, what="study", state="", visible=False)
        self.records: dict[str, EpochRecord] = {}

    def planned(self, outlook: Outlook) -> None:
        """Say what will run, then show the bars."""
        super().planned(outlook)
        self.bars.start()

    def trial_started(self, trial: Trial) -> None:
        """Give the trial a bar."""
        super().trial_started(trial)
        # A bar stays until the next trial takes its place: the screen does not jump.
        for name in self.over:
            if name in self.trial_bars:
                self.bars.remove_task(self.trial_bars.pop(name))
        self.over.clear()
        if trial.id not in self.trial_bars:
            self.trial_bars[trial.id] = self.bars.add_task("", total=1.0, what="", state="")
        self.bars.start()
        self._show(trial)

    def batch_ended(self, trial: Trial, images: int) -> None:
        """Move the bars; they draw themselves ten times a second at most."""
        super().batch_ended(trial, images)
        self._show(trial)

    def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
        """Show the figures of the epoch."""
        self._note_epoch(trial, record)
        self.records[trial.id] = record
        self._show(trial)

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        """Leave one line of the trial above the bars."""
        if not result.failure and trial.id in self.records:
            accuracy = _watched(self.records[trial.id])
            self.console.print(f"{self.heading(trial)}: {accuracy}, {duration(result.seconds)}", markup=False)
        self.over.append(trial.id)
        super().trial_ended(trial, result)

    def stop(self) -> None:
        """Take the bars away."""
        self.bars.stop()

    def _show(self, trial: Trial) -> None:
        record, epochs = self.records.get(trial.id), trial.recipe.epochs
        what = f"{trial.rung} · seed {trial.seed}"
        parts = [f"epoch {min((record.epoch if record else 0) + 1, epochs)}/{epochs}"]
        if record and record.images_per_second and self.wide:
            parts.append(f"{record.images_per_second:,.0f} images/s")
        if record:
            parts.append(_watched(record))
        bar = self.trial_bars[trial.id]
        if self.pace is None:
            done = (record.epoch if record else 0) / epochs
            self.bars.update(bar, completed=done, what=what, state=", ".join(parts))
            return
        parts.append(f"{duration(self.pace.trial_left(trial))} left")
        self.bars.update(bar, completed=self.pace.trial_fraction(trial), what=what, state=", ".join(parts))
        done = (self.done + self.ended + self.pace.running) / self.total
        state = f"{self.done + self.ended} of {self.total} trials done, {duration(self.pace.study_left)} left"
        self.bars.update(self.study_bar, completed=done, state=state, visible=True)


def make_watch(console: Console) -> PlainLines:
    """Return live bars for a terminal, plain lines for anything else."""
    return LiveBars(console) if console.is_terminal else PlainLines(console)


def _watched(record: EpochRecord) -> str:
    if record.val_accuracy is not None:
        return f"val {percent(record.val_accuracy)}"
    assert record.test_accuracy is not None
    return f"test {percent(record.test_accuracy)}"
