"""Every number that stands in the answers, worked out by the library's own arithmetic; no torch.

The network is the preset of the lab report on 3×32×32 images with ten classes; rates and budgets are those of
``recipes/report.toml``.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from stepladder.network.arithmetic import LayerCost
from stepladder.network.find import find_network
from stepladder.network.inspection import Inspection, compare_convolutions, inspect_network
from stepladder.network.spec import BatchNorm, Conv, Linear

#: CIFAR-10 (Krizhevsky 2009, section 3.1): images that train and test, their shape, and the classes.
TRAINING_IMAGES = 50_000
TEST_IMAGES = 10_000
IMAGE = (3, 32, 32)
CLASSES = 10

_WITHOUT_POOLING = "conv5-32 conv5-64 conv5-64 fc1000 fc"
_AS_CONVOLUTIONS = "conv5-32 pool2 conv5-64 pool2 conv5-64 pool2 conv4-1000:padding=0 relu conv1-classes gap"
_WITH_BATCH_NORM = "conv5-32 bn pool2 conv5-64 bn pool2 conv5-64 bn pool2 fc1000 fc"


@cache
def numbers() -> Mapping[str, str]:
    """Return the text of each placeholder by its name; whole numbers with commas, ``2,432``."""
    network = _inspected("report")
    values = dict(_of_layers(network))
    values |= _of_network(network)
    values |= _of_convolutions(network)
    values |= _of_training(network)
    values |= _of_dropout(network)
    values |= _of_batch_norm()
    return values


def _inspected(line: str, shape: tuple[int, int, int] = IMAGE) -> Inspection:
    return inspect_network(find_network(line), shape, CLASSES)


def _of_layers(network: Inspection) -> Iterator[tuple[str, str]]:
    """What ``inspect --explain`` says of each layer with weights, and the size and field of every one."""
    for cost in network.costs:
        name, (_, after) = cost.layer.name, network.fields[cost.layer.name]
        if cost.windows is not None:
            yield f"{name}_size", str(cost.output_shape[-1])
            yield f"{name}_sees", str(after[0].size)
        if isinstance(cost.layer, Conv | Linear):
            yield f"{name}_weights", f"{cost.weights:,}"
            yield f"{name}_share", f"{100 * cost.weights / network.weights:.0f} %"
            yield f"{name}_working", _weights_written_out(cost)


def _weights_written_out(cost: LayerCost) -> str:
    outputs = cost.output_shape[0]
    inputs = f"{cost.input_shape[0]:,}"
    kernel = f"{cost.layer.kernel[0]}·{cost.layer.kernel[1]}·" if isinstance(cost.layer, Conv) else ""
    return f"{kernel}{inputs}·{outputs:,} + {outputs:,} = {cost.weights:,}"


def _of_network(network: Inspection) -> dict[str, str]:
    costs = {cost.layer.name: cost for cost in network.costs}
    flat = costs["fc1"].input_shape[0]
    bare, enlarged = _inspected(_WITHOUT_POOLING), _inspected("report", (3, 64, 64))
    convolutional = _inspected(_AS_CONVOLUTIONS)
    larger = {cost.layer.name: cost for cost in enlarged.costs}
    as_conv = {cost.layer.name: cost for cost in convolutional.costs}
    convolutions = sum(cost.macs for cost in network.costs if isinstance(cost.layer, Conv))
    rows = network.sizes.rows
    assert as_conv["conv4"].weights == costs["fc1"].weights
    return {
        "weights": f"{network.weights:,}",
        "weights_sum": " + ".join(f"{cost.weights:,}" for cost in network.costs if cost.weights),
        "macs_millions": f"{network.macs / 1e6:.0f} million",
        "convolution_macs_share": f"{100 * convolutions / network.macs:.0f} %",
        "flat": f"{flat:,}",
        "flat_working": f"{'·'.join(map(str, costs['pool3'].output_shape))} = {flat:,}",
        "hidden": f"{costs['fc1'].output_shape[0]:,}",
        "bare_weights": f"{bare.weights:,}",
        "bare_weights_times": f"{bare.weights / network.weights:.0f}",
        "bare_macs_millions": f"{bare.macs / 1e6:.0f} million",
        "bare_macs_times": f"{bare.macs / network.macs:.0f}",
        "bare_flat": f"{next(cost.input_shape[0] for cost in bare.costs if cost.layer.name == 'fc1'):,}",
        "bare_sees": str(bare.fields["conv3"][1][0].size),
        "larger_flat_working": f"{'·'.join(map(str, larger['pool3'].output_shape))} = {larger['fc1'].input_shape[0]:,}",
        "smallest_side": str(rows[0]),
        "largest_side": str(rows[1]),
        "convolved_outputs": _convolved_outputs(convolutional, 64),
    }


def _convolved_outputs(network: Inspection, side: int) -> str:
    """How many answers a side the network gives on larger images once it has convolutions alone."""
    costs = network.found.trace((IMAGE[0], side, side), CLASSES)
    return str(next(cost.output_shape[1] for cost in costs if cost.layer.name == "conv5"))


def _of_convolutions(network: Inspection) -> dict[str, str]:
    values: dict[str, str] = {}
    for comparison in compare_convolutions(network.costs):
        cost, name = comparison.cost, comparison.cost.layer.name
        inputs, outputs = math.prod(cost.input_shape), math.prod(cost.output_shape)
        _, rows, columns = cost.output_shape
        values |= {
            f"{name}_positions": f"{rows * columns:,}",
            f"{name}_local": f"{comparison.locally_connected:,}",
            f"{name}_full": f"{comparison.fully_connected:,}",
            f"{name}_full_working": f"{inputs:,}·{outputs:,} + {outputs:,} = {comparison.fully_connected:,}",
            f"{name}_full_times": f"{comparison.fully_connected / cost.weights:,.0f}",
        }
    first = network.costs[0]
    assert isinstance(first.layer, Conv)
    assert first.windows is not None
    k, padding, side = first.layer.kernel[0], first.windows[0].before, IMAGE[1]
    pool = next(cost.windows[0] for cost in network.costs if cost.windows and cost.layer.name == "pool1")
    two, maps = 2 * k - 1, first.output_shape[0]
    values |= {
        "k": str(k),
        "padding": str(padding),
        "conv1_size_working": f"⌊({side} + 2·{padding} − {k})/1⌋ + 1 = {first.windows[0].output_size(side)}",
        "conv1_size_without_one": str((side + 2 * padding - k) // 1),
        "strided_size_working": f"⌊({side} + 2·{padding} − {k})/2⌋ + 1 = ⌊{(side + 2 * padding - k) / 2:g}⌋ + 1 = "
        f"{(side + 2 * padding - k) // 2 + 1}",
        "two_see": str(two),
        "two_area": str(two * two),
        "two_maps_weights": f"{2 * k * k * 64 * 64:,}",
        "large_kernel_weights": f"{two * two * 64 * 64:,}",
        "large_kernel_saved": f"{100 * (1 - 2 * k * k / two**2):.0f} %",
        "padding_working": f"({k} − 1)/2 = {(k - 1) // 2}",
        "pool_working": f"⌊({side} + 2·{pool.before} − {pool.kernel_size})/{pool.stride}⌋ + 1 = "
        f"{pool.output_size(side)}",
        "pool_kept": f"{100 / pool.stride**2:.0f} %",
        "unpadded_sides": ", ".join(str(side - n * (k - 1)) for n in range(4)),
        "report_left_side": str(k * k * maps + maps),
        "batch_local": f"{128 * next(c.locally_connected for c in compare_convolutions(network.costs)):,}",
    }
    return values


def _recipe() -> dict[str, Any]:
    """The report's recipe as plain values: the checked ones need torch."""
    return tomllib.loads((resources.files("stepladder") / "recipes" / "report.toml").read_text(encoding="utf-8"))


