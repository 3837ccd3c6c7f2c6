from __future__ import annotations

import math

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
            assert len(factors) == epochs
            assert 0 <= min(factors) <= max(factors) <= 1
            if epochs > 1:  # the last step has the lowest rate, as torch's has it
                assert factors[-1] == min(factors) == pytest.approx(1 / 25 / 1e4)
    # Of three steps with 99 % of the budget on the way up, the first has the lowest rate but one.
    first, second, _ = (OneCycle(rise=0.99).lr_factor(Progress(step, 1, 3)) for step in range(3))
    assert (first, second) == (pytest.approx(1 / 25), pytest.approx(1 - 0.96 * (1 + math.cos(math.pi / 1.97)) / 2))
