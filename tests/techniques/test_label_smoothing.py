from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from stepladder.techniques.label_smoothing import LabelSmoothing


@pytest.mark.parametrize("soft", [False, True])
def test_the_loss_is_torch_s(make_images, begin, stream, soft):
    images, labels = make_images(), torch.arange(16) % 7
    targets = torch.softmax(torch.randn(16, 16, generator=stream()), dim=1) if soft else labels
    same, smoothed = begin(LabelSmoothing(amount=0.2)).augment(images, targets, stream())
    logits = torch.randn(16, 16, generator=stream(1))
    torch.testing.assert_close(F.cross_entropy(logits, smoothed), F.cross_entropy(logits, targets, label_smoothing=0.2))
    assert same is images
