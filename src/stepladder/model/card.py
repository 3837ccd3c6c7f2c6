"""The model card: what the model is, what it was trained on, how well it does, and what that does not say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from stepladder.datasets.image_set import Fit
from stepladder.errors import printable
from stepladder.model.limits import FALSE_ALARMS, MISS, Limits, least_risk, threshold_for_risk
from stepladder.model.rule import PROGRAM

#: Classes and mistakes that a card lists at most.
_MOST_CLASSES, _MOST_MISTAKES = 50, 5

#: The risk that the card gives an example of; a larger one where validation images cannot promise it.
_RISK = 0.05


@dataclass(frozen=True)
class ClassFigures:
    """One class on the card: its training images, its test images, how many of these are right, and the 95 % interval
    of their share; None before test is read.
    """

    trained: int
    tested: int | None = None
    right: int | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Mistake:
    """A class taken for another, on so many of its test images."""

    true: str
    predicted: str
    images: int
    of: int


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
        fingerprint: SHA-256, hex, of the image set.
        groups: how many groups the training images are of; None where there are none.
        interval: the 95 % interval of the test accuracy on new images like the test images; None until it is read.
        classes: by label; empty where nothing is known of each.
        mistakes: on the test images, the most frequent first.
        limits: what validation images promise; None where there were none, or test was not read.
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
    fingerprint: str = ""
    groups: int | None = None
    interval: tuple[float, float] | None = None
    classes: tuple[ClassFigures, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    limits: Limits | None = None

    def __repr__(self) -> str:
        return printable(f"CardFacts({self.data[:100]}: recipe {self.recipe[:100]}, seed {self.seed})")


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
        between = ""
        if facts.interval is not None:
            low, high = (100 * share for share in facts.interval)
            between = f"; 95 % interval on new images like these {low:.2f} to {high:.2f} %"
        accuracy = f"{100 * facts.test_accuracy:.2f} % of {test_images:,} test images (n = 1 seed{between})"
        accuracy += _guessing(facts)
    if facts.of_recipe is not None:
        mean, sd, seeds = facts.of_recipe
        accuracy += f"; the same recipe {100 * mean:.2f} ± {100 * sd:.2f} % (sd, n = {seeds} seeds)"
    if facts.expected is not None:
        accuracy += f". {_plain(facts.expected)}"
    grouped = f", the training images of {facts.groups:,} groups" if facts.groups is not None else ""
    fingerprint = f"; fingerprint {facts.fingerprint[:16]}" if facts.fingerprint else ""
    return printable(f"""---
library_name: stepladder
pipeline_tag: image-classification
tags: [stepladder, image-classification]
license: unknown
{_results(facts)}---

# {_plain(facts.data)}: recipe {_plain(facts.recipe)}, seed {facts.seed}

An image classifier trained by Stepladder in {facts.epochs:,} epoch{"s" if facts.epochs != 1 else ""}.

- **Reads** {height}×{width} images with {channels} channel{"s" if channels != 1 else ""}, uint8{_FITTED[facts.fit]}.
- **Tells apart** {len(facts.class_names)} classes: {shown}{more}.
- **Trained on** {_plain(facts.data)} ({splits} images{grouped}{fingerprint}).
- **Techniques:** {", ".join(facts.techniques) or "none"}.
- **Test accuracy:** {accuracy}.
- **Probabilities:** {_calibration(facts)}.
- **Made on** {_plain(facts.machine)} with {versions}{f", in {facts.precision}" if facts.precision else ""}.
{_notes(facts)}
{_classes(facts)}{_mistakes(facts)}## For whom, and its limits

For whoever has images like those it was trained on, each of which shows one of these classes{_measured(facts)}, and on
others it may do worse. {_limits(facts)} The license of the weights is for whoever trained them to state,
with that of the images in mind.

## Without Stepladder

`stepladder export` makes an ONNX file of this folder that reads uint8 pixels and gives probabilities. How a file turns
into them is what image_rule in `config.json`, and in the metadata of the file, says; this program follows it:

