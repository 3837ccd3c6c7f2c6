"""Standardization: each channel to mean 0 and standard deviation 1, by statistics of the training images."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import Technique


class Standardize(Technique):
    """x ← (x − mean) / std, a channel at a time.

    Inputs around zero let all weights of a unit move in either direction (LeCun et al., "Efficient BackProp", 1998,
    section 4.3). A channel that never varies is only centered.
    """

    name = "standardize"
    group = "inputs"
    summary = "give each color channel mean 0 and standard deviation 1 over the training images"
    plain = (
        "Shift and scale each color channel so that over the training images its mean is 0 and its standard "
        "deviation is 1. Inputs of one size around zero let gradient descent take steps of about the same length "
        "for every weight, so training is faster and steadier."
    )
    papers = (cite("lecun1998efficient", "section 4.3"),)
    differs = (
        "one mean and one deviation for each color channel; the paper has them for each input, which here is each pixel"
    )
    caveat = "the statistics must come from training images only and travel with the model"
    cost = "0.1 ms a batch of 128 color images of 32×32"
    interactions = "learns from what the inputs techniques before it make, so that it does not undo them"

    def fit(self, batches: Iterable[Tensor]) -> dict[str, Tensor]:
        """Return ``mean`` and ``std``, float32 (C,), of pixels scaled to 0 to 1.

        From a histogram of each channel, so the sums are exact and the same in any order; where another technique has
        changed the images before, from sums in double precision.
        """
        if any(technique.group == self.group for technique in self._before):
            mean, variance = _moments(self.prepared(batches))
        else:
            mean, variance = _moments_of_levels(batches)
        std = torch.where(variance > 0, variance.sqrt(), 1)
        return {"mean": mean.float(), "std": std.float()}

    def prepare(self, images: Tensor) -> Tensor:
        """Subtract the mean and divide by the standard deviation of each channel."""
        return (images - spread(self.learned["mean"], images)).div_(spread(self.learned["std"], images))


def _moments_of_levels(batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel, float64 (C,), from how often each of the 256 values occurs in it."""
    levels = torch.arange(256, dtype=torch.float64) / 255
    histograms = sum(_histograms(images) for images in batches)
    assert isinstance(histograms, Tensor), "no images"
    means, variances = [], []
    for counts in histograms.double():
        mean = (counts * levels).sum() / counts.sum()
        means.append(mean)
        variances.append((counts * (levels - mean) ** 2).sum() / counts.sum())
    return torch.stack(means), torch.stack(variances)


def _moments(batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    sums: list[Tensor] = []
    count = 0
    for images in batches:
        values = images.double()
        found = [values.sum(dim=(0, 2, 3)), values.square().sum(dim=(0, 2, 3))]
        sums = [one + other for one, other in zip(sums, found, strict=True)] if sums else found
        count += images[:, 0].numel()
    mean = sums[0] / count
    variance = sums[1] / count - mean**2
    # What rounding leaves of a channel that never varies.
    return mean, torch.where(variance > 1e-12 * mean**2, variance, 0)


def _histograms(images: Tensor) -> Tensor:
    """How often each of the 256 values occurs in each channel: int64 (C, 256)."""
    return torch.stack([torch.bincount(channel.flatten().cpu(), minlength=256) for channel in images.unbind(dim=1)])


def spread(values: Tensor, images: Tensor) -> Tensor:
    """One value a channel as a whole image in channels-last memory.

    Arithmetic on (C, 1, 1) would run in loops of C values; on a whole image it took a twentieth of the time.
    """
    image = values.view(1, -1, 1, 1).expand(1, -1, *images.shape[2:])
    return image.contiguous(memory_format=torch.channels_last)
