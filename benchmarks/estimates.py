"""How near are the estimates of ``stepladder plan`` to what studies take?"""

from __future__ import annotations

import json
import resource
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated

from cyclopts import Parameter

from stepladder.bench.processes import stepladder
from stepladder.cli.bench import at_least_one, finish, progress_of, spread, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.errors import StudyError
from stepladder.report.units import count, duration, time_range
from stepladder.studies.running.timing import Range
from stepladder.training.device import choose_compute

#: How far the middle of an estimate may lie from what the study takes, as a factor either way.
PROMISE = 1.5


@dataclass(frozen=True)
class Estimated:
    """One study, estimated and then run; seconds of wall time where nothing else is said.

    Attributes:
        estimate: of the study.
        measuring: that the measurement behind it took.
        busy: how many times as long everything took then as without other programs, by that measurement.
        expected_processor: processor time, by the estimate.
        took: of the whole process of the study.
        processor: processor time of that process and its workers.
    """

    estimate: Range
    measuring: float
    busy: float
    expected_processor: float
    took: float
    processor: float

    @property
    def ratio(self) -> float:
        """What it took over the middle of the estimate."""
        return self.took / self.estimate.middle

    @property
    def processor_ratio(self) -> float:
        """The same of processor time, which no other program's load changes much."""
        return self.processor / self.expected_processor


def measure_estimates(
    data: str, options: Sequence[str], rounds: int, on_part: Callable[[str], None] | None = None
) -> list[Estimated]:
    """Ask ``stepladder plan`` and then run the study, each a process of its own, ``rounds`` times.

    Args:
        options: of both commands.
        on_part: called with a phrase of what comes, before each of ``2 * rounds`` parts.

    Raises:
        StudyError: a command failed.
    """
    place = str(Path(data).absolute()) if Path(data).exists() else data
    found = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="stepladder-bench-") as folder:
            if on_part:
                on_part(f"Round {number + 1} of {rounds}: plan")
            plan = json.loads(_output(["plan", place, *options, "--json"], folder))
            if on_part:
                on_part(f"Round {number + 1} of {rounds}: study")
            before, begun = _processor_seconds(), perf_counter()
            _output(["study", place, *options, "--out", "study"], folder)
            took, processor = perf_counter() - begun, _processor_seconds() - before
        measurement = plan["measurement"]
        found.append(
            Estimated(
                Range(**plan["seconds"]["fewest"]),
                measurement["seconds"],
                measurement["busy"],
                measurement["processor_seconds"],
                took,
                processor,
            )
        )
    return found


def _output(arguments: list[str], folder: str) -> str:
    done = subprocess.run(stepladder(*arguments), cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = " ".join(done.stderr.strip().splitlines()[-3:])
        raise StudyError(f"stepladder {' '.join(arguments)} failed with exit code {done.returncode}: {last}")
    return done.stdout


def _processor_seconds() -> float:
    """Processor time of every process that this one has started and that has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def estimates(
    data: Annotated[str, Parameter(help="A name or a path, as for study.")] = "digits",
    *,
    limit: Annotated[int | None, Parameter(help="Use only the first N images a class of each split.")] = None,
    size: Annotated[int | None, Parameter(help="Resize every image to N×N pixels.")] = None,
    epochs: Annotated[int | None, Parameter(help="The recipe's own by default.")] = None,
    seeds: Annotated[int, Parameter(help="Trials a rung.")] = 3,
    rounds: Annotated[int, Parameter(help="How often to ask, and then to run.")] = 3,
    as_json: AsJson = False,
) -> int:
    """Ask ``stepladder plan`` how long a study takes, run it, and compare."""
    at_least_one(seeds=seeds, rounds=rounds)
    console = make_console(as_json)
    given = {"--limit": limit, "--size": size, "--epochs": epochs, "--seeds": seeds}
    options = [word for name, value in given.items() if value is not None for word in (name, str(value))]
    with progress_of(console, 2 * rounds) as advance:
        found = measure_estimates(data, options, rounds, advance)
    table = table_of("round", "estimate", "it took", "over the middle", "of processor time", "others slowed it")
    for number, one in enumerate(found, 1):
        table.add_row(
            str(number),
            time_range(one.estimate.low, one.estimate.high),
            duration(one.took),
            f"{one.ratio:.2f}",
            f"{one.processor_ratio:.2f}",
            f"{one.busy:.1f} ×",
        )
    console.print(table)
    ratios, measuring = [one.ratio for one in found], [one.measuring for one in found]
    kept = 1 / PROMISE <= median(ratios) <= PROMISE
    words = (
        f"stepladder study {data} {' '.join(options)}, {count(rounds, 'round')}: the study took "
        f"{spread(ratios, '.2f')} of the middle of the estimate, {'within' if kept else 'not within'} a factor of "
        f"{PROMISE:g}. The measurement took {spread(measuring, '.1f')} s. Of processor time: what all processes used, "
        "over its estimate; it tells of the estimate where the load of other programs changes."
    )
    document = {"data": data, "options": options, "rounds": [asdict(one) for one in found], "kept": kept}
    finish(console, words, choose_compute("cpu"), document if as_json else None)
    return 0 if kept else 1
