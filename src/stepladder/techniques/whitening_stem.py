"""A first layer that whitens patches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stepladder.citations import cite
from stepladder.network import Network
from stepladder.network.spec import Conv, Gelu
from stepladder.techniques.base import FIRST_LAYER, Stream, Technique


class WhiteningStem(Technique):
    """Put a frozen 2×2 convolution and a GELU in front: v/√(λ + epsilon) and its negative for every eigenvector v.

    Jordan 2024, section 3.2: eigenvectors v and eigenvalues λ of the covariance of 2×2 patches of some thousand
    training images as the network reads them. The patches' mean is subtracted first, which Jordan leaves out. Maps lose
    a row and a column. The bias, from 0, learns.
    """

    name = "whitening_stem"
    group = "network"
    summary = "put a frozen convolution in front that whitens 2×2 patches"
    plain = (
        "Put a fixed layer in front whose outputs are uncorrelated and of equal size, worked out from small "
        "patches of the training images. The layers behind it read clean, balanced inputs from the first step and "
        "learn faster."
    )
    papers = (cite("jordan2024airbench", "section 3.2"),)
    differs = (
        "the mean of the patches is subtracted before their covariance is taken; the bias learns to the end, "
        "where the authors' code stops it after three epochs"
    )
    caveat = "patches of flat images have eigenvalues near 0: raise epsilon where the loss starts high"
    cost = "a training step of the reference network takes about 1.8 times as long: conv1 reads 24 maps, not 3"
    interactions = (
        "list it after batch_norm, which would normalize it too; repeats what zca has done; excludes pca_init"
    )
    slot = FIRST_LAYER

    epsilon: Annotated[float, Field(gt=0, le=10, description="added to every eigenvalue")] = 5e-4

    def rewrite(self, network: Network) -> Network:
        """Put the convolution and its GELU in front."""
        channels = 2 * 4 * self.context.image_shape[0]
        stem = Conv(name="whiten", channels=channels, kernel_size=2)
        return Network(layers=(stem, Gelu(name="whiten_gelu"), *network.layers))

    def initialize(self, module: nn.Sequential, stream: Stream, inputs: Iterable[Tensor]) -> None:  # noqa: ARG002
        """Set the kernels from the images and freeze them."""
        layer = module.get_submodule("whiten")
        assert isinstance(layer, nn.Conv2d)
        total = torch.zeros(0)
        mean, count = torch.zeros(0), 0
        for images in inputs:
            # (patches, C·2·2), in the order of a kernel's weights.
            patches = images.double().unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2)
            if not count:
                total = patches.new_zeros(patches.shape[1], patches.shape[1])
                mean = patches.new_zeros(patches.shape[1])
            total += patches.T @ patches
            mean += patches.sum(dim=0)
            count += len(patches)
        mean /= count
        covariance = total / count - mean.outer(mean)
        values, vectors = torch.linalg.eigh(covariance.cpu())
        kernels = (vectors / (values.clamp(min=0) + self.epsilon).sqrt()).T.flip(0)
        kernels = kernels.reshape(-1, *layer.weight.shape[1:]).float()
        layer.weight.copy_(torch.cat([kernels, -kernels]))
        layer.weight.requires_grad_(False)
        if layer.bias is not None:
            layer.bias.zero_()
