from __future__ import annotations

import pytest
import torch

from stepladder.techniques.gradient_clipping import GradientClipping


@pytest.mark.parametrize(("max_norm", "expected"), [(1.0, 1.0), (100.0, 13.0), (float("inf"), 13.0)])
def test_all_gradients_together_get_at_most_the_norm(max_norm, expected):
    parameters = [torch.zeros(2, requires_grad=True), torch.zeros(1, requires_grad=True)]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0, 4.0]), torch.tensor([12.0])
    GradientClipping(max_norm=max_norm).before_step(parameters, 0.1)
    norm = torch.cat([parameter.grad for parameter in parameters]).norm()
    assert float(norm) == pytest.approx(expected, rel=1e-5)
    assert float(parameters[0].grad[1] / parameters[1].grad[0]) == pytest.approx(1 / 3)
