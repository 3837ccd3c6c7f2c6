"""Kills a small study again and again, with SIGKILL: ``python hammer.py FOLDER KILLS SEED``.

Torch is loaded once; every attempt is a fork of this process, which has not trained itself. Half of the attempts are
killed after a random time, half at a random call that writes: before it, after it, or with only half of the file there.
Studies ``FOLDER/0``, ``FOLDER/1`` and so on are made until there were so many kills and the last study is complete.
Prints a JSON object: the number of studies, and the kills by where they struck.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import small

from stepladder.studies import study as module
from stepladder.studies.running.timing import Estimate

#: Where a file or a folder changes on disk.
CALLS = ("fsync", "replace", "rename", "mkdir", "unlink", "rmdir")


def die_in_write(chance: random.Random) -> None:
    """Kill this process at one of its next calls that write."""
    left = int(10 ** chance.uniform(0, 2.2))
    how = chance.choice(("before", "after", "half"))

    def deadly(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left > 0:
                return call(*arguments, **more)
            if how == "half" and name == "fsync":
                cut_in_half(arguments[0])
            if how == "after":
                call(*arguments, **more)
            os.kill(os.getpid(), signal.SIGKILL)
            return None

        return wrapped

    for name in CALLS:
        setattr(os, name, deadly(name, getattr(os, name)))


def cut_in_half(descriptor: int) -> None:
    """What was not synced yet may be lost."""
    with suppress(OSError):  # a folder
        os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)


def main(root: Path, kills: int, seed: int) -> dict[str, Any]:
    chance = random.Random(seed)
    images = small.small_images()
    # The measurement of speed before the first trial writes nothing, and would take most of the time.
    module.estimate_seconds = lambda work, *_, **__: Estimate(dict.fromkeys(work, 1.0), {})
    study, done, struck = 0, 0, Counter[str]()
    complete = False
    while done < kills or not complete:
        if complete:
            study, complete = study + 1, False
        in_write, moment = chance.random() < 0.5, chance.uniform(0, 0.5)
        own_seed = chance.random()
        child = os.fork()
        if child == 0:
            try:
                if in_write and done < kills:
                    die_in_write(random.Random(own_seed))
                small.run_small(root / str(study), images)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        if not in_write and done < kills:
            time.sleep(moment)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if status == 0:
            complete = True
        elif os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            done += 1
            struck["in a write" if in_write else "at a moment"] += 1
        else:
            raise SystemExit(f"after {done} kills the study ended with status {os.waitstatus_to_exitcode(status)}")
    return {"studies": study + 1, **struck}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
