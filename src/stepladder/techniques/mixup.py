"""Two images in one."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import Technique
from stepladder.techniques.pixels import as_images, as_rows, mix_targets, to_levels


class Mixup(Technique):
    """x ← λ·x + (1 − λ)·x′ and t ← λ·t + (1 − λ)·t′, x′ another image of the batch, λ from Beta(alpha, alpha).

    Zhang et al. 2018, section 2. Each image has a λ of its own, where the authors' code has one a batch. Of λ and 1 − λ
    the larger is taken, so that an image is always mostly itself; the pairs that come about are the same.
    """

    name = "mixup"
    group = "augmentation"
    summary = "blend pairs of training images, and their targets alike"
    plain = (
        "Blend two training images, as in a double exposure, and blend their targets in the same shares. The "
        "network learns to answer in between for what lies in between, and becomes less sure of what it has never "
        "seen."
    )
    papers = (cite("zhang2018mixup", "section 2"),)
    differs = (
        "every image has a share λ of its own, where the authors' code has one a batch; the larger of λ and 1 − λ "
        "is taken, so that an image is always mostly itself"
    )
    caveat = "a strong regularizer: small networks and short budgets under-fit; the training loss stays high"
    cost = "0.3 ms a batch of 128 color images of 32×32"
    interactions = "cutmix after it mixes mixtures; needs a loss that takes shares of classes"
    mixes_targets = True

    alpha: Annotated[float, Field(ge=0, le=100, description="0 never mixes, 1 takes every λ alike")] = 0.2

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Blend each image with a partner."""
        if self.alpha == 0:
            return images, targets
        count = len(images)
        share = draw_beta(self.alpha, count, rng)
        # The larger share stays the image's own: the pairs are the same either way round.
        share = torch.maximum(share, 1 - share)
        partners = torch.randperm(count, generator=rng, device=images.device)
        rows = as_rows(images)
        mixed = torch.lerp(rows.index_select(0, partners).float(), rows.float(), share.view(-1, 1, 1))
        targets = mix_targets(targets, partners, share, self.context.num_classes)
        return as_images(to_levels(mixed), images.shape[1]), targets


def draw_beta(alpha: float, count: int, rng: torch.Generator) -> Tensor:
    """Return ``count`` draws of Beta(alpha, alpha), float32, on the stream's device.

    As the share of one of two gamma variables, which torch draws from a generator; its distributions use the global.
    """
    gammas = torch._standard_gamma(torch.full((2, count), alpha, dtype=torch.float64, device=rng.device), generator=rng)
    first, second = gammas.clamp_(min=1e-300).unbind()
    return (first / (first + second)).float()
