"""What a running baseline shows: one bar on a terminal, one plain line a step anywhere else."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from stepladder.baselines.settings import BagSettings
from stepladder.data.audit import QuickLook
from stepladder.report.units import count, duration, percent
from stepladder.study.baseline import BaselineWatch
from stepladder.study.files.baseline_files import BaselineResult


class BaselineLines(BaselineWatch):
    """One line a step, for batch jobs and logs."""

    def __init__(self, console: Console, *, looked: bool = False) -> None:
        self.console = console
        self.quiet = looked
        self.heading = ""
        self.step = ""

    def looked(self, look: QuickLook) -> None:
        """Say in one line what was found in the images."""
        if not self.quiet:
            self.console.print(look.line, style="" if look.clean else "bold", markup=False)

    def planned(self, settings: BagSettings, todo: Sequence[int], seeds: int) -> None:
        """Say what will be fitted."""
        kept = f", {seeds - len(todo)} of them kept from before" if len(todo) < seeds else ""
        self.console.print(
            f"Bag of words: {settings.descriptor}, {settings.words:,} words, {count(seeds, 'seed')}{kept}.",
            markup=False,
        )

    def seed_started(self, seed: int) -> None:
        """Note which."""
        self.heading = f"bag of words, seed {seed}"

    def progress(self, what: str, done: int, total: int) -> None:  # noqa: ARG002
        """Print each step once."""
        if what != self.step:
            self.step = what
            self.console.print(f"{self.heading}: {what}", markup=False)

    def seed_ended(self, result: BaselineResult) -> None:
        """Leave one line of the seed."""
        score = f"val {percent(result.val_accuracy)}" if result.val_accuracy is not None else "no validation images"
        self.console.print(f"{self.heading}: C = {result.cost:g}, {score}, {duration(result.seconds)}", markup=False)

    def reading(self, seeds: int) -> None:
        """Say when the test images are looked at."""
        self.heading = "bag of words"
        self.console.print(f"All is fitted; reading the test images of {count(seeds, 'seed')}.")

    def stop(self) -> None:
        """Leave the screen as it should stay."""


class BaselineBar(BaselineLines):
    """One bar for the step at hand, and one line for each seed that has ended."""

    def __init__(self, console: Console, *, looked: bool = False) -> None:
        super().__init__(console, looked=looked)
        self.bar = Progress(
            TextColumn("{task.fields[what]}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self.task = self.bar.add_task("", total=1, what="")

    def progress(self, what: str, done: int, total: int) -> None:
        """Move the bar; a step that cannot say how far it is swings."""
        if what != self.step:
            self.step = what
            self.bar.reset(self.task)
            self.bar.start()
        known = total > 1
        self.bar.update(
            self.task, completed=done if known else 0, total=total if known else None, what=f"{self.heading}: {what}"
        )

    def stop(self) -> None:
        """Take the bar away."""
        self.bar.stop()


def make_baseline_watch(console: Console, *, looked: bool = False) -> BaselineLines:
    """Return a live bar for a terminal, plain lines for anything else.

    Args:
        looked: whether a study has just said what it found in the same images.
    """
    return BaselineBar(console, looked=looked) if console.is_terminal else BaselineLines(console, looked=looked)
