"""Processes that start and end quickly."""

from __future__ import annotations

import gc
import os
import subprocess
import sys

import pytest

from stepladder.cli.quick import without_collection


@pytest.mark.parametrize("on", [True, False])
def test_the_collector_is_left_as_it_was(on):
    (gc.enable if on else gc.disable)()
    try:
        with without_collection():
            assert not gc.isenabled()
        assert gc.isenabled() is on
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
        gc.enable()


def test_a_process_that_leaves_has_written_all_and_runs_nothing_more():
    program = """
import atexit, sys
from stepladder.cli.quick import leave
atexit.register(print, "too late")
sys.stdout.write("out")
sys.stderr.write("err")
leave(3)
"""
    # Buffered, as in a user's shell: what is not flushed is lost.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=buffered)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out", "err")


def test_a_reader_that_has_gone_is_no_error():
    program = (
        "import sys, time; from stepladder.cli.quick import leave; sys.stdout = open(1, 'w'); print(1); "
        "time.sleep(0.3); leave(0)"
    )
    command = f"{sys.executable} -c {program!r} | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""
