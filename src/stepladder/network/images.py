"""The size of images, as users write it: ``3x32x32``, channels first."""

from __future__ import annotations

import re

from stepladder.errors import RecipeError

_LARGEST = 2**16


def parse_input(text: str) -> tuple[int, int, int]:
    """Return (C, H, W) of a text such as ``3x32x32``.

    Raises:
        RecipeError: another form; the sentence says which order is wanted.
    """
    figures = [figure.strip() for figure in re.split(r"[x×X*,]", text)]
    wanted = "channels, height and width in this order, as 3x32x32 for color or 1x28x28 for gray"
    if not all(re.fullmatch(r"\d{1,9}", figure, re.ASCII) for figure in figures):
        raise RecipeError(f"--input is '{text}'; write {wanted}")
    sizes = [int(figure) for figure in figures]
    if len(sizes) != 3:
        hint = f"; for color images of {sizes[0]}×{sizes[1]} that is 3x{sizes[0]}x{sizes[1]}" if len(sizes) == 2 else ""
        raise RecipeError(f"--input is '{text}', {len(sizes)} figure{'s' * (len(sizes) != 1)}; write {wanted}{hint}")
    channels, height, width = sizes
    if channels > 4 and width <= 4:
        raise RecipeError(
            f"--input is '{text}', which has the channels last; write {wanted}: here {width}x{channels}x{height}"
        )
    if not all(1 <= size <= _LARGEST for size in sizes):
        raise RecipeError(f"--input is '{text}'; each figure must be 1 to {_LARGEST:,}")
    return channels, height, width
