from __future__ import annotations

import numpy as np
import pytest

from stepladder.data import Split, load_image_set
from stepladder.data.audit.counts import count_images, judge_balance, measure_colors


def test_colors_are_those_of_numpy():
    images = np.random.default_rng(0).integers(0, 256, (50, 6, 5, 3), dtype=np.uint8)
    mean, std = measure_colors(Split(images, np.zeros(50, np.int64)))
    assert mean == pytest.approx((images / 255).mean(axis=(0, 1, 2)))
    assert std == pytest.approx((images / 255).std(axis=(0, 1, 2)))


def test_counts_hold_classes_without_an_image():
    split = Split(np.zeros((3, 2, 2, 1), np.uint8), np.array([0, 2, 2]))
    assert count_images({"train": split}, 4) == {"train": (1, 0, 2, 0)}


def test_the_majority_rate_is_what_a_constant_guess_scores_on_test():
    balance = judge_balance({"train": (90, 10), "test": (30, 70)}, ("cat", "dog"))
    assert (balance.largest, balance.smallest, balance.ratio) == ("cat", "dog", 9.0)
    assert (balance.majority_rate, balance.judged_on) == (0.3, "test")
    assert "'cat' has 9.0 times as many training images as 'dog' (90 to 10)" in balance.sentence
    assert "is right on 30.0% of the test images" in balance.sentence


def test_even_classes_are_called_even():
    splits = load_image_set("digits").splits
    balance = judge_balance(count_images(splits, 10), tuple("0123456789"))
    assert balance.judged_on == "train"
    assert balance.sentence.startswith("Classes are about even. Always naming one class, '3', is right on 10.2%")
