"""Every technique is held to its paper's formula, by a test that works it out in another way; here is which.

What has no room of its own stands below; the others are named by file and function. A technique that comes without one
is missing in :data:`REFERENCES`, and this file is red.
"""

from __future__ import annotations

import ast
import functools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from stepladder.network import parse_line
from stepladder.network.build import build_network
from stepladder.techniques import TECHNIQUES
from stepladder.techniques.center_crop import CenterCrop
from stepladder.techniques.dropout import Dropout
from stepladder.techniques.global_average_pooling import GlobalAveragePooling
from stepladder.techniques.group_norm import GroupNorm
from stepladder.techniques.layer_norm import LayerNorm
from stepladder.techniques.oversample import Oversample
from stepladder.techniques.random_resized_crop import RandomResizedCrop
from stepladder.training.rng import Streams

TESTS = Path(__file__).parents[1]
NETWORK = parse_line("conv3-12 relu pool2 flatten fc7 relu fc")

#: The test of each technique that computes what its paper says in another way: by numpy, scipy, torch's own, Pillow, or
#: by hand, image by image.
REFERENCES = {
    "standardize": "techniques/test_standardize.py::test_mean_and_std_are_numpy_s",
    "min_max": "techniques/test_inputs.py::test_min_max",
    "subtract_mean_image": "techniques/test_inputs.py::test_the_mean_image",
    "per_image_contrast": "techniques/test_inputs.py::test_contrast_of_each_image",
    "zca": "techniques/test_inputs.py::test_zca_against_numpy",
    "upscale": "techniques/test_upscale.py::test_images_are_pillows",
    "center_crop": "techniques/test_formulas.py::test_the_center_by_slices",
    "random_crop": "techniques/test_random_crop.py::test_against_the_slow_way",
    "random_resized_crop": "techniques/test_formulas.py::test_resized_windows_by_scipy",
    "horizontal_flip": "techniques/test_horizontal_flip.py::test_image_by_image",
    "vertical_flip": "techniques/test_vertical_flip.py::test_image_by_image",
    "translate": "techniques/test_translate.py::test_image_by_image",
    "rotate": "techniques/test_rotate.py::test_other_angles_are_pillow_s",
    "scale": "techniques/test_scale.py::test_image_by_image",
    "color_jitter": "techniques/test_color_jitter.py::test_image_by_image",
    "lighting": "techniques/test_lighting.py::test_against_numpy_s_principal_axes",
    "trivial_augment": "techniques/test_trivial_augment.py::test_each_image_gets_one_operation_of_the_stream",
    "rand_augment": "techniques/test_rand_augment.py::test_operations_one_after_another",
    "cutout": "techniques/test_cutout.py::test_image_by_image",
    "random_erasing": "techniques/test_random_erasing.py::test_each_erased_part_is_one_rectangle_of_the_right_area",
    "mixup": "techniques/test_mixup.py::test_pair_by_pair",
    "cutmix": "techniques/test_cutmix.py::test_pair_by_pair",
    "layer_decay": "techniques/test_transfer.py::test_layer_decay_lowers_the_rate_block_by_block",
    "exponential_lr": "techniques/test_exponential_lr.py::test_the_trace_is_torch_s",
    "step_lr": "techniques/test_step_lr.py::test_the_trace_is_torch_s",
    "cosine_lr": "techniques/test_cosine_lr.py::test_the_trace_is_torch_s",
    "one_cycle": "techniques/test_one_cycle.py::test_the_trace_is_torch_s",
    "warmup": "techniques/test_warmup.py::test_the_trace_is_torch_s",
    "reduce_on_plateau": "techniques/test_reduce_on_plateau.py::test_the_trace_is_torch_s",
    "pretrained": "techniques/test_transfer.py::test_pretrained_puts_the_weights_into_all_layers_but_the_output",
    "freeze": "training/test_frozen.py::test_frozen_layers_stay_to_the_bit_and_the_head_learns",
    "unfreeze": "training/test_frozen.py::test_unfreeze_trains_the_last_blocks_and_their_norms_stay",
    "head_init": "techniques/test_transfer.py::test_a_head_of_zeros_begins_with_every_class_equally_likely",
    "dropout": "techniques/test_formulas.py::test_dropout_by_its_mask",
    "spatial_dropout": "techniques/test_network_techniques.py::test_whole_maps_are_dropped_and_the_rest_scaled",
    "batch_norm": "techniques/test_batch_norm.py::test_it_normalizes_each_channel_over_the_batch",
    "group_norm": "techniques/test_formulas.py::test_groups_of_channels_by_numpy",
    "layer_norm": "techniques/test_formulas.py::test_layer_norm_by_numpy",
    "global_average_pooling": "techniques/test_formulas.py::test_means_of_maps_by_numpy",
    "he_init": "techniques/test_initial_weights.py::test_he_s_variance_in_all_layers_but_the_last",
    "xavier_init": "techniques/test_initial_weights.py::test_glorot_s_bound",
    "dirac_init": "techniques/test_dirac_init.py::test_the_first_maps_are_copies_of_the_input",
    "pca_init": "techniques/test_pca_init.py::test_the_kernels_are_the_components_of_an_independent_pca",
    "mirror_symmetry": "techniques/test_mirror_symmetry.py::test_twins_share_the_gradient_of_the_images_in_both_forms",
    "whitening_stem": "techniques/test_whitening_stem.py::test_what_comes_out_is_white",
    "label_smoothing": "techniques/test_label_smoothing.py::test_the_loss_is_torch_s",
    "focal_loss": "techniques/test_focal_loss.py::test_image_by_image",
    "class_weights": "techniques/test_class_weights.py::test_weights_and_loss_by_hand_and_by_torch",
    "oversample": "techniques/test_formulas.py::test_how_often_by_the_number_of_each_class",
    "gradient_clipping": "techniques/test_gradient_clipping.py::test_all_gradients_together_get_at_most_the_norm",
    "weight_decay": "techniques/test_weight_decay.py::test_through_the_gradient_it_is_torch_s_sgd",
    "ema": "techniques/test_ema.py::test_the_average_is_torch_s",
    "swa": "techniques/test_swa.py::test_the_mean_is_torch_s",
    "lookahead": "techniques/test_lookahead.py::test_by_hand",
}


