"""What in a network deserves a second look, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from stepladder.network.arithmetic import LayerCost
from stepladder.network.receptive_field import Fields
from stepladder.network.spec import (
    AvgPool,
    BatchNorm,
    Conv,
    DepthwiseConv,
    Flatten,
    Layer,
    Linear,
    LocallyConnected,
    MaxPool,
    Network,
)

#: Above this share of all weights, one layer is named.
_MOST = 0.5
#: A field this many times as wide as the image is named.
_FAR_LARGER = 2
#: From so many weights for each training image on, learning by heart is named.
_MANY_WEIGHTS = 10
#: What is said before a training: so many weights for each image, in a network of at least so many. The reference study
#: has 24 an image, digits 178, and a thousand images of 64×64 with the report's network 4,300, which still learns; 80
#: photos of 224×256, which did not, 718,000. Below a million weights a network is neither slow nor large.
_GRAVE_FOR_EACH, _GRAVE_FROM = 5_000, 1_000_000
#: And a fully connected layer with such a share of the weights, and so many: 40 MB of numbers, three times that in
#: training. The report's own has 86 % of a million, which costs nothing that anyone would notice.
_DWARFING, _LARGE_LAYER = 0.8, 10_000_000
#: The preset for images of any size: its weights do not grow with the image.
GAP_NETWORK = "report_gap"
#: Images up to so many pixels a side suit networks that flatten their last maps.
LARGEST_FLATTENED = 64


@dataclass(frozen=True)
class Advice:
    """One thing to look at.

    Attributes:
        topic: a word for programs: weights, field, border, even kernel, images, bias.
        layers: names of the layers that it is about.
        text: what and why, in a sentence or two.
    """

    topic: str
    layers: tuple[str, ...]
    text: str


def advise(
    network: Network, costs: tuple[LayerCost, ...], fields: dict[str, Fields], training_images: int | None = None
) -> tuple[Advice, ...]:
    """Return the advice for ``network``; empty where nothing stands out.

    Args:
        fields: from :func:`stepladder.network.receptive_fields`.
        training_images: how many images it would be trained on, where that is known.
    """
    found = [*_most_weights(costs), *_field(costs, fields), *_borders(costs), *_even_kernels(costs)]
    found += [*_images(costs, training_images), *_idle_biases(network)]
    return tuple(found)


def grave_notes(costs: tuple[LayerCost, ...], training_images: int) -> tuple[str, ...]:
    """Return what must be said of a network before it is trained, a sentence each with what mends it; mostly nothing.

    Args:
        costs: of :func:`stepladder.network.trace_network`, on the images that it will be trained on.
    """
    total = sum(cost.weights for cost in costs)
    largest = max(costs, key=lambda cost: cost.weights)
    mend = f'take `network="{GAP_NETWORK}"`, which has as many weights for images of any size'
    if max(costs[0].input_shape[1:]) > LARGEST_FLATTENED:
        mend += f", or smaller images with `size={LARGEST_FLATTENED}`"
    notes = []
    if isinstance(largest.layer, Linear) and largest.weights > max(_DWARFING * total, _LARGE_LAYER):
        notes.append(
            f"The layer {largest.layer.name} has {100 * largest.weights / total:.0f} % of the network's {total:,} "
            f"weights, since each of its {largest.output_shape[0]:,} outputs reads all {largest.input_shape[0]:,} "
            f"values before it: {mend}."
        )
    if total >= max(_GRAVE_FOR_EACH * training_images, _GRAVE_FROM):
        notes.append(
            f"The network has {total:,} weights, {total / training_images:,.0f} for each of the {training_images:,} "
            "training images, and can learn them all by heart: "
            f"{'the same mends that, or more images' if notes else mend}."
        )
    return tuple(notes)


def training_memory(costs: tuple[LayerCost, ...], batch_size: int) -> int:
    """Return about how many bytes a training step in float32 takes at its peak.

    What every layer puts out is kept for the way back; the gradients of two layers are there at a time; and each weight
    has a gradient and an average of them beside it.
    """
    values = [math.prod(costs[0].input_shape)]
    values += [math.prod(cost.output_shape) for cost in costs if not isinstance(cost.layer, Flatten)]
    weights = sum(cost.weights for cost in costs)
    return 4 * (batch_size * (sum(values) + 2 * max(values)) + 3 * weights)


def weights_for_each_image(weights: int, training_images: int) -> str:
    """Say what the number of weights for each training image means."""
    ratio = weights / training_images
    figure = f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"
    sentence = f"{figure} weights for each of the {training_images:,} training images"
    if ratio < 1:
        return sentence + ": fewer than one."
    if ratio < _MANY_WEIGHTS:
        return sentence + ": enough to learn many of them by heart, so trust the validation accuracy alone."
    return (
        sentence
        + ": far more than it takes to learn them all by heart. A training accuracy near 100 % will say nothing "
        "about new images; only validation does, and augmentation, dropout or fewer weights are worth trying."
    )


def _most_weights(costs: tuple[LayerCost, ...]) -> Iterator[Advice]:
    total = sum(cost.weights for cost in costs)
    largest = max(costs, key=lambda cost: cost.weights)
    if sum(cost.weights > 0 for cost in costs) < 3 or largest.weights <= _MOST * total:
        return
    share = f"{100 * largest.weights / total:.0f} %"
    text = f"{largest.layer.name} has {share} of all weights, {largest.weights:,} of {total:,}"
    if isinstance(largest.layer, Linear):
        text += (
            f": each of its {largest.output_shape[0]:,} outputs reads all {largest.input_shape[0]:,} values. Smaller "
            f"maps before it, fewer outputs or global average pooling would cut the network to a fraction."
        )
    elif isinstance(largest.layer, LocallyConnected):
        text += ": it has a kernel a position; a convolution shares one."
    else:
        text += ". Its channels are where weights can be saved."
    yield Advice("weights", (largest.layer.name,), text)


def _field(costs: tuple[LayerCost, ...], fields: dict[str, Fields]) -> Iterator[Advice]:
    maps = [cost for cost in costs if len(cost.output_shape) == 3]
    if not any(isinstance(cost.layer, Conv | DepthwiseConv | LocallyConnected) for cost in maps):
        return
    last, size = maps[-1], min(costs[0].input_shape[1:])
    seen = min(field.size for field in fields[last.layer.name])
    name = last.layer.name
    if seen < size:
        yield Advice(
            "field",
            (name,),
            f"No position of the last maps ({name}) sees more than {seen} of {size} pixels: what is larger is only put "
            f"together behind them. More layers, larger kernels, pooling or dilation widen the view.",
        )
    elif seen > _FAR_LARGER * size:
        first = next(cost for cost in maps if min(field.size for field in fields[cost.layer.name]) > _FAR_LARGER * size)
        yield Advice(
            "field",
            (first.layer.name,),
            f"From {first.layer.name} on, the receptive field is more than {_FAR_LARGER} times as wide as the image of "
            f"{size} pixels ({seen} in the end): beyond the image it sees padding alone. Fewer layers or poolings "
            f"would do for this size.",
        )


def _borders(costs: tuple[LayerCost, ...]) -> Iterator[Advice]:
    for cost in costs:
        if cost.windows is None or cost.windows[0].stride == 1:
            continue
        sizes = zip(("row", "column"), cost.input_shape[1:], cost.windows, strict=True)
        lost = [(word, size, window.unread(size)) for word, size, window in sizes if window.unread(size)]
        if not lost:
            continue
        word, size, unread = lost[0]
        window = cost.windows[0 if word == "row" else 1]
        both = "s and columns" if len(lost) == 2 else "s"
        what = (
            f"the last {word}{' and column' if len(lost) == 2 else ''}"
            if unread == 1
            else f"the last {unread} {word}{both}"
        )
        keep = (
            "ceil_mode = true keeps them" if isinstance(cost.layer, MaxPool | AvgPool) else "padding would reach them"
        )
        yield Advice(
            "border",
            (cost.layer.name,),
            f"{cost.layer.name} never reads {what} of its {size}-pixel maps, since windows of "
            f"{window.extent} in steps of {window.stride} do not end there; {keep}.",
        )


def _even_kernels(costs: tuple[LayerCost, ...]) -> Iterator[Advice]:
    for cost in costs:
        if cost.windows is None or not isinstance(cost.layer, Conv | DepthwiseConv | LocallyConnected):
            continue
        shifted = [one for one in cost.windows if one.kernel_size % 2 == 0 and one.before != one.after]
        if shifted:
            window = shifted[0]
            yield Advice(
                "even kernel",
                (cost.layer.name,),
                f'{cost.layer.name} has an even kernel of {window.kernel_size} with "same" padding: {window.before} '
                f"before and {window.after} after, so that its maps shift by half a pixel. Odd kernels have a center.",
            )


def _images(costs: tuple[LayerCost, ...], training_images: int | None) -> Iterator[Advice]:
    total = sum(cost.weights for cost in costs)
    if training_images and total / training_images >= _MANY_WEIGHTS:
        yield Advice("images", (), weights_for_each_image(total, training_images))


def _idle_biases(network: Network) -> Iterator[Advice]:
    idle = list(_biases_before_batch_norm(network.layers))
    if not idle:
        return
    one = len(idle) == 1
    names = idle[0] if one else f"{', '.join(idle[:-1])} and {idle[-1]}"
    yield Advice(
        "bias",
        tuple(idle),
        f"{names} {'has a bias' if one else 'have biases'} before batch norm, which subtracts the mean and so "
        f"{'it' if one else 'them'} too: bias = false saves {'it' if one else 'them'} and changes nothing.",
    )


def _biases_before_batch_norm(layers: tuple[Layer, ...]) -> Iterator[str]:
    biased: str | None = None
    for layer in layers:
        if layer.inner:
            for inner in layer.inner:
                yield from _biases_before_batch_norm(inner)
            biased = None
        elif isinstance(layer, Conv | DepthwiseConv | Linear):
            biased = layer.name if layer.bias else None
        elif isinstance(layer, BatchNorm):
            if biased is not None:
                yield biased
            biased = None
        elif not (isinstance(layer, MaxPool | AvgPool) and layer.padding == 0):
            biased = None  # only pooling passes a constant on as it is
