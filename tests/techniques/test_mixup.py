from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch

from stepladder.techniques.mixup import Mixup, draw_beta


def test_pair_by_pair(make_images, begin, stream):
    images, targets = make_images(30), torch.arange(30) % 16
    technique = begin(Mixup(alpha=1.0), images)
    rng = stream(5)
    share = draw_beta(1.0, 30, rng)
    share = torch.maximum(share, 1 - share).double().numpy()
    partners = torch.randperm(30, generator=rng).tolist()
    mixed, shares = technique.augment(images, targets, stream(5))
    assert len(partners) == 30
    for i, partner in enumerate(partners):
        expected = share[i] * images[i].numpy() + (1 - share[i]) * images[partner].numpy()
        np.testing.assert_allclose(mixed[i].numpy(), expected, atol=0.51)
        wanted = np.zeros(16)
        wanted[targets[i]] += share[i]
        wanted[targets[partner]] += 1 - share[i]
        np.testing.assert_allclose(shares[i].numpy(), wanted, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_are_beta_distributed(stream, alpha):
    draws = draw_beta(alpha, 5000, stream())
    assert scipy.stats.kstest(draws.numpy(), scipy.stats.beta(alpha, alpha).cdf).pvalue > 0.001
