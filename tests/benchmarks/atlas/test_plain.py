"""What a plain implementation gets: on photographs that are easy to tell apart, and as the page shows it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.atlas.plain import PlainScore, chosen_test, read_plain, render_plain, score_all
from benchmarks.atlas.planning import Run
from benchmarks.atlas.sets import AtlasSet, PlacedSet
from stepladder.studies.pool.files import PoolFile, RungScores
from tests.studies.pool.records import SCALE, make_study


@pytest.mark.long
def test_easy_photographs_are_told_apart_and_the_score_is_kept(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name, color in (("red", (200, 30, 30)), ("blue", (30, 30, 200))):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(16):
            noise = random.integers(-20, 20, (64, 64, 3))
            pixels = np.clip(np.array(color) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).resize((224, 224)).save(folder / f"{number}.png")
    one = PlacedSet(
        AtlasSet(name="colors", data="photos", may_be_flipped=True, runs=("transfer",)), str(tmp_path / "photos")
    )
    run = Run("colors", "transfer", 25, 2, 40, 5, 6, 60.0, 6, None, 60.0, 1.0)
    file = tmp_path / "plain.json"
    (score,) = score_all([one], [run], file)
    assert (score.image_set, score.test) == ("colors", 1.0)
    assert score_all([one], [], file) == [score] == read_plain(file)
    assert read_plain(tmp_path / "none.json") == []


def test_the_rung_that_validation_chooses_stands_beside_it() -> None:
    def scored(name: str, side: int) -> PoolFile:
        rungs = (
            RungScores(techniques=(), validation=0.8, test=0.95),
            RungScores(techniques=(SCALE,), validation=0.9, test=0.85),
        )
        return PoolFile(studies=(make_study(name, image_shape=(side, side, 3), rungs=rungs),))

    pool = scored("pets", 224)
    assert chosen_test(pool.studies[0]) == 0.85
    score = PlainScore("pets", 0.9, 0.875, 0.1, 12.0)
    hyphen = PoolFile(studies=(pool.studies[0].model_copy(update={"name": "my-pets"}),))
    assert "| my-pets |" in render_plain(hyphen, [PlainScore("my-pets", 0.9, 0.875, 0.1, 12.0)])
    assert render_plain(pool, [score]).splitlines()[-1].endswith("| 87.50 | 85.00 | −2.50 |")
    assert render_plain(pool, [PlainScore("cars", 0.9, 0.875, 0.1, 12.0)]) == ""
    assert render_plain(scored("pets", 32), [score]) == "", "trained from scratch"
    assert chosen_test(make_study("none", rungs=())) is None


@pytest.mark.parametrize("validation", [None, 0.5])
def test_a_rung_without_test_is_not_chosen(validation: float | None) -> None:
    rungs = (RungScores(techniques=(), validation=validation, test=None),)
    assert chosen_test(make_study("a", rungs=rungs)) is None
