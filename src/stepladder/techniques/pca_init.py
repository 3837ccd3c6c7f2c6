"""Principal components of image patches as the first kernels."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.network.spec import Conv, DepthwiseConv, Linear, LocallyConnected
from stepladder.techniques.base import FIRST_LAYER, Context, Stream, Technique
from stepladder.techniques.batch_norm import need_convolution
from stepladder.techniques.he_init import weighted_layers

#: Layers with weights.
_WEIGHTED = (Conv, DepthwiseConv, LocallyConnected, Linear)


class PCAInit(Technique):
    """Let the first convolution begin as the principal components of its patches, each beside its negative.

    Krähenbühl et al. 2016, section 3, who start from PCA too; the negatives are Jordan's (2024, section 3.2): a ReLU
    keeps one half of a value, the two together all of it. The components are the eigenvectors of the covariance of
    patches of some thousand training images as the network reads them, those of the largest eigenvalues first; they
    get the mean length of the kernels that were drawn, so that rates keep their meaning. Channels beyond two a
    component keep their draw. All of them learn on.
    """

    name = "pca_init"
    group = "network"
    summary = "let the first convolution begin as principal components of image patches"
    plain = (
        "Let the first convolution begin as the patterns in which small patches of the images vary most: edges "
        "and color contrasts. The network does not have to find these patterns itself, which saves the first "
        "epochs."
    )
    papers = (
        cite("kraehenbuehl2016data", "section 3"),
        cite("jordan2024airbench", "section 3.2"),
    )
    differs = (
        "only the first convolution is set, and each component stands beside its negative, as in Jordan's "
        "whitening; the paper sets all layers and adjusts their scales"
    )
    caveat = "a gain in the first epochs, when the first layer would still be noise; over a long budget hardly any"
    cost = "nothing but a pass over some thousand images before the first step"
    interactions = (
        "list it after dirac_init, he_init and xavier_init, which would draw over it; excludes whitening_stem"
    )
    slot = FIRST_LAYER
    reads_layers = True

    def check(self, context: Context) -> list[str]:
        """Refuse a network that does not begin with a convolution of whole patches."""
        need_convolution(self.name, context.network)
        layer = next(one for one in context.network.every_layer() if isinstance(one, _WEIGHTED))
        if not isinstance(layer, Conv) or layer.groups != 1 or layer.dilation != 1:
            raise RecipeError(
                f"pca_init sets the kernels of the first convolution, and the first layer with weights, {layer.name}, "
                f"sees no whole patches; leave it out, or begin with a plain convolution"
            )
        return []

    def initialize(self, module: nn.Sequential, stream: Stream, inputs: Iterable[Tensor]) -> None:  # noqa: ARG002
        """Set the kernels from the images."""
        layer = next(layer for _, layer in weighted_layers(module))
        assert isinstance(layer, nn.Conv2d)
        weight = layer.weight
        vectors = principal_components(inputs, (weight.shape[2], weight.shape[3]))
        pairs = min(len(weight) // 2, len(vectors))
        # (pairs, C·k·k) of unit length, in the order of a kernel's weights.
        kernels = vectors[:pairs].float().reshape(pairs, *weight.shape[1:]) * weight.flatten(1).norm(dim=1).mean()
        weight[: 2 * pairs] = torch.cat([kernels, -kernels]).to(weight.device)


def principal_components(inputs: Iterable[Tensor], kernel_size: tuple[int, int]) -> Tensor:
    """Return the eigenvectors of the covariance of patches, a row each, the largest eigenvalue's first.

    Args:
        inputs: float (B, C, H, W) at a time; images smaller than a patch get a border of zeros.
        kernel_size: rows and columns of a patch; every second one of each row and column is taken, since neighbors
            are alike.

    Returns:
        float64, as many rows and columns as a patch has values, C·rows·columns; on the CPU.
    """
    rows, columns = kernel_size
    total = mean = torch.zeros((), dtype=torch.float64)
    count = 0
    for images in inputs:
        if images.shape[2] < rows or images.shape[3] < columns:
            images = nn.functional.pad(images, (columns // 2, columns // 2, rows // 2, rows // 2))
        windows = images.double().unfold(2, rows, 2).unfold(3, columns, 2)
        patches = windows.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2)
        total = total + (patches.T @ patches).cpu()
        mean = mean + patches.sum(dim=0).cpu()
        count += len(patches)
    mean = mean / count
    _, vectors = torch.linalg.eigh(total / count - mean.outer(mean))
    components: Tensor = vectors.T.flip(0)
    return components