def _of_training(network: Inspection) -> dict[str, str]:
    recipe = _recipe()
    options = {entry["name"]: entry for entry in recipe["techniques"]}
    gamma = next(entry["gamma"] for entry in options.values() if "gamma" in entry)
    lr, epochs, batch = recipe["optimizer"]["lr"], recipe["epochs"], recipe["batch_size"]
    steps, per_image = math.ceil(TRAINING_IMAGES / batch), network.weights / TRAINING_IMAGES
    last = lr * gamma ** (epochs - 1)
    chance_sd = math.sqrt((1 / CLASSES) * (1 - 1 / CLASSES) / TEST_IMAGES)
    return {
        "training_images": f"{TRAINING_IMAGES:,}",
        "test_images": f"{TEST_IMAGES:,}",
        "weights_per_image": f"{per_image:.1f}",
        "weights_per_image_working": f"{network.weights:,}/{TRAINING_IMAGES:,} = {per_image:.1f}",
        "chance": f"{100 / CLASSES:.0f} %",
        "chance_sd": f"{100 * chance_sd:.1f}",
        "report_untrained": "13 %",  # as the lab report saw it; docs/techniques.md has ours
        "report_untrained_sds": f"{(0.13 - 1 / CLASSES) / chance_sd:.0f}",
        "ln_classes": f"{math.log(CLASSES):.3f}",
        "ln_working": f"−ln(1/{CLASSES}) = ln {CLASSES} = {math.log(CLASSES):.3f}",
        "lr": f"{lr:g}",
        "epochs": str(epochs),
        "batch": str(batch),
        "steps": f"{steps:,}",
        "steps_working": f"⌈{TRAINING_IMAGES:,}/{batch}⌉ = {steps:,}",
        "all_steps": f"{steps * epochs:,}",
        "small_batch": "32",
        "small_batch_steps": f"{math.ceil(TRAINING_IMAGES / 32):,}",
        "noise_ratio": f"{math.sqrt(batch / 32):g}",
        "gamma": f"{gamma:g}",
        "last_lr": f"{last:.3f}",
        "last_lr_working": f"{lr:g}·{gamma:g}^{epochs - 1} = {last:.3f}",
        "last_lr_share": f"{100 * last / lr:.0f} %",
        "half_epochs": f"{math.log(0.5) / math.log(gamma):.1f}",
        "zca_matrix": f"{math.prod(IMAGE):,}×{math.prod(IMAGE):,}",
        "zca_entries": f"{math.prod(IMAGE) ** 2:,}",
        "crops": f"{_crops()}",
        "crops_flipped": f"{2 * _crops()}",
    }


