from __future__ import annotations

import pytest
import torch

from stepladder.techniques import Progress
from stepladder.techniques.exponential_lr import ExponentialLR
from stepladder.training.assembly import TrainingData
from stepladder.training.device import choose_compute
from stepladder.training.loop import train_network


@pytest.mark.parametrize("gamma", [0.95, 0.5, 1.0])
def test_the_trace_is_torch_s(gamma):
    lr, steps_per_epoch, epochs = 0.1, 7, 20
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma)
    technique = ExponentialLR(gamma=gamma)
    ours, theirs = [], []
    for epoch in range(epochs):
        for batch in range(steps_per_epoch):
            ours.append(lr * technique.lr_factor(Progress(epoch * steps_per_epoch + batch, steps_per_epoch, epochs)))
            theirs.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
        scheduler.step()
    assert ours == pytest.approx(theirs, rel=1e-12)
    assert len(set(ours)) == (1 if gamma == 1 else epochs)


def test_the_loop_follows_it(noise, tiny_recipe):
    recipe = tiny_recipe({"name": "exponential_lr", "gamma": 0.5}, epochs=3)
    trained = train_network(recipe, TrainingData(noise, noise, 4), 0, choose_compute("cpu", "float32"))
    assert [record.lr for record in trained.history] == [None, 0.1, 0.05, 0.025]
