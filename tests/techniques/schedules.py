"""The learning rates of a technique and of torch's scheduler, step by step."""

from __future__ import annotations

from collections.abc import Callable

import torch

from stepladder.techniques import Progress, Technique

STEPS, EPOCHS, LR = 7, 12, 0.4


def traces(
    technique: Technique, scheduler: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler], each: str
) -> tuple[list[float], list[float]]:
    """Ours and torch's; ``each`` is what torch's takes its steps by, a step or an epoch."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    theirs_by = scheduler(optimizer)
    ours, theirs = [], []
    for step in range(STEPS * EPOCHS):
        ours.append(LR * technique.lr_factor(Progress(step, STEPS, EPOCHS)))
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step + 1 < STEPS * EPOCHS and (each == "step" or (step + 1) % STEPS == 0):
            theirs_by.step()
    return ours, theirs
