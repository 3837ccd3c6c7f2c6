"""Kernels in mirrored twins: an image and its mirror image get the same answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress

from pydantic import PrivateAttr
from torch import Tensor, nn

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.network.mirror import Mirror, mirrors_of
from stepladder.techniques.base import Context, Progress, Stream, Technique

#: What rounding may leave between the weights of twins.
_ROUNDING = 1e-4

#: How many more pixels a side are tried, where the network does not read the images both ways.
_SIZES_TRIED = 33


class MirrorSymmetry(Technique):
    """Let every second channel of every hidden layer be the mirror image of the one before it.

    A group convolution over the two reflections (Cohen and Welling 2016, section 6), written into the network as it is.
    Twins begin as mirror images, share the mean of their gradients, and so stay mirror images; of the weights half are
    free. An image and its mirror image get the same probabilities, up to rounding, so that each training image counts
    in both forms in every epoch.
    """

    name = "mirror_symmetry"
    group = "network"
    summary = "give an image and its mirror image one answer"
    plain = (
        "Tie the kernels in pairs of mirror images, so that an image and its mirror image get the same answer. "
        "The network does not have to learn twice what looks the same in a mirror."
    )
    papers = (cite("cohen2016group", "section 6"),)
    differs = (
        "the group is that of the two reflections, where the paper has quarter turns too; twins are separate "
        "kernels that share their gradient, where the paper makes one from the other in every step"
    )
    caveat = "a mirror image is a lie where left and right carry meaning: letters, digits, road signs"
    cost = "3 ms a step on 1.2 million weights"
    interactions = (
        "list it after what draws weights; leaves horizontal_flip little to do; subtract_mean_image and zca, which "
        "treat left and right differently, make it approximate; does not go with whitening_stem, whose weights are "
        "frozen"
    )
    reads_layers = True

    _mirrors: list[Mirror] = PrivateAttr(default_factory=list)
    _statistics: list[tuple[Tensor, Mirror]] = PrivateAttr(default_factory=list)
    _compared: bool = PrivateAttr(default=False)

    def check(self, context: Context) -> list[str]:
        """Refuse a network that reads left and right differently, or whose channels cannot come in twins."""
        assert context.rewritten is not None
        assert context.input_shape is not None
        try:
            mirrors_of(context.rewritten, context.input_shape, context.num_classes)
        except RecipeError as error:
            size = self._fitting_size()
            fix = "" if size is None else f", as `size={size}`"
            raise RecipeError(f"mirror_symmetry does not fit the network: {error}{fix}") from error
        return []

    def initialize(self, module: nn.Sequential, stream: Stream, inputs: Iterable[Tensor]) -> None:  # noqa: ARG002
        """Make the second of every two channels the mirror image of the first."""
        assert self.context.rewritten is not None
        channels, height, width = next(iter(inputs)).shape[1:]
        mirrors = mirrors_of(self.context.rewritten, (channels, height, width), self.context.num_classes)
        self._mirrors, self._statistics, self._compared = [], [], False
        for path, parameter in module.named_parameters():
            name = _own_name(path)
            if not parameter.requires_grad:
                raise RecipeError(
                    f"mirror_symmetry ties all weights, and {name} is frozen; leave out the technique that freezes it"
                )
            _tie(parameter, mirrors[name])
            self._mirrors.append(mirrors[name])
        for path, buffer in module.named_buffers():
            mirror = mirrors.get(_own_name(path), Mirror(()))
            if mirror.axes:
                self._statistics.append((buffer, mirror))

    def before_step(self, parameters: Sequence[Tensor], lr: float | Tensor) -> None:  # noqa: ARG002
        """Give twins the mean of their gradients, and of their running statistics.

        In training a channel's statistics are those of the batch as it is, and its twin's those of the mirror images.
        """
        # None where the technique is merely tried on a batch.
        mirrored = list(zip(parameters, self._mirrors, strict=False))
        if not self._compared:
            self._compared = True
            if len(mirrored) < len(self._mirrors) or any(
                bool((mirror.of(weight) - weight).abs().max() > _ROUNDING) for weight, mirror in mirrored
            ):
                raise RecipeError(
                    "another technique changed the weights that mirror_symmetry had tied; list mirror_symmetry after it"
                )
        for parameter, mirror in mirrored:
            if mirror.axes:
                assert parameter.grad is not None
                parameter.grad.add_(mirror.of(parameter.grad)).mul_(0.5)
        for statistic, mirror in self._statistics:
            statistic.add_(mirror.of(statistic)).mul_(0.5)

    def after_step(self, parameters: Sequence[Tensor], progress: Progress) -> None:
        """At each epoch's end, before it is evaluated, give twins the mean of their weights.

        They differ by rounding alone, which Muon's, in bfloat16, would let grow.
        """
        if progress.step % progress.steps_per_epoch == 0:
            for parameter, mirror in zip(parameters, self._mirrors, strict=False):
                parameter.add_(mirror.of(parameter)).mul_(0.5)

    def _fitting_size(self) -> int | None:
        """Return the side of the smallest larger images that the network reads both ways; None where none is near."""
        assert self.context.rewritten is not None
        channels, height, width = self.context.image_shape
        for size in range(max(height, width), max(height, width) + _SIZES_TRIED):
            with suppress(RecipeError):
                read = self.shape_for_network((channels, size, size))
                mirrors_of(self.context.rewritten, read, self.context.num_classes)
                return size
        return None


def _own_name(path: str) -> str:
    """Return ``layer.parameter`` of a path that may lead through residuals."""
    return ".".join(path.split(".")[-2:])


def _tie(parameter: Tensor, mirror: Mirror) -> None:
    """Let the first of every two channels lead, and make the second its mirror image."""
    if not mirror.axes:
        return
    if mirror.axes[0] == 1 and len(mirror.shape) == parameter.ndim + 1:
        # Twins out of channels that have none: the first half lead, as dirac_init may have put one channel's copy
        # after the other there, and of every two the second is lost.
        parameter.copy_(parameter.unflatten(0, (2, -1)).transpose(0, 1).flatten(0, 1).clone())
    image = mirror.of(parameter)
    pair = next((axis for axis in mirror.axes if mirror.shape[axis] == 2), None)
    if pair is None:
        # Kernels of a channel without a twin are mirror images of themselves.
        parameter.add_(image).mul_(0.5)
    else:
        parameter.view(mirror.shape).select(pair, 1).copy_(image.view(mirror.shape).select(pair, 1))
