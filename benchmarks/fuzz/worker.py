"""Reads damaged files of one target or of all in this process, and says what was wrong; run by :mod:`benchmarks.fuzz`.

A case is its number: the same target, seed and number give the same bytes, but for the times in the files of a bag of
words, which are made anew.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import resource
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what lists the commands needs neither torch nor all readers
    from benchmarks.fuzz.mutate import Form
    from benchmarks.fuzz.targets import Prepared

#: What one case may take: seconds of processor time, and bytes of memory beyond what valid files took.
MOST_SECONDS, MOST_MEMORY = 5.0, 1_000_000_000
#: Seconds of wall time after which a case hangs, and the process ends.
_HANGS = 120.0

#: Files that were found to break something once, a folder a target; each is read in every run.
FOUND = Path(__file__).with_name("found")


@dataclass
class Fault:
    """A case that broke a promise."""

    target: str
    case: str
    what: str
    content: str


@dataclass
class Tally:
    """What became of the cases of one target."""

    target: str
    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    memory: int = 0
    faults: list[Fault] = field(default_factory=list)


def content_of(target: str, seed: int, number: int) -> bytes:
    """Return the bytes of a case."""
    from benchmarks.fuzz.targets import TARGETS

    with _prepared(target) as (prepared, _):
        return _damaged(target, prepared, seed, number, TARGETS[target].form)


def run_target(target: str, cases: range, seed: int, progress: Path | None = None, keep: Path | None = None) -> Tally:
    """Read the valid files of a target, those that broke something once, and the damaged ones of ``cases``.

    Args:
        progress: a file that holds the number of the case under way, for who finds the process dead.
        keep: a folder for the content of cases that broke a promise.
    """
    from benchmarks.fuzz.targets import TARGETS
    from stepladder.errors import StepladderError, StepladderWarning

    tally = Tally(target)
    mark = None if progress is None else progress.open("w")
    with _prepared(target) as (prepared, scratch), warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", StepladderWarning)
        for content in prepared.seeds:
            prepared.read(content)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        known = sorted((FOUND / target).glob("*"))
        for number, case in [*((None, path) for path in known), *((number, None) for number in cases)]:
            if case is None:
                assert number is not None
                content, name = _damaged(target, prepared, seed, number, TARGETS[target].form), f"{seed}/{number}"
            else:
                content, name = case.read_bytes(), case.name
            if mark is not None:
                mark.seek(0)
                mark.write(f"{number if number is not None else -1:<12}")
                mark.flush()
            faulthandler.dump_traceback_later(_HANGS, exit=True)
            started, what = time.process_time(), ""
            try:
                prepared.read(content)
                tally.read += 1
            except StepladderError:
                tally.refused += 1
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                what = _told(error)
            took = time.process_time() - started
            faulthandler.cancel_dump_traceback_later()
            grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
            if not what and took > MOST_SECONDS:
                what = f"took {took:.1f} s"
            if not what and grown > MOST_MEMORY:
                what = f"took {grown / 1e9:.2f} GB"
                before += grown // 1024
            tally.slowest, tally.memory = max(tally.slowest, took), max(tally.memory, grown)
            if what:
                kept = "" if keep is None else _keep(keep, target, name, content)
                tally.faults.append(Fault(target, name, what, kept))
        assert scratch.exists()
    if mark is not None:
        mark.close()
    return tally


def _damaged(target: str, prepared: Prepared, seed: int, number: int, form: Form) -> bytes:
    from benchmarks.fuzz.mutate import damaged

    draw = random.Random(f"{seed}/{target}/{number}")
    return damaged(draw, prepared.seeds, form, prepared.tokens)


@contextmanager
def _prepared(target: str) -> Iterator[tuple[Prepared, Path]]:
    from benchmarks.fuzz.targets import TARGETS

    before = dict(os.environ)
    in_memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=in_memory if in_memory.is_dir() else None) as name:
        folder = Path(name)
        (folder / "home").mkdir()
        os.environ |= {"STEPLADDER_CACHE": str(folder / "home" / "cache"), "STEPLADDER_STATE": str(folder / "home")}
        (folder / "work").mkdir()
        try:
            yield TARGETS[target].prepare(folder / "work"), folder
        finally:
            os.environ.clear()
            os.environ |= before


def _told(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "stepladder" in Path(frame.filename).parts] or frames
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name}"
    return f"{type(error).__name__}: {str(error)[:200]!r} at {place}"


def _keep(folder: Path, target: str, name: str, content: bytes) -> str:
    place = folder / target
    place.mkdir(parents=True, exist_ok=True)
    path = place / name.replace("/", "-")
    path.write_bytes(content)
    return str(path)


def main(arguments: Sequence[str]) -> None:
    """Read the cases of one target and print its tally as JSON."""
    target, first, end, seed, progress, keep = arguments
    tally = run_target(target, range(int(first), int(end)), int(seed), Path(progress), Path(keep))
    print(json.dumps(asdict(tally)))
