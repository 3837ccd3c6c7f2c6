from __future__ import annotations

import pytest
from torch.optim import lr_scheduler

from stepladder.errors import RecipeError
from stepladder.techniques.warmup import Warmup

from .schedules import STEPS, traces


@pytest.mark.parametrize(("epochs", "start"), [(2.0, 0.1), (0.5, 0.5)])
def test_the_trace_is_torch_s(epochs, start):
    ours, theirs = traces(
        Warmup(epochs=epochs, start=start),
        lambda it: lr_scheduler.LinearLR(it, start, 1.0, round(epochs * STEPS)),
        "step",
    )
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_a_warmup_longer_than_the_budget(begin):
    technique = begin(Warmup(epochs=30))
    with pytest.raises(RecipeError, match=r"warmup\.epochs is 30 and the budget is 20 epochs, .* choose at most 20"):
        technique.check(technique.context)
