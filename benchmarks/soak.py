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
import tempfile
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from stepladder.bench.processes import stepladder
from stepladder.cli.bench import finish, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.errors import DataError, StudyError
from stepladder.studies.files.bits import bits, trial_bits
from stepladder.studies.running import worker
from stepladder.studies.running.workers import DEATHS
from stepladder.training.device import choose_compute

_WORKERS = 2
_TICK = 0.2
_SAMPLE_SECONDS = 1.0
_PROC = Path("/proc")
#: A worker's command line names its module.
_WORKER_MODULE = worker.__name__.encode()

#: What a main process may gain from the first to the last quarter of its life: memory by a share, and open files.
#: Allocators keep what they once had, and a study's record grows by every trial; a leak of an hour is larger.
MOST_GAIN, MOST_FILES = 0.2, 5


@dataclass(frozen=True)
class Settings:
    """What is run, how long, and how often it is killed.

    Attributes:
        minutes: of killing, both halves together; the undisturbed study comes before them.
        gap: mean seconds between two kills; they are drawn from an exponential distribution.
        seed: of the moments and the victims.
        seeds: of the studies that are begun anew.
        epochs, limit: of every study; None for the recipe's and all digits.
    """

    minutes: float = 60.0
    gap: float = 10.0
    seed: int = 0
    seeds: int = 2
    epochs: int | None = None
    limit: int | None = None

    def check(self) -> None:
        """Raise DataError where a value is out of range, or the system has no ``/proc`` to read."""
        for name, value in (("minutes", self.minutes), ("gap", self.gap)):
            if not 0 < value < float("inf"):
                raise DataError(f"`{name}` is {value:g}; it must be more than 0")
        for name, number in (("seeds", self.seeds), ("epochs", self.epochs), ("limit", self.limit)):
            if number is not None and number < 1:
                raise DataError(f"`{name}` is {number}; it must be at least 1")
        if not can_be_watched():
            raise DataError("a soak reads memory and open files from /proc, which this system lacks; run it on Linux")


@dataclass(frozen=True)
class Sample:
    """All processes of a soak at one moment: MB (10⁶ bytes, resident) and open files; ``main`` is the study's own."""

    seconds: float
    main_mb: float
    main_files: int
    sum_mb: float
    sum_files: int
    largest_mb: float
    most_files: int


@dataclass
class Part:
    """One of the two halves, or the undisturbed study.

    Attributes:
        kills: by victim: ``main``, ``worker at a trial``, ``worker between trials``.
        trials: that ended, in studies that were compared.
    """

    seconds: float = 0.0
    studies: int = 0
    trials: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)


