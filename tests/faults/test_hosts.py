"""Two machines on one folder, as far as one machine can play them: each with its own name and process numbers.

Both run as process 1 of their own namespace, so that nothing may take a process number or a host's name for an owner.
What a network file system makes of locks cannot be seen here; see ``docs/reliability.md``.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepladder.studies.check import check_study
from stepladder.studies.files.bits import bits

from .small import run_small

PROGRAM = Path(__file__).with_name("small.py")
#: A host of its own; as a user without rights, by a user namespace in which it has them.
HOST = ("unshare", *(() if os.geteuid() == 0 else ("--user", "--map-root-user")), "--uts", "--pid", "--fork")


def may_play_hosts() -> bool:
    """Whether this process may make namespaces, which containers often forbid."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*HOST, "hostname", "one"], capture_output=True, check=False).returncode == 0


@pytest.mark.soak
@pytest.mark.skipif(not may_play_hosts(), reason="unshare is not there, or may not make namespaces here")
def test_one_host_dies_and_the_other_ends_the_study_with_the_same_bits(tmp_path: Path) -> None:
    study, whole = tmp_path / "study", tmp_path / "whole"
    program = [sys.executable, str(PROGRAM), str(study), "alone"]
    hosts = [
        subprocess.Popen(
            [*HOST, "--kill-child", "sh", "-c", 'hostname "$1" && shift && exec "$@"', "sh", name, *program],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "other")
    ]
    try:
        run_small(whole)
        deadline = time.monotonic() + 300
        while len(list(study.glob("trials/*/checkpoint/0*"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        hosts[0].send_signal(signal.SIGKILL)
        assert hosts[0].communicate()[0] == ""
        host, process, trials = json.loads(hosts[1].communicate()[0])
        assert hosts[1].returncode == 0
    finally:
        for one in hosts:
            one.kill()
            one.wait()
    assert (host, process) == ("other", 1)
    assert trials
    assert bits(study) == bits(whole)
    assert not [fault for fault in check_study(study) if fault.is_fault]
