"""All figures of a network that the user's own file builds: what ``stepladder inspect FILE.py:build`` shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stepladder.errors import RecipeError
from stepladder.network.arithmetic import Shape, Shape3, format_shape
from stepladder.network.find import FoundNetwork
from stepladder.network.inspection import USUAL_CLASSES, USUAL_INPUT, align_rows
from stepladder.network.own import figures_of, is_named
from stepladder.network.spec import OwnModule

#: What tables call the module itself, where it has weights of its own.
WHOLE = "(itself)"


@dataclass(frozen=True)
class OwnPart:
    """One module within the user's, which has no modules of its own, or weights or multiplications beside them.

    Attributes:
        name: its path, as ``layer1.0.conv2``; empty for the whole.
        kind: its class, as ``Conv2d``.
        output_shape: what came out of it last, without the batch, the first of several; None where it was not called:
            it is not used, or the module around it goes by its weights alone.
        weights: learned numbers, those that another part has too left out.
        macs: multiply-accumulates an image, as torch's own counter has them.
        sees: rows and columns of the image that the middle of its output depends on, measured; None where it cannot be.
    """

    name: str
    kind: str
    output_shape: Shape | None
    weights: int
    macs: int
    sees: tuple[int, int] | None = None


@dataclass(frozen=True)
class OwnInspection:
    """A module of the user's own on images of one size.

    Attributes:
        found: the network, and where it comes from.
        input_shape: (C, H, W).
        weights: learned numbers in all.
        macs: multiply-accumulates an image forward.
        parts: in the order in which they are registered; empty where the user has not named the file, so that its code
            is not run, and the two figures are those recorded with the trained model.
        training_images: where the data is known.
    """

    found: FoundNetwork
    input_shape: Shape3
    num_classes: int
    weights: int
    macs: int
    parts: tuple[OwnPart, ...] = ()
    training_images: int | None = None

    @property
    def layer(self) -> OwnModule:
        """What the network is built by."""
        own = self.found.network.own
        assert own is not None
        return own

    def __repr__(self) -> str:
        return (
            f"OwnInspection({self.found.label[:60]} on {format_shape(self.input_shape)}, {self.num_classes:,} classes: "
            f"{len(self.parts):,} parts, {self.weights:,} weights, {self.macs:,} MACs an image)"
        )

    def __str__(self) -> str:
        """A row a part: what it is, what comes out, weights, MACs, and how many pixels of the image it sees."""
        rows = [("part", "", "output", "weights", "MACs", "sees")]
        rows += [
            (
                part.name or WHOLE,
                part.kind,
                output_in_words(part),
                f"{part.weights:,}",
                f"{part.macs:,}",
                sees_in_words(part),
            )
            for part in self.parts
        ]
        rows.append(("total", "", "", f"{self.weights:,}", f"{self.macs:,}", ""))
        return align_rows(rows)

    def to_document(self) -> dict[str, Any]:
        """Return every figure as plain values, for JSON."""
        return {
            "network": self.found.label,
            "built_by": self.layer.reference,
            "sha256": self.layer.sha256,
            "input_shape": list(self.input_shape),
            "num_classes": self.num_classes,
            "parts": [
                {
                    "name": part.name,
                    "kind": part.kind,
                    "output_shape": None if part.output_shape is None else list(part.output_shape),
                    "weights": part.weights,
                    "macs": part.macs,
                    "sees": None if part.sees is None else {"height": part.sees[0], "width": part.sees[1]},
                }
                for part in self.parts
            ],
            "weights": self.weights,
            "macs": self.macs,
            "training_images": self.training_images,
            "weights_per_training_image": self.weights / self.training_images if self.training_images else None,
        }


def inspect_own(
    found: FoundNetwork,
    input_shape: Shape3 | None = None,
    num_classes: int | None = None,
    training_images: int | None = None,
) -> OwnInspection:
    """Work out every figure of a network that the user's own file builds: it is built, and run on one image.

    Args:
        input_shape: (C, H, W); by default that of the trained model, or 3×32×32.
        num_classes: by default the trained model's, or 10.

    Raises:
        RecipeError: the module does not fit the images and classes.
    """
    layer = found.network.own
    assert layer is not None, found
    if num_classes is not None and num_classes < 1:
        raise RecipeError(f"`num_classes` is {num_classes}; it must be at least 1")
    shape = input_shape or found.input_shape or USUAL_INPUT
    classes = num_classes or found.num_classes or USUAL_CLASSES
    weights, macs = figures_of(layer, shape, classes)
    parts: tuple[OwnPart, ...] = ()
    if is_named(layer):
        from stepladder.network.own_parts import measure_parts  # torch

        parts = measure_parts(layer, shape, classes)
    return OwnInspection(found, shape, classes, weights, macs, parts, training_images)


def output_in_words(part: OwnPart) -> str:
    """Write what comes out of a part as ``16×8×8``."""
    return "not called" if part.output_shape is None else "×".join(f"{size:,}" for size in part.output_shape)


def sees_in_words(part: OwnPart) -> str:
    """Write the receptive field of a part as ``5``, or ``5×3`` where rows and columns differ."""
    if part.sees is None:
        return "–"
    rows, columns = part.sees
    return str(rows) if rows == columns else f"{rows}×{columns}"
