"""Which padding and stride give a size, against trying every one in PyTorch."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from stepladder.errors import RecipeError
from stepladder.network.solve import Solution, solve


def test_the_same_size_needs_stride_1_and_half_the_kernel():
    answer = solve("conv5 32->32")
    assert answer.solutions[0] == Solution(padding=2, stride=1)
    assert all(way.stride == 1 and way.padding == 2 * way.dilation for way in answer.solutions)
    assert answer.remark == "The same size needs stride 1 and padding (k − 1)/2 = 2, times the dilation."


def test_half_of_a_2x2_pool_needs_stride_2():
    assert solve("pool2 32->16").solutions == (Solution(padding=0, stride=2),)
    assert solve("pool2 32→16").solutions == solve("  pool2   32 to 16").solutions


def test_none_is_an_answer():
    assert solve("conv3:stride=2 32->32").solutions == ()
    even = solve("conv4:dilation=1 32->32")
    assert even.solutions == ()
    assert 'padding = "same" puts 1 before and 2 after' in even.remark


def test_stated_options_stay():
    assert {way.stride for way in solve("conv3:stride=2 32->16").solutions} == {2}
    assert solve("conv3:stride=2,padding=1,dilation=1 32->16").solutions == (Solution(1, 2, unread=0),)
    assert solve("pool3:stride=2,ceil_mode=yes 32->16").solutions == (Solution(0, 2, ceil_mode=True),)


@pytest.mark.parametrize(("size", "before", "after"), [(3, 32, 32), (4, 15, 7), (5, 11, 13), (2, 9, 4)])
def test_every_solution_in_the_range_is_listed(size, before, after):
    found = {(way.padding, way.stride, way.dilation) for way in solve(f"conv{size} {before}->{after}").solutions}
    strides = range(1, max(size, -(-before // after) + 1, 4) + 1)
    expected = set()
    for stride, dilation in itertools.product(strides, range(1, 5)):
        for padding in range(dilation * (size - 1) + 1):
            if before + 2 * padding >= dilation * (size - 1) + 1:
                layer = nn.Conv1d(1, 1, size, stride, padding, dilation)
                if layer(torch.zeros(1, 1, before)).shape[2] == after:
                    expected.add((padding, stride, dilation))
    assert found == expected


def test_pools_are_tried_both_ways():
    for way in solve("pool3 33->16").solutions:
        layer = nn.MaxPool1d(3, way.stride, way.padding, ceil_mode=way.ceil_mode)
        assert layer(torch.zeros(1, 1, 33)).shape[2] == 16
    assert Solution(0, 2) in solve("pool3 33->16").solutions


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("conv5", "write a layer and two sizes, as 'conv5 32->32' or 'pool2 32->16'"),
        ("conv5 32x32->32x32", "write a layer and two sizes"),
        ("relu 32->32", "only convolutions and poolings have a padding and a stride"),
        ("cnov5 32->32", "did you mean 'conv'"),
        ("conv0 32->32", "kernel_size is 0; it must be at least 1"),
        ("conv5 0->32", "sizes are at least 1 pixel"),
    ],
)
def test_questions_that_are_none(question, message):
    with pytest.raises(RecipeError, match=message):
        solve(question)
