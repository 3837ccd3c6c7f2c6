"""What the modules within a user's own put out, cost and see, against figures worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
from torch import nn

from stepladder.errors import RecipeError
from stepladder.network import Network, find_network
from stepladder.network.find import FoundNetwork
from stepladder.network.own import with_figures
from stepladder.network.own_inspection import OwnInspection, inspect_own
from stepladder.network.own_parts import _reads_its_middle

WriteNetwork = Callable[..., str]

RESIDUAL = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, (3, 1), padding=(1, 0), bias=False)
        self.scale = nn.Parameter(torch.zeros(channels, 1, 1))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.conv2(self.relu(self.norm1(self.conv1(x))))
        y *= self.scale
        y += x
        return self.relu(y)


def build(shape, classes):
    first = nn.Conv2d(shape[0], 8, 5, padding=2)
    nn.init.constant_(first.bias, -100.0)  # no unit of it ever answers
    layers = [first, nn.ReLU(), nn.MaxPool2d(2), Block(8), nn.GroupNorm(2, 8)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))
"""


def rows(inspection: OwnInspection) -> dict[str, tuple[object, ...]]:
    return {part.name: (part.kind, part.output_shape, part.weights, part.macs, part.sees) for part in inspection.parts}


def test_every_figure_of_a_residual_network(write: WriteNetwork) -> None:
    inspection = inspect_own(find_network(write(RESIDUAL)), (3, 32, 32), 10)
    assert rows(inspection) == {
        # 5·5·3·8 + 8; 600 at 32·32 positions
        "0": ("Conv2d", (8, 32, 32), 608, 614_400, (5, 5)),
        "1": ("ReLU", (8, 32, 32), 0, 0, (5, 5)),
        "2": ("MaxPool2d", (8, 16, 16), 0, 0, (6, 6)),
        "3": ("Block", (8, 16, 16), 8, 0, (14, 10)),  # its own scale
        "3.conv1": ("Conv2d", (8, 16, 16), 576, 147_456, (10, 10)),  # 6 + (3 − 1)·2
        "3.norm1": ("BatchNorm2d", (8, 16, 16), 16, 0, (10, 10)),
        "3.conv2": ("Conv2d", (8, 16, 16), 192, 49_152, (14, 10)),  # 3 rows, 1 column
        "3.relu": ("ReLU", (8, 16, 16), 0, 0, (14, 10)),
        # Statistics of a whole map count as constants.
        "4": ("GroupNorm", (8, 16, 16), 16, 0, (14, 10)),
        "5": ("AdaptiveAvgPool2d", (8, 1, 1), 0, 0, (32, 32)),
        "6": ("Flatten", (8,), 0, 0, (32, 32)),
        "7": ("Linear", (10,), 90, 80, (32, 32)),
    }
    assert inspection.weights == sum(part.weights for part in inspection.parts)
    assert inspection.macs == sum(part.macs for part in inspection.parts)
    lines = str(inspection).splitlines()
    assert lines[1].split() == ["0", "Conv2d", "8×32×32", "608", "614,400", "5"]
    assert [line.split()[-1] for line in lines if line.startswith("3.conv2")] == ["14×10"]
    assert lines[-1].split() == ["total", "1,506", "811,088"]
    document = json.loads(json.dumps(inspection.to_document()))
    assert document["built_by"] == "net.py:build"
    assert document["parts"][6]["sees"] == {"height": 14, "width": 10}


def test_tokens_shared_weights_and_what_is_not_used(write: WriteNetwork) -> None:
    text = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 4, stride=4)
        self.norm = nn.LayerNorm(6)
        self.up = nn.Linear(6, 6)
        self.same = nn.Linear(6, 6)
        self.same.weight = self.up.weight
        self.idle = nn.Linear(6, 6)
        self.kernel = nn.Parameter(torch.randn(6, 6, 3, 3))
        self.head = nn.Linear(6, classes)

    def forward(self, x):
        x = self.patches(x).permute(0, 2, 3, 1)  # (N, H, W, C)
        x = self.same(self.up(self.norm(x))).permute(0, 3, 1, 2)
        x = nn.functional.conv2d(x, self.kernel, padding=1)
        return self.head(x.mean((2, 3)))


def build(shape, classes):
    return Net(classes)
"""
    found = rows(inspect_own(find_network(write(text)), (3, 16, 16), 5))
    assert found == {
        "": ("Net", (5,), 324, 324 * 16, (16, 16)),  # the kernel, used by a function
        "patches": ("Conv2d", (6, 4, 4), 4 * 4 * 3 * 6 + 6, 4 * 4 * 3 * 6 * 16, (4, 4)),
        "norm": ("LayerNorm", (4, 4, 6), 12, 0, (4, 4)),
        "up": ("Linear", (4, 4, 6), 42, 36 * 16, (4, 4)),
        "same": ("Linear", (4, 4, 6), 6, 36 * 16, (4, 4)),  # its bias; the rest is counted with up
        "idle": ("Linear", None, 42, 0, None),
        "head": ("Linear", (5,), 35, 30, (16, 16)),
    }


def test_neither_dead_units_nor_sums_in_place_change_what_is_seen(write: WriteNetwork) -> None:
    text = """
from torch import nn


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.small, self.large = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 7, padding=3)
        self.relu, self.pool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 1)
        self.fc = nn.Linear(4, classes)

    def forward(self, x):
        y = self.small(x)
        y += self.pool(self.relu(-self.large(nn.functional.pad(x, (1, 1, 1, 1)))))
        return self.fc(y.mean((2, 3)))


