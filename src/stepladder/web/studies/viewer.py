"""All studies below a folder, looked at again and again while somebody listens, and at no cost while nobody does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from stepladder.errors import StepladderError, StudyError
from stepladder.report.page import render_page
from stepladder.report.sections import COMPARISON_SECTIONS
from stepladder.report.sections.comparison import comparison_head
from stepladder.report.units import count
from stepladder.studies.files.store import load_study
from stepladder.studies.findings import work_out
from stepladder.studies.judging.comparison import compare_studies
from stepladder.web.studies.bag_watch import BagWatch
from stepladder.web.studies.board import Board
from stepladder.web.studies.control import Control
from stepladder.web.studies.folders import MOST_FOLDERS, Kind, find_studies
from stepladder.web.studies.owners import Locks
from stepladder.web.studies.single_watch import SingleWatch
from stepladder.web.studies.standing import at_look, describe_verdict
from stepladder.web.studies.telling import describe_record
from stepladder.web.studies.training_watch import TrainingWatch
from stepladder.web.studies.watch import StudyWatch

#: Seconds between two polls, and at least between two looks for new studies, which take a twentieth of the time; and
#: where a study is asked for that is not known.
_POLL, _SCAN, _SHARE, _ASKED = 1.0, 5.0, 20, 0.5
#: Studies of the list whose verdicts are worked out unasked, the newest.
_JUDGED = 30

AnyWatch = StudyWatch | BagWatch | TrainingWatch | SingleWatch
_WATCHES: dict[Kind, type[AnyWatch]] = {"study": StudyWatch, "bag": BagWatch, "training": TrainingWatch}


class Viewer:
    """Watches the studies below a folder in a thread of its own.

    Args:
        folder: of :func:`~stepladder.web.studies.folders.check_folder`.
        say: puts the library's words into the reader's.
        control: what stops and starts studies; None where a page may only look.

    Attributes:
        board: the list of studies: what is said of each, by its key, and of the folder, by ``folder``.
    """

    def __init__(self, folder: Path, say: Callable[[str], str] = str, control: Control | None = None) -> None:
        self.folder, self.say, self.control = folder, say, control
        self.board = Board()
        self._watches: dict[str, AnyWatch] = {}
        self._lock = Lock()
        self._news, self._closed = Event(), False
        self._next_scan = self._next_find = 0.0
        self._cut = False
        self._judged: dict[str, Any] = {}
        self._judging: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(1, "stepladder-verdicts")
        self._thread = Thread(target=self._work, name="stepladder-view", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """Watch no longer."""
        self._closed = True
        self._news.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self.control is not None:
            self.control.close()

    def wake(self) -> None:
        """Look now: somebody has come."""
        self._news.set()

    def watch(self, key: str) -> AnyWatch | None:
        """Return a study by its key; None where there is none, or was none when it was last looked."""
        with self._lock:
            return self._watches.get(key)

    def look(self) -> None:
        """Look for studies, and read what changed in those that somebody sees; in the thread, or in a test."""
        listed = self.board.readers > 0
        if monotonic() >= self._next_scan:
            self._scan()
        with self._lock:
            watches = list(self._watches.values())
        locks = Locks()
        for watch in watches:
            if listed or watch.board.readers > 0:
                self._poll(watch, locks)
        if listed:
            self._tell_list(watches)

    def _work(self) -> None:
        while not self._closed:
            behind = False
            with self._lock:
                listening = self.board.readers + sum(watch.board.readers for watch in self._watches.values())
            if listening:
                try:
                    self.look()
                except Exception as error:  # a page that stands still without a word would be worse
                    self.board.put({"folder": {"place": str(self.folder), "note": f"This view failed: {error}"}})
                with self._lock:
                    behind = any(one.standing.state == "reading" for one in self._watches.values())
            self._news.wait(0.02 if behind else _POLL if listening else None)
            self._news.clear()

    def find(self) -> None:
        """Look for studies because one is asked for that is not known; not more often than twice a second."""
        if monotonic() >= self._next_find:
            self._scan()

    def _scan(self) -> None:
        scan = find_studies(self.folder)
        with self._lock:
            for one in scan.found:
                known = self._watches.get(one.key)
                if known is None or known.found.kind != one.kind:
                    self._watches[one.key] = _WATCHES.get(one.kind, SingleWatch)(one, self.say)
            there = {one.key for one in scan.found}
            # One that has gone is watched on while somebody sees it: its page says so, and it may come back.
            gone = [key for key, one in self._watches.items() if key not in there and one.board.readers == 0]
            for key in gone:
                del self._watches[key]
                self._judged.pop(key, None)
        self._next_scan = monotonic() + max(_SCAN, _SHARE * scan.seconds)
        self._next_find = monotonic() + max(_ASKED, _SHARE * scan.seconds)
        self._cut = scan.cut

    def _poll(self, watch: AnyWatch, locks: Locks) -> None:
        watch.poll(locks)
        if not isinstance(watch, StudyWatch):
            return
        if self.control is not None:
            watch.board.put({"control": self.control.describe(watch)})
        self._judge(watch)

    # Verdicts ---------------------------------------------------------------------------------------------------------

    def _judge(self, watch: StudyWatch) -> None:
        """Have the verdict of the last look worked out, once a look, where somebody sees it."""
        look, record, key = watch.look, watch.record, watch.found.key
        if look is None or record is None or watch.standing.state == "reading":
            return
        if not look.seeds:
            if watch.board.get("verdict") is not None:
                watch.board.put({"verdict": None})
            self._judged.pop(key, None)
            return
        wanted = (record.plan_hash, look.seeds, look.whole, record.seeds)
        busy = self._judging.get(key)
        if self._judged.get(key) == wanted or (busy is not None and not busy.done()):
            return
        waiting = sum(not one.done() for one in self._judging.values())
        if watch.board.readers == 0 and waiting >= _JUDGED:
            return
        self._judged[key] = wanted
        self._judging[key] = self._pool.submit(self._work_out, watch)

    def _work_out(self, watch: StudyWatch) -> None:
        look = watch.look
        if look is None or not look.seeds or self._closed:
            return
        try:
            verdict = describe_verdict(work_out(at_look(load_study(watch.folder), look.seeds)), look)
        except StepladderError as error:
            verdict = {"seeds": look.seeds, "headline": [], "marks": [], "sentences": [f"No verdict is shown: {error}"]}
        for name in ("headline", "sentences"):
            verdict[name] = [self.say(sentence) for sentence in verdict[name]]
        watch.board.put({"verdict": verdict})
        self.wake()

    # The list ---------------------------------------------------------------------------------------------------------

    def _tell_list(self, watches: Iterable[AnyWatch]) -> None:
        values: dict[str, Any] = {}
        for watch in watches:
            if watch.standing.state == "removed":
                continue
            values[watch.found.key] = self._entry(watch)
        note = ""
        if self._cut:
            note = (
                f"There are more folders than the {MOST_FOLDERS:,} that are looked into, or they lie too deep; give a "
                "folder nearer to your studies to see all."
            )
        values["folder"] = {"place": str(self.folder), "note": note, "control": self.control is not None}
        self.board.put(values, whole=True)

    def _entry(self, watch: AnyWatch) -> dict[str, Any]:
        standing, head = watch.standing, watch.board.get("head") or {}
        about: dict[str, Any] = {"kind": "study", "title": watch.found.place, "created": ""}
        if not isinstance(watch, StudyWatch):
            kind = "bag of words" if isinstance(watch, BagWatch) else watch.name
            about = {**about, "kind": kind, "title": head.get("title", about["title"])}
        elif watch.record is not None:
            known = describe_record(watch.record)
            about = {name: known[name] for name in about}
        verdict = watch.board.get("verdict") or {}
        return {
            **about,
            "place": watch.found.place,
            "state": standing.state,
            "sentence": standing.sentence or head.get("sentence", ""),
            "ended": standing.ended,
            "planned": standing.planned,
            "failed": standing.failed + standing.damaged,
            "left": head.get("left", ""),
            "marks": [
                {name: mark[name] for name in ("kind", "symbol", "name", "word")} for mark in verdict.get("marks", [])
            ][:8],
        }

    # What is asked for ------------------------------------------------------------------------------------------------

    def compare(self, keys: Iterable[str]) -> str:
        """Return the page of a comparison of studies; nothing of it is written.

        Raises:
            StudyError: they cannot be compared, or one is between two looks.
        """
        studies = []
        for key in dict.fromkeys(keys):
            watch = self.watch(key)
            if not isinstance(watch, StudyWatch):
                raise StudyError("a study of this comparison is not there any more; choose again from the list")
            watch.poll(Locks())
            if watch.record is None or watch.look is None:
                raise StudyError(f"{watch.found.place}: {watch.standing.sentence}")
            if watch.record.scores is not None or watch.record.sweep is not None:
                raise StudyError(
                    f"{watch.found.place} is a {describe_record(watch.record)['kind']}; compare studies of images "
                    "that were judged on test"
                )
            if not watch.look.whole:
                raise StudyError(
                    f"{watch.found.place} is between two looks, so its figures of test are not shown; compare it at "
                    f"{count(watch.look.following or len(watch.record.seeds), 'seed')}"
                )
            studies.append(load_study(watch.folder))
        comparison = compare_studies(studies)
        cautions = tuple(self.say(sentence) for sentence in comparison.cautions)
        comparison = replace(comparison, cautions=cautions)
        return render_page(comparison, COMPARISON_SECTIONS, comparison_head(comparison))
