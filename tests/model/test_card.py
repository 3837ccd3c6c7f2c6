"""The model card says how well and on what, and names from the data stay names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt

from stepladder.model.card import CardFacts, ClassFigures, Mistake, render_card
from stepladder.model.limits import Limits, answered_shares
from stepladder.model.rule import PROGRAM

FACTS = CardFacts(
    data="pets",
    class_names=("cat", "dog"),
    image_shape=(24, 32, 3),
    recipe="report",
    techniques=("standardize", "random_crop"),
    epochs=20,
    seed=3,
    counts={"train": 45_000, "validation": 5000, "test": 10_000},
    test_accuracy=0.78987,
    machine="Intel(R) Xeon(R) @ 2.00GHz",
    versions={"torch": "2.13.0", "stepladder": "0.1.0"},
)


def body(card: str) -> str:
    """As a model hub renders it, by a parser that someone else wrote."""
    _, header, text = card.split("---\n", 2)
    facts = yaml.safe_load(header)
    index = facts.pop("model-index", None)
    assert facts == {
        "library_name": "stepladder",
        "pipeline_tag": "image-classification",
        "tags": ["stepladder", "image-classification"],
        "license": "unknown",
    }
    if index is not None:
        assert list(index[0]) == ["name", "results"]
        assert index[0]["results"][0]["metrics"] == [{"type": "accuracy", "value": 0.78987}]
        assert list(index[0]["results"][0]["dataset"]) == ["name", "type", "split"]
    return MarkdownIt("gfm-like", {"linkify": False}).render(text)


def test_what_it_says():
    page = body(render_card(FACTS))
    for text in (
        "<h1>pets: recipe report, seed 3</h1>",
        "24×32 images with 3 channels, uint8",
        "2 classes: cat, dog.",
        "pets (45,000 train, 5,000 validation, 10,000 test images)",
        "standardize, random_crop.",
        "78.99 % of 10,000 test images (n = 1 seed)",
        "Intel(R) Xeon(R) @ 2.00GHz with torch 2.13.0, stepladder 0.1.0",
        "in 20 epochs",
    ):
        assert text in page


def test_results_come_with_their_spread_and_probabilities_with_their_temperature():
    page = body(render_card(FACTS))
    assert (
        "not calibrated: the validation images gave no reliable temperature; the plain softmax is often too sure."
        in page
    )
    card = replace(FACTS, of_recipe=(0.7912, 0.0031, 5), temperature=1.8312, calibration_error=(0.091, 0.0123))
    page = body(render_card(card))
    assert "n = 1 seed); the same recipe 79.12 ± 0.31 % (sd, n = 5 seeds)." in page
    assert "calibrated; logits are divided by 1.83, fitted on 5,000 validation images" in page
    assert "(calibration error on the test images: 9.10 % before, 1.23 % after)." in page
    assert "{type: accuracy, value: 0.78987}" in render_card(card)
    assert "model-index" not in render_card(replace(FACTS, test_accuracy=None))


def test_one_channel_no_technique_and_many_classes():
    names = tuple(f"class {number}" for number in range(1000))
    card = render_card(replace(FACTS, image_shape=(8, 8, 1), techniques=(), class_names=names))
    assert "with 1 channel, uint8" in card
    assert "**Techniques:** none." in card
    assert "class 19, and 980 more." in card
    assert "class 20" not in card


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[text](http://example.com)",
        "![text](http://example.com/x.png)",
        "**strong** __strong__ _em_ ~~del~~ `code`",
        "line\n\n# heading\n---\nlicense: mit",
        "a | b",
        "&lt;b&gt;",
        "caf\udce9",
        "back\\slash",
    ],
)
def test_names_from_data_are_text_and_nothing_more(name):
    plain = body(render_card(replace(FACTS, data="x", class_names=("y", "z"), machine="m")))
    card = render_card(replace(FACTS, data=name, class_names=(name, "z"), machine=name))
    page = body(card)
    for tag in ("<h", "<p", "<li", "<strong", "<em", "<a ", "<img", "<script", "<code", "<s>", "<hr", "<table"):
        assert page.count(tag) == plain.count(tag), tag
    assert card.count("\n") == render_card(FACTS).count("\n")
    card.encode()


def test_ordinary_names_stay_readable():
    names = ("traffic light", "Café", "猫", "no-entry (50 km/h)", "stop_sign")
    page = body(render_card(replace(FACTS, class_names=names)))
    for name in names:
        assert name in page


def test_what_was_said_of_the_images_is_on_the_card() -> None:
    notes = ("The test is not clean: 4 of 372 test images have copies among those that train (1.1 %).", "a <b> `c=1`")
    card = render_card(replace(FACTS, notes=notes))
    assert "- **Note:** The test is not clean: 4 of 372 test images have copies" in card
    assert r"- **Note:** a \_b\_ c=1" in card
    assert "Note" not in render_card(FACTS)


def test_a_model_of_every_image_says_what_to_expect() -> None:
    card = render_card(replace(FACTS, counts={"train": 9}, test_accuracy=None, expected="A study measured 90 %"))
    assert "not measured: every image trained, and none is left to test. A study measured 90 %." in card


def test_why_probabilities_are_not_calibrated_is_what_happened() -> None:
    def said(**changes: object) -> str:
        return next(line for line in render_card(replace(FACTS, **changes)).splitlines() if "Probabilities" in line)

    assert "the validation images gave no reliable temperature" in said()
    assert "no images were held out for validation" in said(counts={"train": 9, "test": 9})
    assert "a temperature is fitted when the test images are read, and they were not" in said(test_accuracy=None)


def test_a_model_that_was_not_measured_does_not_say_it_was() -> None:
    assert "one of these classes: it was measured on such images, and on\nothers" in render_card(FACTS)
    unread = render_card(replace(FACTS, test_accuracy=None, epochs=1))
    assert "one of these classes: it was not measured on any, and on\nothers" in unread
    assert "in 1 epoch." in unread


def test_beside_its_accuracy_stands_what_guessing_comes_to() -> None:
    classes = (ClassFigures(9, 7_500, 7_000, (0.9, 0.95)), ClassFigures(9, 2_500, 900, (0.3, 0.4)))
    card = render_card(replace(FACTS, classes=classes))
    assert "(n = 1 seed); always naming the largest class is right on 75.00 %." in card
    worse = render_card(replace(FACTS, classes=classes, test_accuracy=0.75))
    assert "is right on 75.00 %, which is no worse." in worse
    assert "largest class" not in render_card(FACTS)


def test_the_card_has_the_program_that_reads_files() -> None:
    assert PROGRAM.read_text(encoding="utf-8").strip() in render_card(FACTS)


def promised(images: int, wrong: int, unlike: dict[str, tuple[int, int]] | None = None) -> Limits:
    right = np.arange(images) < images - wrong
    return Limits(answered_shares(np.linspace(1, 0.5, images), right), np.linspace(0.5, 1, images), unlike or {})


def test_each_class_has_its_images_and_how_often_it_is_found() -> None:
    classes = (ClassFigures(40_000, 9_000, 8_100, (0.893, 0.906)), ClassFigures(5_000, 1_000, 400, (0.37, 0.431)))
    mistakes = (Mistake("cat", "dog", 900, 9_000), Mistake("dog", "cat", 600, 1_000))
    card = render_card(replace(FACTS, classes=classes, mistakes=mistakes, interval=(0.7818, 0.7978)))
    page = body(card)
    assert "<table>" in page
    assert "| cat | 40,000 | 9,000 | 90.0 % | 89.3 to 90.6 % |" in card
    assert "| dog | 5,000 | 1,000 | 40.0 % | 37.0 to 43.1 % |" in card
    assert "1,500 of the 10,000 test images are classified wrongly." in card
    assert "Most often cat taken for dog: 900 of 9,000; dog taken for cat: 600 of 1,000." in card
    assert "(n = 1 seed; 95 % interval on new images like these 78.18 to 79.78 %)" in card
    # Before test is read, the training images are known.
    unread = render_card(replace(FACTS, test_accuracy=None, classes=(ClassFigures(40_000), ClassFigures(5_000))))
    assert "| cat | 40,000 | | | |" in unread
    assert "How it fails" not in unread


def test_of_many_classes_those_that_are_found_least_are_listed() -> None:
    names = tuple(f"n{number:03}" for number in range(60))
    classes = tuple(ClassFigures(10, 10, 10 - number % 10, (0.1, 0.2)) for number in range(60))
    card = render_card(replace(FACTS, class_names=names, classes=classes))
    assert "## Classes: the 50 of 60 that are found least" in card
    assert card.count("| 10 | 10 |") == 50
    assert "| n009 | 10 | 10 | 10.0 %" in card
    assert "| n050 |" not in card


def test_where_the_images_come_from_is_told_by_their_fingerprint_and_groups() -> None:
    card = render_card(replace(FACTS, fingerprint="0123456789abcdef" * 4, groups=17))
    assert "10,000 test images, the training images of 17 groups; fingerprint 0123456789abcdef)" in card


def test_limits_are_what_validation_images_promise() -> None:
    found = promised(200, 10, {"test": (23, 297), "noise": (64, 64)})
    card = render_card(replace(FACTS, counts={"train": 1000, "validation": 200, "test": 297}, limits=found))
    assert "Asked that at most 5 % of its answers be wrong (abstain), it answered 180 of 200 validation images" in card
    assert "0 of them wrongly; the promise holds with 90 % confidence" in card
    assert "it called so 23 of 297 test images, and 64 of 64 images of noise." in card
    few = render_card(replace(FACTS, counts={"train": 100, "validation": 39, "test": 9}, limits=promised(39, 1)))
    assert "Asked that at most 13 % of its answers be wrong" in few
    assert "has no measure of what is unlike its training images: 39 validation images set none." in few
    hopeless = render_card(replace(FACTS, counts={"train": 9, "validation": 3, "test": 9}, limits=promised(3, 3)))
    assert "Its 3 validation images are too few, or too often wrong, to promise" in hopeless
    assert "no threshold to abstain by: no images were held out for validation." in render_card(
        replace(FACTS, counts={"train": 9, "test": 9})
    )
    assert "no threshold to abstain by: no test images were read." in render_card(replace(FACTS, test_accuracy=None))