def build(shape, classes):
    return Net(classes)
"""
    found = rows(inspect_own(find_network(write(text)), (3, 16, 16), 5))
    assert {name: row[-1] for name, row in found.items()} == {
        "small": (1, 1),
        "large": (7, 7),
        "relu": (7, 7),
        "pool": (9, 9),
        "fc": (16, 16),
    }


def test_attention_counts_as_the_products_that_it_is(write: WriteNetwork) -> None:
    """PyTorch runs it as one kernel on a CPU, or by a path that calls none of its parts; its counter knows neither."""
    text = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.qkv = nn.Linear(8, 24)
        self.head = nn.Linear(8, classes)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)  # 16 tokens
        x, _ = self.attend(x, x, x, need_weights=False)
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        x = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.head(x.mean(1))


def build(shape, classes):
    return Net(classes)
"""
    network = find_network(write(text))
    inspection = inspect_own(network, (3, 16, 16), 5)
    assert rows(inspection) == {
        "": ("Net", (5,), 0, 2 * 16 * 16 * 8, (16, 16)),  # queries with keys, and shares with values
        "patches": ("Conv2d", (8, 4, 4), 4 * 4 * 3 * 8 + 8, 4 * 4 * 3 * 8 * 16, (4, 4)),
        # Into queries, keys and values, the two products, and out; all within the module, of which it calls no other.
        "attend": ("MultiheadAttention", (16, 8), 8 * 24 + 24, 16 * 8 * 24 + 2 * 16 * 16 * 8 + 16 * 8 * 8, (16, 16)),
        "attend.out_proj": ("NonDynamicallyQuantizableLinear", None, 8 * 8 + 8, 0, None),
        "qkv": ("Linear", (16, 24), 8 * 24 + 24, 16 * 8 * 24, (16, 16)),
        "head": ("Linear", (5,), 45, 40, (16, 16)),
    }
    assert inspection.macs == sum(part.macs for part in inspection.parts)
    recorded = with_figures(network.network, (3, 16, 16), 5).own
    assert recorded is not None
    assert recorded.macs == inspection.macs
    assert [line.split()[2:4] for line in str(inspection).splitlines() if "out_proj" in line] == [["not", "called"]]
    assert torch.backends.mha.get_fastpath_enabled()


def test_modules_in_a_list_a_gate_and_several_outputs(write: WriteNetwork) -> None:
    text = """
from torch import nn


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.each = nn.ModuleList([nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(2)])

    def forward(self, x):
        return [one(x) for one in self.each]


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1, bias=False)
        self.branches = Branches()
        self.squeeze = nn.Linear(4, 4, bias=False)
        self.gate = nn.Sigmoid()
        self.fc = nn.Linear(4, classes, bias=False)

    def forward(self, x):
        one, other = self.branches(self.stem(x))
        gates = self.gate(1000 * self.squeeze(one.mean((2, 3))))  # in float64, 1 to the last bit
        return self.fc((gates[..., None, None] * other).mean((2, 3)))


def build(shape, classes):
    return Net(classes)
"""
    inspection = inspect_own(find_network(write(text)), (3, 8, 8), 5)
    assert rows(inspection) == {
        "stem": ("Conv2d", (4, 8, 8), 12, 12 * 64, (1, 1)),
        "branches.each.0": ("Conv2d", (4, 8, 8), 144, 144 * 64, (3, 3)),
        "branches.each.1": ("Conv2d", (4, 8, 8), 144, 144 * 64, (3, 3)),
        "squeeze": ("Linear", (4,), 16, 16, (8, 8)),
        "gate": ("Sigmoid", (4,), 0, 0, (8, 8)),
        "fc": ("Linear", (5,), 20, 20, (8, 8)),
    }
    assert inspection.macs == sum(part.macs for part in inspection.parts)


@pytest.mark.parametrize(
    ("part", "reads"),
    [
        (nn.Conv2d(2, 2, 3, padding=1), True),
        (nn.Conv2d(2, 2, (1, 5), padding=(0, 4), dilation=(1, 2)), True),
        (nn.Linear(2, 2), True),
        (nn.Conv2d(2, 2, 3, padding=1, stride=2), False),
        (nn.Conv2d(2, 2, 3), False),
        (nn.Conv2d(2, 2, 2, padding=1), False),
        (nn.MaxPool2d(3, 1, 1), False),
    ],
)
def test_what_sees_all_that_the_middle_of_its_input_sees(part: nn.Module, reads: bool) -> None:
    assert _reads_its_middle(part) is reads


def test_a_trained_model_s_figures_are_known_without_its_code(
    write: WriteNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stepladder.network import own

    recorded = with_figures(find_network(write(RESIDUAL)).network, (3, 32, 32), 10)
    monkeypatch.setattr(own, "_NAMED", {})
    inspection = inspect_own(FoundNetwork("model", recorded, input_shape=(3, 32, 32), num_classes=10))
    assert (inspection.weights, inspection.macs, inspection.parts) == (1_506, 811_088, ())
    bare = Network(layers=(recorded.layers[0].model_copy(update={"weights": None, "macs": None}),))
    with pytest.raises(RecipeError, match="whose code is not run unless you name it"):
        inspect_own(FoundNetwork("model", bare))
