from __future__ import annotations

import numpy as np
import torch

from stepladder.techniques.cutmix import Cutmix
from stepladder.techniques.mixup import draw_beta


def test_pair_by_pair(make_images, begin, stream):
    count, size = 60, 12
    images, targets = make_images(count, size), torch.arange(count) % 16
    technique = begin(Cutmix(p=0.7), images)
    rng = stream(5)
    side = (1 - draw_beta(1.0, count, rng)).sqrt()
    chosen = (torch.rand(count, generator=rng) < 0.7).tolist()
    sides = [round(float(value) * size) for value in side]
    rows, columns = (torch.randint(0, size, (count,), generator=rng).tolist() for _ in range(2))
    partners = torch.randperm(count, generator=rng).tolist()
    mixed, shares = technique.augment(images, targets, stream(5))
    assert len(partners) == count
    for i, partner in enumerate(partners):
        expected = images[i].numpy().copy()
        pasted = np.zeros((size, size), dtype=bool)
        if chosen[i]:
            top, left = rows[i] - sides[i] // 2, columns[i] - sides[i] // 2
            pasted[max(0, top) : top + sides[i], max(0, left) : left + sides[i]] = True
        expected[:, pasted] = images[partner].numpy()[:, pasted]
        np.testing.assert_array_equal(mixed[i].numpy(), expected)
        wanted = np.zeros(16)
        wanted[targets[i]] += 1 - pasted.mean()
        wanted[targets[partner]] += pasted.mean()
        np.testing.assert_allclose(shares[i].numpy(), wanted, atol=1e-6)
