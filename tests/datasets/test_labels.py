"""Labels are matched between splits by name."""

from __future__ import annotations

import numpy as np
import pytest

from stepladder.datasets.labels import NamedLabels, in_order, match_classes, named_labels, spelling_notes
from stepladder.errors import DataError


def named(names: list[str], labels: list[int]) -> NamedLabels:
    return NamedLabels(names, np.array(labels, dtype=np.int64))


def test_by_name_not_by_position():
    names, labels, notes = match_classes(
        "here", {"train": named(["cat", "dog"], [0, 1, 1]), "test": named(["dog", "cat"], [0, 0, 1])}
    )
    assert names == ("cat", "dog")
    assert labels["train"].tolist() == [0, 1, 1]
    assert labels["test"].tolist() == [1, 1, 0]
    assert labels["test"].dtype == np.int64
    assert notes == ()


def test_a_class_that_train_lacks_is_named():
    with pytest.raises(DataError, match="here: the test split has the class owl, which train does not have"):
        match_classes("here", {"train": named(["cat", "dog"], [0, 1]), "test": named(["cat", "dog", "owl"], [0, 1, 2])})


def test_a_class_that_a_split_lacks_is_named():
    with pytest.raises(DataError, match="here: the validation split lacks the class dog, which train has"):
        match_classes("here", {"train": named(["cat", "dog"], [0, 1]), "validation": named(["cat", "dog"], [0, 0])})


def test_names_without_images_are_dropped_with_a_note():
    names, labels, notes = match_classes(
        "here", {"train": named(["cat", "cow", "dog"], [0, 2]), "test": named(["cat", "cow", "dog"], [2, 0])}
    )
    assert names == ("cat", "dog")
    assert labels["test"].tolist() == [1, 0]
    assert notes == ("Classes without any image were left out: cow.",)


def test_many_names_are_shortened():
    many = [f"c{i}" for i in range(9)]
    with pytest.raises(DataError, match="the class c2, c3, c4, c5, c6 and 2 more"):
        match_classes("here", {"train": named(many, list(range(9))), "test": named(many, [0, 1])})


@pytest.mark.parametrize("other", ["cat", "CAT ", "c_at", "c at", "C-At", "ｃａｔ"])
def test_two_spellings_of_one_class_are_said(other):
    _, _, notes = match_classes("here", {"train": named(["Cat", other, "dog"], [0, 1, 2])})
    (note,) = notes
    assert f"'Cat' and '{other}'" in note
    assert "count as different" in note


def test_two_forms_of_one_character_are_said():
    _, _, notes = match_classes("here", {"train": named(["caf\u00e9", "cafe\u0301", "dog"], [0, 1, 2])})
    assert "differ in spelling alone" in notes[0]


def test_names_of_signs_alone_are_different():
    assert match_classes("here", {"train": named(["-", "_", "__"], [0, 1, 2])})[2] == ()


def test_another_spelling_in_test_is_an_error_that_says_so():
    with pytest.raises(DataError, match=r"has the class cat, .* \(train has 'Cat': if they are one class, rename"):
        match_classes("here", {"train": named(["Cat", "dog"], [0, 1]), "test": named(["cat", "dog"], [0, 1])})


def test_a_blank_name_is_refused():
    with pytest.raises(DataError, match=r"a class whose name is blank \(' '\); give it a name"):
        match_classes("here", {"train": named([" ", "dog"], [0, 1])})


def test_values_become_classes_in_their_order():
    assert named_labels(["10", "9", "10"]).class_names == ["9", "10"]
    assert named_labels(["b10", "b9", "b10"]).labels.tolist() == [0, 1, 0]


def test_numbers_have_one_order_whatever_the_source_s():
    names, labels, _ = match_classes("here", {"train": named(["0", "1", "10", "2"], [0, 1, 2, 3])})
    assert names == ("0", "1", "2", "10")
    assert labels["train"].tolist() == [0, 1, 3, 2]
    assert match_classes("here", {"train": named(["b", "a", "10"], [0, 1, 2])})[0] == ("b", "a", "10")


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["10", "9", "1"], ["1", "9", "10"]),
        (["-1", "-2", "0", "10"], ["-2", "-1", "0", "10"]),
        (["010", "9", "1"], ["1", "9", "010"]),
        (["1", "01", "2"], ["01", "1", "2"]),
        (["10", "9", "x"], ["10", "9", "x"]),
        (["1.5", "10", "9"], ["1.5", "10", "9"]),
        (["²", "10", "9"], ["10", "9", "²"]),
        (["9" * 30, "10", "9"], ["10", "9", "9" * 30]),
    ],
)
def test_the_order_of_classes(names, ordered):
    assert in_order(names) == ordered


def test_two_classes_of_one_name_are_refused():
    with pytest.raises(DataError, match=r"here names two classes 'cat' \(numbers 0 and 2\); rename one"):
        match_classes("here", {"train": named(["cat", "dog", "cat"], [0, 1, 2])})


def test_the_sign_of_a_number_is_no_spelling():
    assert spelling_notes(["-1", "1"]) == ()
    assert spelling_notes(["-0.5", "0.5"]) == ()
    assert "differ in spelling alone" in spelling_notes(["a-1", "a1"])[0]
