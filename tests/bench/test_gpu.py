import pytest
import torch

from stepladder.bench import gpu as room
from stepladder.bench.processes import Measured
from stepladder.datasets import load_image_set, make_splits
from stepladder.recipe import load_recipe
from stepladder.training.device import choose_compute


@pytest.mark.long
def test_a_gpu_is_measured_with_and_without_replaying(monkeypatch):
    """On a CPU, where replaying changes nothing: what is asked for, how often, and that the figures come out."""
    asked, commands = [], []
    train = room.train_network

    def training(*arguments):
        asked.append(arguments[-1].replay)
        return train(*arguments)

    def measuring(command, folder):
        commands.append(command)
        return Measured(2.0, 1, 2.0)

    monkeypatch.setattr(room, "train_network", training)
    monkeypatch.setattr(room, "measure_process", measuring)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    images = load_image_set("digits")
    recipe = load_recipe("small").model_copy(update={"epochs": 1})
    speed = room.measure_gpu("digits", make_splits(images), 10, recipe, choose_compute("cpu"), rounds=2)
    assert asked == [True, True, False, True, False]
    assert len(speed.replayed) == len(speed.launched) == 2
    assert speed.ladders == [2.0] * len(room.WORKERS_AND_STREAMS)
    asked_for = [
        (command[command.index("--workers") + 1], command[command.index("--streams") + 1]) for command in commands
    ]
    assert asked_for == [(str(workers), str(streams)) for workers, streams in room.WORKERS_AND_STREAMS]
