"""One rule from a file to the pixels that a model reads, as data and as a program without Stepladder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepladder.datasets.decode import ENOUGH, JPEG_SCALES, WHITE
from stepladder.datasets.image_set import Fit, Span

#: How timm calls what becomes of an image of other proportions.
_CROP_MODES: dict[Fit, str] = {"crop": "center", "pad": "border", "stretch": "squash"}

#: The program that the card shows; it is run in a test beside the model itself.
PROGRAM = Path(__file__).with_name("standalone.py")


def image_rule(shape: tuple[int, int, int], fit: Fit, span: Span | None) -> dict[str, Any]:
    """Return how a file becomes pixels, as plain values.

    Names and values are those of timm's ``data_config`` where it has them (``input_size``, ``interpolation``,
    ``crop_pct``, ``crop_mode``); what the network does to pixels (scaling, standardization) is part of its graph.

    Args:
        shape: (height, width, channels) of the model's images.
        fit, span: see :class:`stepladder.model.classifier.Classifier`.
    """
    height, width, channels = shape
    black, white = span or (0, WHITE)
    return {
        "version": 1,
        "input_size": [channels, height, width],
        "interpolation": "bicubic",
        "antialias": True,
        "crop_pct": 1.0,
        "crop_mode": _CROP_MODES[fit],
        "padding": 0,
        "color_order": "RGB" if channels == 3 else "L",
        "gray_from_color": "ITU-R BT.601",
        "layout": "NHWC",
        "dtype": "uint8",
        "exif_orientation": True,
        "transparency": "over white",
        "frame": 0,
        "black": black,
        "white": white,
        "jpeg_scales": list(JPEG_SCALES),
        "jpeg_pixels_left": ENOUGH,
    }
