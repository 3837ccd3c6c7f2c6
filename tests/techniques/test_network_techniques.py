"""Rewrites of the layer list: where each puts its layers, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from stepladder.errors import RecipeError
from stepladder.network import load_network, load_preset
from stepladder.network.layers import SeededDropout
from stepladder.techniques.batch_norm import BatchNorm
from stepladder.techniques.dropout import Dropout
from stepladder.techniques.global_average_pooling import GlobalAveragePooling
from stepladder.techniques.group_norm import GroupNorm
from stepladder.techniques.layer_norm import LayerNorm
from stepladder.techniques.requirements import begin_techniques, check_techniques
from stepladder.techniques.spatial_dropout import SpatialDropout

REPORT = load_preset("report")


def kinds(network) -> list[str]:
    return [layer.kind for layer in network.layers]


def test_norms_come_after_every_convolution():
    for technique, kind in ((GroupNorm(), "group_norm"), (LayerNorm(), "layer_norm")):
        rewritten = technique.rewrite(REPORT)
        assert kinds(rewritten)[:3] == ["conv", kind, "relu"]
        assert kinds(rewritten).count(kind) == 3
        assert technique.rewrite(rewritten) == rewritten
    groups = GroupNorm(groups=8).rewrite(load_network("conv3-12 conv3-32 fc")).every_layer()
    assert [layer.groups for layer in groups if layer.kind == "group_norm"] == [4, 8]


def test_maps_are_averaged_where_they_were_flattened():
    rewritten = GlobalAveragePooling().rewrite(REPORT)
    assert "flatten" not in kinds(rewritten)
    assert kinds(rewritten).index("global_avg_pool") == kinds(REPORT).index("flatten")


def test_dropout_before_the_last_layer_or_all():
    assert kinds(Dropout(where="all").rewrite(REPORT)).count("dropout") == 2
    assert kinds(Dropout().rewrite(REPORT))[-2:] == ["dropout", "linear"]


def test_spatial_dropout_before_every_convolution_but_the_first():
    names = [layer.name for layer in SpatialDropout().rewrite(REPORT).layers]
    assert [name for name in names if name.endswith("_dropout")] == ["conv2_dropout", "conv3_dropout"]
    added = [layer for layer in SpatialDropout(p=0.2).rewrite(REPORT).layers if layer.name == "conv2_dropout"]
    assert [(layer.p, layer.whole_maps) for layer in added] == [(0.2, True)]
    residual = SpatialDropout().rewrite(load_network("conv3-8 res(conv3-8 conv3-8) fc"))
    assert sum(layer.kind == "dropout" for layer in residual.every_layer()) == 2


def test_branches_are_rewritten_and_gates_are_not():
    network = load_network("conv3-8 cat(conv1-4 | conv3-4 relu conv3x1-4) se4 conv3-8 gap fc")
    for technique, kind in ((BatchNorm(), "batch_norm"), (GroupNorm(), "group_norm"), (LayerNorm(), "layer_norm")):
        rewritten = technique.rewrite(network)
        (joined,) = [layer for layer in rewritten.layers if layer.kind == "concat"]
        assert [[layer.kind for layer in branch] for branch in joined.branches] == [
            ["conv", kind],
            ["conv", kind, "relu", "conv", kind],
        ]
        assert sum(layer.kind == kind for layer in rewritten.every_layer()) == 5
        assert technique.rewrite(rewritten) == rewritten
    dropped = [layer.name for layer in SpatialDropout().rewrite(network).every_layer() if layer.kind == "dropout"]
    assert dropped == ["cat1_conv1_dropout", "cat1_conv2_dropout", "cat1_conv3_dropout", "conv2_dropout"]


def test_whole_maps_are_dropped_and_the_rest_scaled():
    layer = SeededDropout(0.25, torch.Generator().manual_seed(0), whole_maps=True)
    maps = torch.ones(100, 40, 5, 5)
    dropped = layer(maps)
    each = dropped.flatten(2)
    assert bool((each == each[..., :1]).all())
    assert set(dropped.unique().tolist()) == {0.0, float(torch.tensor(1 / 0.75))}
    assert abs(float((dropped == 0).float().mean()) - 0.25) < 0.03
    assert layer.eval()(maps) is maps


def warnings_of(begin, *techniques):
    context = begin(Dropout()).context
    begin_techniques(techniques, context)
    return check_techniques(techniques)


def test_a_batch_norm_behind_a_dropout_is_warned_of(begin):
    (warning,) = warnings_of(begin, SpatialDropout(), BatchNorm())
    assert warning.startswith("spatial_dropout comes before the batch norm 'conv2_norm'")
    assert "Li et al. 2019" in warning
    assert warnings_of(begin, Dropout(), BatchNorm()) == []
    assert warnings_of(begin, SpatialDropout(p=0), BatchNorm()) == []


@pytest.mark.parametrize(
    ("technique", "line", "message"),
    [
        (BatchNorm(), "fc16 fc", "batch_norm acts on convolutions, and the network has none"),
        (GroupNorm(), "fc16 fc", "group_norm acts on convolutions, and the network has none"),
        (SpatialDropout(), "conv3-8 fc", "before every convolution but the first, and the network has one"),
        (GlobalAveragePooling(), "conv3-8 gap fc", "replaces the flatten of a network, and this one has none"),
    ],
)
def test_what_each_needs(begin, technique, line, message):
    begin(technique, network=load_network(line))
    with pytest.raises(RecipeError, match=message):
        technique.check(technique.context)
