"""What a model may say of itself, in whatever file: anybody can write one, and what it says is used for every image."""

from __future__ import annotations

from collections.abc import Sequence

from stepladder.datasets.image_set import Span

#: The longest side of its images, pixels.
MOST_SIDE = 4_096


def check_names(names: Sequence[str]) -> None:
    """Raise ValueError where two classes have one name, or one has none: an answer would not tell which is meant."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if not name.strip():
            raise ValueError(f"the name of class {place} is blank")
        if name in places:
            raise ValueError(f"classes {places[name]} and {place} have the same name, '{name}'")
        places[name] = place


def check_shape(shape: tuple[int, int, int]) -> None:
    """Raise ValueError where images of ``shape`` (height, width, channels) are none, or too large."""
    height, width, channels = shape
    if not (1 <= height <= MOST_SIDE and 1 <= width <= MOST_SIDE and channels in (1, 3)):
        raise ValueError(
            f"images of {height}×{width}×{channels}: sides are 1 to {MOST_SIDE:,} pixels, with 1 or 3 channels"
        )


def check_span(span: Span | None) -> None:
    """Raise ValueError where the value that becomes black is not below the one that becomes white."""
    if span is not None and not 0 <= span[0] < span[1] <= 65_535:
        raise ValueError(f"black is {span[0]:,} and white {span[1]:,}: both are 0 to 65,535, and black is below white")
