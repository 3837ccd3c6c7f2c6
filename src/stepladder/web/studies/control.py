"""Stop a study and go on with it, from the page: only where the viewer was started with ``control``.

To stop is what Ctrl-C does: the signal goes to the process that runs the study, which finishes its step, keeps a
checkpoint and leaves. To go on is to run the command that ``study.json`` has, word by word and without a shell, in a
session of its own, so that it outlives the viewer. Of a page nothing is taken but the study's key.
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import IO, Any

from stepladder.errors import StudyError, printable
from stepladder.report.units import capital
from stepladder.studies.running.interpreter import python_command
from stepladder.web.studies.owners import interrupt
from stepladder.web.studies.watch import StudyWatch

#: Commands whose studies can be gone on with.
_COMMANDS = ("study", "sweep", "curve")
#: Where a study goes, in the words of its command.
_OUT = "--out"
#: Letters of what a command printed last that are shown.
_TAIL = 2000


@dataclass
class _Started:
    """A command that was started here; what it prints goes into a file without a name, outside the viewed folder."""

    process: subprocess.Popen[bytes]
    printed: IO[bytes]

    @property
    def last_words(self) -> str:
        self.printed.seek(max(0, self.printed.tell() - _TAIL))
        lines = self.printed.read().decode(errors="replace").strip().splitlines()
        return printable(lines[-1]) if lines else ""


@dataclass
class Control:
    """Stops and starts studies below one folder.

    Args:
        folder: the viewed one.
        here: where the viewer was started: a study's command may have been typed there.
    """

    folder: Path
    here: Path
    _started: dict[str, _Started] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def describe(self, watch: StudyWatch) -> dict[str, Any]:
        """Return what a page may offer: whether to stop, the command to go on with, and why not, a sentence."""
        ended = self._ended_badly(watch)
        if watch.owners:
            ours = all(owner.ours for owner in watch.owners)
            return {"stop": ours, "go_on": "", "why": "" if ours else "Another user runs it; only they can stop it."}
        if watch.record is None or watch.standing.state != "unfinished":
            return {"stop": False, "go_on": "", "why": ended}
        try:
            words, _ = self._command(watch)
        except StudyError as error:
            return {"stop": False, "go_on": "", "why": f"{capital(str(error))}."}
        return {"stop": False, "go_on": shlex.join(["stepladder", *words]), "why": ended}

    def stop(self, watch: StudyWatch) -> str:
        """Send the signal of Ctrl-C to the processes that run a study, and return what happens now.

        Raises:
            StudyError: nobody runs it, or somebody else does.
        """
        try:
            told = [owner for owner in watch.owners if interrupt(owner)]
        except PermissionError as error:
            raise StudyError("another user runs this study; only they can stop it") from error
        if not told:
            raise StudyError("nobody runs this study any more; there is nothing to stop")
        return "It was told to stop, as by Ctrl-C: it finishes its step, keeps a checkpoint and leaves."

    def go_on(self, watch: StudyWatch) -> str:
        """Start the command of a study, and return what happens now.

        Raises:
            StudyError: it runs already, or its command cannot be run from here.
        """
        with self._lock:
            before = self._started.get(watch.found.key)
            if watch.owners or (before is not None and before.process.poll() is None):
                raise StudyError("this study runs already")
            words, place = self._command(watch)
            printed = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the command runs)
            try:
                process = subprocess.Popen(
                    python_command("-m", "stepladder", *words),
                    cwd=place,
                    stdin=subprocess.DEVNULL,
                    stdout=printed,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                printed.close()
                raise StudyError(f"cannot start it: {error.strerror or error}") from error
            self._started[watch.found.key] = _Started(process, printed)
        return "It was started, and goes on when this page and its server have gone."

    def close(self) -> None:
        """Let go of what was started here, which goes on."""
        for one in self._started.values():
            one.printed.close()

    def _ended_badly(self, watch: StudyWatch) -> str:
        found = self._started.get(watch.found.key)
        if found is None:
            return ""
        code = found.process.poll()
        # A study that ended has 1 where a trial of it failed; the others are what a stop leaves.
        fine = (0, 1) if watch.standing.state == "finished" else (0,)
        if code in (None, *fine, 75, 129, 130, 143):
            return ""
        return f"The command ended with exit code {code}: {found.last_words}"

    def _command(self, watch: StudyWatch) -> tuple[list[str], Path]:
        """Return the words of a study's command behind ``stepladder``, and the folder that it was typed in.

        Raises:
            StudyError: there is none, it is no command of ours, or it cannot be told where it was typed.
        """
        record, folder = watch.record, watch.folder
        if record is None or not record.command:
            raise StudyError("this study keeps no command, as one from Python does not: the same call goes on with it")
        try:
            program, *words = shlex.split(record.command)
        except ValueError as error:
            raise StudyError(f"its command cannot be read ({error}); type it in a terminal") from error
        if program != "stepladder" or not words or words[0] not in _COMMANDS:
            raise StudyError("its command is none of Stepladder's studies, sweeps or curves; type it in a terminal")
        out = _out_of(words)
        for place in self._places(folder):
            # By default it goes to studies/NAME where it was typed.
            if folder.parent == place / "studies" if out is None else (place / out).resolve() == folder:
                return words, place
        raise StudyError(
            "it cannot be told in which folder its command was typed; type it there, or start view from there"
        )

    def _places(self, folder: Path) -> Sequence[Path]:
        """Return where a command may have been typed: here, in the viewed folder, or above the study."""
        return tuple(dict.fromkeys((self.here, self.folder, *folder.parents)))


def _out_of(words: Sequence[str]) -> str | None:
    """Return the folder that a command names for its results; None where it names none."""
    found = None
    for place, word in enumerate(words):
        if word == _OUT and place + 1 < len(words):
            found = words[place + 1]
        elif word.startswith(f"{_OUT}="):
            found = word.partition("=")[2]
    return found
