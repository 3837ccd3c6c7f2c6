from __future__ import annotations

import pytest
from torch.optim import lr_scheduler

from stepladder.techniques.cosine_lr import CosineLR

from .schedules import EPOCHS, LR, STEPS, traces


@pytest.mark.parametrize("floor", [0.0, 0.1, 1.0])
def test_the_trace_is_torch_s(floor):
    ours, theirs = traces(
        CosineLR(floor=floor), lambda it: lr_scheduler.CosineAnnealingLR(it, STEPS * EPOCHS, floor * LR), "step"
    )
    assert ours == pytest.approx(theirs, rel=1e-9)
