from __future__ import annotations

import pytest
import torch

from stepladder.techniques import Progress
from stepladder.techniques.lookahead import Lookahead


def test_by_hand(begin):
    technique = begin(Lookahead(every=3, share=0.25))
    weight, slow = torch.tensor([10.0]), 10.0
    expected = 10.0
    for step in range(1, 13):
        technique.before_step([weight], 0.1)
        weight += 1
        expected += 1
        technique.after_step([weight], Progress(step, 5, 4))
        if step % 3 == 0:
            slow += 0.25 * (expected - slow)
            expected = slow
        assert float(weight) == pytest.approx(expected)
