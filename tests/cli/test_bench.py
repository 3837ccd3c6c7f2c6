"""``stepladder bench``: the two commands that take options of their own, and what is refused."""

import json
from importlib import import_module

import pytest
import torch

from stepladder.bench.engine import EngineSpeed
from stepladder.bench.gpu import WORKERS_AND_STREAMS
from stepladder.datasets import load_image_set, make_splits
from stepladder.studies.files.ledger import PlanRead, note_reading, past_readings
from stepladder.training.arithmetic import Arithmetic
from stepladder.training.device import Compute


@pytest.mark.soak
def test_one_way_to_use_the_cores(stepladder):
    outcome = stepladder("bench", "study", "--way", "processes", "--seeds", "1", "--epochs", "1", "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    (one,) = document["studies"]
    assert one["threads"] == 1
    assert document["machine"]["matrix_product_flop_per_second"] > 1e8
    assert past_readings() == ()


@pytest.mark.long
def test_what_it_trains_is_no_plan_of_the_users(stepladder, monkeypatch):
    def reading(*_):
        digits = make_splits(load_image_set("digits", limit=40))
        note_reading(digits.test, PlanRead("a hash", "ladder", "digits", "/a", "2026-01-31T12:00:00+00:00"))
        seen.append(len(past_readings()))
        return []

    seen = []
    monkeypatch.setattr(import_module("stepladder.cli.bench"), "measure_start", reading)
    assert stepladder("bench", "start", "--rounds", "1").code == 0
    assert (seen, past_readings()) == ([1], ())


def speed_of(rung, compute, rounds, advance):
    return EngineSpeed(
        rung=rung.name,
        plain=[100.0] * rounds,
        alone=[150.0] * rounds,
        stepladder=[200.0] * rounds,
        trials_at_a_time=2,
        matrix_products={"float32": [80e9] * rounds},
        flop_an_image=2e8,
        recipe=rung.recipe,
        compute=compute,
    )


@pytest.mark.long
def test_the_engine_names_both_products_and_the_choice_with_its_reason(stepladder, monkeypatch):
    chosen = Arithmetic("float32", "measured", 20.0, 36.0, 32, 5)
    commands = import_module("stepladder.cli.bench")  # stepladder.cli.bench is the group of commands
    monkeypatch.setattr(commands, "settle_engine", lambda *_: (Compute(torch.device("cpu"), "float32"), chosen))
    monkeypatch.setattr(commands, "measure_engine", speed_of)
    outcome = stepladder("bench", "engine", "--rounds", "2", "--json")
    document = json.loads(outcome.out)
    assert document["arithmetic"]["reason"] == "measured"
    assert document["arithmetic"]["bfloat16_ms"] == 36.0
    assert document["rungs"][0]["matrix_products_flop_per_second"] == {"float32": [80e9, 80e9]}
    printed = " ".join(outcome.err.split())
    assert "(c) float32 product, GFLOP/s 80 (80 to 80)" in printed
    assert "(c) bfloat16 product, GFLOP/s no instructions for it" in printed
    assert "b as a share of c, % 50 (50 to 50)" in printed
    assert "Precision: float32, measured to be as fast or faster for this network here (20.0 ms in float32" in printed


@pytest.mark.long
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here, and its ladders take minutes")
def test_without_a_gpu_the_bench_says_what_it_could_not_measure(stepladder):
    outcome = stepladder("bench", "gpu", "digits")
    assert outcome.code == 0
    assert outcome.out.count("not measured") == 2 + len(WORKERS_AND_STREAMS)
    assert "PyTorch finds no CUDA device here, so nothing of this could be measured." in " ".join(outcome.out.split())
    assert " cores, matrix product of 2048² in " in " ".join(outcome.out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("engine", "--rounds", "0"), "--rounds is 0; it must be at least 1"),
        (("data", "--images", "10"), "--images is 10; it must be at least 1,000"),
        (("start", "--rounds", "0"), "--rounds is 0; it must be at least 1"),
        (("study", "--seeds", "0"), "--seeds is 0; it must be at least 1"),
        (("gpu", "--rounds", "0"), "--rounds is 0; it must be at least 1"),
    ],
)
def test_what_is_refused(stepladder, arguments, message):
    outcome = stepladder("bench", *arguments)
    assert outcome.code == 2
    assert message in " ".join(outcome.err.split())
