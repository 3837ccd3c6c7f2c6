"""What a running job shows: live bars on a terminal, one box in a notebook, plain lines anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from time import monotonic
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from stepladder.api.time_left import TimeLeft
from stepladder.baselines.settings import BagSettings
from stepladder.datasets import ImageSet
from stepladder.datasets.audit import LeakCheck
from stepladder.recipe import Recipe
from stepladder.report.how_long import how_long
from stepladder.report.screen import Screen
from stepladder.report.units import Scale, count, duration, percent, time_range
from stepladder.studies.curve import CURVE
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.bag_files import BagResult
from stepladder.studies.files.records import StudyRecord, TrialResult
from stepladder.studies.running.bag import BagCallbacks
from stepladder.studies.running.callbacks import Callbacks, Schedule
from stepladder.studies.running.timing import Range
from stepladder.training.history import EpochRecord
from stepladder.training.metrics import METRICS

#: Seconds without a line after which one says how far it is.
SILENCE = 60.0


class PlainLines(Callbacks):
    """One line a trial, and one a minute where none ends, for batch jobs and logs.

    Args:
        translate: makes the sentences of the library those of the place where they are read: the command line writes
            its flags for the names of parameters.
        epochs: whether each epoch has a line as well.
        clock: seconds from any moment on.
    """

    def __init__(
        self,
        console: Console,
        translate: Callable[[str], str] = str,
        *,
        epochs: bool = False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.console, self.translate, self.epochs, self.clock = console, translate, epochs, clock
        #: When the last line was printed.
        self.said = clock()
        self.time: TimeLeft | None = None
        #: Trials in all, those kept from before, and those that have ended since.
        self.total = self.done = self.ended = 0
        #: The number of each trial that was started, by its id.
        self.numbers: dict[str, int] = {}
        #: Which point of a search is at hand, where nobody knows how many trials there will be; likewise by its name,
        #: of several that train at the same time.
        self.point = ""
        self.points: dict[str, str] = {}
        self.last: dict[str, EpochRecord] = {}
        #: Images whose features are worked out and in all, of trials that wait for them.
        self.features: dict[str, tuple[int, int]] = {}

    def say(self, sentence: str, style: str = "") -> None:
        """Print one line."""
        self.console.print(self.translate(sentence), style=style, markup=False)
        self.said = self.clock()

    def images_loaded(self, images: ImageSet, recipe: Recipe) -> None:
        """Say how many images there are, of what size and channels, and what was decided about them."""
        height, width, channels = images.image_shape
        color = "gray" if channels == 1 else "color"
        self.say(
            f"{images.name}: {sum(map(len, images.splits.values())):,} images of {height}×{width} pixels, {color}, "
            f"{images.num_classes} classes. Recipe {recipe.name}."
        )
        for note in images.notes:
            self.say(f"  {note}", "dim")

    def leaks_checked(self, found: LeakCheck) -> None:
        """Say in one line what was found in the images."""
        self.say(found.line, "" if found.clean else "bold")

    def measuring(self, rungs: int) -> None:
        """Say why nothing seems to happen for a moment."""
        if rungs:
            self.say(f"Measuring the speed of {count(rungs, 'recipe')} …", "dim")

    def planned(self, schedule: Schedule) -> None:
        """Say what will run and for how long."""
        self.time = TimeLeft(schedule)
        self.done, self.total = schedule.done, schedule.done + len(schedule.trials)
        self.ended, self.numbers = 0, {}
        kept = f", {schedule.done} of them kept from before" if schedule.done else ""
        budgets = sorted({trial.recipe.epochs for trial in schedule.trials})
        epochs = count(budgets[0], "epoch") if len(budgets) == 1 else f"{budgets[0]} to {budgets[-1]} epochs"
        self._announce(schedule, f"{count(self.total, 'trial')} of {epochs}{kept}")
        self.say(f"It will take {how_long(schedule.expected, schedule.workers, schedule.estimate)}\n")

    def _announce(self, schedule: Schedule, trials: str) -> None:
        record = schedule.record
        place = f"{record.precision} on {record.device}"
        if record.plan == CURVE:
            sizes, each = count(len(record.rungs), "size"), count(self.total // len(record.rungs), "seed")
            self.say(f"Curve of {sizes} × {each} = {trials}; {place}.")
            return
        noun = "rung" if record.sweep is None else "point"
        seeds, rungs = self.total // len(record.rungs), count(len(record.rungs), noun)
        if record.reached:
            self.say(f"Not all is decided: the look at {count(len(record.seeds), 'seed')} takes {trials}; {place}.")
            return
        self.say(f"{record.plan.capitalize()} of {rungs} × {count(seeds, 'seed')} = {trials}; {place}.")
        if record.sweep is not None:
            return
        width = max(14, *(len(rung.name) + 2 for rung in record.rungs))
        for rung in record.rungs:
            signed = " ".join([*(f"+ {name}" for name in rung.adds), *(f"− {name}" for name in rung.lacks)])
            self.say(f"  {rung.name:<{width}}{signed}".rstrip(), "dim")

    def searching(self, record: StudyRecord, seconds: Range) -> None:
        """Say how many points will be tried and for how long."""
        assert record.sweep is not None
        assert record.sweep.search is not None
        search = record.sweep.search
        together = f", {count(search.together, 'point')} together" if search.together > 1 else ""
        self.say(
            f"Search over {count(search.points, 'point')} × {count(len(record.seeds), 'seed')}{together}; "
            f"{record.precision} on {record.device}. It will take {time_range(seconds.low, seconds.high)} at most, by "
            "a short measurement.\n"
        )

    def point_started(self, number: int, total: int, name: str) -> None:
        """Name the point."""
        self.point = self.points[name] = f"[{number}/{total}] "

    def reading(self, trials: int) -> None:
        """Say when the test images are read."""
        self.stop()
        self.say(f"All training has ended; reading the test images of {count(trials, 'trial')}.")

    def trial_started(self, trial: Trial) -> None:
        """Count the trial."""
        if trial.id not in self.numbers:
            self.numbers[trial.id] = self.done + len(self.numbers) + 1
        if self.time:
            self.time.start(trial)

    def features_computed(self, trial: Trial, done: int, total: int) -> None:
        """Say once why the trial's first epoch does not come."""
        if not self.features or (self.epochs and trial.id not in self.features):
            self.say(f"{self.heading(trial)}: working out the features of {total:,} images, once for this image set")
        self.features[trial.id] = done, total
        self._say_how_far(trial)

    def batch_ended(self, trial: Trial, images: int) -> None:
        """Note the progress."""
        if self.time:
            self.time.add_images(trial, images)
        self._say_how_far(trial)

    def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
        """Print the epoch's line where each is asked for."""
        self._note_epoch(trial, record)
        self.last[trial.id] = record
        if self.epochs:
            self._say_epoch(trial, record)
        else:
            self._say_how_far(trial)

    def _say_epoch(self, trial: Trial, record: EpochRecord) -> None:
        parts = [
            f"{self.heading(trial)}: epoch {record.epoch}/{trial.recipe.epochs}",
            f"train loss {record.train_loss:.4f}",
            _watched(trial, record),
        ]
        parts += [f"{record.images_per_second:,.0f} images/s"] if record.images_per_second else []
        parts += [self.left] if self.time and record.epoch else []
        self.say(", ".join(parts))

    def _say_how_far(self, trial: Trial) -> None:
        """Print one line where a minute went by without one."""
        if self.clock() - self.said < SILENCE:
            return
        record, epochs = self.last.get(trial.id), trial.recipe.epochs
        parts = [f"{self.heading(trial)}: epoch {min((record.epoch if record else 0) + 1, epochs)}/{epochs}"]
        if record:
            parts.append(_watched(trial, record))
        elif trial.id in self.features:
            parts = ["{}: features of {:,} of {:,} images".format(self.heading(trial), *self.features[trial.id])]
        if self.time and self.total:
            parts.append(f"{self.done + self.ended} of {count(self.total, 'trial')} done, {self.left}")
        self.say(", ".join(parts))

    def trial_postponed(self, trial: Trial) -> None:
        """Say why the trial stands still."""
        self.say(
            f"{self.heading(trial)}: out of memory beside other trials; it goes on alone when they have ended. A "
            "smaller `streams` avoids that."
        )

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        """Print what a reader should know at once."""
        if self.time:
            self.time.end(trial, failed=result.failure is not None)
        self.ended += 1
        for warning in result.warnings:
            self.say(f"{self.heading(trial)}: note: {warning}")
        if result.failure:
            self.say(f"{self.heading(trial)}: failed: {result.failure}")
        record = self.last.get(trial.id)
        if not result.failure and record:
            left = f", {self.left}" if self.time else ""
            self.say(f"{self.heading(trial)}: {_watched(trial, record)}, {duration(result.seconds)}{left}")

    def message(self, sentence: str) -> None:
        """Print it."""
        self.say(sentence)

    def waiting(self, trials: int) -> None:
        """Say why nothing happens here."""
        self.say(f"Another process runs the last {count(trials, 'trial')}; waiting for it.")

    def stop(self) -> None:
        """Leave the screen as it should stay."""

    @property
    def left(self) -> str:
        """How long the whole study will probably still take."""
        assert self.time is not None
        left = self.time.study_left
        return f"{time_range(left.low, left.high)} left"

    @property
    def ran(self) -> bool:
        """Whether any trial was run."""
        return bool(self.numbers)

    def heading(self, trial: Trial) -> str:
        """A trial, in words."""
        point = self.points.get(trial.rung, self.point)
        number = f"[{self.numbers.get(trial.id, self.total)}/{self.total}] " if self.total else point
        return f"{number}{trial.rung}, seed {trial.seed}"

    def _note_epoch(self, trial: Trial, record: EpochRecord) -> None:
        if self.time:
            self.time.end_epoch(trial, record.epoch, record.seconds)


