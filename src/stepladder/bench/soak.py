"""Do studies that are killed again and again end with the same bits, and do memory and open files stay flat?

First a study runs undisturbed. Then, for half of the time, the same study is begun anew again and again, and its main
process and its workers are killed at random moments. For the other half one long study loses workers only: its main
process lives on, so its memory and its open files have the time to grow, if anything leaks.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from math import ceil
from pathlib import Path
from time import monotonic, sleep

from stepladder.bench.proc import Process, find_processes, find_trial
from stepladder.bench.soak_records import Part, Sample, Settings, Soak
from stepladder.errors import StudyError
from stepladder.study.files.bits import bits, trial_bits
from stepladder.study.running.workers import DEATHS

_WORKERS = 2
_TICK = 0.2
_SAMPLE_SECONDS = 1.0


def run_soak(settings: Settings, root: Path, on_news: Callable[[str], None] = lambda _: None) -> Soak:
    """Run it in ``root``, an empty folder, where the undisturbed study and those that differ stay.

    Args:
        on_news: told in a sentence when a study has ended.

    Raises:
        DataError: a setting is out of range, or there is no ``/proc``.
        StudyError: the undisturbed study did not end well.
    """
    settings.check()
    runner = _Runner(settings, root, on_news)
    try:
        runner.run_undisturbed()
        runner.kill_anything(settings.minutes * 30)
        runner.kill_workers(settings.minutes * 30)
    finally:
        runner.sweep()
    return runner.soak


def compare(found: dict[str, object], whole: dict[str, object]) -> list[str]:
    """Return the names of ``whole`` that are missing or differ in ``found``, and of those that it has in excess."""
    return sorted(name for name in whole.keys() | found.keys() if found.get(name) != whole.get(name))


class _Runner:
    def __init__(self, settings: Settings, root: Path, on_news: Callable[[str], None]) -> None:
        self._settings, self._root, self._on_news = settings, root, on_news
        self._random = random.Random(settings.seed)
        self._sessions: set[int] = set()
        self.soak = Soak()
        self._reference = root / "undisturbed"

    def run_undisturbed(self) -> None:
        part = self.soak.undisturbed
        code = self._live("undisturbed", self._settings.seeds, part, victims=())
        if code:
            raise StudyError(f"the undisturbed study ended with exit status {code}: {self._last_words('undisturbed')}")
        part.studies, part.trials = 1, _count_trials(self._reference)
        self._on_news(f"Undisturbed: {part.trials} trials in {part.seconds:.0f} s.")

    def kill_anything(self, seconds: float) -> None:
        """Begin the same study anew until the time is over; the last one ends in peace."""
        part, whole, end = self.soak.killed, bits(self._reference), monotonic() + seconds
        while monotonic() < end:
            name = f"killed-{part.studies}"
            before = part.kills.total()
            code = -signal.SIGKILL
            while code == -signal.SIGKILL:
                code = self._live(name, self._settings.seeds, part, victims=("main", "worker"), until=end)
            part.studies += 1
            if code:
                self.soak.faults.append(f"{name} ended with exit status {code}: {self._last_words(name)}")
                continue
            part.trials += _count_trials(self._root / name)
            self._judge(name, bits(self._root / name), whole, part.kills.total() - before)

    def kill_workers(self, seconds: float) -> None:
        """Let one main process live, on a study of more seeds than it has time for; ask it to stop at the end."""
        whole = {name: found for name, found in trial_bits(self._reference).items() if _is_of_training(name)}
        wanted = [self._reference / path.parent for path in map(Path, whole) if path.name == "history.csv"]
        ladder = _seconds_of_trials(self._reference) / self._settings.seeds / _WORKERS
        seeds = self._settings.seeds + ceil(2 * seconds / ladder)
        part, name, end = self.soak.long, "long", monotonic() + seconds

        def over() -> bool:
            return monotonic() > end and all(
                (self._root / name / "trials" / path.name / "result.json").exists() for path in wanted
            )

        code = self._live(name, seeds, part, victims=("worker",), until=end, over=over)
        part.studies, part.trials = 1, _count_trials(self._root / name)
        if code not in (0, 128 + signal.SIGTERM):
            self.soak.faults.append(f"{name} ended with exit status {code}: {self._last_words(name)}")
        # Of the other seeds there is nothing to compare with; and test is not read before the last of them.
        found = {name: content for name, content in trial_bits(self._root / name).items() if name in whole}
        self._judge(name, found, whole, part.kills.total())

    def sweep(self) -> None:
        """Leave no process behind; workers whose main process was killed may still be at their last checkpoint."""
        while alive := find_processes(self._sessions):
            for process in alive:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            sleep(_TICK)

    def _live(
        self,
        name: str,
        seeds: int,
        part: Part,
        *,
        victims: tuple[str, ...],
        until: float = 0.0,
        over: Callable[[], bool] = lambda: False,
    ) -> int:
        """Run the study's command once, and return its exit status, as ``Popen`` has it; kill until a moment."""
        started = monotonic()
        sampled, kill_at = started, started + self._gap()
        deaths: Counter[str] = Counter()
        with (self._root / f"{name}.log").open("ab") as log:
            main = subprocess.Popen(
                self._command(name, seeds),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # by which its workers are found, also when it has died
            )
        self._sessions.add(main.pid)
        asked = False
        while (code := main.poll()) is None:
            sleep(_TICK)
            # Asked to stop, it writes a report of what there is, which is no part of the time that should be flat.
            if not asked and monotonic() - sampled >= _SAMPLE_SECONDS:
                sampled = monotonic()
                self._sample(main.pid, part, name)
            if victims and kill_at <= monotonic() < until:
                self._kill(main.pid, victims, part, deaths)
                kill_at = monotonic() + self._gap()
            if not asked and over():
                main.send_signal(signal.SIGTERM)
                asked = True
        part.seconds += monotonic() - started
        return code

    def _command(self, name: str, seeds: int) -> list[str]:
        words = ["study", "digits", "--out", str(self._root / name), "--seeds", str(seeds), "--workers", str(_WORKERS)]
        for option, value in (("--epochs", self._settings.epochs), ("--limit", self._settings.limit)):
            words += [] if value is None else [option, str(value)]
        return [sys.executable, "-m", "stepladder", *words]

    def _gap(self) -> float:
        return self._random.expovariate(1 / self._settings.gap)

    def _sample(self, main: int, part: Part, name: str) -> None:
        alive = find_processes(self._sessions)
        own = next((process for process in alive if process.pid == main), None)
        self._sessions &= {process.session for process in alive} | {main}
        if own is None or (part is self.soak.long and not part.samples and not _count_trials(self._root / name)):
            return
        part.samples.append(
            Sample(
                monotonic(),
                own.memory_mb,
                own.open_files,
                sum(process.memory_mb for process in alive),
                sum(process.open_files for process in alive),
                max(process.memory_mb for process in alive),
                max(process.open_files for process in alive),
            )
        )

    def _kill(self, main: int, victims: tuple[str, ...], part: Part, deaths: Counter[str]) -> None:
        """Kill one of the study's processes, unless its trial would be given up for it.

        A trial fails when its process dies ``DEATHS`` times under the same main process, and the study when workers
        outside of trials do so: that is for memory that is short, not for us. Two looks keep what the main process has
        been told of a worker in step with what is seen of it; and one death stays in hand.
        """
        workers = [process for process in find_processes({main}) if process.worker]
        choices: list[Process | None] = [
            *(workers if "worker" in victims else []),
            *([None] if "main" in victims else []),
        ]
        if not choices:
            return
        victim = self._random.choice(choices)
        if victim is None:
            os.kill(main, signal.SIGKILL)
            part.kills["main"] += 1
            return
        first = find_trial(victim.pid)
        sleep(_TICK)
        try:
            os.kill(victim.pid, signal.SIGSTOP)
            trial = find_trial(victim.pid)
            at_work = trial is not None and not (trial / "result.json").exists()
            key = trial.name if trial is not None and at_work else ""
            spared = trial != first or deaths[key] + (2 if key == "" else 1) >= DEATHS
            os.kill(victim.pid, signal.SIGCONT if spared else signal.SIGKILL)
        except ProcessLookupError:
            return
        if not spared:
            deaths[key] += 1
            part.kills["worker at a trial" if key else "worker between trials"] += 1

    def _judge(self, name: str, found: dict[str, object], whole: dict[str, object], kills: int) -> None:
        differing = compare(found, whole)
        if differing:
            self.soak.differing[name] = differing
        else:
            shutil.rmtree(self._root / name)
            (self._root / f"{name}.log").unlink()
        words = f"{len(differing)} files differ" if differing else "the same bits"
        self._on_news(f"{name}: killed {kills} times, {words}.")

    def _last_words(self, name: str) -> str:
        lines = (self._root / f"{name}.log").read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _is_of_training(name: str) -> bool:
    return not name.endswith("predictions.safetensors")


def _count_trials(study: Path) -> int:
    return sum(1 for _ in study.glob("trials/*/result.json"))


def _seconds_of_trials(study: Path) -> float:
    return sum(float(json.loads(path.read_text())["seconds"]) for path in study.glob("trials/*/result.json"))
