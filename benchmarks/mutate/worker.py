"""A warm process: the modules named as its arguments are loaded once, and each mutant is tried in a fork of it.

Reads JSON objects from stdin, a line each: ``{"tests": […], "output": path, "limit": seconds}``. It answers each with a
list of pytest's exit status, -1 where the tests took longer than the limit, and of the seconds that each file of tests
took. The current folder is the tree that the tests are of.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections import Counter
from contextlib import suppress
from typing import Any


def main() -> None:
    """Answer orders until stdin ends."""
    for name in sys.argv[1:]:
        with suppress(ImportError):  # of an extra that is not installed: the tests skip what needs it
            importlib.import_module(name)
    assert not [name for name in sys.modules if name.split(".")[0] == "stepladder"], "a fork would not see the mutant"
    for line in sys.stdin:
        order = json.loads(line)
        reading, writing = os.pipe()
        code = _run(order["tests"], order["output"], float(order["limit"]), writing)
        with os.fdopen(reading) as told:
            print(json.dumps([code, json.loads(told.read() or "{}")]), flush=True)


class Clock:
    """A plugin of pytest that adds up how long the tests of each file take."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add a step of a test."""
        self.seconds[report.nodeid.partition("::")[0]] += report.duration


def _run(tests: list[str], output: str, limit: float, writing: int) -> int:
    child = os.fork()
    if child == 0:
        _become(tests, output, writing)
    os.close(writing)
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            # Before anybody waits for it: afterwards its number, and that of its group, may be a stranger's.
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)  # what its tests have started
            return abs(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        time.sleep(0.02)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1


def _become(tests: list[str], output: str, writing: int) -> None:
    """Be the process that runs the tests, stopping at the first that fails."""
    code = 99
    try:
        os.setsid()
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for number in (1, 2):
            os.dup2(descriptor, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        import pytest

        options = ("-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not soak")
        clock = Clock()
        code = int(pytest.main([*options, "--hypothesis-seed=0", *tests], plugins=[clock]))
        os.write(writing, json.dumps(clock.seconds).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