@functools.cache
def functions_of(file: str) -> dict[str, ast.FunctionDef]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_technique_has_one() -> None:
    assert list(REFERENCES) == list(TECHNIQUES)
    assert len(set(REFERENCES.values())) == len(REFERENCES), "a test can hold one technique to its formula, not two"


@pytest.mark.parametrize("name", REFERENCES)
def test_it_is_there_and_asserts_something(name: str) -> None:
    file, _, function = REFERENCES[name].partition("::")
    found = functions_of(file).get(function)
    assert found is not None, f"{REFERENCES[name]} is gone; name the test that holds {name} to its paper's formula"
    checks = [
        node
        for node in ast.walk(found)
        if isinstance(node, ast.Assert)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and "assert" in node.func.attr)
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("assert"))
    ]
    assert checks, f"{REFERENCES[name]} asserts nothing"


@pytest.mark.parametrize(("rows", "columns"), [(32, 40), (9, 8), (256, 256)])
def test_the_center_by_slices(rows: int, columns: int) -> None:
    images = torch.rand(2, 3, rows, columns, generator=torch.Generator().manual_seed(0))
    high, wide = round(0.875 * rows), round(0.875 * columns)
    top, left = int((rows - high) / 2), int((columns - wide) / 2)
    expected = images.numpy()[:, :, top : top + high, left : left + wide]
    np.testing.assert_array_equal(CenterCrop().prepare(images).numpy(), expected)


