"""A bag of words of its own as its files have it: how many seeds are fitted, and what validation says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from stepladder.errors import StepladderError
from stepladder.report.units import count, duration, mean_and_spread
from stepladder.studies.files.bag_files import BagRecord, BagResult, read_bag_record, read_bag_result, seed_folder
from stepladder.studies.judging.trial_facts import describe_machine
from stepladder.web.studies.board import Board
from stepladder.web.studies.cells import FINISHED, WAITING
from stepladder.web.studies.folders import Found, signature
from stepladder.web.studies.owners import Locks, Owner, main_owners
from stepladder.web.studies.telling import Standing


@dataclass
class BagWatch:
    """A bag of words that is looked at again and again; see :class:`~stepladder.web.studies.watch.StudyWatch`."""

    found: Found
    say: Callable[[str], str] = str
    board: Board = field(default_factory=Board)
    owners: tuple[Owner, ...] = ()
    standing: Standing = field(default_factory=lambda: Standing("reading", ""))

    def __post_init__(self) -> None:
        self._seen: dict[int, object] = {}
        self._results: dict[int, BagResult] = {}

    def poll(self, locks: Locks) -> None:
        """Read what changed since the last time."""
        folder = self.found.folder
        try:
            for name in ("bag-of-words.json", "seeds"):
                if (folder / name).is_symlink():
                    raise OSError(f"{name} is a link, and none is followed")
            record = read_bag_record(folder)
            if record is None:
                self._tell_wrong("removed", "This bag of words was removed, renamed or moved.")
                return
            for seed in range(record.seeds):
                self._look_at(seed)
        except (StepladderError, OSError) as error:
            self._tell_wrong("damaged", self.say(str(error)))
            return
        holder = locks.holder(folder / ".lock")
        self.owners = main_owners([holder]) if holder is not None else ()
        self._tell(record)

    def _look_at(self, seed: int) -> None:
        seen = signature(seed_folder(self.found.folder, seed) / "result.json")
        if seen is None:
            self._results.pop(seed, None)
        elif seen != self._seen.get(seed):
            found = read_bag_result(self.found.folder, seed)
            if found is not None:
                self._results[seed] = found
        self._seen[seed] = seen

    def _tell_wrong(self, state: Any, sentence: str) -> None:
        self.standing = Standing(state, sentence)
        self.board.put({"head": {"state": state, "sentence": sentence, "title": self.found.place}}, whole=True)

    def _tell(self, record: BagRecord) -> None:
        ended, results = len(self._results), list(self._results.values())
        state: Any = "finished" if ended == record.seeds else "running" if self.owners else "unfinished"
        self.standing = Standing(state, "", ended, record.seeds)
        values = [result.val_accuracy for result in results if result.val_accuracy is not None]
        spread = mean_and_spread(fmean(values), stdev(values) if len(values) > 1 else None) if values else ""
        # Test is read when every seed has been fitted.
        read = [result.test_accuracy for result in results if result.test_accuracy is not None]
        sentences = []
        if len(read) == record.seeds:
            whole = mean_and_spread(fmean(read), stdev(read) if len(read) > 1 else None)
            sentences = [f"It reaches {whole} % test accuracy (n = {len(read)})."]
        head = {
            "kind": "bag of words",
            "title": f"Bag of words on {record.data.name}",
            "place": self.found.place,
            "state": state,
            "sentence": f"{ended} of {count(record.seeds, 'seed')} {'has' if ended == 1 else 'have'} been fitted.",
            "ended": ended,
            "planned": record.seeds,
            "running": 0,
            "failed": 0,
            "damaged": 0,
            "left": "",
            "look": "" if sentences else "Test is read once, when every seed has been fitted.",
            "metric": "validation accuracy",
            "unit": "%",
            "watched": "",
            "shows_watched": False,
            "machine": [describe_machine(record.machine)],
            "command": record.command,
            "created": record.created,
            "versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()),
            "images": "",
            "report": False,
        }
        row: dict[str, Any] = {
            "name": record.settings.descriptor,
            "adds": [],
            "planned": record.seeds,
            "ended": ended,
            "failed": 0,
            "running": 0,
            "validation": spread,
            "n": len(values),
            "curve": 0,
        }
        trials = {}
        for seed in range(record.seeds):
            result = self._results.get(seed)
            took = "" if result is None else duration(result.seconds)
            score = "" if result is None else mean_and_spread(result.val_accuracy, None)
            trials[f"trial.0.{seed}"] = [WAITING if result is None else FINISHED, seed, 0, 0, score, took]
        told = {"head": head, "rung.0": row, "failures": [], "warnings": [], **trials}
        if sentences:
            told["verdict"] = {"seeds": record.seeds, "headline": sentences, "sentences": [], "marks": []}
        self.board.put(told, whole=True)
