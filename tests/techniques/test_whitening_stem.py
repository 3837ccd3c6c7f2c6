from __future__ import annotations

import torch

from stepladder.network import load_preset
from stepladder.network.build import build_network
from stepladder.optimizer import Optimizer
from stepladder.techniques.whitening_stem import WhiteningStem
from stepladder.training.optimizer import make_optimizer
from stepladder.training.rng import Streams


def test_what_comes_out_is_white(make_images, begin):
    images = make_images(400)
    images[:, 1] = images[:, 0] // 2 + images[:, 1] // 4  # channels that go together
    inputs = (images.float() / 255).contiguous()
    technique = begin(WhiteningStem(epsilon=1e-6))
    module = build_network(technique.rewrite(load_preset("report")), (3, 8, 8), 10, Streams(0))
    with torch.no_grad():
        technique.initialize(module, Streams(0), list(inputs.split(64)))
        maps = module.whiten(inputs)
    assert maps.shape == (400, 24, 7, 7)
    torch.testing.assert_close(maps[:, 12:], -maps[:, :12])
    values = maps[:, :12].permute(1, 0, 2, 3).flatten(1).double()
    torch.testing.assert_close(torch.cov(values, correction=0), torch.eye(12).double(), atol=5e-3, rtol=0)
    # The largest eigenvalue comes first, as its kernel is the shortest.
    norms = module.whiten.weight[:12].flatten(1).norm(dim=1)
    assert bool((norms[1:] >= norms[:-1] * 0.999).all())


def test_it_does_not_learn(make_images, begin):
    technique = begin(WhiteningStem())
    module = build_network(technique.rewrite(load_preset("report")), (3, 8, 8), 10, Streams(0))
    with torch.no_grad():
        technique.initialize(module, Streams(0), [make_images(50).float() / 255])
    optimizer = make_optimizer(Optimizer(lr=0.1), module)
    held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    assert id(module.whiten.weight) not in held
    assert id(module.whiten.bias) in held
