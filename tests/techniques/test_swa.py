from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from stepladder.techniques.swa import SWA

from .test_ema import steps


def test_the_mean_is_torch_s(begin):
    """Ten steps an epoch, four epochs, averaged from half of them on: the ends of epochs three and four."""
    module, averaged = (nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)) for _ in range(2))
    theirs = AveragedModel(module, use_buffers=True)
    technique = begin(SWA(start=0.5))
    for progress in steps(module, 40):
        if progress.step in (30, 40):
            theirs.update_parameters(module)
        technique.weights(module.state_dict(), averaged.state_dict(), progress)
        if progress.step in (10, 20, 30):
            for name, value in averaged.state_dict().items():
                torch.testing.assert_close(value, module.state_dict()[name])
    assert len(theirs.module.state_dict()) == 7
    for name, value in theirs.module.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(averaged.state_dict()[name], value)
