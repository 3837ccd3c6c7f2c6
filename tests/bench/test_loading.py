import os
from pathlib import Path

import pytest

from stepladder.bench import loading as room
from stepladder.datasets.cache import VARIABLE
from stepladder.recipe import load_recipe
from stepladder.studies.design.rungs import ladder
from stepladder.training.device import choose_compute


@pytest.mark.soak
def test_a_run_gives_one_figure_a_round_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(room, "_STEPS", 1)
    monkeypatch.setattr(room.tempfile, "tempdir", str(tmp_path))
    cache, parts = os.environ[VARIABLE], []
    recipe = ladder(load_recipe("report"))[0].recipe
    compute = choose_compute("cpu", "float32")
    speed = room.measure_loading(recipe, compute, images=1000, rounds=1, on_part=lambda: parts.append(None))
    assert [loading.layout for loading in speed.layouts] == ["folder", "zip", "parquet"]
    for loading in speed.layouts:
        assert len(loading.first) == len(loading.again) == 1
        assert loading.first[0] > 0
        assert len(loading.peak_shares) == Path("/proc/self/status").exists()
        assert all(share > 1 for share in loading.peak_shares)  # the images themselves, at least
    assert speed.mapped_shares == [speed.mapped[0] / speed.in_memory[0]]
    assert len(parts) == 5
    assert os.environ[VARIABLE] == cache
    assert not list(tmp_path.glob("stepladder-*"))
