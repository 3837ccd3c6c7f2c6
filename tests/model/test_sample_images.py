"""The photographs are those of scikit-learn, and the same every time."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_sample_images

from stepladder.model.sample_images import _photographs, sample_crops, sample_photographs


def test_they_are_scikit_learn_s_own() -> None:
    ours, theirs = _photographs(), load_sample_images().images
    assert len(ours) == len(theirs) == 2
    assert all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_crops_are_squares_of_both_and_come_again() -> None:
    crops = sample_crops(6)
    assert all(crop.shape == (len(crop), len(crop), 3) and len(crop) >= 40 for crop in crops)
    assert all(np.array_equal(one, other) for one, other in zip(crops, sample_crops(6), strict=True))
    pixels = sample_photographs((9, 7, 1), 6)
    assert (pixels.shape, pixels.dtype) == ((6, 9, 7, 1), np.uint8)
    assert pixels.std(axis=(1, 2, 3)).min() > 1
