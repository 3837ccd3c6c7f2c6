import pytest

from stepladder.bench import engine, product
from stepladder.recipe import load_recipe
from stepladder.study.design.plan import ladder
from stepladder.training.device import choose_compute


def test_a_run_gives_one_figure_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_STEPS", 1)
    monkeypatch.setattr(product, "_MATRIX", 64)
    rounds: list[None] = []
    top = ladder(load_recipe("report"))[-1]
    speed = engine.measure_engine(top, choose_compute("cpu", "float32"), 2, lambda: rounds.append(None))
    assert len(speed.plain) == len(speed.alone) == len(speed.stepladder) == len(speed.matrix_product) == 2
    assert all(rate > 0 for rate in speed.plain + speed.alone + speed.stepladder + speed.matrix_product)
    assert speed.lanes >= 1
    assert speed.ratios[0] == speed.stepladder[0] / speed.plain[0]
    assert len(rounds) == 3
    assert speed.rung == "batchnorm"


def test_a_summary_is_median_and_range() -> None:
    assert engine.summarize_rates([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)
