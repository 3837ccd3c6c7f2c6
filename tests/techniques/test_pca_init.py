from __future__ import annotations

import pytest
import torch
from sklearn.decomposition import PCA
from torch.nn import functional as F

from stepladder.errors import RecipeError
from stepladder.network import load_network
from stepladder.network.build import build_network
from stepladder.techniques.pca_init import PCAInit, principal_components
from stepladder.training.rng import Streams


def test_the_kernels_are_the_components_of_an_independent_pca(make_images):
    images = make_images(200)
    images[:, 1] = images[:, 0] // 2 + images[:, 1] // 4  # channels that go together
    inputs = images.float() / 255
    # Patches by another way than ours: columns of unfold, at every second row and column.
    patches = F.unfold(inputs, 3, stride=2).permute(0, 2, 1).flatten(0, 1).double().numpy()
    expected = torch.from_numpy(PCA().fit(patches).components_)
    found = principal_components(inputs.split(64), (3, 3))
    assert found.shape == (27, 27)
    agreement = (found * expected).sum(dim=1).abs()  # a component's sign means nothing
    torch.testing.assert_close(agreement, torch.ones(27).double(), atol=1e-6, rtol=0)


def test_each_component_stands_beside_its_negative_at_the_length_of_the_draw(make_images):
    module = build_network(load_network("conv3-9 pool2 conv5-4 fc"), (3, 8, 8), 10, Streams(0))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with torch.no_grad():
        PCAInit().initialize(module, Streams(0), [make_images(50).float() / 255])
    kernels, drawn = module.conv1.weight.detach(), before["conv1.weight"]
    torch.testing.assert_close(kernels[4:8], -kernels[:4])
    length = drawn.flatten(1).norm(dim=1).mean()
    torch.testing.assert_close(kernels[:8].flatten(1).norm(dim=1), length.expand(8))
    assert torch.equal(kernels[8], drawn[8]), "the odd one out keeps its draw"
    same = {name for name, value in module.state_dict().items() if torch.equal(value, before[name])}
    assert same == before.keys() - {"conv1.weight"}


def test_channels_beyond_all_components_keep_their_draw(make_images):
    module = build_network(load_network("conv1-16 conv3-4 fc"), (3, 8, 8), 10, Streams(0))
    before = module.conv1.weight.detach().clone()
    with torch.no_grad():
        PCAInit().initialize(module, Streams(0), [make_images(50).float() / 255])
    assert torch.equal(module.conv1.weight[6:], before[6:])
    assert not torch.equal(module.conv1.weight[:6], before[:6])


def test_images_smaller_than_a_kernel_get_a_border():
    assert principal_components([torch.rand(40, 1, 2, 2)], (5, 5)).shape == (25, 25)


@pytest.mark.parametrize(
    "line", ["dw3 conv3-4 fc", "local3-4 conv3-4 fc", "conv3-6:groups=3 fc", "conv3-4:dilation=2 fc"]
)
def test_it_wants_to_begin_with_a_convolution_of_whole_patches(begin, line):
    technique = begin(PCAInit(), network=load_network(line))
    with pytest.raises(RecipeError, match=r"the first layer with weights, .*, sees no whole patches"):
        technique.check(technique.context)


def test_it_refuses_a_network_without_convolutions(begin):
    technique = begin(PCAInit(), network=load_network("fc8 fc"))
    with pytest.raises(RecipeError, match="the network has none"):
        technique.check(technique.context)


def test_the_reference_network_is_fine(begin):
    technique = begin(PCAInit())
    assert technique.check(technique.context) == []
