"""Techniques that a user might write and should not: each goes wrong in the seventh step that it sees of a trial."""

import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import torch

from stepladder.techniques import Technique


class _Wrong(Technique):
    group = "test"
    summary = "for a test"
    paper = "none"
    caveat = "none"

    def after_step(self, parameters, progress):
        # Hooks are tried on a single weight first, and the measurement before the first trial has fewer steps an epoch.
        if progress.step == 7 and progress.steps_per_epoch >= 7 and len(parameters) > 1:
            self.go_wrong()

    def go_wrong(self):
        raise NotImplementedError


class Raises(_Wrong):
    name = "raises"

    def go_wrong(self):
        if not Path(os.environ.get("MENDED", "/nowhere")).exists():
            raise ValueError("seven is too much")


class NoMemory(_Wrong):
    name = "no_memory"

    def go_wrong(self):
        if not Path(os.environ.get("MENDED", "/nowhere")).exists():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


class NotFinite(_Wrong):
    """At the step that the environment names."""

    name = "not_finite"

    def after_step(self, parameters, progress):
        if len(parameters) > 1 and progress.step == int(os.environ["NOT_FINITE_AT"]):
            parameters[0].fill_(float("nan"))


class Hangs(_Wrong):
    name = "hangs"

    def go_wrong(self):
        time.sleep(600)


class HangsWhenTried(_Wrong):
    """Before anything trains, where no other process runs it."""

    name = "hangs_when_tried"

    def rewrite(self, network):
        time.sleep(600)


class Interrupts(_Wrong):
    """Presses Ctrl-C, once for each folder that the environment names."""

    name = "interrupts"

    def go_wrong(self):
        once = Path(os.environ["INTERRUPTED"])
        if not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGINT)


class Prints(_Wrong):
    name = "prints"

    def after_step(self, parameters, progress):
        print('{"not": "a document"}')


class Moves(_Wrong):
    name = "moves"

    def after_step(self, parameters, progress):
        os.chdir("/")


class Seeds(_Wrong):
    name = "seeds"

    def after_step(self, parameters, progress):
        if len(parameters) > 1:  # where hooks are tried it would be refused
            torch.manual_seed(progress.step)
            np.random.seed(progress.step)  # noqa: NPY002  (it is what the test provokes)
            random.seed(progress.step)


class Forks(_Wrong):
    """The copy comes back here and goes on training."""

    name = "forks"

    def after_step(self, parameters, progress):
        if progress.step in (2, 7):
            os.fork()


class Lingers(_Wrong):
    """The copy stays for longer than the study."""

    name = "lingers"

    def go_wrong(self):
        if os.fork() == 0:
            time.sleep(3)
            os._exit(0)


class Dies(_Wrong):
    """Takes its process with it, as the kernel does where memory is short."""

    name = "dies"

    def go_wrong(self):
        os.kill(os.getpid(), signal.SIGKILL)
