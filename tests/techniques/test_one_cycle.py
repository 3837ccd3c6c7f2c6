from __future__ import annotations

import pytest
from torch.optim import lr_scheduler

from stepladder.techniques import Progress
from stepladder.techniques.one_cycle import OneCycle

from .schedules import EPOCHS, LR, STEPS, traces


@pytest.mark.parametrize("options", [{}, {"rise": 0.5, "start_divisor": 10, "end_divisor": 100}])
def test_the_trace_is_torch_s(options):
    technique = OneCycle(**options)
    ours, theirs = traces(
        technique,
        lambda it: lr_scheduler.OneCycleLR(
            it,
            LR,
            STEPS * EPOCHS,
            pct_start=technique.rise,
            cycle_momentum=False,
            div_factor=technique.start_divisor,
            final_div_factor=technique.end_divisor,
        ),
        "step",
    )
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_budgets_of_a_few_steps():
    for epochs in (1, 2, 3):
        for rise in (0.01, 0.3, 0.99):
            factors = [OneCycle(rise=rise).lr_factor(Progress(step, 1, epochs)) for step in range(epochs)]
            assert all(0 <= factor <= 1 for factor in factors)
