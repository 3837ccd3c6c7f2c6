"""Techniques on a module of the user's own: which are refused, in a sentence, and what the others do there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stepladder.errors import RecipeError
from stepladder.network import Network, load_network, own
from stepladder.network.build import build_network
from stepladder.network.own_module import make_module
from stepladder.techniques import TECHNIQUES, Technique
from stepladder.techniques.requirements import begin_techniques
from stepladder.training.rng import Streams

Begin = Callable[..., Technique]
SHAPE, CLASSES = (3, 8, 8), 4
NEED_LAYERS = {
    *("layer_decay", "freeze", "unfreeze", "dropout", "spatial_dropout", "batch_norm", "group_norm", "layer_norm"),
    *("global_average_pooling", "pca_init", "mirror_symmetry", "whitening_stem"),
}
NETWORK = """
from torch import nn


def block():
    return nn.ModuleDict({"conv": nn.Conv2d(6, 6, 3, padding=1)})


class Net(nn.Module):
    def __init__(self, channels, classes):
        super().__init__()
        self.stem = nn.Conv2d(channels, 6, 3, padding=1)
        self.blocks = nn.ModuleList([block(), block()])
        self.fc = nn.Linear(6, classes)

    def forward(self, images):
        maps = self.stem(images)
        for one in self.blocks:
            maps = one["conv"](maps).relu()
        return self.fc(maps.mean((2, 3)))


def build(shape, classes):
    return Net(shape[0], classes)
"""


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    monkeypatch.setattr(own, "_NAMED", {})
    (tmp_path / "net.py").write_text(NETWORK)
    return load_network(f"{tmp_path / 'net.py'}:build")


def context_of(begin: Begin, network: Network):
    return begin(TECHNIQUES["standardize"](), network=network, classes=CLASSES).context


@pytest.mark.parametrize("name", sorted(TECHNIQUES))
def test_what_works_on_a_list_of_layers_is_refused_and_nothing_else(begin: Begin, network: Network, name: str) -> None:
    context, technique = context_of(begin, network), TECHNIQUES[name]()
    if name not in NEED_LAYERS:
        assert begin_techniques([technique], context)[0] == network
        return
    with pytest.raises(RecipeError) as raised:
        begin_techniques([TECHNIQUES["standardize"](), technique], context)
    sentence, _, others = str(raised.value).partition("; of the group ")
    verb = "rewrites" if technique.overrides("rewrite") else "goes by"
    assert sentence == (
        f"{name} {verb} the layers of a list, and net.py:build builds a module; leave {name} out, or do "
        "the same in that file"
    )
    group, _, names = others.partition(" these work there: ")
    assert group == technique.group
    assert set(names.split(", ")) == {
        each for each, kind in TECHNIQUES.items() if kind.group == group and each not in NEED_LAYERS
    }


def test_layers_of_the_same_name_do_not_begin_alike(network: Network) -> None:
    module = build_network(network, SHAPE, CLASSES, Streams(0))
    before = module.get_submodule("own.fc").weight.clone()
    with torch.no_grad():
        TECHNIQUES["he_init"]().initialize(module, Streams(0), [])
    convolutions = [module.get_submodule(f"own.blocks.{number}.conv").weight for number in (0, 1)]
    assert not torch.equal(*convolutions)
    assert float(convolutions[0].detach().std()) == pytest.approx((2 / 54) ** 0.5, rel=0.1)
    assert torch.equal(before, module.get_submodule("own.fc").weight), "the last layer keeps its draw"


def test_the_head_is_the_last_layer_with_one_value_a_class(begin: Begin, network: Network) -> None:
    technique = TECHNIQUES["head_init"]()
    begin_techniques([technique], context_of(begin, network))
    assert technique.check(technique.context) == []
    module = build_network(network, SHAPE, CLASSES, Streams(0))
    technique.initialize(module, Streams(0), [])
    learned = {name for name, weight in module.named_parameters() if not weight.any()}
    assert learned == {"own.fc.weight", "own.fc.bias"}


@pytest.mark.parametrize("classes", [CLASSES, 7])
def test_trained_weights_go_into_all_of_it_but_the_head(
    begin: Begin, network: Network, tmp_path: Path, classes: int
) -> None:
    assert network.own is not None
    trained = make_module(network.own, SHAPE, classes, seed=5).state_dict()
    save_file(trained, tmp_path / "trained.safetensors")
    technique = TECHNIQUES["pretrained"](source=str(tmp_path / "trained.safetensors"))
    begin_techniques([technique], context_of(begin, network))
    module = build_network(network, SHAPE, CLASSES, Streams(0))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    technique.initialize(module, Streams(0), [])
    for name, value in module.state_dict().items():
        expected = before[name] if "fc" in name else trained[name.removeprefix("own.")]
        assert torch.equal(value, expected), name
    del trained["stem.bias"]
    trained["blocks.0.conv.weight"] = torch.zeros(6, 6, 5, 5)
    save_file(trained, tmp_path / "other.safetensors")
    technique = TECHNIQUES["pretrained"](source=str(tmp_path / "other.safetensors"))
    begin_techniques([technique], context_of(begin, network))
    with pytest.raises(RecipeError, match=r"own\.stem\.bias is missing; own\.blocks\.0\.conv\.weight is 6×6×5×5 there"):
        technique.initialize(module, Streams(0), [])