class LiveBars(PlainLines):
    """A bar for each trial under way and one for the study, and one line for each trial that has ended."""

    def __init__(self, console: Console, translate: Callable[[str], str] = str, *, epochs: bool = False) -> None:
        super().__init__(console, translate, epochs=epochs)
        #: Room for everything; on 80 columns the speed goes first.
        self.wide = console.width >= 110
        #: On fewer columns there is room for names, shares and the time left, and for nothing else.
        self.narrow = console.width < 70
        bar = () if self.narrow else (BarColumn(bar_width=24 if self.wide else 6),)
        self.bars = Progress(
            TextColumn("{task.fields[what]}" if self.narrow else "{task.fields[what]:<22}", markup=False),
            *bar,
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[state]}", markup=False),
            console=console,
            transient=True,
        )
        self.trial_bars: dict[str, TaskID] = {}
        self.over: list[str] = []
        self.study_bar = self.bars.add_task("", total=1.0, what="study", state="", visible=False)
        self.reading_task: TaskID | None = None

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.loader = Progress(*columns, console=console, transient=True)

    def loading(self, what: str, done: int, total: int) -> None:
        """Move the bar of what is read or fetched."""
        if self.reading_task is None:
            self.reading_task = self.loader.add_task(what, total=total)
            self.loader.start()
        self.loader.update(self.reading_task, description=what, completed=done, total=total)

    def say(self, sentence: str, style: str = "") -> None:
        """Take that bar away, and print one line."""
        if self.reading_task is not None:
            self.loader.stop()
            self.loader.remove_task(self.reading_task)
            self.reading_task = None
        super().say(sentence, style)

    def planned(self, schedule: Schedule) -> None:
        """Say what will run, then show the bars."""
        super().planned(schedule)
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

    def features_computed(self, trial: Trial, done: int, total: int) -> None:
        """Show how far the features are."""
        self.features[trial.id] = done, total
        self._show(trial)

    def batch_ended(self, trial: Trial, images: int) -> None:
        """Move the bars; they draw themselves ten times a second at most."""
        super().batch_ended(trial, images)
        self._show(trial)

    def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
        """Show the figures of the epoch."""
        self._note_epoch(trial, record)
        self.last[trial.id] = record
        if self.epochs:
            self._say_epoch(trial, record)
        self._show(trial)

    def _say_how_far(self, trial: Trial) -> None:
        """Say nothing: the bars do."""

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        """Leave one line of the trial above the bars."""
        self.over.append(trial.id)
        super().trial_ended(trial, result)

    def stop(self) -> None:
        """Take the bars away."""
        self.loader.stop()
        self.bars.stop()

    def _show(self, trial: Trial) -> None:
        record, epochs = self.last.get(trial.id), trial.recipe.epochs
        what = f"{trial.rung} · seed {trial.seed}"
        parts = [f"epoch {min((record.epoch if record else 0) + 1, epochs)}/{epochs}"]
        if record and record.images_per_second and self.wide:
            parts.append(f"{record.images_per_second:,.0f} images/s")
        if record:
            parts.append(_watched(trial, record))
        elif trial.id in self.features:
            parts = ["features of {:,} of {:,} images".format(*self.features[trial.id])]
        bar = self.trial_bars[trial.id]
        if self.time is None:
            done = (record.epoch if record else 0) / epochs
            self.bars.update(bar, completed=done, what=what, state=", ".join(parts))
            return
        parts.append(f"{duration(self.time.trial_left(trial))} left")
        if self.narrow:
            parts = parts[-1:]
        self.bars.update(bar, completed=self.time.trial_fraction(trial), what=what, state=", ".join(parts))
        done = (self.done + self.ended + self.time.running) / self.total
        state = self.left if self.narrow else f"{self.done + self.ended} of {self.total} trials done, {self.left}"
        self.bars.update(self.study_bar, completed=done, state=state, visible=True)


