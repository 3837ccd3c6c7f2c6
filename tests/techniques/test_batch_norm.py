from __future__ import annotations

import torch
from torch import nn

from stepladder.network import load_preset, parse_line
from stepladder.network.build import build_network
from stepladder.network.spec import BatchNorm as BatchNormLayer
from stepladder.network.spec import Conv, Network
from stepladder.techniques.batch_norm import BatchNorm
from stepladder.training.rng import Streams

REPORT = load_preset("report")


def test_a_layer_after_every_convolution_and_before_its_activation():
    names = [layer.name for layer in BatchNorm().rewrite(REPORT).layers]
    assert names[:4] == ["conv1", "conv1_norm", "relu1", "pool1"]
    assert [name for name in names if name.endswith("_norm")] == ["conv1_norm", "conv2_norm", "conv3_norm"]
    others = [layer for layer in BatchNorm().rewrite(REPORT).layers if not isinstance(layer, BatchNormLayer)]
    assert others == list(REPORT.layers)


def test_hidden_layers_too_where_asked():
    names = [layer.name for layer in BatchNorm(where="hidden").rewrite(REPORT).layers]
    assert [name for name in names if name.endswith("_norm")] == ["conv1_norm", "conv2_norm", "conv3_norm", "fc1_norm"]
    assert names[names.index("fc1_norm") + 1] == "relu4"


def test_it_normalizes_each_channel_over_the_batch():
    module = build_network(BatchNorm().rewrite(REPORT), (3, 8, 8), 10, Streams(0))
    assert isinstance(module.conv1_norm, nn.BatchNorm2d)
    maps = module.conv1(torch.rand(32, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    normalized = module.conv1_norm(maps)
    mean, variance = maps.mean(dim=(0, 2, 3)), maps.var(dim=(0, 2, 3), correction=0)
    expected = (maps - mean.view(1, -1, 1, 1)) / (variance.view(1, -1, 1, 1) + 1e-5).sqrt()
    torch.testing.assert_close(normalized, expected, atol=1e-5, rtol=1e-4)


def test_a_network_without_convolutions_stays():
    network = Network(layers=tuple(layer for layer in REPORT.layers if not isinstance(layer, Conv)))
    assert BatchNorm().rewrite(network) == network


def test_in_bodies_too_but_not_where_there_is_one_nor_behind_the_output():
    plain = parse_line("conv3-8 relu res(conv3-8 relu dw3) relu conv1-classes gap")
    names = [layer.name for layer in BatchNorm().rewrite(plain).every_layer()]
    assert [name for name in names if name.endswith("_norm")] == ["conv1_norm", "res1_conv1_norm", "res1_dw1_norm"]
    assert names.index("res1_conv1_norm") == names.index("res1_conv1") + 1
    for name in ("resnet20", "resnet9", "vgg_small"):
        assert BatchNorm().rewrite(load_preset(name)) == load_preset(name)