```python
{PROGRAM.read_text(encoding="utf-8").strip()}
```
""")


def _measured(facts: CardFacts) -> str:
    return ": it was not measured on any" if facts.test_accuracy is None else ": it was measured on such images"


def _guessing(facts: CardFacts) -> str:
    """What naming the largest class every time comes to on the test images."""
    tested = [one.tested or 0 for one in facts.classes]
    if facts.test_accuracy is None or not sum(tested):
        return ""
    share = max(tested) / sum(tested)
    beside = ", which is no worse" if facts.test_accuracy <= share else ""
    return f"; always naming the largest class is right on {100 * share:.2f} %{beside}"


def _notes(facts: CardFacts) -> str:
    """What whoever uses the model should know of its images, as further items."""
    plain = [_plain(note.replace("`", "")) for note in facts.notes]
    return "".join(f"- **Note:** {note}\n" for note in plain)


def _classes(facts: CardFacts) -> str:
    """A row a class: what it was trained on, and how often it is found."""
    if not facts.classes:
        return ""
    order = list(range(len(facts.classes)))
    title = "## Classes"
    if len(order) > _MOST_CLASSES:
        order = sorted(order, key=lambda label: _found(facts.classes[label]))[:_MOST_CLASSES]
        title += f": the {_MOST_CLASSES} of {len(facts.classes):,} that are found least"
    rows = [f"| {_plain(facts.class_names[label])} | {_row(facts.classes[label])} |\n" for label in order]
    head = "| class | training images | test images | of these right | 95 % interval |\n"
    line = "| --- | ---: | ---: | ---: | --- |\n"
    return f"{title}\n\n{head}{line}{''.join(rows)}\n"


def _found(one: ClassFigures) -> float:
    return (one.right or 0) / one.tested if one.tested else 2.0


def _row(one: ClassFigures) -> str:
    if one.tested is None:
        return f"{one.trained:,} | | |"
    if not one.tested or one.right is None or one.interval is None:
        return f"{one.trained:,} | {one.tested:,} | |"
    low, high = (100 * share for share in one.interval)
    return f"{one.trained:,} | {one.tested:,} | {100 * one.right / one.tested:.1f} % | {low:.1f} to {high:.1f} %"


def _mistakes(facts: CardFacts) -> str:
    """What it takes for what, on the test images."""
    if not any(one.tested for one in facts.classes):
        return ""
    wrong = sum(one.images for one in facts.mistakes)
    verb = "is" if wrong == 1 else "are"
    text = f"## How it fails\n\n{wrong:,} of the {facts.counts.get('test', 0):,} test images {verb} classified wrongly."
    told = [
        f"{_plain(one.true)} taken for {_plain(one.predicted)}: {one.images:,} of {one.of:,}"
        for one in facts.mistakes[:_MOST_MISTAKES]
    ]
    most = f" Most often {'; '.join(told)}." if told else ""
    return f"{text}{most}\n\n"


def _limits(facts: CardFacts) -> str:
    """What it can be asked beside classes, and what that promises."""
    if facts.limits is None:
        why = "no test images were read" if facts.counts.get("validation") else "no images were held out for validation"
        return (
            "It names one of its classes whatever it is shown, and has no measure of what is unlike its images and no "
            f"threshold to abstain by: {why}."
        )
    limits, validation = facts.limits, facts.counts.get("validation", 0)
    text = "It names one of its classes whatever it is shown, unless it is asked for more."
    risk = max(_RISK, least_risk(limits.answered))
    if risk < 1:
        kept = threshold_for_risk(limits.answered, risk)
        text += (
            f" Asked that at most {100 * risk:.0f} % of its answers be wrong (abstain), it answered {kept.images:,} of "
            f"{limits.answered[-1].images:,} validation images, {kept.wrong:,} of them wrongly; the promise holds with "
            f"{100 * (1 - MISS):.0f} % confidence on images like these."
        )
    else:
        text += (
            f" Its {validation:,} validation images are too few, or too often wrong, to promise how many answers hold."
        )
    text += _unlike(limits, validation)
    return (
        f"{text} The same validation images were there to choose by and to fit the temperature on, so promises may be "
        "a little too good."
    )


def _unlike(limits: Limits, validation: int) -> str:
    if not limits.unlike:
        return f" It has no measure of what is unlike its training images: {validation:,} validation images set none."
    told = {name: f"{count:,} of {of:,}" for name, (count, of) in limits.unlike.items()}
    return (
        " It can say which images are unlike those it was trained on, set so that at most "
        f"{100 * FALSE_ALARMS:.0f} % of images like these are called so, with {100 * (1 - MISS):.0f} % confidence: it "
        f"called so {told.get('test', 'none')} test images, and {told.get('noise', 'none')} images of noise."
    )


def _calibration(facts: CardFacts) -> str:
    if facts.temperature is None:
        why = "the validation images gave no reliable temperature"
        if not facts.counts.get("validation"):
            why = "no images were held out for validation, which would tell a temperature"
        elif facts.test_accuracy is None:
            why = "a temperature is fitted when the test images are read, and they were not"
        return f"not calibrated: {why}; the plain softmax is often too sure"
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