class NotebookBox(PlainLines):
    """One output of a notebook that is replaced as the job goes on: what was said, and how far the trials are."""

    #: Seconds between two replacements: a notebook redraws the whole cell.
    _PAUSE = 0.25

    def __init__(self) -> None:
        super().__init__(Console(quiet=True))
        self.lines: list[str] = []
        self.bar = ""
        self._next = 0.0
        self._handle: Any = None

    def say(self, sentence: str, style: str = "") -> None:  # noqa: ARG002
        """Add a line."""
        self.lines.append(sentence.rstrip())
        self._show(now=True)

    def loading(self, what: str, done: int, total: int) -> None:
        """Say how far the images are."""
        self.bar = f"{what} {done:,} of {total:,}"
        self._show()

    def images_loaded(self, images: ImageSet, recipe: Recipe) -> None:
        """Say what was loaded."""
        self.bar = ""
        super().images_loaded(images, recipe)

    def message(self, sentence: str) -> None:
        """Say it, of what was read or fetched too."""
        self.bar = "" if self.time is None else self.bar
        super().message(sentence)

    def _say_how_far(self, trial: Trial) -> None:
        """Say nothing: the bar does."""

    def features_computed(self, trial: Trial, done: int, total: int) -> None:
        """Say how far the features are."""
        self.bar = f"{self.heading(trial)}: features of {done:,} of {total:,} images"
        self._show()

    def batch_ended(self, trial: Trial, images: int) -> None:
        """Move the bar."""
        super().batch_ended(trial, images)
        if self.time and self.total:
            done = (self.done + self.ended + self.time.running) / self.total
            filled = round(30 * done)
            self.bar = (
                f"{'█' * filled}{'░' * (30 - filled)} {self.done + self.ended} of {self.total} trials, {self.left}"
            )
        self._show()

    def stop(self) -> None:
        """Leave what was said, without the bar."""
        self.bar = ""
        self._show(now=True)

    def _show(self, *, now: bool = False) -> None:
        if monotonic() < self._next and not now:
            return
        self._next = monotonic() + self._PAUSE
        from IPython.display import HTML, display  # there wherever a notebook is

        text = escape("\n".join([*self.lines, *([self.bar] if self.bar else [])]))
        box = HTML(f'<pre style="margin:0;max-height:16em;overflow:auto;white-space:pre-wrap">{text}</pre>')
        if self._handle is None:
            self._handle = display(box, display_id=True)
        else:
            self._handle.update(box)


