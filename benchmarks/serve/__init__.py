"""How fast does a served model answer, beside the same model in a plain FastAPI handler and in LitServe?

Every server is a process of its own with the same model folder and the same decoder, asked by the same clients: each
sends one image as a form, waits for the answer, and sends the next. They are asked one after another, for as long each.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from benchmarks.peers.running import CannotInstallError, make_environment
from stepladder.cli.bench import at_least_one, finish, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.errors import StepladderError, StudyError, unknown
from stepladder.studies.running.process_group import ProcessGroup
from stepladder.training.device import choose_compute

#: Seconds until a server says where it is.
_PATIENCE = 180
#: Parts of the time, after each of which the memory is read.
_FIFTHS = 5
_HERE = Path(__file__).parent
_REQUIREMENTS = ("litserve>=0.2.11",)
_SERVERS = ("stepladder", "fastapi", "litserve")


@dataclass(frozen=True)
class Answered:
    """What clients got of one server.

    Attributes:
        name: of the server.
        images: that were answered, one a request.
        failed: requests that were not.
        images_per_second: of all clients together.
        p50_ms, p99_ms: of the time from the first byte of a request to the last of its answer.
        processor_ms: of all its processes, an image: what other work on the machine does not change.
        memory_mb: of all its processes, resident, at the start, at each fifth of the time, and at the end.
    """

    name: str
    images: int
    failed: int
    images_per_second: float
    p50_ms: float
    p99_ms: float
    processor_ms: float
    memory_mb: list[float]


def serve(
    model: Annotated[Path | None, Parameter(help="Model folder; one of digits is trained where none is given.")] = None,
    image: Annotated[Path | None, Parameter(help="What is asked about, again and again; with MODEL.")] = None,
    /,
    *,
    seconds: Annotated[int, Parameter(help="Of each server.")] = 600,
    clients: Annotated[int, Parameter(help="That ask at the same time.")] = 16,
    servers: Annotated[list[str] | None, Parameter(negative="", help="stepladder, fastapi, litserve.")] = None,
    as_json: AsJson = False,
) -> int:
    """Ask servers of one model for minutes, and print time, images a second and memory."""
    at_least_one(seconds=seconds, clients=clients)
    for name in servers or ():
        if name not in _SERVERS:
            raise StudyError(unknown("server", name, _SERVERS))
    if (model is None) != (image is None):
        raise StudyError("MODEL and IMAGE belong together; give both, or none for digits")
    console = make_console(as_json)
    with tempfile.TemporaryDirectory(prefix="stepladder-serve-") as scratch:
        folder, picture = (model, image) if model and image else _digits(Path(scratch))
        done, left_out = [], {}
        for name in servers or _SERVERS:
            try:
                done.append(_measure(name, folder, picture, seconds, clients))
            except (CannotInstallError, FailedToServeError) as error:
                left_out[name] = str(error)
            else:
                console.print(_line(done[-1]), markup=False)
    _print(console, done, left_out)
    words = f"{clients} clients, one image a request, {seconds} s a server, one after another."
    document = {"servers": [asdict(one) for one in done], "left_out": left_out, "clients": clients} if as_json else None
    finish(console, words, choose_compute("cpu", "float32"), document)
    return 0


class FailedToServeError(StepladderError):
    """A server that did not come up; the message is the reason."""


def _measure(name: str, model: Path, image: Path, seconds: int, clients: int) -> Answered:
    with _server(name, model) as (group, port):
        _ask(port, image, min(5, seconds), clients)  # some compile, all of them get their memory
        memory, before, parts = [_memory_mb(group.pid)], _processor_seconds(group.pid), []
        for _ in range(_FIFTHS):
            parts.append(_ask(port, image, seconds / _FIFTHS, clients))
            memory.append(_memory_mb(group.pid))
        computed = _processor_seconds(group.pid) - before
    took = sorted(each for part in parts for each in part["ms"])
    if not took:
        raise FailedToServeError(f"no request was answered; {parts[0]['failed']:,} failed")
    return Answered(
        name,
        len(took),
        sum(part["failed"] for part in parts),
        len(took) / sum(part["seconds"] for part in parts),
        took[len(took) // 2],
        took[min(len(took) - 1, int(len(took) * 0.99))],
        1000 * computed / len(took),
        memory,
    )


@contextmanager
def _server(name: str, model: Path) -> Iterator[tuple[ProcessGroup, int]]:
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    if name == "stepladder":
        command = [sys.executable, "-m", "stepladder", "serve", str(model), "--port", "0", "--quiet"]
    elif name == "fastapi":
        command = [sys.executable, str(_HERE / "with_fastapi.py"), str(model)]
    else:
        command = [str(make_environment("litserve", _REQUIREMENTS)), str(_HERE / "with_litserve.py"), str(model)]
        # LitServe in an environment of its own; torch and Stepladder are those of this one.
        source = Path(__file__).parents[2] / "src"
        environment["PYTHONPATH"] = os.pathsep.join([str(source), sysconfig.get_path("purelib")])
    with tempfile.TemporaryFile("w+") as printed:
        group = ProcessGroup(command, stdout=printed, stderr=subprocess.STDOUT, env=environment)
        try:
            yield group, _port_of(group, printed.fileno())
        finally:
            group.signal(signal.SIGTERM)
            until = time.monotonic() + 20
            while group.status() is None and time.monotonic() < until:
                time.sleep(0.1)
            group.end()


def _port_of(group: ProcessGroup, printed: int) -> int:
    """Return the port, once the server answers there."""
    import httpx

    for _ in range(10 * _PATIENCE):
        said = os.pread(printed, 1_000_000, 0).decode(errors="replace")
        if group.status() is not None:
            raise FailedToServeError(f"it ended: {(said.strip().splitlines() or ['it said nothing'])[-1]}")
        for port in re.findall(r"http://(?:127\.0\.0\.1|0\.0\.0\.0|localhost):(\d+)", said):
            with suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{port}/", timeout=5)
                return int(port)
        time.sleep(0.1)
    raise FailedToServeError(f"it was not there after {_PATIENCE} s")


def _ask(port: int, image: Path, seconds: float, clients: int) -> dict[str, Any]:
    """Let a process of its own ask, so that the clients are no part of what is measured."""
    command = [sys.executable, str(_HERE / "clients.py"), str(port), str(image), str(seconds), str(clients)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answered: dict[str, Any] = json.loads(done.stdout)
    return answered


def _memory_mb(pid: int) -> float:
    """Return the resident memory of a process and all below it."""
    statuses = [Path(f"/proc/{one}/status").read_text() for one in _family(pid)]
    return round(sum(int(found[1]) for text in statuses if (found := re.search(r"VmRSS:\s+(\d+)", text))) / 1024, 1)


def _processor_seconds(pid: int) -> float:
    """Return the processor time that a process and all below it have taken."""
    fields = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in _family(pid)]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        with suppress(OSError):
            for task in Path(f"/proc/{found[-1]}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return found


def _digits(scratch: Path) -> tuple[Path, Path]:
    """Train a small network on digits, and write one of them as a file."""
    from PIL import Image

    import stepladder as sl
    from stepladder.datasets import load_image_set

    here = sl.Execution(device="cpu", precision="float32", workers=1)
    trained = sl.train("digits", "small", out=scratch / "digits", execution=here, progress=False)
    Image.fromarray(load_image_set("digits").splits["train"].images[0][:, :, 0]).save(scratch / "digit.png")
    return trained.folder / "model", scratch / "digit.png"


def _line(one: Answered) -> str:
    memory = ", ".join(f"{each:,.0f}" for each in one.memory_mb)
    return (
        f"{one.name}: {one.images_per_second:,.0f} images/s, {one.images:,} in all, {one.failed:,} failed; half within "
        f"{one.p50_ms:.1f} ms, 99 % within {one.p99_ms:.1f}; {one.processor_ms:.2f} ms of processor each; MB: {memory}"
    )


def _print(console: Console, done: list[Answered], left_out: dict[str, str]) -> None:
    table = table_of("server", "images/s", "p50, ms", "p99, ms", "processor, ms an image", "failed", "memory, MB")
    for one in done:
        table.add_row(
            one.name,
            f"{one.images_per_second:,.1f}",
            f"{one.p50_ms:.1f}",
            f"{one.p99_ms:.1f}",
            f"{one.processor_ms:.2f}",
            f"{one.failed:,}",
            f"{one.memory_mb[0]:,.0f} to {one.memory_mb[-1]:,.0f}",
        )
    console.print(table)
    for name, reason in left_out.items():
        console.print(f"Left out: {name}: {reason}", markup=False)
