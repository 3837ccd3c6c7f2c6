"""Frozen layers run by onnxruntime make what PyTorch makes of the same images."""

from __future__ import annotations

import pytest
import torch

from stepladder.network import load_preset, parse_line
from stepladder.network.build import build_network
from stepladder.training.device import choose_compute
from stepladder.training.engine import ForwardEngine
from stepladder.training.rng import Streams

CPU = choose_compute("cpu", "float32")

LINES = (
    "conv3-8:stride=2,padding=same,bias=no bn:eps=0.001 relu6 dw5:stride=2,padding=same,bias=no bn relu6 gap fc",
    "conv5-8 bn relu pool3:stride=2,padding=1 res:shortcut=conv_norm(conv3-16:stride=2 bn relu conv3-16 bn) gmp fc",
    "plain conv3-8 relu bn pool2:ceil_mode=yes res(conv3-12 relu) conv3-4:groups=4 drop0.5 flatten fc16 relu fc",
    "conv3x1-8 bn silu se4:activation=silu cat(conv1-4 bn hswish | conv3-4 lrelu0.2) gap fc",
    "conv3-8 hswish se:hidden=3,gate=hard_sigmoid gap fc",
    "conv3-4 lrelu cat(conv3-4 bn lrelu) cat(conv1x3-2) gap fc",
    "conv2-6 relu res(conv3-6 bn relu conv3-6) conv3-6:dilation=2,padding=2 relu flatten fc",
)


@pytest.mark.parametrize("line", LINES)
def test_it_answers_as_pytorch_does(line):
    module = build_network(parse_line(line), (3, 17, 21), 5, Streams(0))
    images = torch.rand(6, 3, 17, 21).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        for _ in range(3):
            module(torch.rand(8, 3, 17, 21))  # statistics that are not the initial ones
    module.eval()
    engine = ForwardEngine(module, CPU)
    assert engine.name.startswith("onnxruntime ")
    with torch.inference_mode():
        torch.testing.assert_close(engine(images), module(images), atol=1e-5, rtol=1e-4)


def test_layers_that_the_graph_lacks_are_run_by_pytorch_to_the_bit():
    module = build_network(parse_line("conv3-8 gelu gap fc"), (3, 8, 8), 5, Streams(0)).eval()
    engine = ForwardEngine(module, CPU)
    assert engine.name == f"torch {torch.__version__} cpu float32"
    images = torch.rand(3, 3, 8, 8)
    with torch.inference_mode():
        assert torch.equal(engine(images), module(images))


def test_without_onnxruntime_pytorch_does_it(monkeypatch):
    monkeypatch.setattr("stepladder.training.engine.find_spec", lambda _: None)
    module = build_network(parse_line("conv3-8 relu gap fc"), (3, 8, 8), 5, Streams(0)).eval()
    assert ForwardEngine(module, CPU).name.startswith("torch ")


def test_it_leaves_the_layers_as_they_are():
    module = build_network(parse_line("conv3-8 bn relu gap fc"), (3, 8, 8), 5, Streams(0)).eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    ForwardEngine(module, CPU)(torch.rand(2, 3, 8, 8))
    assert len(before) > 4
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_batches_do_not_change_an_image_s_features():
    module = build_network(load_preset("resnet20"), (3, 32, 32), 10, Streams(0)).eval()
    engine, images = ForwardEngine(module, CPU), torch.rand(7, 3, 32, 32)
    whole = engine(images)
    assert torch.equal(whole, torch.cat([engine(images[:4]), engine(images[4:])]))
