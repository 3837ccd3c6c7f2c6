"""bfloat16 or float32: measured, remembered, and said."""

from __future__ import annotations

import pytest
import torch

from stepladder.network import load_preset
from stepladder.training import precision
from stepladder.training.device import Compute
from stepladder.training.precision import StepTimes, remembered_times, time_precisions

HERE = Compute(torch.device("cpu"), "bfloat16", threads=1)
LENET = load_preset("lenet5")


def test_both_precisions_are_timed():
    before = torch.get_num_threads()
    times = time_precisions(LENET, (1, 28, 28), 10, 32, HERE)
    assert 0 < times.float32 < 10
    assert 0 < times.bfloat16 < 10
    assert torch.get_num_threads() == before


def test_large_images_take_few_of_them(monkeypatch):
    seen = []
    monkeypatch.setattr(precision, "_step", lambda _module, images, _labels, _compute: seen.append(len(images)) or 1.0)
    time_precisions(LENET, (3, 32, 32), 10, 128, HERE)
    time_precisions(load_preset("vgg_small"), (3, 128, 128), 10, 128, HERE)
    assert seen[0] == 128
    assert seen[-1] == 2


@pytest.mark.parametrize(("bfloat16", "slower"), [(0.5, False), (1.0, False), (1.24, False), (1.26, True), (9.0, True)])
def test_only_what_is_clearly_slower_is_left(bfloat16, slower):
    assert StepTimes(bfloat16, 1.0).bfloat16_is_slower is slower


def test_the_first_answer_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path))
    answers = iter([StepTimes(1.0, 2.0), StepTimes(3.0, 4.0), StepTimes(5.0, 6.0)])
    monkeypatch.setattr(precision, "time_precisions", lambda *_: next(answers))
    asked = (LENET, (1, 28, 28), 10, 32, HERE)
    assert remembered_times(*asked) == remembered_times(*asked) == StepTimes(1.0, 2.0)
    assert remembered_times(LENET, (1, 28, 28), 10, 64, HERE) == StepTimes(3.0, 4.0)
    for file in tmp_path.rglob("*.json"):
        file.write_text("[1, 2]")
    assert remembered_times(*asked) == StepTimes(5.0, 6.0)


def test_a_cache_that_cannot_be_written_stops_nothing(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(precision, "time_precisions", lambda *_: StepTimes(1.0, 2.0))
    assert remembered_times(LENET, (1, 28, 28), 10, 32, HERE) == StepTimes(1.0, 2.0)


def test_what_is_timed_is_what_trains(stepladder, monkeypatch, tmp_path):
    """The network as techniques rewrite it, on images as they prepare them."""
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("stepladder.training.device._multiplies_bfloat16", lambda _device: True)
    timed = []
    monkeypatch.setattr(precision, "time_precisions", lambda *asked: timed.append(asked) or StepTimes(1.0, 1.0))
    outcome = stepladder("train", "digits", "--epochs", "1", "--limit", "30", "--technique", "upscale")
    assert outcome.code == 0, outcome.err
    [(network, input_shape, classes, _, _)] = timed
    assert (input_shape, classes) == ((1, 12, 12), 10)
    assert any(layer.kind == "batch_norm" for layer in network.layers)


def test_a_recipe_that_cannot_work_is_refused_by_the_study(stepladder, monkeypatch, tmp_path):
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("stepladder.training.device._multiplies_bfloat16", lambda _device: True)
    outcome = stepladder("study", "digits", "--limit", "30", "--technique", "step_lr")
    assert outcome.code == 2
    assert "exponential_lr and step_lr both" in outcome.err


@pytest.mark.parametrize(("asked", "taken"), [((), "float32"), (("--precision", "bfloat16"), "bfloat16")])
def test_a_study_says_what_it_takes(stepladder, monkeypatch, tmp_path, asked, taken):
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(precision, "time_precisions", lambda *_: StepTimes(0.003, 0.001))
    monkeypatch.setattr("stepladder.training.device._multiplies_bfloat16", lambda _device: True)
    outcome = stepladder("plan", "digits", *asked)
    assert outcome.code == 0, outcome.err
    said = "Precision: float32, which is faster for this network here (1.0 ms for some images, forward and backward;"
    assert (said in " ".join(outcome.out.split())) is (taken == "float32")
