from functools import cache

import pytest

from stepladder.bench import prediction as room
from stepladder.recipe import load_recipe
from stepladder.studies.design.rungs import ladder
from stepladder.training.device import choose_compute

pytest.importorskip("onnx", reason="the extra 'export' is not installed")


@pytest.mark.soak
def test_a_run_gives_one_figure_a_round_and_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_MANY", 256)
    monkeypatch.setattr(room, "_FILES", 2)
    monkeypatch.setattr(room, "_process_seconds", cache(room._process_seconds))  # one process a form, not one a round
    rounds: list[None] = []
    recipe = ladder(load_recipe("report"))[-1].recipe
    compute = choose_compute("cpu", "float32")
    speeds = room.measure_prediction(recipe, compute, rounds=1, on_round=lambda: rounds.append(None))
    assert [speed.form for speed in speeds] == ["torch", "onnx"]
    for speed in speeds:
        for values in (speed.file_ms, speed.images_per_second, speed.process_seconds):
            assert len(values) == 1
            assert values[0] > 0
    assert len(rounds) == 2
