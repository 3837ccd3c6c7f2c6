"""Which other sizes a built network reads, against building it and feeding it."""

from __future__ import annotations

import pytest
import torch

from stepladder.errors import RecipeError
from stepladder.network import load_preset, parse_line, trace_network
from stepladder.network.build import build_network
from stepladder.network.sizes import check_feeding, describe_sizes, find_sizes
from stepladder.training.rng import Streams

REPORT = load_preset("report")


@pytest.mark.parametrize(
    "line",
    ["conv5-4 pool2:ceil_mode=yes conv3-4 pool2 fc", "conv3-4:stride=2 gap fc", "local3-2 fc", "conv3-4 ln gap fc"],
)
def test_just_the_sizes_that_are_named_can_be_fed(line):
    network, built_for = parse_line(line), (2, 12, 9)
    module = build_network(network, built_for, 3, Streams(0)).eval()
    for height, width in [(12, 9), (11, 9), (13, 9), (12, 10), (12, 8), (9, 9), (12, 12), (24, 18), (3, 3), (1, 1)]:
        try:
            fed = module(torch.zeros(1, 2, height, width)).shape == (1, 3)
        except RuntimeError:
            fed = False
        if fed:
            check_feeding(network, built_for, (2, height, width), 3)
        else:
            with pytest.raises(RecipeError):
                check_feeding(network, built_for, (2, height, width), 3)


def test_the_refusal_says_which_size_and_the_ways_out():
    with pytest.raises(RecipeError) as caught:
        check_feeding(REPORT, (3, 32, 32), (3, 64, 64), 10)
    assert str(caught.value) == (
        "a network built for 3×32×32 cannot read 3×64×64: convolutions and pooling take any size, but layer 11 (fc1) "
        "has weights for 64×4×4 = 1,024 values, as images of 25×25 to 32×32 give, and would get 64×8×8 = 4,096 values; "
        "crop the images to 32×32, or put global average pooling (gap) in place of the flatten, which takes any size "
        "and needs new training"
    )
    # The crop that it offers does fit.
    check_feeding(REPORT, (3, 32, 32), (3, 25, 32), 10)


def test_smaller_images_are_to_be_padded():
    with pytest.raises(RecipeError, match="pad or enlarge the images to 32×32"):
        check_feeding(REPORT, (3, 32, 32), (3, 16, 16), 10)


def test_other_channels_do_not_fit():
    with pytest.raises(RecipeError, match="is built for 3×32×32 and the images have 1 channels; give it images of 3"):
        check_feeding(REPORT, (3, 32, 32), (1, 32, 32), 10)


def test_a_network_without_weights_by_position_reads_any_size():
    network = load_preset("all_cnn")
    costs = trace_network(network, (3, 32, 32), 10)
    sizes = find_sizes(network, costs, 10)
    assert (sizes.binding, sizes.rows, sizes.columns) == (None, (9, None), (9, None))
    assert describe_sizes(sizes, (3, 32, 32)).startswith("Built once, it reads images of any size from 9×9 pixels")
    larger = check_feeding(network, (3, 32, 32), (3, 64, 64), 10)
    assert [cost.weights for cost in larger] == [cost.weights for cost in costs]
