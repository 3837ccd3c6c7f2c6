"""Measurements of whole processes and studies: small ones, and what they refuse."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from stepladder.bench import gpu as gpu_room
from stepladder.bench import growth as growth_room
from stepladder.bench.growth import exponent, grown_values, measure_growth
from stepladder.bench.processes import Measured, measure_process, stepladder
from stepladder.bench.whole_study import WholeStudy, measure_study
from stepladder.data import ImageSet, Split, load_image_set, make_splits
from stepladder.errors import StudyError
from stepladder.recipe import load_recipe
from stepladder.training.device import choose_compute


def test_a_process_has_its_own_peak_and_time(tmp_path):
    small = measure_process(["python3", "-c", "print('hello')"], tmp_path)
    large = measure_process(["python3", "-c", "import time; x = b'x' * 200_000_000; time.sleep(0.1)"], tmp_path)
    assert small.peak < 100e6, "not the memory of the tests"
    assert large.peak - small.peak == pytest.approx(200e6, rel=0.05)
    assert large.seconds > 0.1


def test_a_process_that_fails_says_why(tmp_path):
    with pytest.raises(StudyError, match=r"study nothing.npz failed with exit code 2: .*nothing\.npz"):
        measure_process(stepladder("study", "nothing.npz"), tmp_path)


def test_the_exponent_is_the_steepest_of_the_upper_half():
    values = [1, 2, 4, 8, 16, 32]
    assert exponent(values, [5 + value for value in values]) == pytest.approx(0.82, abs=0.01)
    assert exponent(values, [value**2 for value in values]) == pytest.approx(2)
    late = [1, 2, 4, 8, 16, 64]  # linear until the last, which is what an average over all would hide
    assert exponent(values, late) == pytest.approx(2)


def test_growth_measures_whole_studies(monkeypatch):
    monkeypatch.setitem(growth_room._GROWN, "classes", (2, 4))
    monkeypatch.setitem(growth_room._FROM, "classes", growth_room.Point(images=200, size=16))
    grown = measure_growth("classes")
    assert grown.values == (2, 4)
    assert all(one.seconds > 0 and one.peak > 100e6 for one in grown.measured)


def test_growth_draws_its_picture(stepladder, monkeypatch, tmp_path):
    def measured(what, largest=None, advance=None):
        values = grown_values(what, largest)
        return growth_room.Growth(what, values, tuple(Measured(2.0 * value, 10**9) for value in values))

    monkeypatch.setattr(growth_room, "measure_growth", measured)
    outcome = stepladder("bench", "growth", "--of", "images", "--of", "seeds", "--picture", "g/growth.svg", "--json")
    drawn = (tmp_path / "g" / "growth.svg").read_text()
    assert json.loads(outcome.out)["exponents"]["seeds"] == {"time": pytest.approx(1), "memory": pytest.approx(0)}
    assert drawn.count("exponent 1.00") == drawn.count("exponent 0.00") == 2
    assert "How a study grows" in drawn
    assert "peak memory, MB" in drawn


@pytest.mark.parametrize("what", ["images", "seeds", "classes", "size"])
def test_every_point_can_be_split(what):
    for value in grown_values(what):
        point = replace(growth_room._FROM[what], **{what: value})
        labels = np.arange(point.images) % point.classes
        images = np.zeros((point.images, 1, 1, 1), np.uint8)
        names = tuple(str(number) for number in range(point.classes))
        assert make_splits(ImageSet("points", names, {"train": Split(images, labels)})).validation is not None


def test_a_whole_study_is_accounted_for():
    (one,) = measure_study("digits", ((1, 1),), seeds=1, epochs=1)
    assert one.trials == 6
    assert 0 < one.step_seconds < one.seconds
    assert 0 < one.outside < 1
    assert min(one.evaluating, one.keeping, one.beside) > 0
    assert one.evaluating + one.keeping + one.beside == pytest.approx(one.outside)


def test_time_outside_counts_every_worker():
    two = WholeStudy(2, 1, 18, seconds=100, step_seconds=150, evaluation_seconds=20, checkpoint_seconds=4)
    assert two.outside == pytest.approx(0.25)
    assert (two.evaluating, two.keeping, two.beside) == pytest.approx((0.1, 0.02, 0.13))
    assert two.trials_an_hour == pytest.approx(648)


def test_the_race_to_an_accuracy(stepladder):
    outcome = stepladder("bench", "accuracy", "digits", "--recipe", "small", "--wanted", "60", "--json")
    assert outcome.code == 0, outcome.err
    (run,) = json.loads(outcome.out)["races"]
    assert 0 < run["seconds"] < run["whole"]
    assert run["accuracy"] > 0.9
    never = stepladder("bench", "accuracy", "digits", "--recipe", "small", "--wanted", "99.99")
    assert "reached by 0 of 1" in never.out or "99.99" in never.out


def test_one_way_to_use_the_cores(stepladder):
    outcome = stepladder("bench", "study", "--way", "processes", "--seeds", "1", "--epochs", "1", "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    (one,) = document["studies"]
    assert one["threads"] == 1
    assert document["machine"]["matrix_product_flop_per_second"] > 1e8


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here, and its ladders take minutes")
def test_without_a_gpu_the_bench_says_what_it_could_not_measure(stepladder):
    outcome = stepladder("bench", "gpu", "digits")
    assert outcome.code == 0
    assert outcome.out.count("not measured") == 2 + len(gpu_room.CREWS)
    assert "PyTorch finds no CUDA device here, so nothing of this could be measured." in " ".join(outcome.out.split())
    assert " cores, matrix product of 2048² in " in " ".join(outcome.out.split())


def test_a_gpu_is_measured_with_and_without_replaying(monkeypatch):
    """On a CPU, where replaying changes nothing: what is asked for, how often, and that the figures come out."""
    asked, commands = [], []
    train = gpu_room.train_network

    def training(*arguments):
        asked.append(arguments[-1].replay)
        return train(*arguments)

    def measuring(command, folder):
        commands.append(command)
        return Measured(2.0, 1)

    monkeypatch.setattr(gpu_room, "train_network", training)
    monkeypatch.setattr(gpu_room, "measure_process", measuring)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    images = load_image_set("digits")
    recipe = load_recipe("small").model_copy(update={"epochs": 1})
    speed = gpu_room.measure_gpu("digits", make_splits(images), 10, recipe, choose_compute("cpu"), rounds=2)
    assert asked == [True, True, False, True, False]
    assert len(speed.replayed) == len(speed.launched) == 2
    assert speed.ladders == [2.0] * len(gpu_room.CREWS)
    crews = [(command[command.index("--workers") + 1], command[command.index("--at-once") + 1]) for command in commands]
    assert crews == [(str(workers), str(at_once)) for workers, at_once in gpu_room.CREWS]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("start", "--rounds", "0"), "--rounds is 0; it must be at least 1"),
        (("study", "--seeds", "0"), "--seeds is 0; it must be at least 1"),
        (("accuracy", "digits", "--wanted", "100"), "--wanted is 100; it must be a percentage"),
        (("gpu", "--rounds", "0"), "--rounds is 0; it must be at least 1"),
        (("growth", "--picture", "a.jpg"), "--picture is a.jpg; write a name that ends in .svg or .png"),
        (("growth", "--largest", "10"), "--largest 10 leaves fewer than 3 values of images"),
    ],
)
def test_what_is_refused(stepladder, arguments, message):
    outcome = stepladder("bench", *arguments)
    assert outcome.code == 2
    assert message in " ".join(outcome.err.split())
