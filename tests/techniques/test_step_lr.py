from __future__ import annotations

import pytest
from torch.optim import lr_scheduler

from stepladder.errors import RecipeError
from stepladder.techniques.step_lr import StepLR

from .schedules import traces


@pytest.mark.parametrize(("options", "every"), [({"every": 3, "gamma": 0.5}, 3), ({}, 4)])
def test_the_trace_is_torch_s(options, every):
    technique = StepLR(**options)
    ours, theirs = traces(technique, lambda it: lr_scheduler.StepLR(it, every, technique.gamma), "epoch")
    assert ours == pytest.approx(theirs, rel=1e-12)
    assert len(set(ours)) > 2


def test_a_step_beyond_the_budget(begin):
    technique = begin(StepLR(every=20))
    with pytest.raises(RecipeError, match=r"step_lr\.every is 20 and the budget is 20 epochs, .* choose at most 19"):
        technique.check(technique.context)
