"""All figures of a network in one place: what ``stepladder inspect`` shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from stepladder.errors import RecipeError
from stepladder.network.advice import Advice, advise
from stepladder.network.arithmetic import LayerCost, Shape3, format_shape
from stepladder.network.explain import describe_layer, explain_layer, explain_memory
from stepladder.network.find import FoundNetwork, find_network
from stepladder.network.line import format_line
from stepladder.network.receptive_field import Field, Fields, follow_fields
from stepladder.network.sizes import Sizes, describe_sizes, find_sizes
from stepladder.network.spec import Conv, DepthwiseConv, Flatten, Linear, Network

#: Bytes of a value in memory.
BYTES = {"float32": 4, "bfloat16": 2}
#: What is assumed where nothing else is known: color images of 32×32, in ten classes.
USUAL_INPUT, USUAL_CLASSES = (3, 32, 32), 10


def align_rows(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines: the first two columns to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


@dataclass(frozen=True)
class Inspection:
    """A network on images of one size.

    Attributes:
        found: the network, and where it comes from.
        input_shape: (C, H, W).
        batch_size: images for which activation memory is counted.
        precision: of the activations, ``float32`` or ``bfloat16``.
        costs: of every layer; see :func:`stepladder.network.trace_network`.
        training_images: where the data is known.
    """

    found: FoundNetwork
    input_shape: Shape3
    num_classes: int
    batch_size: int
    precision: str
    costs: tuple[LayerCost, ...]
    training_images: int | None = None

    def __repr__(self) -> str:
        return (
            f"Inspection({self.found.label[:60]} on {format_shape(self.input_shape)}, {self.num_classes:,} classes: "
            f"{len(self.costs):,} layers, {self.weights:,} weights, {self.macs:,} MACs an image)"
        )

    def __str__(self) -> str:
        """A row a layer: what it is, what comes out, weights, MACs, and how many pixels of the image it sees."""
        rows = [("layer", "", "output", "weights", "MACs", "sees")]
        for cost in self.costs:
            output, seen = "×".join(map(str, cost.output_shape)), self.fields[cost.layer.name][1]
            sees = f"{seen[0].size}" if seen[0].size == seen[1].size else f"{seen[0].size}×{seen[1].size}"
            rows.append((cost.layer.name, describe_layer(cost), output, f"{cost.weights:,}", f"{cost.macs:,}", sees))
        rows.append(("total", "", "", f"{self.weights:,}", f"{self.macs:,}", ""))
        return align_rows(rows)

    @cached_property
    def fields(self) -> dict[str, tuple[Fields, Fields]]:
        """The receptive fields before and behind every layer, by name."""
        return follow_fields(self.found.network, self.costs)

    @property
    def weights(self) -> int:
        """Learned numbers in all."""
        return sum(cost.weights for cost in self.costs)

    @property
    def macs(self) -> int:
        """Multiply-accumulates an image forward."""
        return sum(cost.macs for cost in self.costs)

    @property
    def fully_connected_share(self) -> float:
        """Share of the weights that is in fully connected layers, from 0 to 1."""
        connected = sum(cost.weights for cost in self.costs if isinstance(cost.layer, Linear))
        return connected / self.weights if self.weights else 0.0

    def memory_of(self, cost: LayerCost) -> int:
        """Bytes of a layer's output for the batch; 0 of a flatten, which only reads its input in another way."""
        return 0 if isinstance(cost.layer, Flatten) else self._bytes(cost.output_shape)

    @property
    def input_memory(self) -> int:
        """Bytes of the batch of images itself, as the network reads it."""
        return self._bytes(self.input_shape)

    @property
    def memory(self) -> int:
        """Bytes of the images and of all outputs together: what a training step keeps for its way back."""
        return self.input_memory + sum(self.memory_of(cost) for cost in self.costs)

    @property
    def widening(self) -> tuple[LayerCost, ...]:
        """The layers of maps that see more of the image than their input does."""
        return tuple(
            cost
            for cost in self.costs
            if cost.windows is not None
            and any(behind.size > ahead.size for ahead, behind in zip(*self.fields[cost.layer.name], strict=True))
        )

    @cached_property
    def sizes(self) -> Sizes:
        """Which other image sizes it reads once it is built."""
        return find_sizes(self.found.network, self.costs, self.num_classes)

    @cached_property
    def advice(self) -> tuple[Advice, ...]:
        """What deserves a second look."""
        fields = {name: after for name, (_, after) in self.fields.items()}
        return advise(self.found.network, self.costs, fields, self.training_images)

    def _bytes(self, shape: tuple[int, ...]) -> int:
        return math.prod(shape) * self.batch_size * BYTES[self.precision]

    def to_document(self) -> dict[str, Any]:
        """Return every figure as plain values, for JSON."""
        comparisons = {
            comparison.cost.layer.name: {
                "locally_connected_weights": comparison.locally_connected,
                "fully_connected_weights": comparison.fully_connected,
                "fully_connected_macs": comparison.fully_connected_macs,
            }
            for comparison in compare_convolutions(self.costs)
        }
        return {
            "network": self.found.label,
            "line": format_line(self.found.network),
            "paper": self.found.paper,
            "published_weights": self.found.published,
            "input_shape": list(self.input_shape),
            "num_classes": self.num_classes,
            "batch_size": self.batch_size,
            "precision": self.precision,
            "layers": [self._layer(cost, comparisons.get(cost.layer.name)) for cost in self.costs],
            "weights": self.weights,
            "macs": self.macs,
            "fully_connected_share": self.fully_connected_share,
            "activation_bytes": self.memory,
            "input_bytes": self.input_memory,
            "weight_bytes": self.weights * BYTES["float32"],
            "training_images": self.training_images,
            "weights_per_training_image": self.weights / self.training_images if self.training_images else None,
            # A module of the user's own is not run again for every size that there could be.
            "other_sizes": None
            if self.found.network.own is not None
            else {
                "fixed_by": self.sizes.binding.layer.name if self.sizes.binding else None,
                "height": list(self.sizes.rows),
                "width": list(self.sizes.columns),
                "text": describe_sizes(self.sizes, self.input_shape),
            },
            "advice": [
                {"topic": entry.topic, "layers": list(entry.layers), "text": entry.text} for entry in self.advice
            ],
        }

    def _layer(self, cost: LayerCost, comparison: dict[str, int] | None) -> dict[str, Any]:
        before, after = self.fields[cost.layer.name]
        workings = [*explain_layer(cost, before, after)]
        workings.append(explain_memory(cost.output_shape, self.batch_size, BYTES[self.precision]))
        return {
            "number": cost.number,
            "name": cost.layer.name,
            "kind": cost.layer.kind,
            "description": describe_layer(cost),
            "input_shape": list(cost.input_shape),
            "output_shape": list(cost.output_shape),
            "weights": cost.weights,
            "macs": cost.macs,
            "receptive_field": {"height": _figures(after[0]), "width": _figures(after[1])},
            "activation_bytes": self.memory_of(cost),
            "explanation": dict(workings),
            "compare": comparison,
        }


