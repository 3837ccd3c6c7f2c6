"""One planned trial as its files have it: its result, and before that how far its newest checkpoint is."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from time import monotonic, time
from typing import Any

from stepladder.errors import DamagedError, StepladderError
from stepladder.files import parse_json, read_plain
from stepladder.studies.design.trials import CommandTrial, Trial
from stepladder.studies.files.consistency import wrong_with_result
from stepladder.studies.files.records import StudyRecord, TrialResult
from stepladder.studies.files.run_history import RunEpoch, read_run_history
from stepladder.studies.files.store import CHECKPOINTS, read_epochs, read_result
from stepladder.training.history import EpochRecord, parse_history
from stepladder.web.studies.folders import signature
from stepladder.web.studies.owners import Locks, Owner, began

#: States of one trial, by the letter that a page is told.
WAITING, RUNNING, PAUSED, FINISHED, FAILED, DAMAGED = "w", "r", "p", "f", "x", "d"

#: Where locks cannot be seen, a study counts as running until no file of it has changed for so many seconds.
QUIET = 60.0
#: A file that cannot be read is looked at again for so many seconds before it counts as damaged: not every file system
#: replaces a file in one piece.
SETTLING = 2.0
#: Bytes of a checkpoint's ``state.json``.
_MOST_STATE = 16_000_000


@dataclass
class FilesRead:
    """What was read of a study so far.

    Attributes:
        number: of files.
        newest: change among them, in seconds since 1970.
    """

    number: int = 0
    newest: float = 0.0


@dataclass
class Cell:
    """One planned trial.

    Attributes:
        sentence: why it failed, or what is wrong with its files.
        epochs: of its newest checkpoint, while it has not ended.
        began: when it was first seen running, by the clock of :func:`time.monotonic`.
        history: of a trial that ended; None until somebody asks for its curve.
        reported: of a run of a command that ended, what that told of its training.
    """

    trial: Trial | CommandTrial
    folder: Path
    state: str = WAITING
    result: TrialResult | None = None
    sentence: str = ""
    seen: tuple[int, int, int] | None = None
    broken_since: float | None = None
    checkpoint: str = ""
    epochs: tuple[EpochRecord, ...] = ()
    began: float = 0.0
    history: tuple[EpochRecord, ...] | None = None
    reported: tuple[RunEpoch, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether it has, and its result could be read."""
        return self.state in (FINISHED, FAILED)

    @property
    def told(self) -> tuple[Any, ...]:
        """What changes whenever a page has to be told of it."""
        return self.state, len(self.epochs), self.seen

    def reset(self) -> None:
        """Be as before anything was read: a trial without files has not begun, or was set aside or removed."""
        if self.state == WAITING:
            return
        for one in fields(self):
            if one.name not in ("trial", "folder"):
                setattr(self, one.name, one.default)

    def look_at_result(
        self, record: StudyRecord | None, read: FilesRead, say: Callable[[str], str], *, link: bool
    ) -> None:
        """Read its result where that was replaced.

        Args:
            record: of its study; None for a training of its own, whose result need fit no plan.
            say: puts the library's words into the reader's.
            link: whether a link stands in its folder's place, which nobody follows.
        """
        path = self.folder / "result.json"
        try:
            if link:
                raise DamagedError(f"{self.folder.name} is a link, and none is followed", "")
            seen = signature(path)
            if seen == self.seen and self.broken_since is None:
                return
            if seen is None:
                self.reset()
                return
            self.seen = seen
            read.newest = max(read.newest, seen[0] / 1e9)
            read.number += 1
            result = read_result(self.folder)
            if result is None:
                return
            if record is not None:
                self._check(result, record)
        except (StepladderError, OSError) as error:
            what = error.what if isinstance(error, DamagedError) else str(error)
            if isinstance(error, OSError):
                what = f"{path.name}: {error.strerror or error}"
            self._note_damage(say(what))
        else:
            self.result, self.history, self.epochs, self.reported = result, None, (), ()
            self.state = FINISHED if result.status == "finished" else FAILED
            self.sentence, self.broken_since = result.failure or "", None

    def _check(self, result: TrialResult, record: StudyRecord) -> None:
        if isinstance(self.trial, Trial):
            wrong = wrong_with_result(result, self.trial, record)
        else:
            alike = result.trial == self.trial.id and result.seed == self.trial.seed
            wrong = None if alike else "it is that of another trial"
        if wrong is not None:
            raise DamagedError(f"{self.folder / 'result.json'} is damaged ({wrong})", "")

    def _note_damage(self, sentence: str) -> None:
        """A file that cannot be read may be half written; after a while it counts as damaged."""
        now = monotonic()
        if self.broken_since is None:
            self.broken_since = now
        if now - self.broken_since >= SETTLING or self.state == DAMAGED:
            self.state, self.sentence, self.result = DAMAGED, sentence, None

    def look_at_training(self, locks: Locks, read: FilesRead) -> int | None:
        """Note whether a trial that has not ended is under way, and how far; return the process that has it."""
        holder = locks.holder(self.folder / ".lock")
        self._look_at_checkpoint(read)
        if holder is not None:
            self.began = self.began or monotonic()
            self.state = RUNNING
        elif locks.known or time() - read.newest > QUIET:
            self.state = PAUSED if self.checkpoint else WAITING
            self.began = 0.0
        elif self.checkpoint:
            self.state = RUNNING
        return holder

    def look_at_run(self, owners: tuple[Owner, ...]) -> None:
        """Note whether a run of a command is under way: it prints into its folder from its start, and tells no more.

        Args:
            owners: the processes that run the study; what one before them left is under way no longer.
        """
        try:
            opened = (self.folder / "stdout.txt").lstat().st_mtime if owners else 0.0
        except OSError:
            opened = 0.0
        goes_on = bool(opened) and opened >= min(began(owner) for owner in owners) - 2
        self.began = self.began or monotonic() if goes_on else 0.0
        self.state = RUNNING if goes_on else WAITING

    def _look_at_checkpoint(self, read: FilesRead) -> None:
        """Read how far a trial is, by its newest checkpoint; one that goes away meanwhile tells nothing."""
        folder = self.folder / CHECKPOINTS
        try:
            if folder.is_symlink():
                return
            newest = max((name for name in os.listdir(folder) if name.isdecimal()), default="")  # noqa: PTH208
            if newest == self.checkpoint or not newest:
                return
            path = folder / newest / "state.json"
            read.number += 1
            document = parse_json(read_plain(path, _MOST_STATE, follow=False))
            epochs = parse_history(document["values"]["history"])
            read.newest = max(read.newest, path.stat().st_mtime)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return
        self.checkpoint, self.epochs = newest, epochs

    def read_history(self, read: FilesRead, say: Callable[[str], str]) -> None:
        """Read the epochs of a trial that ended, the first time that somebody asks."""
        if self.history is not None or self.result is None:
            return
        read.number += 1
        try:
            if isinstance(self.trial, Trial):
                self.history = read_epochs(self.folder, self.result)
            else:
                self.history, self.reported = (), read_run_history(self.folder)
        except StepladderError as error:
            self.history = ()
            self.state, self.sentence = DAMAGED, say(error.what if isinstance(error, DamagedError) else str(error))
