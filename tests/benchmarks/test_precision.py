"""What bfloat16 costs: gradients beside float64's, and trainings by paired seeds."""

import json
from dataclasses import replace

import pytest

from benchmarks import precision
from benchmarks.precision import Pair, compare_steps, compare_trainings, interval_of
from stepladder.datasets import load_image_set, make_splits
from stepladder.errors import StudyError
from stepladder.recipe import load_recipe
from stepladder.training.device import choose_compute

CPU = choose_compute("cpu", "bfloat16", threads=1)
DIGITS = make_splits(load_image_set("digits"))


@pytest.mark.long
def test_gradients_of_both_precisions_lie_where_their_digits_end():
    """With dropout and batch norm on: another mask would be as far away as another batch."""
    seen = []
    exact, fast = compare_steps(load_recipe("small"), DIGITS.train, 10, CPU, 4, on_step=lambda: seen.append(1))
    assert (exact.precision, fast.precision, len(seen)) == ("float32", "bfloat16", 4)
    assert max(exact.distances) < 1e-5  # 24 bits
    assert 1e-3 < min(fast.distances) < max(fast.distances) < 0.25  # 8 bits
    assert min(exact.batch_noise) > 0.3


def test_gradients_notice_a_wrong_kernel(monkeypatch):
    far = precision._distance
    monkeypatch.setattr(precision, "_distance", lambda found, reference: far(found * 1.01, reference))
    exact, _ = compare_steps(load_recipe("small"), DIGITS.train, 10, CPU, 1)
    assert exact.distances[0] == pytest.approx(0.01, rel=0.01)


@pytest.mark.long
def test_pairs_share_their_seed_and_differ_in_precision_alone(monkeypatch):
    asked = []
    train = precision.train_network

    def training(recipe, images, seed, compute, callbacks):
        asked.append((seed, compute.precision, compute.threads))
        return train(recipe, images, seed, compute, callbacks)

    monkeypatch.setattr(precision, "train_network", training)
    recipe = load_recipe("small").model_copy(update={"epochs": 1})
    few = make_splits(load_image_set("digits", limit=40))
    pairs = compare_trainings(recipe, few, 10, CPU, (3, 4))
    assert asked == [(3, "float32", 1), (3, "bfloat16", 1), (4, "float32", 1), (4, "bfloat16", 1)]
    assert all(0 < pair.float32 <= 1 and 0 < pair.bfloat16 <= 1 for pair in pairs)


def test_the_interval_is_of_paired_differences():
    pairs = [Pair(seed, 0.5 + seed / 10, 0.51 + seed / 10, 1, 1) for seed in range(3)]
    assert interval_of(pairs) == pytest.approx((0.01, 0.01))
    assert interval_of(pairs[:1]) is None


def test_without_validation_images_nothing_is_compared():
    with pytest.raises(StudyError, match="no validation split"):
        compare_trainings(load_recipe("small"), replace(DIGITS, validation=None), 10, CPU, (0,))


@pytest.mark.soak
def test_the_command_says_differences_and_what_it_did_not_read(measure, monkeypatch):
    small = load_recipe("small").model_copy(update={"epochs": 1})
    monkeypatch.setattr(precision, "load_recipe", lambda _: small)
    outcome = measure("precision", "--seeds", "1", "--first-seed", "40", "--steps", "2", "--json")
    document = json.loads(outcome.out)
    assert [one["precision"] for one in document["steps"]] == ["float32", "bfloat16"]
    assert document["interval"] is None
    assert document["mean"] == pytest.approx(document["pairs"][0]["bfloat16"] - document["pairs"][0]["float32"])
    assert [pair["seed"] for pair in document["pairs"]] == [40]
    said = " ".join(outcome.err.split())
    assert "one seed gives no interval. Test was not read." in said
