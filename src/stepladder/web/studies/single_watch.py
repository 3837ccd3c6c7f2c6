"""What is no study and has a page all the same: one training, a learning-rate range test, scores that were judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepladder.errors import DamagedError, StepladderError
from stepladder.files import read_json
from stepladder.report.units import count, duration, mean_and_spread
from stepladder.studies.design.trials import CommandTrial
from stepladder.studies.judging.trial_facts import describe_machine
from stepladder.web.studies.board import Board
from stepladder.web.studies.cells import FAILED, RUNNING, Cell, FilesRead
from stepladder.web.studies.folders import Found, Kind, signature
from stepladder.web.studies.owners import Locks, Owner, main_owners
from stepladder.web.studies.telling import Standing, State

#: What a list calls each.
NAMES: Mapping[Kind, str] = {"training": "training", "lr-range": "learning-rate range test", "judged": "judged scores"}
#: By which file it is seen whether anything changed.
_FILES: Mapping[Kind, str] = {"training": "result.json", "lr-range": "lr-range.json", "judged": "verdicts.json"}
#: Of a stranger's file, letters and lines that are shown.
_LETTERS, _LINES = 500, 50


@dataclass
class SingleWatch:
    """A folder that is looked at again and again; see :class:`~stepladder.web.studies.watch.StudyWatch`."""

    found: Found
    say: Callable[[str], str] = str
    board: Board = field(default_factory=Board)
    owners: tuple[Owner, ...] = ()
    read: FilesRead = field(default_factory=FilesRead)
    standing: Standing = field(default_factory=lambda: Standing("reading", ""))

    def __post_init__(self) -> None:
        self._seen: object = ()
        self._document: dict[str, Any] = {}
        self._cell = Cell(CommandTrial("training", {}, 0), self.found.folder)

    @property
    def name(self) -> str:
        """What a list calls it."""
        return NAMES[self.found.kind]

    def poll(self, locks: Locks) -> None:
        """Read what changed since the last time."""
        folder, training = self.found.folder, self.found.kind == "training"
        path = folder / _FILES[self.found.kind]
        try:
            if folder.is_symlink():
                raise OSError(f"{folder.name} is a link, and none is followed")
            if training:
                self._tell_training(locks)
                return
            seen = signature(path)
            if seen is None:
                self._tell_wrong("removed", f"This {self.name} was removed, renamed or moved.")
            elif seen != self._seen:
                self.read.number += 1
                document = read_json(path)
                self._document = document if isinstance(document, dict) else {}
                self._tell_range() if self.found.kind == "lr-range" else self._tell_judged()
            self._seen = seen
        except (StepladderError, OSError) as error:
            self._tell_wrong("damaged", self.say(error.what if isinstance(error, DamagedError) else str(error)))

    # What is said of each.

    def _tell_wrong(self, state: State, sentence: str) -> None:
        self.standing = Standing(state, sentence)
        self.board.put({"head": {"state": state, "sentence": sentence, "title": self.found.place}}, whole=True)

    def _tell_training(self, locks: Locks) -> None:
        cell, folder = self._cell, self.found.folder
        if not (folder / "recipe.toml").exists():
            self._tell_wrong("removed", "This training was removed, renamed or moved.")
            return
        cell.look_at_result(None, self.read, self.say, link=False)
        if not cell.ended and not cell.sentence:
            holder = cell.look_at_training(locks, self.read)
            self.owners = main_owners([holder]) if holder is not None else ()
        else:
            self.owners = ()
        result = cell.result
        if cell.sentence and result is None:
            self._tell_wrong("damaged", cell.sentence)
            return
        epochs = cell.epochs[-1].epoch if cell.epochs else 0
        if result is None:
            state: State = "running" if cell.state == RUNNING else "unfinished"
            sentence = f"{count(epochs, 'epoch')} {'is' if epochs == 1 else 'are'} done."
            if state == "unfinished":
                sentence = f"Nobody runs it now. {sentence} The same command goes on."
        else:
            state, sentence = "finished", f"{count(result.epochs, 'epoch')} in {duration(result.seconds)}."
            if result.status != "finished":
                sentence = f"It failed: {result.failure}"[:_LETTERS]
            elif result.test_accuracy is not None:
                sentence += f" Test accuracy: {mean_and_spread(result.test_accuracy, None)} % (one seed)."
        score = "" if result is None or result.val_accuracy is None else mean_and_spread(result.val_accuracy, None)
        took = "" if result is None else duration(result.seconds)
        head = self._head(state, sentence, int(cell.ended))
        if result is not None:
            versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
            head |= {"machine": [describe_machine(result.machine)], "versions": versions}
        ended, failed, running = (int(one) for one in (cell.ended, cell.state == FAILED, cell.state == RUNNING))
        row = {
            "name": "training",
            "adds": [],
            "planned": 1,
            "ended": ended,
            "failed": failed,
            "running": running,
            "validation": score,
            "n": int(bool(score)),
            "curve": 0,
        }
        failures = [["", cell.sentence]] if cell.state == FAILED else []
        warnings = [] if result is None else [[self.say(one), 1] for one in dict.fromkeys(result.warnings)]
        self.standing = Standing(state, "", ended, 1, failed, 0, running)
        trial = [cell.state, 0 if result is None else result.seed, epochs, 0, score, took]
        told = {"head": head, "rung.0": row, "trial.0.0": trial}
        self.board.put({**told, "failures": failures, "warnings": warnings}, whole=True)

    def _tell_range(self) -> None:
        said = _texts(self._document.get("summary"))
        suggested = self._document.get("suggested")
        sentence = "No rate is suggested."
        if isinstance(suggested, int | float) and math.isfinite(suggested):
            sentence = f"It suggests a learning rate of {suggested:g}."
        self._tell_words(sentence, said)

    def _tell_judged(self) -> None:
        effects = self._document.get("effects")
        said = [
            f"{str(one.get('name'))[:_LETTERS]}: {str(one.get('verdict'))[:_LETTERS]}."
            for one in (effects if isinstance(effects, list) else [])[:_LINES]
            if isinstance(one, dict)
        ]
        sentence = f"{count(len(said), 'verdict')} on scores of {str(self._document.get('metric'))[:_LETTERS]}."
        self._tell_words(sentence, said)

    def _tell_words(self, sentence: str, said: list[str]) -> None:
        self.standing = Standing("finished", "", 1, 1)
        told: dict[str, Any] = {"head": self._head("finished", sentence, 1), "failures": [], "warnings": []}
        if said:
            sentences = [self.say(one) for one in said]
            words = {"title": "What it says", "headline": [], "sentences": sentences}
            told["verdict"] = {"seeds": 0, "marks": [], **words}
        self.board.put(told, whole=True)

    def _head(self, state: State, sentence: str, ended: int) -> dict[str, Any]:
        place = self.found.folder.name if self.found.place == "." else self.found.place.rpartition("/")[2]
        return {
            "kind": self.name,
            "title": f"{self.name[:1].upper()}{self.name[1:]}: {place}",
            "place": self.found.place,
            "state": state,
            "sentence": sentence,
            "ended": ended,
            "planned": 1,
            "running": int(state == "running"),
            "failed": 0,
            "damaged": 0,
            "left": "",
            "look": "",
            "metric": "validation accuracy",
            "unit": "%",
            "watched": "",
            "shows_watched": False,
            "machine": [],
            "command": "",
            "created": "",
            "versions": "",
            "images": "",
            "report": _has_report(self.found.folder),
        }


def _texts(value: object) -> list[str]:
    texts = value if isinstance(value, list) else [value]
    return [text[:_LETTERS] for text in texts[:_LINES] if isinstance(text, str)]


def _has_report(folder: Path) -> bool:
    try:
        return signature(folder / "report.html") is not None
    except OSError:
        return False
