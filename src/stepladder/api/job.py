"""What every function that trains does around its work: images loaded, progress shown, Ctrl-C heeded, trackers told."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from stepladder.api.progress import PlainLines, find_progress
from stepladder.api.signals import stopping_politely
from stepladder.datasets import DefaultSize, ImageSet, load_image_set
from stepladder.datasets.sources.base import Access
from stepladder.errors import StepladderError, StudyError
from stepladder.recipe import Recipe
from stepladder.report.plain_tables import summary_of
from stepladder.report.write import write_page, write_report
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import SavedStudy, TrialResult
from stepladder.studies.files.store import CHECKPOINTS, load_study
from stepladder.studies.findings import AnyFindings, work_out
from stepladder.studies.running.callbacks import CallbackList, Callbacks
from stepladder.studies.running.cluster.node_images import NodeImages
from stepladder.studies.running.cluster.session import ending
from stepladder.studies.running.execution import Execution
from stepladder.studies.track import make_trackers
from stepladder.studies.track.base import TrackerCallbacks
from stepladder.training.stop import Stop, Stopped

#: Progress as a user asks for it: shown where somebody watches, not at all, or told to callbacks of the user's own.
ShowProgress = bool | Callbacks


#: How the last sentence about a stopped job ends where there is something to go on with.
SAME_CALL_GOES_ON = "; the same call goes on."


@dataclass(frozen=True)
class ImagesToLoad:
    """Images that are loaded once everything is checked that can be checked without them.

    Attributes:
        load: given the size to take where nobody asked for one, or None.
    """

    load: Callable[[DefaultSize | None], ImageSet]


class LivePage(Callbacks):
    """Writes ``report.html`` anew after every trial, from the files; the other files of the report cost more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:  # noqa: ARG002
        """Write the page. What goes wrong here stops no study: the report at its end says it."""
        try:
            write_page(work_out(load_study(self.folder)))
        except StepladderError:
            return


class Job:
    """One call of a function that trains.

    Attributes:
        execution: with the clock of ``max_time`` running.
        callbacks: whom the work tells, once :meth:`begin` has been called.
        folder: of the result; None before.
        asked: the same folder, as the user wrote it.
    """

    def __init__(self, shown: Callbacks, execution: Execution) -> None:
        self.shown = self.callbacks = shown
        self.execution = execution
        self.folder: Path | None = None
        self.asked: Path | None = None
        self.trackers: list[TrackerCallbacks] = []

    def load(self, data: object, default_size: DefaultSize | None = None) -> ImageSet:
        """Return the images of a name, a path, arrays, a Dataset, or an image set that was loaded before.

        Args:
            default_size: the size that the recipe's network was pretrained at; an image set keeps its own.

        Raises:
            DataError: there is no such image set, or it cannot be read.
        """
        images = self._load(data, default_size)
        where = self.execution.images_on_nodes
        if isinstance(where, str):
            if images.loading is None:
                raise StudyError(
                    "`images_on_nodes` is for images of a path, which nodes read from their own copy; leave it out, "
                    "and they travel to each node once"
                )
            self.execution = replace(self.execution, images_on_nodes=NodeImages(where, images.loading))
        return images

    def _load(self, data: object, default_size: DefaultSize | None) -> ImageSet:
        if isinstance(data, ImageSet):
            return data
        if isinstance(data, ImagesToLoad):
            return data.load(default_size)
        shown = self.shown
        access = Access(
            download=self.execution.download,
            on_progress=lambda done, total: shown.loading("Reading images", done, total),
            on_download=lambda name, done, total: shown.loading(f"Fetching {name}", done, total),
        )
        return load_image_set(data, size=default_size, access=access)

    def begin(self, images: ImageSet, recipe: Recipe, folder: Path, *, live: bool = False) -> None:
        """Say what was loaded, and make the trackers that were asked for.

        Args:
            live: whether ``folder`` gets a page that is written anew after every trial.

        Raises:
            StudyError: there is no such tracker.
            RecipeError: its library is not installed.
        """
        self.asked, folder = folder, folder.absolute()  # a technique of the user's own may go elsewhere
        self.folder = folder
        self.shown.images_loaded(images, recipe)
        more: list[Callbacks] = [LivePage(folder)] if live else []
        self.trackers = make_trackers(self.execution.track, folder, self.shown.message)
        more += self.trackers
        self.callbacks = CallbackList([self.shown, *more]) if more else self.shown

    def report(self, saved: SavedStudy) -> AnyFindings:
        """Write the report of what was carried out, tell the trackers what it says, and return the findings."""
        findings = work_out(saved)
        write_report(findings)
        for tracker in self.trackers:
            tracker.summarize(summary_of(findings))
        return findings


@contextmanager
def running(progress: ShowProgress, execution: Execution | None) -> Iterator[Job]:
    """Do one job inside: Ctrl-C finishes the step and keeps a checkpoint, and progress is shown as asked.

    Raises:
        Stopped: that was asked for; what is finished is kept and reported, and the same call goes on.
    """
    execution = execution or Execution()
    execution.check()
    if execution.max_time is not None and execution.stop.reason is None:
        execution = replace(execution, stop=Stop(execution.max_time))
    shown = progress if isinstance(progress, Callbacks) else find_progress() if progress else Callbacks()
    job = Job(shown, execution)
    # Whoever has taken Ctrl-C already, as the command line does, knows better what to do with it.
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    polite = stopping_politely(execution.stop, (signal.SIGINT,)) if ours else nullcontext()
    try:
        with polite, ending():
            yield job
    except KeyboardInterrupt as stopped:
        if isinstance(shown, PlainLines):
            shown.stop()
        stopped.add_note(_keep(job, stopped))
        raise
    finally:
        if isinstance(shown, PlainLines):
            shown.stop()


def _keep(job: Job, stopped: KeyboardInterrupt) -> str:
    """Write the report of what is there as far as it goes, and return what is kept and how to go on."""
    why = "Stopped after `max_time`" if isinstance(stopped, Stopped) and stopped.reason == "time" else "Stopped"
    folder = job.folder
    if folder is None:
        return f"{why}; nothing was written."
    if (folder / "study.json").exists():
        study = load_study(folder)
        write_report(work_out(study))
        return (
            f"{why}. {len(study.trials)} of {study.record.planned_trials} trials are finished and those under way have "
            f"a checkpoint, in {job.asked}{SAME_CALL_GOES_ON}"
        )
    if (folder / CHECKPOINTS).exists():
        return f"{why}. A checkpoint is kept in {job.asked}{SAME_CALL_GOES_ON}"
    return f"{why} before the first trial; nothing was written."
