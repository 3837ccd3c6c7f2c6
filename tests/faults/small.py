"""A small study with everything in it that draws random numbers or remembers, and what of it must never change.

Also a program, for tests that kill it: ``python small.py FOLDER`` runs it in FOLDER/both in two processes at once,
and in FOLDER/one in two of which one is killed; prints the trials that ended in each as JSON. ``python small.py FOLDER
alone`` runs it in FOLDER, in one process, and prints what :func:`run_alone` returns.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from stepladder.datasets import ImageSet, load_image_set
from stepladder.files import replace_json
from stepladder.network import find_network
from stepladder.recipe import Recipe, parse_recipe
from stepladder.studies.design.designs import make_design
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import SavedStudy, TrialResult
from stepladder.studies.findings import make_findings, to_document
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution
from stepladder.studies.study import run_study

#: On its top rung: shuffling, augmentation, mixup, dropout, batch norm, momentum, a schedule, an average.
TECHNIQUES = (
    {"name": "standardize", "rung": "augment"},
    {"name": "random_crop", "rung": "augment"},
    {"name": "mixup", "rung": "augment"},
    {"name": "one_cycle", "rung": "much"},
    {"name": "dropout", "rung": "much"},
    {"name": "batch_norm", "rung": "much"},
    {"name": "ema", "rung": "much"},
)


def small_images() -> ImageSet:
    """12 handwritten digits of each class."""
    return load_image_set("digits", limit=12)


def small_recipe(**settings: Any) -> Recipe:
    """Three epochs of six steps."""
    table = {
        "name": "small",
        "network": find_network("conv3-4 pool2 fc16 fc").network.model_dump(mode="json"),
        "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
        "epochs": 3,
        "batch_size": 16,
        "techniques": list(TECHNIQUES),
    }
    return parse_recipe({**table, **settings})


def run_small(
    out: Path,
    images: ImageSet | None = None,
    recipe: Recipe | None = None,
    callbacks: Callbacks | None = None,
    **execution: Any,
) -> SavedStudy:
    """Run or go on with the study of three rungs and two seeds, and write its verdicts; keeps every few steps."""
    seeds = execution.pop("seeds", 2)
    usual = {"device": "cpu", "precision": "float32", "checkpoint_seconds": 0.01, "command": "stepladder study digits"}
    saved = run_study(
        images or small_images(),
        make_design("ladder", recipe or small_recipe()),
        out,
        seeds=seeds,
        execution=Execution(**{**usual, **execution}),
        callbacks=callbacks,
    )
    replace_json(out / "verdicts.json", to_document(make_findings(saved)))
    return saved


class Ended(Callbacks):
    """Notes the trials that ended in this process."""

    def __init__(self) -> None:
        self.trials: list[tuple[str, int]] = []

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        self.trials.append((trial.rung, trial.seed))


def run_as_pair(study: Path, kill: bool) -> list[Any]:
    """Run the study in two processes at once, and return the trials that ended in each; kill the first, if so."""
    import torch._dynamo  # noqa: F401  (making an optimizer loads it, in either fork)

    images, children, pipes = small_images(), [], []
    for _ in range(2):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            callbacks = Ended()
            status = 1
            try:
                run_small(study, images, callbacks=callbacks)
                os.write(write, json.dumps(callbacks.trials).encode())
                status = 0
            finally:
                os._exit(status)
        os.close(write)
        children.append(child)
        pipes.append(read)
    if kill:
        while len(list(study.glob("trials/*/checkpoint/0*"))) < 2:
            time.sleep(0.01)
        os.kill(children[0], signal.SIGKILL)
    found = []
    for read, child in zip(pipes, children, strict=True):
        with os.fdopen(read) as file:
            text = file.read()
        _, status = os.waitpid(child, 0)
        found.append(json.loads(text) if status == 0 else os.waitstatus_to_exitcode(status))
    return found


def run_alone(study: Path) -> list[Any]:
    """Run the study; return the host, the process, and the trials that ended here."""
    callbacks = Ended()
    run_small(study, callbacks=callbacks)
    return [socket.gethostname(), os.getpid(), callbacks.trials]


if __name__ == "__main__":
    root = Path(sys.argv[1])
    if sys.argv[2:] == ["alone"]:
        print(json.dumps(run_alone(root)))
        sys.exit()
    print(json.dumps([run_as_pair(root / "both", kill=False), run_as_pair(root / "one", kill=True)]))
