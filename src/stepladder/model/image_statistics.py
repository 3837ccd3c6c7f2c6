"""What an image looks like in a few numbers, without a network: brightness, contrast, and roughness by scale.

Noise, a black frame or another kind of photograph stands out in them, even where a network takes it for a class.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

#: Of 0 to 1; what is added before a logarithm: two levels of 255, less than which is noise of the camera or of JPEG.
_LEAST = 2 / 255

#: Pixels that are held as float32 at a time.
_PIXELS = 2**20


def image_statistics(images: Tensor) -> Tensor:
    """Return float32 (N, K) of uint8 ``images`` (N, H, W, C): standard operators only, as exported files need them.

    Of each channel, in 0 to 1: the mean; the standard deviation; and the mean absolute difference of neighbors, down
    and across, of the image, and of it at half the size, at a quarter, until a side has fewer than four pixels. All but
    the means come with their logarithms, by which a flat image is as far away as a rough one is by the plain values.
    """
    maps = images.permute(0, 3, 1, 2).float() / 255
    mean = maps.mean(dim=(2, 3), keepdim=True)
    found = [(maps - mean).square().mean(dim=(2, 3)).sqrt()]
    while True:
        height, width = maps.shape[2:]
        if height > 1:
            found.append((maps[:, :, 1:] - maps[:, :, :-1]).abs().mean(dim=(2, 3)))
        if width > 1:
            found.append((maps[:, :, :, 1:] - maps[:, :, :, :-1]).abs().mean(dim=(2, 3)))
        if min(height, width) < 4:
            contrasts = torch.cat(found, dim=1)
            return torch.cat([mean.flatten(1), contrasts, (contrasts + _LEAST).log()], dim=1)
        maps = nn.functional.avg_pool2d(maps, 2)


def statistics_of(pixels: np.ndarray) -> np.ndarray:
    """Return :func:`image_statistics` of uint8 ``pixels`` (N, H, W, C), float32 (N, K), some at a time."""
    size = max(1, _PIXELS // math.prod(pixels.shape[1:3]))
    with torch.inference_mode():
        parts = [
            image_statistics(torch.from_numpy(np.require(pixels[start : start + size], requirements=["C", "W"])))
            for start in range(0, len(pixels), size)
        ]
    return torch.cat(parts).numpy()
