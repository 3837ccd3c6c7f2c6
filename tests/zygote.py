"""Starts commands as from a terminal, without loading torch for each: forks of a process that has loaded it.

Reads JSON objects from stdin, a line each, and answers each with a line. ``{"arguments": […], "folder": …, "output":
…, "errors": …, "program": …}`` starts ``stepladder``, or a Python program, in a session of its own, and is answered
with its process id; ``{"wait": pid}`` is answered with its exit status. Where ``output`` is a terminal, it becomes the
one that controls the process. ``errors`` is ``output`` where it is null.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import termios
import traceback

# What a study loads late, and every fork would load anew: making an optimizer loads torch._dynamo.
import matplotlib.pyplot
import sklearn.datasets
import torch._dynamo

import stepladder.cli.study
from pictures import as_dots
from stepladder.cli import run

LOADED = (matplotlib.pyplot, sklearn.datasets, torch._dynamo, stepladder.cli.study)


def start(arguments: list[str], folder: str, output: str, errors: str | None, program: str | None) -> None:
    """Become the command, or the program."""
    code = 99
    try:
        os.setsid()
        os.chdir(folder)
        for number, path in ((0, output), (1, output), (2, errors or output)):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), number)
        if os.isatty(0):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        # A shell starts its background processes with SIGINT ignored, and these inherit it from the tests.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        sys.argv = ["stepladder", *arguments]
        if program is None:
            code = run(arguments)
        else:
            exec(compile(program, "program", "exec"), {"__name__": "__main__"})
            code = 0
        sys.stdout.flush()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


with as_dots():
    running: set[int] = set()
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            running.discard(order["wait"])
            print(os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1]), flush=True)
            continue
        child = os.fork()
        if child == 0:
            start(**order)
        running.add(child)
        print(child, flush=True)
    for child in running:  # of tests that failed
        os.killpg(child, signal.SIGKILL)
