"""Twins begin as mirror images and stay so; ``tests/network/test_mirror.py`` has the networks that can have them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepladder.datasets import Split
from stepladder.errors import RecipeError
from stepladder.network import load_network
from stepladder.network.build import build_network
from stepladder.techniques import Context
from stepladder.techniques.dirac_init import DiracInit
from stepladder.techniques.mirror_symmetry import MirrorSymmetry
from stepladder.techniques.random_crop import RandomCrop
from stepladder.techniques.requirements import begin_techniques, check_techniques
from stepladder.techniques.upscale import Upscale
from stepladder.training.assembly import TrainingData
from stepladder.training.device import choose_compute
from stepladder.training.loop import train_network
from stepladder.training.rng import Streams

CLASSES = 3
CPU = choose_compute("cpu", "float32")


def tied(line: str, dirac: bool = False) -> tuple[nn.Sequential, MirrorSymmetry, Tensor]:
    """A network as the technique makes it, in float64, and images."""
    shape, network, technique = (3, 8, 8), load_network(line), MirrorSymmetry()
    context = Context(shape, (4,) * CLASSES, network, epochs=1, steps_per_epoch=1)
    begin_techniques([technique], context)
    assert check_techniques([technique]) == []
    module = build_network(network, shape, CLASSES, Streams(0)).double()
    images = torch.rand(6, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        if dirac:
            DiracInit().initialize(module, Streams(0), [images])
        technique.initialize(module, Streams(0), [images])
    return module, technique, images


def split_of(count: int) -> Split:
    """Noise that gets brighter from class to class."""
    labels = np.arange(count, dtype=np.int64) % 10
    pixels = np.random.default_rng(0).integers(0, 20, (count, 8, 8, 3)) + 20 * labels[:, None, None, None]
    return Split(pixels.astype(np.uint8), labels)


@torch.no_grad()
def test_the_drawn_network_answers_mirror_images_alike():
    module, _, images = tied("conv3-4 relu dw3 pool2 conv3-6:bias=no gn:groups=3 relu fc8 relu fc")
    torch.testing.assert_close(module(images.flip(3)), module(images))
    kernels = module.conv1.weight
    torch.testing.assert_close(kernels[1::2], kernels[::2].flip(3))
    drawn = build_network(load_network("conv3-4 fc"), (3, 8, 8), CLASSES, Streams(0)).conv1.weight.double()
    assert torch.equal(kernels[::2], drawn[:2])


def test_twins_share_the_gradient_of_the_images_in_both_forms():
    module, technique, images = tied("conv3-4 relu pool2 conv3-6 relu fc8 relu fc")
    labels = torch.arange(len(images)) % CLASSES
    both = torch.cat([images, images.flip(3)])
    expected = torch.autograd.grad(F.cross_entropy(module(both), labels.repeat(2)), tuple(module.parameters()))
    F.cross_entropy(module(images), labels).backward()
    parameters = list(module.parameters())
    with torch.no_grad():
        technique.before_step(parameters, 0.1)
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.parametrize(
    "optimizer",
    [
        {"name": "sgd", "lr": 0.02, "momentum": 0.9, "nesterov": True},
        {"name": "adamw", "lr": 0.01},
        {"name": "muon", "lr": 0.01},
    ],
    ids=lambda optimizer: optimizer["name"],
)
def test_trained_twins_are_still_twins(optimizer, tiny_recipe):
    recipe = tiny_recipe(
        *("standardize", "random_crop", "batch_norm", "dirac_init", "mirror_symmetry", "weight_decay"),
        network="conv3-8 relu pool2 res(conv3-8 relu conv3-8) relu fc32 relu fc",
        epochs=10,
        optimizer=optimizer,
    )
    split = split_of(96)
    trained = train_network(recipe, TrainingData(split, split, 10), 1, CPU)
    assert trained.history[-1].train_loss < 0.8 * trained.history[0].train_loss, "it learned"
    module = trained.module.eval()
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(module(images.flip(3)), module(images))
    means = module.conv1_norm.running_mean.view(-1, 2)
    torch.testing.assert_close(means[:, 0], means[:, 1])


def test_the_copies_that_dirac_init_makes_of_channels_are_all_kept():
    module, _, images = tied("conv3-8 conv3-12 fc", dirac=True)
    with torch.no_grad():
        module.conv1.bias.zero_()
        module.conv2.bias.zero_()
        maps = module.conv1(images)
        torch.testing.assert_close(maps[:, 0:6:2], images)
        torch.testing.assert_close(module.conv2(maps)[:, :8], maps)


@pytest.mark.parametrize(
    ("techniques", "said"),
    [
        (("mirror_symmetry", "he_init"), "list mirror_symmetry after it"),
        (("mirror_symmetry", "whitening_stem"), "list mirror_symmetry after it"),
        (("whitening_stem", "mirror_symmetry"), "whiten.weight is frozen"),
        (("he_init", "mirror_symmetry"), None),
    ],
)
def test_what_undoes_the_ties_is_refused(techniques, said, tiny_recipe):
    recipe = tiny_recipe(*techniques, network="conv3-4 fc", epochs=1)
    split = split_of(32)
    if said is None:
        assert train_network(recipe, TrainingData(split, split, 10), 0, CPU).failure is None
        return
    try:
        failure = train_network(recipe, TrainingData(split, split, 10), 0, CPU).failure
    except RecipeError as error:
        failure = str(error)
    assert said in failure


@pytest.mark.parametrize(
    ("line", "shape", "said"),
    [
        ("conv3-4 pool2 pool2 fc", (3, 28, 30), "pool2.* does not read maps 15 pixels wide .*, as `size=32`$"),
        ("conv3-5 fc", (3, 8, 8), "has 5 channels, which cannot come in twins; give it 6$"),
    ],
)
def test_a_refusal_names_the_size_that_would_fit(line, shape, said):
    technique, network = MirrorSymmetry(), load_network(line)
    context = Context(shape, (4,) * CLASSES, network, epochs=1, steps_per_epoch=1)
    begin_techniques([technique], context)
    with pytest.raises(RecipeError, match=f"^mirror_symmetry does not fit the network: .*{said}"):
        check_techniques([technique])


@pytest.mark.parametrize(
    ("other", "size", "said"),
    [
        (RandomCrop(size=7), 8, "does not read maps 7 pixels wide"),
        (Upscale(factor=1.25), 8, "does not read maps 5 pixels wide .*, as `size=10`$"),
        (Upscale(factor=2), 6, None),
    ],
)
def test_it_is_asked_of_the_images_that_the_network_reads(other, size, said):
    techniques = [other, MirrorSymmetry()]
    context = Context((3, size, size), (4,) * CLASSES, load_network("conv3-4 pool2 pool2 fc"), 1, 1)
    begin_techniques(techniques, context)
    if said is None:
        assert check_techniques(techniques) == []
        return
    with pytest.raises(RecipeError, match=said):
        check_techniques(techniques)


def test_merely_tried_it_leaves_gradients_alone():
    weight = torch.ones(4, 3, requires_grad=True)
    weight.grad = torch.arange(12.0).view(4, 3)
    with torch.no_grad():
        MirrorSymmetry().before_step([weight], 0.1)
    assert torch.equal(weight.grad, torch.arange(12.0).view(4, 3))
