from __future__ import annotations

import torch

from stepladder.network import load_network
from stepladder.network.build import build_network
from stepladder.techniques.dirac_init import DiracInit
from stepladder.training.rng import Streams


def test_the_first_maps_are_copies_of_the_input(make_images):
    module = build_network(load_network("conv3-8 conv5-4 fc"), (3, 8, 8), 10, Streams(0))
    before = module.conv1.weight.detach().clone()
    with torch.no_grad():
        DiracInit().initialize(module, Streams(0), [])
        for conv in (module.conv1, module.conv2):
            conv.bias.zero_()
        images = make_images(4).float()
        maps = module.conv1(images)
        torch.testing.assert_close(maps[:, :3], images)
        torch.testing.assert_close(module.conv2(maps), maps[:, :4])
    assert torch.equal(module.conv1.weight[3:], before[3:])