def inspect_network(
    network: str | Network | FoundNetwork,
    input_shape: Shape3 | None = None,
    num_classes: int | None = None,
    *,
    batch_size: int = 128,
    precision: str = "float32",
    training_images: int | None = None,
) -> Inspection:
    """Work out every figure of a network, without building it.

    Args:
        network: a layer list, or what :func:`stepladder.network.find_network` takes.
        input_shape: (C, H, W); by default that of the preset or the model, or 3×32×32.
        num_classes: by default the model's, the figure of the last fully connected layer, or 10.

    Raises:
        RecipeError: a layer does not fit what comes into it.
    """
    if precision not in BYTES:
        raise RecipeError(f"`precision` is '{precision}'; it must be {' or '.join(BYTES)}")
    if batch_size < 1:
        raise RecipeError(f"`batch_size` is {batch_size}; it must be at least 1")
    if num_classes is not None and num_classes < 1:
        raise RecipeError(f"`num_classes` is {num_classes}; it must be at least 1")
    if isinstance(network, str):
        network = find_network(network)
    elif isinstance(network, Network):
        network = FoundNetwork("network", network)
    shape = input_shape or network.input_shape or USUAL_INPUT
    classes = num_classes or network.num_classes or _stated_classes(network.network)
    classes = classes or network.published_classes or USUAL_CLASSES
    costs = network.trace(shape, classes)
    return Inspection(network, shape, classes, batch_size, precision, costs, training_images)


def _stated_classes(network: Network) -> int | None:
    """Return how many values the last layer with weights puts out, where that is a figure."""
    for layer in reversed(network.layers):
        if isinstance(layer, Linear):
            return layer.features if isinstance(layer.features, int) else None
        if isinstance(layer, Conv):
            return layer.channels if isinstance(layer.channels, int) else None
    return None


def _figures(field: Field) -> dict[str, float | int | None]:
    return {"size": field.size, "jump": field.jump, "start": field.start, "center": field.center}


@dataclass(frozen=True)
class Comparison:
    """A convolution against two layers of the same input and output.

    All three have a bias, or none: one a channel in the convolution, one an output value in the others. A locally
    connected layer multiplies exactly as often as the convolution; it only shares nothing.

    Attributes:
        weights: of the convolution.
        locally_connected: weights of a layer with its own kernel at every position.
        fully_connected: weights of a layer in which every output reads every input.
        macs: multiply-accumulates an image of the convolution, and of the locally connected layer.
        fully_connected_macs: of the fully connected layer.
    """

    cost: LayerCost
    weights: int
    locally_connected: int
    fully_connected: int
    macs: int
    fully_connected_macs: int


def compare_convolutions(costs: tuple[LayerCost, ...]) -> tuple[Comparison, ...]:
    """Return the comparison of every convolution, in order."""
    return tuple(_compare(cost) for cost in costs if isinstance(cost.layer, Conv | DepthwiseConv))


def _compare(cost: LayerCost) -> Comparison:
    layer = cost.layer
    assert isinstance(layer, Conv | DepthwiseConv)
    inputs, outputs = math.prod(cost.input_shape), math.prod(cost.output_shape)
    positions = outputs // cost.output_shape[0]
    return Comparison(
        cost,
        cost.weights,
        cost.weights * positions,
        (inputs + layer.bias) * outputs,
        cost.macs,
        inputs * outputs,
    )
