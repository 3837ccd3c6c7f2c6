"""The model card: what the model is, what it was trained on, how well it does, and what that does not say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CardFacts:
    """What a model card tells.

    Attributes:
        recipe: name of the recipe.
        techniques: those switched on, in recipe order.
        counts: images a split.
        test_accuracy: a fraction of 1; None until the test images are read.
        machine: processor and accelerator in words.
    """

    data: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    recipe: str
    techniques: tuple[str, ...]
    epochs: int
    seed: int
    counts: Mapping[str, int]
    test_accuracy: float | None
    machine: str
    versions: Mapping[str, str]


def render_card(facts: CardFacts) -> str:
    """Return the card as Markdown with the YAML header that model hubs read."""
    height, width, channels = facts.image_shape
    test_images = facts.counts["test"]
    shown = ", ".join(_plain(name) for name in facts.class_names[:20])
    more = f", and {len(facts.class_names) - 20} more" if len(facts.class_names) > 20 else ""
    splits = ", ".join(f"{images:,} {split}" for split, images in facts.counts.items())
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    accuracy = "not read yet"
    if facts.test_accuracy is not None:
        accuracy = f"{100 * facts.test_accuracy:.2f} % of {test_images:,} test images (n = 1 seed)"
    return f"""---
library_name: stepladder
pipeline_tag: image-classification
---

# {_plain(facts.data)}: recipe {_plain(facts.recipe)}, seed {facts.seed}

An image classifier trained by Stepladder in {facts.epochs} epochs.

- **Reads** {height}×{width} images with {channels} channel{"s" if channels != 1 else ""}, uint8.
- **Tells apart** {len(facts.class_names)} classes: {shown}{more}.
- **Trained on** {_plain(facts.data)} ({splits} images).
- **Techniques:** {", ".join(facts.techniques) or "none"}.
- **Test accuracy:** {accuracy}.
- **Made on** {_plain(facts.machine)} with {versions}.

Measured on images like those it was trained on; on others it may do worse and will not say so. The license of the
weights is for whoever trained them to state, with that of the images in mind.
"""


def _plain(text: str) -> str:
    """Names come from data; keep them on one line and free of Markdown and HTML."""
    return "".join(character if character.isalnum() or character in " .,+-()@/×'" else r"\_" for character in text)
