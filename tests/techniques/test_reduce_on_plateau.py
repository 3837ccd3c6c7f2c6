from __future__ import annotations

import numpy as np
import pytest
import torch

from stepladder.errors import RecipeError
from stepladder.techniques import Progress
from stepladder.techniques.reduce_on_plateau import ReduceOnPlateau


@pytest.mark.parametrize(("factor", "patience", "threshold"), [(0.1, 3, 1e-4), (0.5, 0, 0.1), (0.5, 2, 0.0)])
def test_the_trace_is_torch_s(begin, factor, patience, threshold):
    losses = np.random.default_rng(0).normal(1, 0.3, 200).clip(0.01) / np.arange(1, 201) ** 0.3
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs_by = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=factor, patience=patience, threshold=threshold, eps=0
    )
    technique = begin(ReduceOnPlateau(factor=factor, patience=patience, threshold=threshold))
    ours, theirs = [], []
    for loss in losses.tolist():
        technique.epoch_ended(loss)
        theirs_by.step(loss)
        ours.append(technique.lr_factor(Progress(0, 1, 200)))
        theirs.append(optimizer.param_groups[0]["lr"])
    assert ours == pytest.approx(theirs, rel=1e-9)
    assert len(set(ours)) > 3


def test_it_never_reads_the_test_images(begin):
    technique = begin(ReduceOnPlateau(), has_validation=False)
    with pytest.raises(RecipeError, match="reads the validation loss, and no image is left for validation"):
        technique.check(technique.context)


def test_a_patience_longer_than_the_budget(begin):
    technique = begin(ReduceOnPlateau(patience=19))
    with pytest.raises(RecipeError, match=r"patience is 19 and the budget is 20 epochs, .* choose at most 18"):
        technique.check(technique.context)