@dataclass
class Soak:
    """What came of it.

    Attributes:
        long: its samples begin when the first trial has ended: before that, the main process still loads.
        differing: files whose bits differ from the undisturbed study's, by study.
        faults: studies that ended otherwise than they should, each a sentence.
    """

    undisturbed: Part = field(default_factory=Part)
    killed: Part = field(default_factory=Part)
    long: Part = field(default_factory=Part)
    differing: dict[str, list[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def quarters(self, what: str) -> list[float]:
        """Return the medians of a field of the long study's samples, a quarter each; empty where they are too few."""
        values = [float(getattr(sample, what)) for sample in self.long.samples]
        return [float(np.median(part)) for part in np.array_split(values, 4)] if len(values) >= 4 else []

    def slope(self, what: str) -> float | None:
        """Return what a field of the long study's samples gains an hour, by least squares; None where they are few."""
        if len(self.long.samples) < 4:
            return None
        hours = [sample.seconds / 3600 for sample in self.long.samples]
        return float(np.polyfit(hours, [getattr(sample, what) for sample in self.long.samples], 1)[0])

    def growth(self) -> list[str]:
        """Return what has grown by more than it may, each a sentence."""
        memory, files = self.quarters("main_mb"), self.quarters("main_files")
        found = []
        if memory and memory[-1] > (1 + MOST_GAIN) * memory[0]:
            found.append(f"the main process grew from {memory[0]:.0f} to {memory[-1]:.0f} MB")
        if files and files[-1] > files[0] + MOST_FILES:
            found.append(f"the main process had {files[0]:.0f} files open, and then {files[-1]:.0f}")
        return found

    @property
    def passed(self) -> bool:
        """Whether all bits are the same, every study ended as it should, and nothing has grown."""
        return not (self.differing or self.faults or self.growth())


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
        runner.end_all()
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
        code = self._run_study("undisturbed", self._settings.seeds, part, victims=())
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
                code = self._run_study(name, self._settings.seeds, part, victims=("main", "worker"), until=end)
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

        code = self._run_study(name, seeds, part, victims=("worker",), until=end, over=over)
        part.studies, part.trials = 1, _count_trials(self._root / name)
        if code not in (0, 128 + signal.SIGTERM):
            self.soak.faults.append(f"{name} ended with exit status {code}: {self._last_words(name)}")
        # Of the other seeds there is nothing to compare with; and test is not read before the last of them.
        found = {name: content for name, content in trial_bits(self._root / name).items() if name in whole}
        self._judge(name, found, whole, part.kills.total())

    def end_all(self) -> None:
        """Leave no process behind; workers whose main process was killed may still be at their last checkpoint."""
        while alive := find_processes(self._sessions):
            for process in alive:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            sleep(_TICK)

    def _run_study(
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
        return stepladder(*words)

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
        outside of trials do so: that is for memory that is short, not for us. The worker's trial is read twice, so
        that the main process has been told of it as well; and one death stays in hand.
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


@dataclass(frozen=True)
class Process:
    """One process as it was a moment ago.

    Attributes:
        session: id of the process that leads its session; a child keeps it, also when its parent has died.
        worker: whether it is one of a study's workers.
        memory_mb: resident, in 10⁶ bytes; pages that processes share count in each of them.
        open_files: descriptors, pipes and locks among them.
    """

    pid: int
    session: int
    worker: bool
    memory_mb: float
    open_files: int


def can_be_watched() -> bool:
    """Return whether this system tells memory and open files in ``/proc``."""
    return (_PROC / "self" / "statm").exists() and (_PROC / "self" / "fd").exists()


def find_processes(sessions: Collection[int]) -> list[Process]:
    """Return the living processes of some sessions."""
    found = []
    for folder in _PROC.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            # The name, in parentheses, may hold anything; behind it: state, parent, group, session.
            state, _, _, session, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            if state in "ZX" or int(session) not in sessions:
                continue
            words = (folder / "cmdline").read_bytes().split(b"\0")
            pages = int((folder / "statm").read_text().split()[1])
            files = len(list((folder / "fd").iterdir()))
        except OSError:  # it has ended meanwhile, or is somebody else's
            continue
        memory = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        found.append(Process(int(folder.name), int(session), _WORKER_MODULE in words, memory, files))
    return found


def find_trial(pid: int) -> Path | None:
    """Return the folder of the trial whose lock a process holds; None where it is starting, or between two."""
    try:
        for descriptor in (_PROC / str(pid) / "fd").iterdir():
            try:
                path = descriptor.readlink()
            except OSError:
                continue
            if path.name == ".lock" and path.parent.parent.name == "trials":
                # A lock that is open may be somebody else's, for the moment that it takes to be refused it.
                return path.parent
    except OSError:
        pass
    return None


def soak(
    *,
    minutes: Annotated[float, Parameter(help="How long to kill; an undisturbed study comes before.")] = 60.0,
    gap: Annotated[float, Parameter(help="Mean seconds between two kills.")] = 10.0,
    seed: Annotated[int, Parameter(help="Of the random moments and victims.")] = 0,
    seeds: Annotated[int, Parameter(help="Seeds of the studies that are killed and begun anew.")] = 2,
    epochs: Annotated[int | None, Parameter(help="Of every trial; those of the recipe by default.")] = None,
    limit: Annotated[int | None, Parameter(help="Digits a class; all by default.")] = None,
    out: Annotated[
        Path | None, Parameter(help="Empty or new folder for the studies; otherwise a temporary one is removed.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Kill studies at random moments, and hold what they leave to the bits of an undisturbed one."""
    settings = Settings(minutes, gap, seed, seeds, epochs, limit)
    settings.check()
    console, news = make_console(as_json), Console(stderr=True, highlight=False, soft_wrap=True)
    news.print(f"Soaking for {minutes:g} minutes with --seed {seed}, after an undisturbed study.", markup=False)
    with ExitStack() as stack:
        root = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stepladder-soak-")))
        root.mkdir(parents=True, exist_ok=True)
        if any(root.iterdir()):
            raise DataError(f"`out` is {out}, which holds files; choose a new folder")
        done = run_soak(settings, root.absolute(), lambda sentence: news.print(sentence, markup=False))
    console.print(_table(done))
    for sentence in _sentences(done, settings, kept=out is not None):
        console.print(sentence, markup=False)
    # The studies are on the digits, for which no accelerator is used unless there is one; as they choose, so here.
    compute = choose_compute("auto", "auto")
    finish(console, "", compute, _document(done, settings) if as_json else None)
    return 0 if done.passed else 1


def _table(done: Soak) -> Table:
    table = table_of("", "minutes", "kills", "studies", "trials", "all, MB", "largest, MB", "open files")
    rows = (("undisturbed", done.undisturbed), ("anything is killed", done.killed), ("workers are killed", done.long))
    for label, part in rows:
        table.add_row(
            label,
            f"{part.seconds / 60:.1f}",
            f"{part.kills.total():,}",
            f"{part.studies:,}",
            f"{part.trials:,}",
            *(f"{peak:,.0f}" if peak else "" for peak in _peaks(part).values()),
        )
    return table


def _peaks(part: Part) -> dict[str, float]:
    return {
        name: max((getattr(sample, name) for sample in part.samples), default=0)
        for name in ("sum_mb", "largest_mb", "sum_files")
    }


def _sentences(done: Soak, settings: Settings, kept: bool) -> list[str]:
    kills = done.killed.kills + done.long.kills
    found = [
        f"\nKilled {kills.total():,} times ({', '.join(f'{victim} {n:,}' for victim, n in sorted(kills.items()))}), "
        f"about every {settings.gap:g} s, --seed {settings.seed}. MB and open files are the most at one moment, "
        f"sampled every second: of all processes together, pages that they share counted in each, and of the largest."
    ]
    memory, files = done.quarters("main_mb"), done.quarters("main_files")
    slopes = [done.slope(name) for name in ("main_mb", "main_files")]
    if memory and None not in slopes:
        watched = (done.long.samples[-1].seconds - done.long.samples[0].seconds) / 60
        found.append(
            f"The main process that lived on, after its first trial, by quarters of {watched:.1f} minutes: "
            f"{' → '.join(f'{value:.0f}' for value in memory)} MB and {' → '.join(f'{value:.0f}' for value in files)} "
            f"open files (medians); {slopes[0]:+.1f} MB and {slopes[1]:+.1f} files an hour, by least squares."
        )
    else:
        found.append("The long study was too short to tell whether its main process grows; give more --minutes.")
    found += [f"Not flat: {sentence}." for sentence in done.growth()]
    if memory and not done.growth():
        found.append(
            f"Flat: from the first quarter to the last it gained no more than {MOST_GAIN:.0%} of memory and "
            f"{MOST_FILES} open files."
        )
    found += [f"Not as it should: {sentence}" for sentence in done.faults]
    for study, names in done.differing.items():
        found.append(f"{study} differs from the undisturbed study in {len(names)} files: {', '.join(names[:4])}.")
    if (done.differing or done.faults) and not kept:
        found.append("To keep such studies and their logs, run it with --out.")
    if not done.differing and not done.faults:
        found.append("Every study ended with the bits of the undisturbed one.")
    return found


def _document(done: Soak, settings: Settings) -> dict[str, Any]:
    parts = {"undisturbed": done.undisturbed, "killed": done.killed, "long": done.long}
    return {
        "settings": asdict(settings),
        "passed": done.passed,
        "parts": {
            name: {
                "seconds": part.seconds,
                "studies": part.studies,
                "trials": part.trials,
                "kills": dict(part.kills),
                "peaks": _peaks(part),
            }
            for name, part in parts.items()
        },
        "main_mb_by_quarter": done.quarters("main_mb"),
        "main_files_by_quarter": done.quarters("main_files"),
        "main_mb_an_hour": done.slope("main_mb"),
        "main_files_an_hour": done.slope("main_files"),
        "growth": done.growth(),
        "differing": done.differing,
        "faults": done.faults,
    }
