"""Each advice appears where its reason holds, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from stepladder.network import load_preset, parse_line, receptive_fields, trace_network
from stepladder.network.advice import advise, weights_for_each_image


def advice(line: str, shape: tuple[int, int, int] = (3, 32, 32), images: int | None = None) -> dict[str, str]:
    network = parse_line(line) if " " in line else load_preset(line)
    costs = trace_network(network, shape, 10)
    return {entry.topic: entry.text for entry in advise(network, costs, receptive_fields(network, costs), images)}


@pytest.mark.parametrize(
    ("line", "topic", "words"),
    [
        ("report", "weights", "fc1 has 86 % of all weights, 1,025,000 of 1,191,170"),
        ("conv3-8 conv3-8 fc", "field", "(relu2) sees more than 5 of 32 pixels"),
        ("conv3-8 pool3:stride=2 gap fc", "border", "pool1 never reads the last row and column of its 32-pixel maps"),
        ("conv4-8 gap fc", "even kernel", 'conv1 has an even kernel of 4 with "same" padding: 1 before and 2 after'),
        ("conv3-8 bn gap fc", "bias", "conv1 has a bias before batch norm"),
        ("conv3-3 gelu res(conv3-3 pool2 bn) gap fc", "bias", "res1_conv1 has a bias before batch norm"),
        ("conv5-32:stride=4,padding=0 gap fc", "border", "the last 3 rows and columns of its 32-pixel maps"),
    ],
)
def test_it_is_given_where_it_holds(line, topic, words):
    assert words in advice(line)[topic]


def test_a_field_far_larger_than_the_image():
    assert "From res7_conv2 on" not in advice("resnet20")
    assert (
        "more than 2 times as wide as the image of 8 pixels (81 in the end)" in advice("resnet20", (3, 8, 8))["field"]
    )


def test_many_weights_for_each_image_are_put_in_words():
    text = advice("report", images=50_000)["images"]
    assert text.startswith(
        "24 weights for each of the 50,000 training images: far more than it takes to learn them all"
    )
    assert "images" not in advice("report", images=500_000)
    assert weights_for_each_image(500, 1000) == "0.5 weights for each of the 1,000 training images: fewer than one."
    assert "enough to learn many of them by heart" in weights_for_each_image(5000, 1000)


@pytest.mark.parametrize(
    "line",
    ["resnet9", "conv3-8:bias=no bn gap fc", "conv3-8 relu bn gap fc", "conv3-8 avgpool3:stride=2,padding=1 bn gap fc"],
)
def test_no_idle_bias_is_seen_where_there_is_none(line):
    assert "bias" not in advice(line)


def test_a_bias_before_batch_norm_is_idle_indeed_through_pooling_too():
    maps = torch.rand(8, 4, 9, 9, generator=torch.Generator().manual_seed(0))
    norm, bias = nn.BatchNorm2d(4), torch.arange(4.0).view(-1, 1, 1)
    for pool in (nn.Identity(), nn.MaxPool2d(2), nn.AvgPool2d(3, ceil_mode=True)):
        torch.testing.assert_close(norm(pool(maps + bias)), norm(pool(maps)), atol=1e-5, rtol=1e-5)


def test_a_border_is_read_where_ceil_mode_or_padding_reaches_it():
    assert "border" not in advice("conv3-8 pool3:stride=2,ceil_mode=yes gap fc")
    assert "border" not in advice("conv3-8 pool2 gap fc")
    assert "border" not in advice("conv3-8 pool3:stride=2,padding=1 gap fc")