def test_resized_windows_by_scipy(make_images, stream) -> None:
    """Each window from the stream's own draws, sampled by scipy: area uniform, the logarithm of the aspect uniform."""
    images = make_images(12, size=9)
    shown, _ = RandomResizedCrop(smallest=0.3).augment(images, torch.arange(12), stream(4))
    draws = stream(4)
    area, aspect, across, down = (torch.rand(12, generator=draws).double().numpy() for _ in range(4))
    area = 0.3 + 0.7 * area
    aspect = np.exp((2 * aspect - 1) * math.log(4 / 3))
    wide, high = np.minimum(1, np.sqrt(area * aspect)), np.minimum(1, np.sqrt(area / aspect))
    assert np.all((wide * high <= area + 1e-9) & (wide / high < 4 / 3 + 1e-6))
    middle, places = 4.0, np.arange(9) - 4.0
    for number, image in enumerate(images.numpy()):
        y = middle + places * high[number] + (down[number] - 0.5) * (1 - high[number]) * 9
        x = middle + places * wide[number] + (across[number] - 0.5) * (1 - wide[number]) * 9
        grid = np.meshgrid(y, x, indexing="ij")
        for channel in range(3):
            levels = image[channel].astype(float)
            sampled = ndimage.map_coordinates(levels, grid, order=1, mode="grid-constant")
            assert np.abs(sampled - shown[number, channel].numpy()).max() <= 0.51


def built(technique, **options) -> nn.Module:
    return build_network(technique(**options).rewrite(NETWORK), (3, 8, 8), 5, Streams(0))


def test_dropout_by_its_mask() -> None:
    """Inputs of the last layer times a mask of Bernoulli draws over the probability of keeping one."""
    layer = built(Dropout, p=0.3).get_submodule("fc2_dropout").train()
    values = torch.rand(400, 7, generator=torch.Generator().manual_seed(1)) + 1
    mask = layer(values).numpy() / values.numpy() * 0.7
    assert np.all(np.isclose(mask, 0, atol=1e-6) | np.isclose(mask, 1, atol=1e-6))
    assert abs(mask.mean() - 0.7) < 4 * math.sqrt(0.3 * 0.7 / mask.size)


def test_groups_of_channels_by_numpy() -> None:
    layer = built(GroupNorm, groups=8).get_submodule("conv1_norm")  # 12 channels: gcd(8, 12) = 4 groups of 3
    maps = torch.randn(5, 12, 6, 6, generator=torch.Generator().manual_seed(1))
    groups = maps.double().numpy().reshape(5, 4, -1)
    expected = (groups - groups.mean(axis=2, keepdims=True)) / np.sqrt(groups.var(axis=2, keepdims=True) + 1e-5)
    np.testing.assert_allclose(layer(maps).detach().numpy(), expected.reshape(5, 12, 6, 6), atol=1e-5)


def test_layer_norm_by_numpy() -> None:
    layer = built(LayerNorm).get_submodule("conv1_norm")
    maps = torch.randn(5, 12, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        layer.weight.copy_(torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(2)))
        layer.bias.fill_(0.5)
    rows = maps.double().numpy().reshape(5, -1)
    normal = (rows - rows.mean(axis=1, keepdims=True)) / np.sqrt(rows.var(axis=1, keepdims=True) + 1e-5)
    expected = normal * layer.weight.detach().double().numpy().reshape(1, -1) + 0.5
    np.testing.assert_allclose(layer(maps).detach().numpy().reshape(5, -1), expected, atol=1e-5)


def test_means_of_maps_by_numpy() -> None:
    module = built(GlobalAveragePooling)
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    names = [name for name, _ in module.named_children()]
    before = images
    for name in names[: names.index("fc1")]:
        pooled, before = before, module.get_submodule(name)(before)
    np.testing.assert_allclose(
        before.detach().numpy().reshape(4, 12), pooled.detach().numpy().mean(axis=(2, 3)), atol=1e-6
    )
    assert module.fc1.weight.shape == (7, 12)


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_how_often_by_the_number_of_each_class(power: float) -> None:
    """(N / n_c)^power, up to one factor: at 1 every class has the same chance in all."""
    counts = np.array([3, 10, 40])
    labels = np.repeat(np.arange(3), counts)
    weights = Oversample(power=power).image_weights(torch.from_numpy(labels))
    assert weights is not None
    expected = (len(labels) / counts[labels]) ** power
    np.testing.assert_allclose(weights.numpy() / weights.numpy().sum(), expected / expected.sum())
    if power == 1:
        np.testing.assert_allclose(np.bincount(labels, weights.numpy()), np.bincount(labels, weights.numpy())[0])
