"""What runs of a user's own command show: live bars on a terminal, a line a run anywhere else."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.progress_bar import ProgressBar
from rich.text import Text

from stepladder.api.time_left import CommandTimeLeft
from stepladder.report.units import count, duration, time_range
from stepladder.studies.design.trials import CommandTrial
from stepladder.studies.files.records import TrialResult
from stepladder.studies.scores.running import CommandCallbacks, CommandSchedule


class CommandLines(CommandCallbacks):
    """A line a run.

    Args:
        translate: makes the sentences of the library those of the place where they are read.
        clock: seconds that never go back.
    """

    def __init__(
        self, console: Console, translate: Callable[[str], str] = str, clock: Callable[[], float] = monotonic
    ) -> None:
        self.console, self.translate, self.clock = console, translate, clock
        self.number = self.total = 0
        self.time: CommandTimeLeft | None = None
        #: Which point of a search each is, by its name, where nobody knows how many runs there will be.
        self.points: dict[str, str] = {}
        self._begun = False

    def say(self, sentence: str) -> None:
        """Print one line."""
        self.console.print(self.translate(sentence), markup=False, soft_wrap=True)

    def planned(self, schedule: CommandSchedule) -> None:
        """Say how many runs there are to do."""
        record = schedule.record
        self.number, self.total = 0, len(schedule.trials)
        self.time = CommandTimeLeft(schedule, self.clock)
        noun = "size" if record.is_curve else "rung" if record.sweep is None else "point"
        before = f", {schedule.done} ended before" if schedule.done else ""
        again, self._begun = self._begun or bool(record.reached), True
        if again:
            self.say(
                f"Not all is decided: the look at {count(len(record.seeds), 'seed')} takes "
                f"{count(self.total, 'run')}{before}."
            )
            return
        self.say(
            f"{count(len(record.rungs), noun)}, {count(len(record.seeds), 'seed')}: {count(self.total, 'run')} to do"
            f"{before}."
        )

    def point_started(self, number: int, total: int, name: str) -> None:
        """Name the point."""
        self.points[name] = f"[point {number}/{total}] "

    def message(self, sentence: str) -> None:
        """Print it."""
        self.say(sentence)

    def reading(self, trials: int) -> None:
        """Say when test is read."""
        self.number, self.total, self.time = 0, trials, None
        self.say(f"All training has ended; test is read now, for {count(trials, 'run')}.")

    def ended(self, trial: CommandTrial, result: TrialResult) -> None:
        """Print what came of it, and how long the others will take."""
        self.number += 1
        if self.time is not None:
            self.time.end(trial, result.seconds, failed=result.failure is not None)
        scores = [
            f"{name} {value:.4g}"
            for name, value in (("val", result.val_score), ("test", result.test_score))
            if value is not None
        ]
        what = ", ".join(scores) if result.failure is None else f"failed: {result.failure}"
        where = self.points.get(trial.rung) or f"[{self.number}/{self.total}] "
        left = f", {self.left}" if self.left and self.number < self.total else ""
        self.say(f"{where}{trial.rung}, seed {trial.seed}: {what} ({result.seconds:.1f} s{left})")

    @property
    def left(self) -> str:
        """How long all runs will probably still take, in words; empty where nobody knows, or it is a moment."""
        left = None if self.time is None else self.time.left
        return f"{time_range(left.low, left.high)} left" if left is not None and left.high >= 1 else ""

    def stop(self) -> None:
        """Leave the screen as it should stay."""


class CommandBars(CommandLines):
    """A bar for each run under way and one for all, and a line for each that has ended."""

    def __init__(
        self, console: Console, translate: Callable[[str], str] = str, clock: Callable[[], float] = monotonic
    ) -> None:
        super().__init__(console, translate, clock)
        columns = (TextColumn("{task.fields[what]:<24}", markup=False), _LiveBar(self), _LiveWords(self))
        self.bars = Progress(*columns, console=console, transient=True)
        self._tasks: dict[tuple[str, int], TaskID] = {}
        self._all: TaskID | None = None

    def planned(self, schedule: CommandSchedule) -> None:
        """Say how many runs there are, then show the bars."""
        super().planned(schedule)
        if not schedule.trials:
            return
        if self._all is None:
            self._all = self.bars.add_task("", total=1.0, what="all runs", run=None)
        self._show()
        self.bars.start()

    def reading(self, trials: int) -> None:
        """Take the bars away: reading test is short."""
        self.stop()
        super().reading(trials)

    def ended(self, trial: CommandTrial, result: TrialResult) -> None:
        """Leave a line, and give its bar to the next."""
        super().ended(trial, result)
        self._show()

    def stop(self) -> None:
        """Take the bars away."""
        self.bars.stop()

    def _show(self) -> None:
        running = {} if self.time is None else self.time.running
        for name in [one for one in self._tasks if one not in running]:
            self.bars.remove_task(self._tasks.pop(name))
        for rung, seed in running:
            if (rung, seed) not in self._tasks:
                what = f"{rung} · seed {seed}"
                self._tasks[rung, seed] = self.bars.add_task("", total=1.0, what=what, run=(rung, seed))


class _LiveBar(BarColumn):
    """A bar that moves by the clock, as nothing is heard of a program before it ends."""

    def __init__(self, lines: CommandLines) -> None:
        super().__init__(bar_width=20)
        self._lines = lines

    def render(self, task: Task) -> ProgressBar:
        time, run = self._lines.time, task.fields["run"]
        if run is None:
            fraction: float | None = self._lines.number / max(1, self._lines.total)
        else:
            fraction = None if time is None else time.fraction(*run)
        return ProgressBar(
            total=1.0, completed=fraction or 0.0, width=20, pulse=fraction is None, animation_time=task.get_time()
        )


class _LiveWords(ProgressColumn):
    """What stands beside a bar, by the clock."""

    def __init__(self, lines: CommandLines) -> None:
        super().__init__()
        self._lines = lines

    def render(self, task: Task) -> Text:
        lines, run = self._lines, task.fields["run"]
        if run is None:
            left = f", {lines.left}" if lines.left else ""
            return Text(f"{lines.number} of {count(lines.total, 'run')} done{left}")
        spent = 0.0 if lines.time is None else lines.time.running.get(run, 0.0)
        return Text(duration(spent))


def make_command_progress(console: Console, translate: Callable[[str], str] = str) -> CommandLines:
    """Return live bars for a terminal, and a line a run for anything else."""
    return (CommandBars if console.is_terminal else CommandLines)(console, translate)
