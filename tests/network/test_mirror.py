"""A network whose parameters all equal their mirror images answers mirror images alike, or is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import event, given
from torch import Tensor, nn

from stepladder.errors import RecipeError
from stepladder.network import Network, load_network, load_preset
from stepladder.network.build import build_network
from stepladder.network.mirror import mirrors_of
from stepladder.network.spec import Concat, Conv, DepthwiseConv, Layer, LocallyConnected, Residual
from stepladder.training.rng import Streams

from .random_networks import CLASSES, fitting, thorough


def mirrored(network: Network, shape: tuple[int, int, int]) -> tuple[nn.Sequential, Tensor]:
    """A network in float64 with random weights and statistics, each the mean of itself and its mirror; and images."""
    mirrors = mirrors_of(network, shape, CLASSES)
    module = build_network(network, shape, CLASSES, Streams(0)).double().eval()
    rng = torch.Generator().manual_seed(0)
    seen = set()
    with torch.no_grad():
        for path, values in [*module.named_parameters(), *module.named_buffers()]:
            name = ".".join(path.split(".")[-2:])
            seen.add(name)
            if name.endswith("num_batches_tracked"):
                continue
            values.uniform_(0.5, 1.5, generator=rng)
            values.mul_(values[0].numel() ** -0.5 if values.ndim > 1 else 1)
            values.copy_((values + mirrors[name].of(values)) / 2)
    assert mirrors.keys() <= seen
    return module, torch.rand(6, *shape, generator=rng, dtype=torch.float64)


@torch.no_grad()
def assert_answers_alike(module: nn.Sequential, images: Tensor) -> None:
    torch.testing.assert_close(module(images.flip(3)), module(images))


def in_twos(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Those layers with twice the channels and none in groups, so that more of them can have twins."""
    doubled = []
    for layer in layers:
        if isinstance(layer, Residual):
            changed = {"body": in_twos(layer.body)}
        elif isinstance(layer, Concat):
            changed = {"branches": tuple(map(in_twos, layer.branches))}
        elif isinstance(layer, Conv):
            changed = {"channels": 2 * layer.channels, "groups": 1}
        elif isinstance(layer, LocallyConnected):
            changed = {"channels": 2 * layer.channels}
        else:
            changed = {"multiplier": 1} if isinstance(layer, DepthwiseConv) else {}
        doubled.append(layer.model_copy(update=changed))
    return tuple(doubled)


@pytest.mark.long
@thorough
@given(fitting())
def test_any_network_is_refused_or_answers_mirror_images_alike(drawn):
    network, shape = drawn
    try:
        module, images = mirrored(Network(layers=in_twos(network.layers)), shape)
    except RecipeError as error:
        event(f"refused: {str(error).partition(')')[2][:25]}")
        return
    event("mirrored")
    assert_answers_alike(module, images)


@pytest.mark.parametrize(
    ("line", "width"),
    [
        ("conv5-8 bn relu pool2 conv3-4:bias=no gn:groups=2 relu flatten bn fc12 ln relu fc", 8),
        ("local3-4 relu local3-2:stride=2,padding=1 fc", 9),
        ("dw3 conv1-6 relu dw3 gap fc", 8),
        ("res(dw3 relu) conv3-4 fc", 8),
        ("conv3-4 res(conv3-4 relu conv3-4) pool2 res(conv1-8 ln) gmp fc", 8),
        ("conv3x5-8 lrelu se4 conv5x1-8 se:hidden=3,gate=hard_sigmoid hswish flatten fc", 8),
        ("conv3-8 silu cat(conv1-2 | conv3-4 silu conv3x1-6 | pool3:stride=1,padding=1) conv1-4 fc", 8),
        ("conv3-4 cat(conv3-4) cat(conv3-2) gap fc", 8),
        ("dw3 se:hidden=2 conv3-4 fc", 8),
        ("fc8 relu fc", 8),
        ("fc", 8),
    ],
)
def test_every_kind_of_layer(line, width):
    module, images = mirrored(load_network(line), (3, 8, width))
    assert_answers_alike(module, images)
    with torch.no_grad():
        assert len(module(images).unique(dim=0)) == len(images), "not every image alike"
        weight = next(module.parameters())
        weight += torch.linspace(0, 1, weight.numel()).view_as(weight)
        assert not torch.allclose(module(images.flip(3)), module(images)), "unlike its mirror image it would not"


@torch.no_grad()
def test_gates_of_twins_change_places_with_them():
    """By itself: the means of a convolution's maps and of their twins are too alike to tell the gates apart."""
    network = load_network("plain conv1-8 se4 se:hidden=3,activation=silu flatten fc")
    mirrors = mirrors_of(network, (3, 4, 6), CLASSES)
    module = build_network(network, (3, 4, 6), CLASSES, Streams(0)).double()
    maps = torch.randn(5, 8, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def reflected(maps: Tensor) -> Tensor:
        return maps.unflatten(1, (4, 2)).flip(2).flatten(1, 2).flip(3)

    for name in ("se1", "se2"):
        gated = module.get_submodule(name)
        assert not torch.allclose(gated(reflected(maps)), reflected(gated(maps)))
        for path, values in gated.named_parameters():
            values.copy_((values + mirrors[path].of(values)) / 2)
        torch.testing.assert_close(gated(reflected(maps)), reflected(gated(maps)))


@pytest.mark.long
@pytest.mark.parametrize("name", ["report", "vgg_small", "resnet9", "lenet5", "mlp"])
def test_presets_that_have_mirrors(name):
    assert_answers_alike(*mirrored(load_preset(name), (3, 32, 32)))


@pytest.mark.parametrize(
    ("line", "shape", "said"),
    [
        ("conv3-7 fc", (3, 8, 8), r"layer 1 \(conv1\) has 7 channels, which cannot come in twins; give it 8"),
        ("conv3-8 fc5 fc", (3, 8, 8), r"\(fc1\) has 5 channels"),
        ("conv3-8 pool2 pool2 fc", (3, 8, 6), r"\(pool2\) does not read maps 3 pixels wide alike"),
        ("conv2-8 fc", (3, 8, 8), r"\(conv1\) does not read maps 8 pixels wide alike"),
        ("conv3-8 conv3-8:groups=2 fc", (3, 8, 8), r"\(conv2\) keeps channels in groups"),
        ("cat(conv3-8) fc", (3, 8, 8), r"layer 1 \(cat1\) puts channels that are twins behind channels that are not"),
        ("dw3:multiplier=2 fc", (3, 8, 8), "keeps channels in groups"),
        ("conv3-6 gn:groups=2 fc", (3, 8, 8), "groups of 3 channels, which part twins"),
        ("conv3-8 res(conv3-8:stride=2,padding=1) fc", (3, 8, 8), "does not read maps 8 pixels wide alike"),
    ],
)
def test_what_has_no_mirror_is_refused(line, shape, said):
    with pytest.raises(RecipeError, match=said):
        mirrors_of(load_network(line), shape, CLASSES)
