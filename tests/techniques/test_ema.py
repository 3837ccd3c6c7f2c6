from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from stepladder.techniques import Progress
from stepladder.techniques.ema import EMA


def steps(module: nn.Module, count: int):
    rng = torch.Generator().manual_seed(0)
    for step in range(1, count + 1):
        with torch.no_grad():
            for value in module.state_dict().values():
                if value.is_floating_point():
                    value += torch.randn(value.shape, generator=rng)
                else:
                    value += 1
        yield Progress(step, 10, 4)


def test_the_average_is_torch_s():
    module, averaged = (nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)) for _ in range(2))
    theirs = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    technique = EMA(decay=0.9, ramp=False)
    for progress in steps(module, 30):
        theirs.update_parameters(module)
        technique.weights(module.state_dict(), averaged.state_dict(), progress)
    for name, value in theirs.module.state_dict().items():
        if value.is_floating_point():  # of whole numbers torch makes an average that is none
            torch.testing.assert_close(averaged.state_dict()[name], value)
    assert int(averaged.state_dict()["1.num_batches_tracked"]) == 30


@pytest.mark.parametrize(
    ("options", "warns"),
    [
        ({}, False),  # the default asks for no decay in particular
        ({"decay": 0.9999}, True),
        ({"decay": 0.9572}, True),  # 201 / 210 is 0.95714…
        ({"decay": 0.957}, False),
        ({"decay": 0.9999, "ramp": False}, False),
    ],
)
def test_a_decay_that_the_ramp_never_reaches_is_said(begin, options, warns):
    technique = begin(EMA(**options))  # 20 epochs of 10 steps
    warnings = technique.check(technique.context)
    assert bool(warnings) == warns
    if options == {"decay": 0.9999}:
        assert warnings == [
            "ema.decay is 0.9999 and is never reached: its ramp ends at 0.9571 after 200 steps, so that every larger "
            "decay gives the same result; choose at most 0.957, set ema.ramp=false, or train for 89,990 steps"
        ]


def test_decays_beyond_the_ramp_give_the_same_bits():
    averages = []
    for decay in (0.97, 0.99999):
        technique, averaged = EMA(decay=decay), {"w": torch.zeros(1)}
        for step in range(1, 201):  # ends at 0.957
            technique.weights({"w": torch.tensor([float(step)])}, averaged, Progress(step, 10, 20))
        averages.append(float(averaged["w"]))
    assert averages[0] == averages[1]


def test_the_ramp_is_by_hand():
    technique, averaged, expected = EMA(decay=0.99), {"w": torch.zeros(1)}, 0.0
    for step in range(1, 40):
        technique.weights({"w": torch.tensor([float(step)])}, averaged, Progress(step, 10, 4))
        decay = 0.0 if step == 1 else min(0.99, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert float(averaged["w"]) == pytest.approx(expected, rel=1e-5)
