from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from stepladder.techniques.focal_loss import FocalLoss


def test_image_by_image(stream):
    logits, labels = torch.randn(20, 5, generator=stream()).double(), torch.arange(20) % 5
    p = torch.softmax(logits, dim=1)[torch.arange(20), labels]
    expected = (-((1 - p) ** 3) * p.log()).mean()
    assert float(FocalLoss(gamma=3).loss(logits.float(), labels)) == pytest.approx(float(expected), rel=1e-5)


def test_certain_targets_as_shares_are_labels(stream):
    logits, labels = torch.randn(20, 5, generator=stream()), torch.arange(20) % 5
    shares = F.one_hot(labels, 5).float()
    torch.testing.assert_close(FocalLoss().loss(logits, shares), FocalLoss().loss(logits, labels))


def test_sure_images_weigh_less():
    logits = torch.tensor([[5.0, 0.0], [0.0, 0.1]], requires_grad=True)
    FocalLoss().loss(logits, torch.tensor([0, 0])).backward()
    plain = torch.tensor([[5.0, 0.0], [0.0, 0.1]], requires_grad=True)
    F.cross_entropy(plain, torch.tensor([0, 0])).backward()
    share = logits.grad.abs().sum(dim=1) / plain.grad.abs().sum(dim=1)
    assert share[0] < 0.01 < share[1]
