"""Sizes that are held back: how they are drawn, predicted, compared and counted."""

import json

import numpy as np
import pytest

from benchmarks.doublings import Doubling, Ladder, hold_back, nested
from stepladder.datasets import load_image_set


def ladder(errors: dict[int, float], guess: float = 0.1) -> Ladder:
    sizes = {images: [1 - error - 0.002, 1 - error + 0.002] for images, error in errors.items()}
    return Ladder("made", "recipe", "epochs", 0, 5000, guess, sizes)


def test_smaller_sizes_are_within_larger_ones_and_draws_differ():
    train = load_image_set("digits", limit=40).splits["train"]
    half, quarter, other = nested(train, 0.5, 1), nested(train, 0.25, 1), nested(train, 0.25, 2)
    assert (len(half), len(quarter)) == (200, 100)
    assert set(quarter.rows) < set(half.rows)
    assert set(other.rows) != set(quarter.rows)
    assert np.bincount(quarter.labels).tolist() == [10] * 10


def test_each_size_is_predicted_from_those_below_it_alone():
    errors = {100: 0.4, 200: 0.3, 400: 0.225, 800: 0.169, 1600: 0.127}
    first, second = hold_back(ladder(errors))
    assert (first.images, first.above, first.came) == (800, 3, pytest.approx(0.169))
    assert (second.images, second.above, second.before) == (1600, 4, pytest.approx(0.169))
    assert first.holds
    assert second.holds
    (again, _) = hold_back(ladder({**errors, 1600: 0.6}))
    assert again == first
    _, missed = hold_back(ladder({**errors, 1600: 0.5}))
    assert not missed.holds


def test_nothing_is_predicted_from_sizes_at_chance():
    told = list(hold_back(ladder({100: 0.9, 200: 0.9, 400: 0.6, 800: 0.4, 1600: 0.3})))
    assert [(one.above, one.interval is None, one.holds) for one in told] == [(1, True, False), (2, False, True)]
    assert isinstance(told[0], Doubling)


def test_the_command_trains_ladders_and_judges_earlier_ones_with_them(measure, tmp_path):
    small = ("--network", "conv3-2 pool2 fc", "--rung", "baseline", "--epochs", "2", "--limit", "40", "--halvings", "3")
    outcome = measure("doublings", "digits", *small, "--draws", "1", "--seeds", "2", "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    (found,) = document["ladders"]
    assert list(map(int, found["sizes"])) == [40, 80, 160, 320]
    assert all(len(accuracies) == 2 for accuracies in found["sizes"].values())
    assert len(document["doublings"]) == 1
    (tmp_path / "earlier.json").write_text(outcome.out)
    again = measure("doublings", "--with", "earlier.json", "--with", "earlier.json", "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["doublings"] == document["doublings"] * 2
    assert "2 ladders of sizes." in " ".join(again.err.split())


def test_what_is_refused(measure, tmp_path):
    outcome = measure("doublings", "digits", "--halvings", "2")
    assert (outcome.code, outcome.err.startswith("Error: --halvings is 2; a size is predicted from 3")) == (2, True)
    (tmp_path / "other.json").write_text("{}")
    assert "holds no ladders" in measure("doublings", "--with", "other.json").err
    assert "there is nothing to judge" in measure("doublings").err
