from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from stepladder.errors import RecipeError
from stepladder.techniques.class_weights import ClassWeights


def weighted(begin, make_images, power: float = 1.0) -> ClassWeights:
    return begin(ClassWeights(power=power), make_images(), class_counts=(10, 30, 60))


def test_weights_and_loss_by_hand_and_by_torch(begin, make_images, stream):
    technique = weighted(begin, make_images)
    expected = torch.tensor([100 / 30, 100 / 90, 100 / 180])
    torch.testing.assert_close(technique.learned["weight"], expected)
    logits, labels = torch.randn(12, 3, generator=stream()), torch.arange(12) % 3
    torch.testing.assert_close(technique.loss(logits, labels), F.cross_entropy(logits, labels, expected))
    shares = F.one_hot(labels, 3).float()
    torch.testing.assert_close(technique.loss(logits, shares), F.cross_entropy(logits, labels, expected))


def test_half_a_power_is_the_root(begin, make_images):
    whole, half = weighted(begin, make_images), weighted(begin, make_images, 0.5)
    torch.testing.assert_close(half.learned["weight"] ** 2, whole.learned["weight"])


def test_one_class_is_refused(begin):
    technique = begin(ClassWeights(), class_counts=(7,))
    with pytest.raises(RecipeError, match="class_weights needs two classes or more, and the images have one"):
        technique.check(technique.context)