def make_progress(console: Console, translate: Callable[[str], str] = str, *, epochs: bool = False) -> PlainLines:
    """Return live bars for a terminal, plain lines for anything else; with ``epochs``, each epoch has a line too."""
    return (LiveBars if console.is_terminal else PlainLines)(console, translate, epochs=epochs)


def find_progress() -> PlainLines:
    """Return what suits the place where Python runs: a notebook, a terminal, or a script that nobody watches."""
    if _in_notebook():
        return NotebookBox()
    console = Screen(stderr=True, highlight=False)
    if console.is_terminal:
        return LiveBars(console)
    console.soft_wrap = True
    return PlainLines(console)


def _in_notebook() -> bool:
    """Whether a kernel runs this process; a terminal's IPython is a terminal."""
    import sys

    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"


def _watched(trial: Trial, record: EpochRecord) -> str:
    name, _, of = trial.metric.partition(":")
    kind = METRICS[name]
    noun = f"{kind.noun} of {of}" if kind.needs == "class" else kind.noun
    score = record.val_loss if kind.name == "nll" else record.val_score
    if score is not None:
        return f"val {noun} {Scale(kind.unit).full(score)}"
    if record.val_accuracy is not None:
        return f"val {percent(record.val_accuracy)}"
    if record.test_accuracy is None:  # every image trains
        return f"train {percent(record.train_accuracy)}"
    return f"test {percent(record.test_accuracy)}"


