"""Do the tests notice mistakes? Small ones are put into the code, one at a time, and the tests of its room are run.

A mutant that no test notices has survived. It is a test that is missing, or it changes nothing: ``survivors.toml`` has
a verdict on each that is known, and a new one makes the command fail.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated, Any, Literal

import tomli_w
from cyclopts import Parameter
from rich.table import Table

from benchmarks.mutate.mutations import Mutation, find_mutations
from benchmarks.mutate.rooms import ROOMS, WARM
from stepladder.cli.console import make_console
from stepladder.errors import StudyError, unknown

ROOT = Path(__file__).parents[2]
SURVIVORS = Path(__file__).with_name("survivors.toml")

#: What the tests need of the checkout, in a copy of its own for each process.
_COPIED = ("src", "tests", "benchmarks", "docs", "README.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml")

#: Mutants of a room in a sample.
SAMPLE = 10

#: A mutant may take so many times as long as its tests do without it, and so many seconds more, before it hangs.
_TIMES, _SECONDS = 4.0, 60.0
#: Seconds for all tests without any.
_LONGEST = 3600.0

Verdict = Literal["equivalent", "accepted"]


@dataclass(frozen=True)
class Known:
    """A survivor that was looked at.

    Attributes:
        verdict: ``equivalent`` where no test could notice it: no result changes; ``accepted`` where one could and is
            not worth its time.
        why: one sentence.
    """

    verdict: Verdict
    why: str


@dataclass
class Tally:
    """What became of the mutants of a room."""

    room: str
    tried: int = 0
    caught: int = 0
    equivalent: int = 0
    accepted: int = 0
    new: int = 0

    @property
    def share(self) -> float:
        """Caught, of those that change something."""
        return self.caught / max(1, self.tried - self.equivalent)


def mutate(
    rooms: Annotated[list[str] | None, Parameter(negative="", help="Rooms to try; all by default.")] = None,
    *,
    sample: Annotated[int, Parameter(help="Mutants a room, drawn by --seed.")] = SAMPLE,
    whole: Annotated[bool, Parameter(name="--all", negative="", help="Every mutant: hours.")] = False,
    file: Annotated[str | None, Parameter(help="Only of this file, below src/stepladder.")] = None,
    seed: Annotated[int, Parameter(help="Of the sample.")] = 0,
    jobs: Annotated[int, Parameter(help="Processes at a time; one a core by default.")] = 0,
    write: Annotated[Path | None, Parameter(help="TOML file for the new survivors, to be given verdicts.")] = None,
) -> int:
    """Put mistakes into the code, one at a time; exit code 1 where one survives that is not in survivors.toml."""
    for name in rooms or ():
        if name not in ROOMS:
            raise StudyError(unknown("room", name, ROOMS))
    if sample < 1:
        raise StudyError(f"`sample` is {sample}; it must be at least 1, or give `all`")
    known = read_survivors()
    chosen: list[tuple[str, Mutation]] = []
    for name in rooms or ROOMS:
        mutations = drawn(mutations_of(name, file), None if whole else sample, seed)
        chosen += [(name, mutation) for mutation in mutations]
    if not chosen:
        raise StudyError(f"`file` is {file}; no room that was asked for has it")
    console = make_console()
    console.print(f"{len(chosen):,} mutants, seed {seed}", markup=False)
    tallies = {name: Tally(name) for name, _ in chosen}
    survivors: list[Mutation] = []
    for number, (name, mutation, code) in enumerate(tried(chosen, jobs or os.cpu_count() or 1), 1):
        if number % 20 == 0:
            console.print(f"{number:,} of {len(chosen):,} tried", markup=False)
        tally = tallies[name]
        tally.tried += 1
        verdict = known.get(mutation.key)
        if code != 0:
            tally.caught += 1
            if verdict is not None:
                console.print(
                    f"caught, though survivors.toml lists it: {_line(mutation)}", markup=False, soft_wrap=True
                )
        elif verdict is None:
            tally.new += 1
            survivors.append(mutation)
            console.print(f"SURVIVED {_line(mutation)}", markup=False, soft_wrap=True)
        elif verdict.verdict == "equivalent":
            tally.equivalent += 1
        else:
            tally.accepted += 1
    console.print(_table(tallies.values()))
    if write is not None:
        write.write_text(survivors_text({one.key: Known("accepted", "TO BE LOOKED AT") for one in survivors}))
    return 1 if survivors else 0


def mutations_of(room: str, file: str | None = None) -> list[Mutation]:
    """Return every mutant of a room, or of one of its files."""
    files = [name for name in ROOMS[room].files if file in (None, name)]
    return [one for name in files for one in find_mutations(name, (ROOT / "src/stepladder" / name).read_bytes())]


def drawn(mutations: Sequence[Mutation], count: int | None, seed: int) -> list[Mutation]:
    """Return ``count`` of them, drawn by their content: a change elsewhere in the code leaves the draw as it is."""
    return list(mutations) if count is None else sorted(mutations, key=lambda one: one.rank(seed))[:count]


def tried(chosen: Sequence[tuple[str, Mutation]], jobs: int) -> Iterator[tuple[str, Mutation, int]]:
    """Yield each mutant with what the tests came to: 0 where it survived, -1 where it hung, else it was caught.

    Raises:
        StudyError: tests fail without any mutant.
    """
    with tempfile.TemporaryDirectory(prefix="mutate-") as scratch:
        free: SimpleQueue[Tree] = SimpleQueue()
        trees = [Tree(Path(scratch) / str(number)) for number in range(jobs)]
        try:
            for tree in trees:
                free.put(tree)
            seconds = _times_without([ROOMS[room].tests_of(mutation.file) for room, mutation in chosen], trees[0])

            def run(one: tuple[str, Mutation]) -> tuple[str, Mutation, int]:
                room, mutation = one
                tests = ROOMS[room].tests_of(mutation.file)
                limit = _SECONDS + _TIMES * sum(seconds.get(f"tests/{test.partition('::')[0]}", 0.0) for test in tests)
                tree = free.get()
                try:
                    with tree.mutated(mutation):
                        return room, mutation, tree.run(tests, limit)[0]
                finally:
                    free.put(tree)

            with ThreadPoolExecutor(jobs) as pool:
                yield from pool.map(run, chosen)
        finally:
            for tree in trees:
                tree.close()


def _times_without(wanted: Iterable[Sequence[str]], tree: Tree) -> dict[str, float]:
    """Run the tests without any mutant, and return how long each file of them takes.

    Raises:
        StudyError: one fails.
    """
    code, seconds = tree.run(list(dict.fromkeys(test for tests in wanted for test in tests)), _LONGEST)
    if code != 0:
        said = tree.output.read_text()[-1500:]
        raise StudyError(f"tests fail without any mutant, so that they tell nothing: {said}")
    return seconds


class Tree:
    """A copy of the checkout, and a warm process that runs its tests; see :mod:`benchmarks.mutate.worker`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.is_file():
                shutil.copy(source, folder / name)
        self.output = folder.with_suffix(".txt")
        self._written = 1_000_000_000
        # Whatever the tests start imports this copy too.
        environment = os.environ | {"PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("worker.py")), *WARM],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, tests: Sequence[str], limit: float) -> tuple[int, dict[str, float]]:
        """Run tests up to the first that fails; return the exit status, -1 where they hung, and seconds by file."""
        order = {"tests": [f"tests/{test}" for test in tests], "output": str(self.output), "limit": limit}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        code, seconds = json.loads(self._process.stdout.readline())
        return int(code), dict(seconds)

    @contextmanager
    def mutated(self, mutation: Mutation) -> Iterator[None]:
        """Have the mistake in the code meanwhile."""
        path = self.folder / "src/stepladder" / mutation.file
        content = path.read_bytes()
        self._write(path, mutation.apply(content))
        try:
            yield
        finally:
            self._write(path, content)

    def _write(self, path: Path, content: bytes) -> None:
        """Write a file with a second of its own: bytecode is told from its source by the size and that second."""
        path.write_bytes(content)
        self._written += 1
        os.utime(path, (self._written, self._written))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def read_survivors(path: Path = SURVIVORS) -> dict[tuple[str, str, str, str, int], Known]:
    """Return the verdicts on survivors that are known, by their keys.

    Raises:
        StudyError: an entry has no verdict, or no reason for it.
    """
    found = {}
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", []):
        key = entry["file"], entry["where"], entry["was"], entry["becomes"], entry.get("number", 0)
        if entry["verdict"] not in ("equivalent", "accepted") or len(entry["why"]) < 10:
            raise StudyError(
                f"the survivor {entry['was']} in {entry['file']} has no verdict with its reason; give both"
            )
        found[key] = Known(entry["verdict"], entry["why"])
    return found


def survivors_text(survivors: dict[tuple[str, str, str, str, int], Known]) -> str:
    """Return survivors as :func:`read_survivors` reads them."""
    entries: list[dict[str, Any]] = []
    for (file, where, was, becomes, number), known in sorted(survivors.items()):
        entry: dict[str, Any] = {"file": file, "where": where, "was": was, "becomes": becomes}
        entry |= {"number": number} if number else {}
        entries.append({**entry, "verdict": known.verdict, "why": known.why})
    return tomli_w.dumps({"survivor": entries})


def _line(mutation: Mutation) -> str:
    number = f" (number {mutation.number})" if mutation.number else ""
    return f"{mutation.file}, {mutation.where or 'first level'}: {mutation.was}  →  {mutation.becomes}{number}"


def _table(tallies: Iterable[Tally]) -> Table:
    table = Table("room", "mutants", "caught", "equivalent", "accepted", "new", "caught, %", "95 % interval", box=None)
    whole = Tally("all")
    rows = list(tallies)
    for one in rows:
        for name in ("tried", "caught", "equivalent", "accepted", "new"):
            setattr(whole, name, getattr(whole, name) + getattr(one, name))
    for one in (*rows, whole):
        figures = one.tried, one.caught, one.equivalent, one.accepted, one.new
        low, high = wilson(one.caught, one.tried - one.equivalent)
        ends = f"{100 * low:.0f} to {100 * high:.0f}"
        table.add_row(one.room, *map(str, figures), f"{100 * one.share:.1f}", ends)
    return table


def wilson(caught: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, JASA 1927); (0, 1) of none."""
    if not of:
        return 0.0, 1.0
    z = 1.959964
    share, spread = caught / of, z * math.sqrt(caught / of * (1 - caught / of) / of + z**2 / (4 * of**2))
    middle = (share + z**2 / (2 * of)) / (1 + z**2 / of)
    reach = spread / (1 + z**2 / of)
    return max(0.0, middle - reach), min(1.0, middle + reach)
