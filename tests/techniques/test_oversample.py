from __future__ import annotations

import pytest
import torch

from stepladder.errors import RecipeError
from stepladder.techniques.oversample import Oversample
from stepladder.training.loop import draw_order, image_weights

LABELS = torch.arange(3).repeat_interleave(torch.tensor([10, 30, 160]))


def test_every_class_is_drawn_as_often(stream):
    weights = image_weights([Oversample()], LABELS)
    generator = stream()
    many = torch.cat([LABELS[draw_order(200, weights, generator)] for _ in range(200)])
    torch.testing.assert_close(many.bincount() / len(many), torch.full((3,), 1 / 3), atol=0.01, rtol=0)


def test_half_a_power_is_between():
    weights = image_weights([Oversample(power=0.5)], LABELS)
    assert weights is not None
    shares = torch.zeros(3, dtype=torch.float64).index_add_(0, LABELS, weights)
    # n_c · n_c^(−1/2) is the root of n_c.
    root = torch.tensor([10.0, 30.0, 160.0], dtype=torch.float64).sqrt()
    torch.testing.assert_close(shares / shares.sum(), root / root.sum())


def test_equal_classes_and_power_0_draw_each_image_once(stream):
    assert image_weights([Oversample()], torch.arange(4).repeat(5)) is None
    assert image_weights([Oversample(power=0)], LABELS) is None
    order = draw_order(50, None, stream())
    assert sorted(order.tolist()) == list(range(50))


def test_images_of_weight_0_are_never_drawn():
    weights = torch.tensor([0.0, 1.0, 0.0, 3.0, 0.0], dtype=torch.float64)
    drawn = torch.cat([draw_order(5, weights, torch.Generator().manual_seed(seed)) for seed in range(400)])
    counts = drawn.bincount(minlength=5)
    assert counts[[0, 2, 4]].sum() == 0
    assert float(counts[3] / counts[1]) == pytest.approx(3, rel=0.15)


def test_one_class_is_refused(begin):
    technique = begin(Oversample(), class_counts=(7,))
    with pytest.raises(RecipeError, match="oversample needs two classes or more, and the images have one"):
        technique.check(technique.context)