class BagLines(BagCallbacks):
    """One line a seed, and with ``steps`` one a step, for batch jobs and logs."""

    def __init__(
        self, console: Console, translate: Callable[[str], str] = str, *, said: bool = False, steps: bool = False
    ) -> None:
        self.console, self.translate, self.steps = console, translate, steps
        self.quiet = said
        self.heading = ""
        self.step = ""

    def leaks_checked(self, found: LeakCheck) -> None:
        """Say in one line what was found in the images."""
        if not self.quiet:
            self.console.print(self.translate(found.line), style="" if found.clean else "bold", markup=False)

    def message(self, sentence: str) -> None:
        """Print it as it is."""
        self.console.print(self.translate(sentence), markup=False)

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
        """Print each step once where steps are asked for."""
        if what != self.step:
            self.step = what
            if self.steps:
                self.console.print(f"{self.heading}: {what}", markup=False)

    def seed_ended(self, result: BagResult) -> None:
        """Leave one line of the seed."""
        score = f"val {percent(result.val_accuracy)}" if result.val_accuracy is not None else "no validation images"
        told = f"bag of words, seed {result.seed}: C = {result.cost:g}, {score}, {duration(result.seconds)}"
        self.console.print(told, markup=False)  # on a cluster others may have begun meanwhile

    def reading(self, seeds: int) -> None:
        """Say when the test images are read."""
        self.heading = "bag of words"
        self.console.print(f"All is fitted; reading the test images of {count(seeds, 'seed')}.")

    def stop(self) -> None:
        """Leave the screen as it should stay."""


class BagBar(BagLines):
    """One bar for the step at hand, and one line for each seed that has ended."""

    def __init__(
        self, console: Console, translate: Callable[[str], str] = str, *, said: bool = False, steps: bool = False
    ) -> None:
        super().__init__(console, translate, said=said, steps=steps)
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
            super().progress(what, done, total)
            self.bar.reset(self.task)
            self.bar.start()
        known = total > 1
        self.bar.update(
            self.task, completed=done if known else 0, total=total if known else None, what=f"{self.heading}: {what}"
        )

    def stop(self) -> None:
        """Take the bar away."""
        self.bar.stop()


def make_bag_progress(
    console: Console, translate: Callable[[str], str] = str, *, said: bool = False, steps: bool = False
) -> BagLines:
    """Return a live bar for a terminal, plain lines for anything else.

    Args:
        said: whether a study has just said what the leak check found in the same images.
        steps: whether each step has a line.
    """
    return (BagBar if console.is_terminal else BagLines)(console, translate, said=said, steps=steps)


def find_bag_progress() -> BagLines:
    """Return what suits the place where Python runs; a notebook gets plain lines."""
    return make_bag_progress(Screen(stderr=True, highlight=False))
