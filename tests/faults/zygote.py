"""Starts commands as from a terminal, without loading torch for each: forks of a process that has loaded it.

Reads JSON objects from stdin, a line each, and answers each with a line. ``{"arguments": […], "folder": …, "output":
…}`` starts ``stepladder`` in a session of its own, and is answered with its process id; ``{"wait": pid}`` is answered
with its exit status. Where ``output`` is a terminal, it becomes the one that controls the process.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import termios
import traceback

import stepladder.cli.study
from stepladder.cli import run


def start(arguments: list[str], folder: str, output: str) -> None:
    """Become the command."""
    code = 99
    try:
        os.setsid()
        os.chdir(folder)
        descriptor = os.open(output, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        for number in range(3):
            os.dup2(descriptor, number)
        if os.isatty(0):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        # A shell starts its background processes with SIGINT ignored, and these inherit it from the tests.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        sys.argv = ["stepladder", *arguments]
        code = run(arguments)
        sys.stdout.flush()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


assert stepladder.cli.study
for line in sys.stdin:
    order = json.loads(line)
    if "wait" in order:
        print(os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1]), flush=True)
        continue
    child = os.fork()
    if child == 0:
        start(**order)
    print(child, flush=True)
