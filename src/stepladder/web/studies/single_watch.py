"""What is no study, has ended, and has a page all the same: a learning-rate range test, scores that were judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stepladder.errors import DamagedError, StepladderError
from stepladder.files import read_json
from stepladder.report.marks import SYMBOLS
from stepladder.report.units import count
from stepladder.studies.files.records import Machine
from stepladder.studies.judging.trial_facts import describe_machine
from stepladder.web.studies.board import Board
from stepladder.web.studies.cells import FilesRead
from stepladder.web.studies.folders import Found, Kind, signature
from stepladder.web.studies.owners import Locks
from stepladder.web.studies.telling import Standing, State

#: What a list calls each.
NAMES: Mapping[Kind, str] = {"lr-range": "learning-rate range test", "judged": "judged scores"}
#: By which file it is seen whether anything changed.
_FILES: Mapping[Kind, str] = {"lr-range": "lr-range.json", "judged": "verdicts.json"}
#: Of a stranger's file, letters of a text and lines that are shown.
LETTERS, LINES = 500, 50


@dataclass
class SingleWatch:
    """A folder that is looked at again and again; see :class:`~stepladder.web.studies.watch.StudyWatch`."""

    found: Found
    say: Callable[[str], str] = str
    board: Board = field(default_factory=Board)
    read: FilesRead = field(default_factory=FilesRead)
    standing: Standing = field(default_factory=lambda: Standing("reading", ""))

    def __post_init__(self) -> None:
        self._seen: object = ()
        self._document: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """What a list calls it."""
        return NAMES[self.found.kind]

    def poll(self, _: Locks) -> None:
        """Read what changed since the last time."""
        folder = self.found.folder
        path = folder / _FILES[self.found.kind]
        try:
            if folder.is_symlink():
                raise OSError(f"{folder.name} is a link, and none is followed")
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

    def _tell_range(self) -> None:
        document = self._document
        suggested = _number(document.get("suggested"))
        sentence = "No rate is suggested." if suggested is None else f"It suggests a learning rate of {suggested:g}."
        low, high, steps = (_number(document.get(name)) for name in ("low", "high", "steps"))
        images, recipe, tests = (document.get(name) for name in ("training_images", "recipe", "tests"))
        facts = [["Images", _text(document.get("data"))]]
        if isinstance(images, int):
            facts[0][1] += f", {count(images, 'training image')}"
        if isinstance(recipe, dict):
            facts.append(["Recipe", _text(recipe.get("name"))])
        if low is not None and high is not None and steps is not None:
            seeds = f", {count(len(tests), 'seed')}" if isinstance(tests, list) else ""
            facts.append(["Rates", f"{low:g} to {high:g} in {steps:g} steps{seeds}"])
        self._tell(sentence, _texts(document.get("summary")), [], [*facts, *_where(document)])

    def _tell_judged(self) -> None:
        document = self._document
        effects, rungs, limits = (document.get(name) for name in ("effects", "rungs", "limits"))
        marks = [_mark(one) for one in _tables(effects)]
        metric = _text(document.get("metric"))
        sentence = f"{count(len(marks), 'verdict')} on scores of {metric or 'a metric without a name'}."
        edited = _text(limits.get("edited")) if isinstance(limits, dict) else ""
        said = [f"Do not trust these verdicts: {edited}."] if edited else []
        self._tell(sentence, said, marks, [["Rungs", "; ".join(map(_describe_rung, _tables(rungs)))]])

    def _tell(self, sentence: str, said: list[str], marks: list[dict[str, str]], facts: list[list[str]]) -> None:
        self.standing = Standing("finished", "")
        head = head_of(self.found, self.name, "finished", sentence)
        head |= {"facts": [[what, text] for what, text in facts if text]}
        told: dict[str, Any] = {"head": head, "failures": [], "warnings": []}
        if said or marks:
            words = {"title": "What it says", "headline": [], "sentences": [self.say(one) for one in said]}
            told["verdict"] = {"seeds": 0, "marks": marks, **words}
        self.board.put(told, whole=True)


def head_of(found: Found, name: str, state: State, sentence: str) -> dict[str, Any]:
    """Return what is said of a folder that holds no study, as :func:`~stepladder.web.studies.telling.tell_head` does.

    Args:
        name: what a list calls its kind.
    """
    place = found.folder.name if found.place == "." else found.place.rpartition("/")[2]
    return {
        "kind": name,
        "title": f"{name[:1].upper()}{name[1:]}: {place}",
        "place": found.place,
        "state": state,
        "sentence": sentence,
        "ended": 0,
        "planned": 0,
        "running": int(state == "running"),
        "failed": 0,
        "damaged": 0,
        "left": "",
        "look": "",
        "metric": "validation accuracy",
        "unit": "%",
        "watched": "",
        "shows_watched": False,
        "alone": True,
        "machine": [],
        "command": "",
        "created": "",
        "versions": "",
        "images": "",
        "report": _has_report(found.folder),
    }


def _mark(effect: Mapping[str, Any]) -> dict[str, str]:
    """Return an effect as a verdict is marked, in the words and signs of the reports."""
    verdict = effect.get("verdict")
    known = isinstance(verdict, str) and verdict in SYMBOLS
    kind = str(verdict) if known else "none"
    figures = "" if not isinstance(effect.get("n"), int) else f"n = {effect['n']}"
    word = kind if known else "no verdict"
    named = {"kind": kind, "symbol": SYMBOLS[kind], "name": _text(effect.get("name")), "word": word}
    return {**named, "figures": figures, "needs": ""}


def _describe_rung(rung: Mapping[str, Any]) -> str:
    name, mean, scores = _text(rung.get("rung")), _number(rung.get("mean")), rung.get("scores")
    n = f" (n = {len(scores)})" if isinstance(scores, dict) else ""
    return name if mean is None else f"{name}: mean {mean:.4g}{n}"


def _where(document: Mapping[str, Any]) -> list[list[str]]:
    """Return machine and versions, where a file has them as we write them."""
    facts, versions = [], document.get("versions")
    with suppress(ValidationError):
        facts.append(["Machine", describe_machine(Machine.model_validate(document.get("machine")))[:LETTERS]])
    if isinstance(versions, dict):
        facts.append(["Versions", ", ".join(f"{name} {version}" for name, version in versions.items())[:LETTERS]])
    return facts


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if is_number and isinstance(value, int | float) else None


def _text(value: object) -> str:
    return value[:LETTERS] if isinstance(value, str) else ""


def _texts(value: object) -> list[str]:
    texts = value if isinstance(value, list) else [value]
    return [_text(text) for text in texts[:LINES] if isinstance(text, str)]


def _tables(value: object) -> list[dict[str, Any]]:
    return [one for one in (value if isinstance(value, list) else [])[:LINES] if isinstance(one, dict)]


def _has_report(folder: Path) -> bool:
    try:
        return signature(folder / "report.html") is not None
    except OSError:
        return False
