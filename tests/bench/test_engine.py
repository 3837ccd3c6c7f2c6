from dataclasses import replace

import pytest

from stepladder.bench import engine
from stepladder.bench.engine import OneThreadProcesses, flop_an_image, random_images
from stepladder.recipe import load_recipe
from stepladder.studies import prepare
from stepladder.studies.design.rungs import ladder
from stepladder.training.arithmetic import Arithmetic
from stepladder.training.device import choose_compute


@pytest.mark.soak
def test_a_run_gives_one_figure_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_STEPS", 1)
    monkeypatch.setattr(engine, "_MATRIX", 64)
    monkeypatch.setattr(engine, "available_cores", lambda: 1)
    rounds: list[None] = []
    top = ladder(load_recipe("report"))[-1]
    speed = engine.measure_engine(top, choose_compute("cpu", "float32"), 2, lambda: rounds.append(None))
    products = speed.matrix_products
    assert len(speed.plain) == len(speed.alone) == len(speed.stepladder) == len(products["float32"]) == 2
    assert all(rate > 0 for rate in speed.plain + speed.alone + speed.stepladder + products["float32"])
    assert set(products) == {"float32", choose_compute("cpu").precision}
    assert speed.trials_at_a_time >= 1
    assert speed.ratios[0] == speed.stepladder[0] / speed.plain[0]
    assert len(rounds) == 3
    assert speed.rung == "batchnorm"


def test_shares_are_of_the_faster_product() -> None:
    speed = engine.EngineSpeed(
        rung="base",
        plain=[10.0, 10.0],
        alone=[20.0, 20.0],
        stepladder=[30.0, 20.0],
        trials_at_a_time=2,
        matrix_products={"float32": [1e9, 4e9], "bfloat16": [3e9, 2e9]},
        flop_an_image=1e8,
        recipe=load_recipe("report"),
        compute=choose_compute("cpu", "float32"),
    )
    assert speed.shares == [1.0, 0.5]
    assert speed.ratios == [3.0, 2.0]


def test_bfloat16_is_multiplied_where_there_are_instructions_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        engine, "matrix_rate", lambda compute, products: {"float32": 2.0, "bfloat16": 5.0}[compute.precision]
    )
    compute = choose_compute("cpu", "float32")
    for native, expected in (("float32", {"float32": 2.0}), ("bfloat16", {"float32": 2.0, "bfloat16": 5.0})):
        monkeypatch.setattr(engine, "choose_compute", lambda device, native=native: replace(compute, precision=native))
        assert engine.matrix_rates(compute) == expected


def test_the_arithmetic_is_that_of_a_study(monkeypatch: pytest.MonkeyPatch) -> None:
    top = ladder(load_recipe("report"))[-1].recipe
    chosen = Arithmetic("bfloat16", "measured", 30.0, 20.0, 32, 5)
    monkeypatch.setattr(prepare, "choose_arithmetic", lambda *_: chosen)
    compute, arithmetic = engine.settle_engine(top, "cpu")
    assert (compute.precision, arithmetic) == ("bfloat16", chosen)
    assert engine.settle_engine(top, "cpu", "float32")[1] == Arithmetic("float32", "asked")


def test_a_summary_is_median_and_range() -> None:
    assert engine.summarize_rates([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)


@pytest.mark.soak
def test_every_process_answers_each_time_and_none_is_left() -> None:
    recipe = ladder(load_recipe("report"))[0].recipe.model_copy(update={"epochs": 3, "batch_size": 8})
    with OneThreadProcesses(recipe, choose_compute("cpu", "float32"), images=16) as processes:
        assert processes.train_epoch() > 0
        assert processes.train_epoch() > 0
        started = processes._processes
        assert len(started) == len(processes)
    assert all(process.poll() is not None for process in started)


def test_the_images_are_the_same_every_time() -> None:
    assert random_images(3).fingerprint == random_images(3).fingerprint


def test_flop_of_a_step_are_those_of_the_design() -> None:
    # 23,152,640 multiply-accumulates forward; three passes but no gradient for the images: about 136 MFLOP an image.
    macs = 75 * 32 * 1024 + 800 * 64 * 256 + 1600 * 64 * 64 + 1024 * 1000 + 1000 * 10
    assert flop_an_image(load_recipe("report")) == 2 * (3 * macs - 75 * 32 * 1024)
