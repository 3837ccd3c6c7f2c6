from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from stepladder.datasets import load_image_set


def test_digits_are_scikit_learns():
    image_set = load_image_set("digits")
    assert image_set.class_names == tuple("0123456789")
    assert list(image_set.splits) == ["train"]
    train = image_set.splits["train"]
    assert train.images.shape == (1797, 8, 8, 1)
    reference = load_digits()
    np.testing.assert_array_equal(train.labels, reference.target)
    np.testing.assert_array_equal(np.round(train.images[..., 0] * (16 / 255)), reference.images)
    assert (train.images.min(), train.images.max()) == (0, 255)
    assert load_image_set("digits").fingerprint == image_set.fingerprint