def _crops(reach: int = IMAGE[1] // 8) -> int:
    """Places of a random crop that shifts by up to ``reach`` pixels each way."""
    return (2 * reach + 1) ** 2


def _of_dropout(network: Inspection) -> dict[str, str]:
    hidden = next(cost.input_shape[0] for cost in network.costs if cost.layer.name == "fc2")
    p = next(entry["p"] for entry in _recipe()["techniques"] if "p" in entry)
    return {
        "p": f"{p:g}",
        "kept_scale": f"{1 / (1 - p):g}",
        "kept_units": f"{hidden * (1 - p):,.0f}",
        "kept_sd": f"{math.sqrt(hidden * p * (1 - p)):.0f}",
        "thinned_power": f"{hidden:,}",
        "thinned_digits": str(math.floor(hidden * math.log10(2)) + 1),
        "heavy_p": "0.95",
        "heavy_kept": f"{hidden * 0.05:.0f}",
    }


def _of_batch_norm() -> dict[str, str]:
    with_norm = _inspected(_WITH_BATCH_NORM)
    norms = [cost for cost in with_norm.costs if isinstance(cost.layer, BatchNorm)]
    batch = _recipe()["batch_size"]
    _, rows, columns = norms[0].output_shape
    return {
        "norm_weights_working": f"2·({' + '.join(str(cost.output_shape[0]) for cost in norms)}) = "
        f"{sum(cost.weights for cost in norms):,}",
        "norm_values_working": f"{batch}·{rows}·{columns} = {batch * rows * columns:,}",
    }
