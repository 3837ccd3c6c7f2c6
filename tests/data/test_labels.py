"""Labels are matched between splits by name."""

from __future__ import annotations

import numpy as np
import pytest

from stepladder.data.labels import NamedLabels, match_classes
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
