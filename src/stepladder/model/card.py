"""The model card: what the model is, what it was trained on, how well it does, and what that does not say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from stepladder.datasets.image_set import Fit
from stepladder.errors import printable
from stepladder.model.rule import PROGRAM


@dataclass(frozen=True, repr=False)
class CardFacts:
    """What a model card tells.

    Attributes:
        recipe: name of the recipe.
        techniques: those switched on, in recipe order.
        counts: images a split.
        test_accuracy: a fraction of 1; None until the test images are read.
        machine: processor and accelerator in words.
        precision: that it was trained in; None where that is not known.
        of_recipe: (mean, sample standard deviation, n) of the test accuracies of all seeds of the recipe that have been
            read; None where this is the only one.
        temperature: that probabilities are calibrated by; None where none could be fitted.
        calibration_error: of the test images, a fraction of 1: before and after calibration.
        fit: how images of another shape were brought to ``image_shape``.
        notes: what was said of its images and training: copies across splits, what was left out, a sentence each.
        expected: of a model that every image trained, what a study of its recipe measured, a sentence.
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
    precision: str | None = None
    of_recipe: tuple[float, float, int] | None = None
    temperature: float | None = None
    calibration_error: tuple[float, float] | None = None
    fit: Fit = "crop"
    expected: str | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"CardFacts({self.data[:100]}: recipe {self.recipe[:100]}, seed {self.seed})"


_FITTED: dict[Fit, str] = {
    "crop": "",
    "pad": "; others are resized by their longer side, and black is added",
    "stretch": "; others are stretched",
}


def render_card(facts: CardFacts) -> str:
    """Return the card as Markdown with the YAML header that model hubs read."""
    height, width, channels = facts.image_shape
    test_images = facts.counts.get("test", 0)
    shown = ", ".join(_plain(name) for name in facts.class_names[:20])
    more = f", and {len(facts.class_names) - 20} more" if len(facts.class_names) > 20 else ""
    splits = ", ".join(f"{images:,} {split}" for split, images in facts.counts.items())
    versions = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    accuracy = "not read yet" if test_images else "not measured: every image trained, and none is left to test"
    if facts.test_accuracy is not None:
        accuracy = f"{100 * facts.test_accuracy:.2f} % of {test_images:,} test images (n = 1 seed)"
    if facts.of_recipe is not None:
        mean, sd, seeds = facts.of_recipe
        accuracy += f"; the same recipe {100 * mean:.2f} ± {100 * sd:.2f} % (sd, n = {seeds} seeds)"
    if facts.expected is not None:
        accuracy += f". {_plain(facts.expected)}"
    return printable(f"""---
library_name: stepladder
pipeline_tag: image-classification
license: unknown
{_results(facts)}---

# {_plain(facts.data)}: recipe {_plain(facts.recipe)}, seed {facts.seed}

An image classifier trained by Stepladder in {facts.epochs} epochs.

- **Reads** {height}×{width} images with {channels} channel{"s" if channels != 1 else ""}, uint8{_FITTED[facts.fit]}.
- **Tells apart** {len(facts.class_names)} classes: {shown}{more}.
- **Trained on** {_plain(facts.data)} ({splits} images).
- **Techniques:** {", ".join(facts.techniques) or "none"}.
- **Test accuracy:** {accuracy}.
- **Probabilities:** {_calibration(facts)}.
- **Made on** {_plain(facts.machine)} with {versions}{f", in {facts.precision}" if facts.precision else ""}.
{_notes(facts)}
Measured on images like those it was trained on; on others it may do worse and will not say so. The license of the
weights is for whoever trained them to state, with that of the images in mind.

## Without Stepladder

`stepladder export` makes an ONNX file of this folder that reads uint8 pixels and gives probabilities. How a file turns
into them is what image_rule in `config.json`, and in the metadata of the file, says; this program follows it:

```python
{PROGRAM.read_text(encoding="utf-8").strip()}
```
""")


def _notes(facts: CardFacts) -> str:
    """What whoever uses the model should know of its images, as further items."""
    plain = [_plain(note.replace("`", "")) for note in facts.notes]
    return "".join(f"- **Note:** {note}\n" for note in plain)


def _calibration(facts: CardFacts) -> str:
    if facts.temperature is None:
        return "not calibrated: the validation images gave no reliable temperature; the plain softmax is often too sure"
    text = (
        f"calibrated; logits are divided by {facts.temperature:.3g}, fitted on "
        f"{facts.counts.get('validation', 0):,} validation images"
    )
    if facts.calibration_error is not None:
        before, after = facts.calibration_error
        text += f" (calibration error on the test images: {100 * before:.2f} % before, {100 * after:.2f} % after)"
    return text


def _results(facts: CardFacts) -> str:
    """The test accuracy as model hubs read it."""
    if facts.test_accuracy is None:
        return ""
    data = _quoted(facts.data)
    return f"""model-index:
- name: {_quoted(f"{facts.data}: recipe {facts.recipe}, seed {facts.seed}")}
  results:
  - task: {{type: image-classification}}
    dataset: {{name: {data}, type: {data}, split: test}}
    metrics:
    - {{type: accuracy, value: {facts.test_accuracy!r}}}
"""


def _quoted(text: str) -> str:
    """A JSON string of printable characters is a YAML string as well."""
    return json.dumps("".join(letter if letter.isprintable() else " " for letter in text), ensure_ascii=False)


#: Signs that neither Markdown nor HTML reads as its own.
_HARMLESS = " .,:;%=+-–±−()@/×'"


def _plain(text: str) -> str:
    """Names come from data; keep them on one line and free of Markdown and HTML."""
    return "".join(character if character.isalnum() or character in _HARMLESS else r"\_" for character in text)
