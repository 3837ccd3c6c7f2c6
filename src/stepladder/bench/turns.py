"""A peer's turn: its processes are started, train at the same time, and say how fast."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import harmonic_mean
from typing import IO, Any

from stepladder.bench.peers import Peer


class FailedError(Exception):
    """A peer that did not train, or trained something else; the message is the reason, in one line."""


@dataclass
class Turns:
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


def take_turn(turns: Turns, command: list[str], folder: Path, order: dict[str, Any]) -> list[dict[str, Any]]:
    """Run the peer's processes, let them start each epoch together, and return what they answer."""
    peer = turns.peer
    with ExitStack() as stack:
        processes, complaints = [], []
        for number in range(turns.processes):
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


def note(turns: Turns, answers: list[dict[str, Any]], weights: int) -> None:
    """Add a round's answers to what the peer did before."""
    for answer in answers:
        if answer["weights"] != weights:
            raise FailedError(f"its network has {answer['weights']:,} weights, not {weights:,}: no fair comparison")
    epochs = [sum(rates) for rates in zip(*(answer["images_per_second"] for answer in answers), strict=True)]
    turns.epochs.append(epochs)
    turns.images_per_second.append(harmonic_mean(epochs))  # every epoch has the same images
    turns.accuracy.append(sum(answer["accuracy"] for answer in answers) / len(answers))
    peaks = [answer["peak_memory_bytes"] for answer in answers]
    if None not in peaks:
        turns.peak_memory_bytes.append(sum(peaks))
    turns.weights = weights
    turns.versions.update(answers[0]["versions"])
