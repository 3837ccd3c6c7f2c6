"""One network that is trained alone, as its files have it: how far it is, its curve, and how it ended."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import RLock
from time import time
from typing import Any

from stepladder.errors import DamagedError, StepladderError
from stepladder.files import read_plain
from stepladder.report.units import capital, count, duration, percent, time_range
from stepladder.studies.design.trials import CommandTrial
from stepladder.studies.files.records import TrialResult
from stepladder.studies.files.store import read_epochs
from stepladder.studies.judging.trial_facts import describe_machine
from stepladder.web.studies.board import Board
from stepladder.web.studies.cells import DAMAGED, FAILED, RUNNING, Cell, FilesRead
from stepladder.web.studies.curves import curves_of_training, watched_split
from stepladder.web.studies.folders import Found, signature
from stepladder.web.studies.owners import Locks, Owner, main_owners
from stepladder.web.studies.single_watch import LETTERS, head_of
from stepladder.web.studies.standing import time_left_of_training
from stepladder.web.studies.telling import AXES_OF_IMAGES, Standing, State

#: What is drawn beside the training images, as a page is told of it, and how it says so.
_WATCHED = {"val": "validation", "test": "test", "": "training"}
_DRAWN = {
    "val": "Solid: validation. Dotted: training images.",
    "test": "No image was left for validation, so the test curve was watched. Solid: test. Dotted: training images.",
    "": "Training images alone.",
}
_UNREAD = "No image was left for validation. The test curve is shown when the training has ended."


@dataclass
class TrainingWatch:
    """A training that is looked at again and again; see :class:`~stepladder.web.studies.watch.StudyWatch`."""

    found: Found
    say: Callable[[str], str] = str
    board: Board = field(default_factory=Board)
    owners: tuple[Owner, ...] = ()
    read: FilesRead = field(default_factory=FilesRead)
    standing: Standing = field(default_factory=lambda: Standing("reading", ""))
    name: str = "training"

    def __post_init__(self) -> None:
        self._lock = RLock()  # curves are asked for in another thread
        # Its recipe may need a technique of the user's own, which nothing here does.
        self._cell = Cell(CommandTrial("training", {}, 0), self.found.folder)
        self._recipe: dict[str, Any] = {}
        self._recipe_seen: object = None
        self._stamp, self._told_of = 0, self._cell.told

    def poll(self, locks: Locks) -> None:
        """Read what changed since the last time."""
        with self._lock:
            try:
                if self.found.folder.is_symlink():
                    raise OSError(f"{self.found.folder.name} is a link, and none is followed")
                if self._look(locks):
                    self._tell()
                else:
                    self._tell_wrong("removed", "This training was removed, renamed or moved.")
            except (StepladderError, OSError) as error:
                self._tell_wrong("damaged", self.say(str(error)))

    def curves(self, number: int) -> dict[str, Any]:
        """Return its curves; the history of one that ended is read the first time.

        Args:
            number: 0, as it has one curve.

        Raises:
            IndexError: there is no such curve.
        """
        if number != 0:
            raise IndexError(number)
        with self._lock:
            self._read_history()
            return {"curve": self._stamp, **curves_of_training(self._cell)}

    # What changed.

    def _look(self, locks: Locks) -> bool:
        """Read its files where they changed; return whether it is there."""
        cell, folder = self._cell, self.found.folder
        seen = signature(folder / "recipe.toml")
        if seen is None:
            return False
        if seen != self._recipe_seen:
            self._recipe_seen, self._recipe = seen, {}
            try:
                text = read_plain(folder / "recipe.toml", follow=False).decode("utf-8")
                self._recipe = tomllib.loads(text)
            except (OSError, ValueError):  # it is not needed to say how the training goes
                pass
        cell.look_at_result(None, self.read, self.say, link=False)
        self.owners = ()
        if not cell.ended and not cell.sentence:
            holder = cell.look_at_training(locks, self.read)
            self.owners = main_owners([holder]) if holder is not None else ()
        if cell.told != self._told_of:
            self._stamp, self._told_of = self._stamp + 1, cell.told
        return True

    def _read_history(self) -> None:
        cell = self._cell
        if cell.history is not None or cell.result is None:
            return
        self.read.number += 1
        try:
            cell.history = read_epochs(cell.folder, cell.result)
        except StepladderError as error:
            cell.history = ()
            cell.state = DAMAGED
            cell.sentence = self.say(error.what if isinstance(error, DamagedError) else str(error))

    # What is said of it.

    def _tell_wrong(self, state: State, sentence: str) -> None:
        self.standing = Standing(state, sentence)
        self.board.put({"head": {"state": state, "sentence": sentence, "title": self.found.place}}, whole=True)

    def _tell(self) -> None:
        self._read_history()
        cell, result = self._cell, self._cell.result
        if cell.state == DAMAGED:
            self._tell_wrong("damaged", cell.sentence)
            return
        planned = self._recipe.get("epochs")
        planned = planned if isinstance(planned, int) and planned > 0 else 0
        done = result.epochs if result is not None else cell.epochs[-1].epoch if cell.epochs else 0
        running = cell.state == RUNNING
        state: State = "running" if running else "unfinished"
        sentence = _how_far(done, planned) if running else f"Nobody runs it now. {_how_far(done, planned)} {_GOES_ON}"
        if result is not None:
            state = "failed" if cell.state == FAILED else "finished"
            sentence = _how_it_ended(result)
        left = None
        if running:
            left = time_left_of_training(cell.epochs, planned, time() - self.read.newest)
        self.standing = Standing(state, "", done, max(planned, done))
        rows = cell.history or cell.epochs
        watched = watched_split(rows)
        more = {
            "ended": done,
            "planned": max(planned, done),
            "left": "" if left is None or not planned else f"{time_range(left.low, left.high)} left",
            "watched": _WATCHED[watched] if rows else "",
            "shows_watched": watched == "val" or cell.ended,
            "drawn": _DRAWN[watched] if watched != "test" or cell.ended else _UNREAD,
            "axes": AXES_OF_IMAGES,
            "facts": _facts(self._recipe, result),
        }
        head = head_of(self.found, self.name, state, sentence) | more
        row = {
            "name": _name(self._recipe),
            "adds": [],
            "planned": 1,
            "ended": int(cell.ended),
            "failed": 0,
            "running": 0,
        }
        row |= {"validation": "", "n": int(cell.ended), "curve": self._stamp}
        warnings = [] if result is None else [[self.say(one), 1] for one in dict.fromkeys(result.warnings)]
        told = {"head": head, "rung.0": row, "trial.0.0": [cell.state, None, done, planned, "", ""]}
        self.board.put({**told, "failures": [], "warnings": warnings}, whole=True)


_GOES_ON = "The same command goes on."


def _how_far(done: int, planned: int) -> str:
    if not done:
        return "No epoch is done yet."
    of = f" of {planned:,}" if planned else ""
    noun = count(planned or done, "epoch").rpartition(" ")[2]
    return f"{done:,}{of} {noun} {'is' if done == 1 else 'are'} done."


def _how_it_ended(result: TrialResult) -> str:
    if result.status != "finished":
        return f"It failed after {count(result.epochs, 'epoch')}: {result.failure}"[:LETTERS]
    scores = [
        f"{split} accuracy {percent(value)}"
        for split, value in (("validation", result.val_accuracy), ("test", result.test_accuracy))
        if value is not None
    ]
    said = f" {capital(', '.join(scores))} (one seed)." if scores else ""
    return f"{count(result.epochs, 'epoch')} in {duration(result.seconds)}.{said}"


def _name(recipe: Mapping[str, Any]) -> str:
    name = recipe.get("name")
    return name[:LETTERS] if isinstance(name, str) and name else "training"


def _facts(recipe: Mapping[str, Any], result: TrialResult | None) -> list[list[str]]:
    """Return what it is, a name and a text each; nothing of a file that somebody else wrote is trusted."""
    batch = recipe.get("batch_size")
    facts = []
    if recipe:
        facts.append(["Recipe", _name(recipe) + (f", batches of {batch:,} images" if isinstance(batch, int) else "")])
    if result is not None:
        facts += [
            ["Techniques", ", ".join(result.techniques) or "none"],
            ["Seed", str(result.seed)],
            ["Precision", result.precision or ""],
            ["Ended", result.finished.replace("T", " ").replace("+00:00", " UTC")],
            ["Machine", describe_machine(result.machine)],
            ["Versions", ", ".join(f"{name} {version}" for name, version in result.versions.items())],
        ]
    return [[what, text[:LETTERS]] for what, text in facts if text]
