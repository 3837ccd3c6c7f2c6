"""Standardization: each channel to mean 0 and standard deviation 1, by statistics of the training images."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from stepladder.techniques.base import Technique


class Standardize(Technique):
    """x ← (x − mean) / std, a channel at a time.

    Inputs around zero let all weights of a unit move in either direction (LeCun et al., "Efficient BackProp", 1998,
    section 4.3). A channel that never varies is only centered.
    """

    name = "standardize"
    group = "inputs"
    summary = "give each color channel mean 0 and standard deviation 1 over the training images"
    paper = "LeCun, Bottou, Orr and Müller, Efficient BackProp, 1998, section 4.3"
    caveat = "the statistics must come from training images only and travel with the model"

    def fit(self, batches: Iterable[Tensor]) -> dict[str, Tensor]:
        """Return ``mean`` and ``std``, float32 (C,), of pixels scaled to 0 to 1.

        From a histogram of each channel, so the sums are exact and the same in any order.
        """
        levels = torch.arange(256, dtype=torch.float64) / 255
        histograms = sum(_histograms(images) for images in batches)
        assert isinstance(histograms, Tensor), "no images"
        means, stds = [], []
        for counts in histograms.double():
            mean = (counts * levels).sum() / counts.sum()
            variance = (counts * (levels - mean) ** 2).sum() / counts.sum()
            means.append(mean)
            stds.append(variance.sqrt() if variance > 0 else torch.ones_like(variance))
        return {"mean": torch.stack(means).float(), "std": torch.stack(stds).float()}

    def prepare(self, images: Tensor) -> Tensor:
        """Subtract the mean and divide by the standard deviation of each channel."""
        return (images - _spread(self.learned["mean"], images)).div_(_spread(self.learned["std"], images))


def _histograms(images: Tensor) -> Tensor:
    """How often each of the 256 values occurs in each channel: int64 (C, 256)."""
    return torch.stack([torch.bincount(channel.flatten().cpu(), minlength=256) for channel in images.unbind(dim=1)])


def _spread(values: Tensor, images: Tensor) -> Tensor:
    """One value a channel as a whole image in channels-last memory.

    Arithmetic on (C, 1, 1) would run in loops of C values; on a whole image it took a twentieth of the time.
    """
    image = values.view(1, -1, 1, 1).expand(1, -1, *images.shape[2:])
    return image.contiguous(memory_format=torch.channels_last)
