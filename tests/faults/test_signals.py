"""Being stopped: the step is finished, a checkpoint kept, and the command that goes on gives the same bits."""

from __future__ import annotations

import os
import pty
import signal
import time
from pathlib import Path

import pytest

from stepladder.studies.files.bits import bits
from tests.terminal import Terminal, wait_until

COMMAND = (
    *("study", "digits", "--limit", "30", "--seeds", "1", "--epochs", "16", "--batch-size", "16"),
    *("--network", "conv3-4 pool2 fc16 fc"),
    *("--rung", "base:", "--rung", "+augment:standardize,random_crop", "--rung", "+dropout:dropout"),
    *("--checkpoint-seconds", "0.05", "--out", "my study"),
)


@pytest.fixture(scope="module")
def whole(terminal: Terminal, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The same study, undisturbed."""
    folder = tmp_path_factory.mktemp("whole")
    assert terminal.wait(terminal.start(folder, *COMMAND, "--workers", "1")) == 0
    return bits(folder / "my study")


def until_it_trains(folder: Path, checkpoints: int = 1) -> None:
    """Wait until trials are under way."""
    kept = "my study/trials/*/checkpoint/0*/complete.json"
    wait_until(lambda: len(list(folder.glob(kept))) >= checkpoints, folder / "printed")


def check_it_goes_on(terminal: Terminal, folder: Path, whole: dict[str, object], *how: str) -> None:
    """The same command ends with the bits of the undisturbed run, and did not begin anew."""
    assert list(folder.glob("my study/trials/*/checkpoint/0*")), "a checkpoint was kept"
    assert terminal.wait(terminal.start(folder, *COMMAND, *how)) == 0
    assert bits(folder / "my study") == whole


CASES = {
    "once": ((signal.SIGINT,), 130),
    "twice": ((signal.SIGINT, signal.SIGINT), 130),
    "three times": ((signal.SIGINT,) * 3, 130),
    "terminated": ((signal.SIGTERM,), 143),
    "both": ((signal.SIGTERM, signal.SIGINT), 143),
}


# One signal stands for the others in make test; make soak tries them all.
@pytest.mark.long
@pytest.mark.parametrize(
    "case", [name if name == "once" else pytest.param(name, marks=pytest.mark.soak) for name in CASES]
)
def test_signals_stop_it_after_the_step(
    terminal: Terminal, tmp_path: Path, whole: dict[str, object], case: str
) -> None:
    numbers, code = CASES[case]
    pid = terminal.start(tmp_path, *COMMAND, "--workers", "1")
    until_it_trains(tmp_path)
    for number in numbers:
        os.kill(pid, number)
        time.sleep(0.05)
    assert terminal.wait(pid) == code
    printed = (tmp_path / "printed").read_text()
    assert "Stopped. " in printed
    assert "continue with:\n  stepladder study digits --limit 30 " in printed
    assert "--out 'my study' --workers 1\n" in printed, "as a shell takes it"
    assert "Traceback" not in printed
    check_it_goes_on(terminal, tmp_path, whole, "--workers", "1")


@pytest.mark.soak
def test_with_workers_too(terminal: Terminal, tmp_path: Path, whole: dict[str, object]) -> None:
    pid = terminal.start(tmp_path, *COMMAND, "--workers", "2")
    until_it_trains(tmp_path, 2)
    os.killpg(pid, signal.SIGINT)  # as a terminal does: to the workers as well
    time.sleep(0.05)
    os.killpg(pid, signal.SIGINT)
    assert terminal.wait(pid) == 130
    printed = (tmp_path / "printed").read_text()
    assert "--out 'my study' --workers 2\n" in printed
    assert "Traceback" not in printed
    # Another number of workers is no other study.
    check_it_goes_on(terminal, tmp_path, whole, "--workers", "1")


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.soak)])
def test_its_own_time_is_over(terminal: Terminal, tmp_path: Path, whole: dict[str, object], workers: str) -> None:
    # Longer each time: loading torch in a worker counts, and takes its time on a busy machine.
    codes, seconds = [], 1.0 if workers == "1" else 12.0
    while not codes or (codes[-1] == 75 and len(codes) < 8):
        how = ("--workers", workers, "--max-time", f"{seconds:.0f}s")
        codes.append(terminal.wait(terminal.start(tmp_path, *COMMAND, *how)))
        seconds *= 2
    printed = (tmp_path / "printed").read_text()
    assert codes[-1] == 0
    assert set(codes[:-1]) <= {75}
    if workers == "1":
        assert codes[0] == 75
        assert "Stopped after --max-time. " in printed
    assert bits(tmp_path / "my study") == whole


def test_the_terminal_is_closed(terminal: Terminal, tmp_path: Path, whole: dict[str, object]) -> None:
    master, slave = pty.openpty()
    pid = terminal.start(tmp_path, *COMMAND, "--workers", "1", output=os.ttyname(slave))
    os.set_blocking(master, False)
    while not list(tmp_path.glob("my study/trials/*/checkpoint/0*")):
        try:
            os.read(master, 2**16)  # as a terminal shows it; a full one would make the writer wait
        except BlockingIOError:
            time.sleep(0.02)
    os.close(slave)  # only now: with nobody at the other end, reading is an error
    os.close(master)
    assert terminal.wait(pid) == 129
    check_it_goes_on(terminal, tmp_path, whole, "--workers", "1")
