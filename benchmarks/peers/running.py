"""Install a peer's library, and let the peer train a round: its processes start, train together, and answer."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import harmonic_mean
from typing import IO, Any

from filelock import FileLock

from benchmarks.peers import Peer
from stepladder.datasets.cache import PEERS, cache_folder
from stepladder.errors import StorageError
from stepladder.files import replace_text

#: Seconds until an installation is given up.
_INSTALL_LIMIT = 1800


class CannotInstallError(Exception):
    """A library that cannot be installed here; the message is the reason, in one line."""


def environments_folder() -> Path:
    """Return the folder of Stepladder's cache that holds the environments; it need not exist yet."""
    return cache_folder() / PEERS


def make_environment(name: str, requirements: tuple[str, ...]) -> Path:
    """Return the interpreter of a virtual environment in which ``requirements`` are installed.

    It is made where it is not there yet, with the running Python and whatever indexes pip is set up for. Other
    requirements or another Python make another one in its place.

    Raises:
        CannotInstallError: pip, or the making of the environment, failed or took too long.
    """
    folder = environments_folder() / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    key = hashlib.sha256(repr((sys.version, sys.base_prefix, requirements)).encode()).hexdigest()
    marker = folder / "installed.txt"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not (marker.exists() and marker.read_text(encoding="utf-8") == key):
                shutil.rmtree(folder, ignore_errors=True)
                _run([sys.executable, "-m", "venv", str(folder)])
                _run([str(python), "-m", "pip", "install", "--quiet", "--no-input", *requirements])
                # Last, so that an installation that was killed is never taken for a whole one.
                replace_text(marker, key)
    except OSError as error:
        raise CannotInstallError(f"{error.filename or folder}: {error.strerror or error}") from error
    except StorageError as error:
        raise CannotInstallError(str(error)) from error
    return python


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_LIMIT)
    except subprocess.TimeoutExpired as error:
        raise CannotInstallError(f"it was not installed after {_INSTALL_LIMIT // 60} minutes") from error
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        # pip says the reason in lines that start with ERROR, the last of them the shortest.
        told = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")] or lines
        raise CannotInstallError(told[-1] if told else f"pip ended with status {done.returncode}")


class FailedError(Exception):
    """A peer that did not train, or trained something else; the message is the reason, in one line."""


@dataclass
class PeerRounds:
    """What one peer did; an entry a round.

    Attributes:
        processes: how many trained at the same time, a network each.
        images_per_second: training images, of all processes together; evaluation is not in it.
        epochs: the same, epoch by epoch.
        accuracy: on validation images after the last epoch, 0 to 1; the mean of the processes.
        peak_memory_bytes: until training ended, of all processes together; empty where the system does not tell.
        weights: learned numbers of its network.
        versions: of what it runs on.
    """

    peer: Peer
    processes: int
    images_per_second: list[float] = field(default_factory=list)
    epochs: list[list[float]] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    peak_memory_bytes: list[int] = field(default_factory=list)
    weights: int = 0
    versions: dict[str, str] = field(default_factory=dict)


def run_round(rounds: PeerRounds, command: list[str], folder: Path, order: dict[str, Any]) -> list[dict[str, Any]]:
    """Run the peer's processes, let them start each epoch together, and return what they answer."""
    peer = rounds.peer
    with ExitStack() as stack:
        processes, complaints = [], []
        for number in range(rounds.processes):
            told = order | peer.order | {"threads": 1 if peer.together else None}
            # Other seeds for processes of the same round, far from those of other rounds.
            told["seed"] += 1000 * number
            complaints.append(stack.enter_context(tempfile.TemporaryFile("w+", errors="replace")))
            process = subprocess.Popen(
                [*command, str(peer.path), str(folder), json.dumps(told)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints[-1],
                text=True,
                # What it may print or write of its own accord (logs, caches) stays with the images.
                cwd=folder,
                env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            )
            processes.append(process)
            stack.callback(_end, process)
        answers: list[dict[str, Any] | None] = [None] * len(processes)
        while any(answer is None for answer in answers):
            answers = [_listen(process, heard) for process, heard in zip(processes, complaints, strict=True)]
            for process, answer in zip(processes, answers, strict=True):
                assert process.stdin is not None
                if answer is None:
                    with suppress(BrokenPipeError):  # it has died; what it said of that is read next
                        process.stdin.write("go\n")
                        process.stdin.flush()
    return [answer for answer in answers if answer is not None]


def _listen(process: subprocess.Popen[str], complaints: IO[str]) -> dict[str, Any] | None:
    """Wait until the process is ready for an epoch, None, or answers."""
    assert process.stdout is not None
    for line in process.stdout:
        if line == "ready\n":
            return None
        if line.startswith('{"images_per_second"'):
            answer: dict[str, Any] = json.loads(line)
            return answer
    complaints.seek(0)
    lines = [line.strip() for line in complaints if line.strip()]
    raise FailedError(f"it ended with status {process.wait()}{': ' + lines[-1] if lines else ''}")


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def add_round(rounds: PeerRounds, answers: list[dict[str, Any]], weights: int) -> None:
    """Add a round's answers to what the peer did before."""
    for answer in answers:
        if answer["weights"] != weights:
            raise FailedError(f"its network has {answer['weights']:,} weights, not {weights:,}: no fair comparison")
    epochs = [sum(rates) for rates in zip(*(answer["images_per_second"] for answer in answers), strict=True)]
    rounds.epochs.append(epochs)
    rounds.images_per_second.append(harmonic_mean(epochs))  # every epoch has the same images
    rounds.accuracy.append(sum(answer["accuracy"] for answer in answers) / len(answers))
    peaks = [answer["peak_memory_bytes"] for answer in answers]
    if None not in peaks:
        rounds.peak_memory_bytes.append(sum(peaks))
    rounds.weights = weights
    rounds.versions.update(answers[0]["versions"])
